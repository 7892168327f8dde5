"""Bounds in words: exact where they are, rounded outwards where they are not."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

from ig_theory.verdict import Bounds, Number

LONGEST = 24
"""Characters of the longest rational that is written out for people."""

FINEST = 9
"""Bounds are told apart up to this many digits."""


def between(bounds: Bounds) -> str:
    """``low to high``, both rounded outwards; one number if it is known exactly.

    Examples
    --------
    >>> between(Bounds(Fraction(1, 3), Fraction(1, 3))), between(Bounds(2.0, 2.0))
    ('1/3 = 0.3333..', '2')
    >>> between(Bounds(5.24999913, 5.25000035)), between(Bounds(1.0, math.inf))
    ('5.2499991 to 5.2500004', '1 to ∞')
    """
    lower, upper = bounds.lower, bounds.upper
    if lower == upper:
        return exactly(lower)
    quantum = _quantum(lower, upper)
    return f"{_rounded(lower, quantum, ROUND_FLOOR)} to {_rounded(upper, quantum, ROUND_CEILING)}"


def exactly(number: Number) -> str:
    """One number, known exactly; a long rational is cut, and says so.

    >>> exactly(Fraction(7, 2)), exactly(Fraction(4)), exactly(0.1), exactly(-math.inf)
    ('7/2 = 3.5', '4', '0.1', '-∞')
    """
    if isinstance(number, float):
        if math.isinf(number):
            return "∞" if number > 0 else "-∞"
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    text, near = str(number), decimal(number)
    if number.denominator == 1 and len(text) <= LONGEST:
        return text
    return f"{text} = {near}" if len(text) <= LONGEST else f"{near} (a longer rational)"


def decimal(number: Fraction, digits: int = 4) -> str:
    """A rational as a decimal number; two dots say that digits were cut off.

    >>> decimal(Fraction(1, 4)), decimal(Fraction(2, 3))
    ('0.25', '0.6666..')
    """
    top, bottom = Decimal(number.numerator), Decimal(number.denominator)
    for places in (digits + 6, digits):
        cut = Context(prec=places, rounding="ROUND_DOWN").divide(top, bottom)
        if Fraction(cut) == number:
            return _plain(cut)
    return f"{_plain(cut)}.."


def _quantum(lower: Number, upper: Number) -> Decimal:
    """The last digit that is shown: two digits of the width, but not beyond `FINEST`."""
    finite = [abs(float(x)) for x in (lower, upper) if not math.isinf(x)]
    size = max(finite, default=0.0)
    width = float(upper) - float(lower)
    scale = width if math.isfinite(width) and width > 0 else size
    place = math.floor(math.log10(scale)) - 1 if scale > 0 else 0
    if size > 0:
        place = max(place, math.floor(math.log10(size)) - FINEST)
    return Decimal(1).scaleb(place)


def _rounded(number: Number, quantum: Decimal, rounding: str) -> str:
    if math.isinf(number):
        return exactly(float(number))
    value = Decimal(number) if isinstance(number, float) else _outwards(number, rounding)
    return _plain(value.quantize(quantum, rounding=rounding, context=Context(prec=400)))


def _outwards(number: Fraction, rounding: str) -> Decimal:
    context = Context(prec=60, rounding=rounding)
    return context.divide(Decimal(number.numerator), Decimal(number.denominator))


def _plain(value: Decimal) -> str:
    if value == 0:
        return "0"
    value = value.normalize(Context(prec=400))  # nothing is rounded
    small = value.adjusted() < -5 or value.adjusted() > 15
    return f"{value:e}" if small else f"{value:f}"
