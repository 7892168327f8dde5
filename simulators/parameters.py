"""Reading the parameters of the simulators: exact numbers in a range, or a ModelError."""

from __future__ import annotations

from fractions import Fraction

from ig_theory.errors import ModelError
from ig_theory.exact import rational

Rational = int | str | Fraction
"""What a rational parameter may be given as; text reads like ``1/4`` or ``0.25``."""


def whole(name: str, value: object, low: int, high: int | None = None) -> int:
    """An int parameter within ``low..high``.

    Raises
    ------
    ModelError
        If it is no int (a bool is none), or out of range.

    Examples
    --------
    >>> whole("length", 5, low=1)
    5
    """
    want = f"a whole number >= {low}" if high is None else f"a whole number, {low}..{high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelError.at(name, want, repr(value), f"write it like {low}")
    if value < low or (high is not None and value > high):
        raise ModelError.at(name, want, value, "choose one in that range")
    return value


def proportion(name: str, value: object, *, zero: bool = False, one: bool = False) -> Fraction:
    """A rational parameter between 0 and 1; the ends only where allowed.

    Raises
    ------
    ModelError
        If it is a float (``0.1`` as a float is not 1/10), no number, or out of range.

    Examples
    --------
    >>> proportion("slip", "0.25")
    Fraction(1, 4)
    """
    want = f"a rational in {'[' if zero else '('}0, 1{']' if one else ')'}"
    number = rational(value, name)
    if not 0 <= number <= 1 or (number == 0 and not zero) or (number == 1 and not one):
        raise ModelError.at(name, want, number, "choose one in that range")
    return number


def positive(name: str, value: object) -> Fraction:
    """A positive rational parameter.

    Raises
    ------
    ModelError
        If it is a float, no number, or not positive.

    Examples
    --------
    >>> positive("unit", "1/10")
    Fraction(1, 10)
    """
    number = rational(value, name)
    if number <= 0:
        raise ModelError.at(name, "a positive rational", number, "raise it")
    return number


def yes_no(name: str, value: object) -> bool:
    """A bool parameter.

    Raises
    ------
    ModelError
        If it is anything but True or False.

    Examples
    --------
    >>> yes_no("exact", True)
    True
    """
    if not isinstance(value, bool):
        raise ModelError.at(name, "true or false", repr(value), "write one of the two")
    return value
