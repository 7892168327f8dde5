"""Exact rationals as people write them: reading, writing, and a common unit for costs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Rational, Real

from ig_theory.errors import ModelError

LONGEST_NUMBER = 4300
"""Digits of the longest whole number that is read or written (Python's own limit)."""

# No exponents: Fraction("1e999999999") would compute a billion digits.
_RATIONAL = re.compile(r"[+-]?([0-9]+(/[0-9]+)?|[0-9]*\.[0-9]+)")


def rational(value: object, where: str) -> Fraction:
    """Read an exact rational from a whole number, a Fraction, or text like ``1/3`` or ``0.1``.

    A float is refused: as a float, ``0.1`` is not one tenth.

    Raises
    ------
    ModelError
        Naming `where` and how to write the number.

    Examples
    --------
    >>> rational("0.1", "cost"), rational("-1/3", "reward"), rational(2, "cost")
    (Fraction(1, 10), Fraction(-1, 3), Fraction(2, 1))
    """
    if isinstance(value, Fraction):
        return value
    # NumPy's scalars are numbers of these kinds too; importing it here would slow --help.
    if isinstance(value, Real) and not isinstance(value, Rational):
        shown = float(value)
        repair = f"write it as text, '{shown}'" if math.isfinite(shown) else "give a number"
        raise ModelError.at(where, "an exact rational", f"the float {shown!r}", repair)
    if not isinstance(value, bool) and isinstance(value, Integral):
        return Fraction(int(value))
    if isinstance(value, str):
        text = value.strip()
        if _RATIONAL.fullmatch(text) and len(text) <= LONGEST_NUMBER:
            try:
                return Fraction(text)
            except ZeroDivisionError:
                pass
    shown_text = repr(value)
    if len(shown_text) > 60:
        shown_text = shown_text[:57] + "..."
    raise ModelError.at(where, "an exact rational", shown_text, "write it like 3, 3/10 or 0.3")


def written(number: Fraction, where: str) -> str:
    """The text ``numerator`` or ``numerator/denominator`` that `rational` reads back.

    Raises
    ------
    ModelError
        If a part has so many digits that it could not be read back.

    Examples
    --------
    >>> written(Fraction(2, 6), "reward"), written(Fraction(3), "reward")
    ('1/3', '3')
    """
    bits = max(number.numerator.bit_length(), number.denominator.bit_length())
    if bits > LONGEST_NUMBER * 1.66:  # both parts and the slash: log2(10) / 2 bits a digit
        raise ModelError.at(
            where, f"a rational of at most {LONGEST_NUMBER} digits", f"one of {bits} bits",
            "round it: Fraction.limit_denominator",
        )  # fmt: skip
    return str(number)


def common_unit(costs: Iterable[Fraction]) -> Fraction:
    """The unit that costs are counted in: 1 if all are whole, else the coarsest exact one.

    The coarsest unit of which every cost is a whole multiple is the greatest common divisor
    of the numerators over the least common multiple of the denominators.

    Examples
    --------
    >>> common_unit([Fraction(3, 10), Fraction(1, 2), Fraction(0)])
    Fraction(1, 10)
    >>> common_unit([Fraction(3, 2), Fraction(3)]), common_unit([Fraction(4)])
    (Fraction(3, 2), Fraction(1, 1))
    """
    paid = {c for c in costs if c}
    if all(c.denominator == 1 for c in paid):
        return Fraction(1)
    common = math.lcm(*(c.denominator for c in paid))
    return Fraction(math.gcd(*(int(c * common) for c in paid)), common)
