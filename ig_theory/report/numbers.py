"""How a number is written: for machines (strict JSON) and for people (four digits)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from ig_theory.budget import float_down, float_up
from ig_theory.verdict import Bounds, Number

LONGEST_EXACT = 10_000
"""Bits of the longest rational that is written out in full, about 3000 digits."""

NEGLIGIBLE = 1e-8
"""Rewards and divergences nearer to 0 than this are shown as 0; probabilities never are."""

JSON = dict[str, Any]


def json_number(number: Number) -> float | str:
    """A number as strict JSON has it: a float, or ``"inf"``, ``"-inf"``, ``"nan"``.

    >>> json_number(Fraction(1, 4)), json_number(math.inf)
    (0.25, 'inf')
    """
    value = float(number)
    return value if math.isfinite(value) else str(value)


def exact_text(number: Number | None) -> str | None:
    """``"1/4"`` of a Fraction; None of a float, or of a rational that is too long to write."""
    if not isinstance(number, Fraction):
        return None
    bits = max(number.numerator.bit_length(), number.denominator.bit_length())
    return str(number) if bits <= LONGEST_EXACT else None


def json_bounds(bounds: Bounds | None) -> JSON | None:
    """Bounds as ``{"lower", "upper", "exact"}``; `exact` is text if both ends are one rational.

    Ends that differ are rounded outwards, so the floats bound the quantity too.

    Examples
    --------
    >>> json_bounds(Bounds(Fraction(1, 4), Fraction(1, 4)))
    {'lower': 0.25, 'upper': 0.25, 'exact': '1/4'}
    """
    if bounds is None:
        return None
    lower, upper = bounds.lower, bounds.upper
    if lower == upper:
        return {
            "lower": json_number(lower),
            "upper": json_number(upper),
            "exact": exact_text(lower),
        }
    down = float_down(lower) if isinstance(lower, Fraction) else lower
    up = float_up(upper) if isinstance(upper, Fraction) else upper
    return {"lower": json_number(down), "upper": json_number(up), "exact": None}


def short(number: Number, digits: int = 4, near_one: bool = True) -> str:
    """A number in a few digits; only 0 is written 0, and only 1 is written 1.

    With `near_one` false, what rounds to 1 is written 1: no harm in a reward.

    Examples
    --------
    >>> short(0.123456), short(Fraction(1, 3)), short(1e-12), short(0.999999), short(math.inf)
    ('0.1235', '0.3333', '1.0e-12', '>0.9999', '∞')
    """
    if isinstance(number, float) and math.isnan(number):
        return "nan"
    if abs(number) == math.inf:
        return "∞" if number > 0 else "-∞"
    if number == 0:
        return "0"
    value = float(number)
    if abs(value) < 1e-3:
        return (
            f"{value:.{max(digits - 3, 0)}e}"
            if value
            else ("<1e-300" if number > 0 else ">-1e-300")
        )
    text = f"{value:.{digits}g}"
    if near_one and text == "1" and number != 1:
        return f">0.{'9' * digits}" if number < 1 else f"{value:.{digits - 1}f}"
    return text if "e" not in text else f"{value:.{digits - 1}e}"


def chance(bounds: Bounds | None, digits: int = 4) -> str:
    """A probability for people; an interval where it is not known to that many digits.

    Examples
    --------
    >>> chance(Bounds(0.25, 0.25)), chance(Bounds(0.0, 1e-5)), chance(Bounds(0.1, 0.2))
    ('0.25', '≤1.0e-05', '0.1..0.2')
    """
    if bounds is None:
        return "–"
    if bounds.lower == 0 < bounds.upper:
        return f"≤{short(bounds.upper, digits)}"
    return _interval(bounds, digits, True)


def quantity(bounds: Bounds | None, digits: int = 4) -> str:
    """A reward, a regret or a divergence for people.

    >>> quantity(Bounds(-1e-16, 2e-16)), quantity(Bounds(1.5, 1.5)), quantity(None)
    ('0', '1.5', '–')
    """
    if bounds is None:
        return "–"
    if max(abs(float(bounds.lower)), abs(float(bounds.upper))) < NEGLIGIBLE:
        return "0"
    return _interval(bounds, digits, False)


def _interval(bounds: Bounds, digits: int, near_one: bool) -> str:
    lower, upper = (short(end, digits, near_one) for end in (bounds.lower, bounds.upper))
    near = bounds.width <= 10.0**-digits * max(1.0, abs(bounds.middle))
    if lower == upper or near:
        known = bounds.lower == bounds.upper
        return short(bounds.lower if known else bounds.middle, digits, near_one)
    return f"{lower}..{upper}"
