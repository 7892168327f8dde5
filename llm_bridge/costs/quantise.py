"""Scores as exact whole multiples of a unit, rounded to the side that is asked for.

A score is a float64, which is an exact rational. Rounding *up* is conservative: what is charged is
never below the score, so a budget that holds for the charge holds for the score. Rounding the
running *total* and charging its growth keeps the charge below the total plus one unit however
many steps there are, and also under a discount γ in (0, 1]: the discounted charge is a weighted
mean of the rounded totals (Abel summation), so it exceeds the discounted score by less than a
unit. Rounding n step costs one by one may exceed it by up to n units.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ig_theory.errors import ModelError

Rounding = Literal["up", "down", "nearest"]

LARGEST = 2**52
"""Larger multiples are refused; the fast path is in float64."""


def quantise(
    values: ArrayLike,
    unit: Fraction,
    scale: Fraction = Fraction(1),
    rounding: Rounding = "up",
    start: float = 0.0,
) -> NDArray[np.int64]:
    """``scale * (value - start) / unit`` as whole numbers, decided without rounding errors.

    Parameters
    ----------
    values : float64[N]
        Taken as the exact rationals that they are.
    unit, scale
        Positive.
    start : float
        Finite; taken as the exact rational that it is.
    rounding
        ``up`` (ceiling: never below the value), ``down`` (floor: never above it, so not
        conservative for costs), ``nearest`` (halves go up; off by at most half a unit).

    Raises
    ------
    ModelError
        If a value is not finite or too large, or unit or scale are not positive.

    Examples
    --------
    >>> quantise([0.25, 0.26, -0.26], Fraction(1, 4)).tolist()
    [1, 2, -1]
    >>> quantise([0.1], Fraction(1, 10)).tolist()   # the float 0.1 is a little above 1/10
    [2]
    """
    given = np.asarray(values, dtype=np.float64)
    if not (unit > 0 and scale > 0 and np.isfinite(start)):
        raise ModelError.at(
            "unit, scale and start", "positive numbers, and a finite one", (unit, scale, start),
            "give such numbers",
        )  # fmt: skip
    factor = Fraction(scale) / Fraction(unit)
    if rounding not in ("up", "down", "nearest"):
        raise ModelError.at("rounding", "up, down or nearest", rounding, "name one of them")
    rough = (given - start) * float(factor)
    bad = ~(np.abs(rough) <= LARGEST)  # also where NaN
    if bad.any():
        row = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ModelError.at(
            f"score {list(row)}", f"a finite number below {LARGEST} units", given[row],
            "a response whose score is unknown must not pass as safe",
        )  # fmt: skip
    shifted = rough + 0.5 if rounding == "nearest" else rough
    whole = np.ceil(shifted) if rounding == "up" else np.floor(shifted)
    # Where float64 may have gone to the wrong side of a whole number, decide in rationals.
    unsure = np.abs(shifted - np.rint(shifted)) <= 2.0**-50 * (np.abs(shifted) + 1)
    out = whole.astype(np.int64)
    origin = Fraction(start)
    half = Fraction(1, 2) if rounding == "nearest" else Fraction(0)
    for index in zip(*np.nonzero(unsure), strict=True):
        exact = (Fraction(float(given[index])) - origin) * factor + half
        out[index] = -((-exact) // 1) if rounding == "up" else exact // 1
    return out


def at_edge(
    values: ArrayLike,
    drift: float,
    unit: Fraction,
    scale: Fraction = Fraction(1),
    rounding: Rounding = "up",
    start: float = 0.0,
) -> NDArray[np.bool_]:
    """Where a change of the value by `drift` could change its rounded multiple, bool[N].

    The share of such rows says how often a score of latents may be charged differently by a tree
    and by a decoder, whose floats differ in their last digits.

    Examples
    --------
    >>> at_edge([0.24999, 0.1], 1e-4, Fraction(1, 4)).tolist()
    [True, False]
    """
    given = np.asarray(values, dtype=np.float64)
    low = quantise(given - drift, unit, scale, rounding, start)
    edge: NDArray[np.bool_] = low != quantise(given + drift, unit, scale, rounding, start)
    return edge
