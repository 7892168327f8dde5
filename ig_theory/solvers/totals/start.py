"""The expectation of a solver's values over the initial distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import Product
from ig_theory.budget import float_down, float_up
from ig_theory.chain import ROUNDING
from ig_theory.cmdp import ConstrainedMDP, Numbers
from ig_theory.verdict import Bounds, Number

FEW = 32
"""Initial states up to which floats are summed without rounding."""


def over_start(product: Product, lower: npt.NDArray[Any], upper: npt.NDArray[Any]) -> Bounds:
    """Bounds on the expectation over the initial distribution of values of nodes, [N] each.

    Examples
    --------
    >>> from ig_theory.augmentation import explore
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.constraint import BudgetConstraint
    >>> model = from_dict({"s": {"go": (0, 1, "t")}}, initial={"s": "1/2", "t": "1/2"})
    >>> product = explore(model, BudgetConstraint(0))
    >>> round(over_start(product, np.array([1.0, 0.0]), np.array([3.0, 0.0])).middle, 9)
    1.0
    """
    first = product.initial
    return expectation(product.initial_prob, lower[first], upper[first])


def over_states(model: ConstrainedMDP, lower: npt.NDArray[Any], upper: npt.NDArray[Any]) -> Bounds:
    """The same of values of the model's states, [S] each."""
    return expectation(model.initial, lower, upper)


def expectation(prob: Numbers, lower: npt.NDArray[Any], upper: npt.NDArray[Any]) -> Bounds:
    """Bounds on an expectation: exact of Fractions, rounded outwards of floats.

    A value of ``-inf`` (no safe policy) with any probability makes the expectation ``-inf``,
    whatever can be gained elsewhere.

    Parameters
    ----------
    prob : [I]
        Taken as the rationals they are, scaled to total 1.
    lower, upper : [I]
        Bounds on each value; infinities are allowed.

    Examples
    --------
    >>> expectation(np.array([1.0]), np.array([2.0]), np.array([3.0]))
    Bounds(lower=2.0, upper=3.0)
    >>> third = np.array([Fraction(1, 3), 0], dtype=object)
    >>> expectation(np.array([0.25, 0.75]), third, third).upper
    Fraction(1, 12)
    """
    met = np.asarray(prob > 0, dtype=bool)
    prob, lower, upper = prob[met], lower[met], upper[met]
    if lower.dtype == object:
        return Bounds(_exactly(prob, lower), _exactly(prob, upper))
    if len(prob) <= FEW:
        return Bounds(
            _outwards(_exactly(prob, lower), float_down), _outwards(_exactly(prob, upper), float_up)
        )
    share = prob.astype(np.float64)
    share /= share.sum()
    with np.errstate(invalid="ignore"):
        below = -np.inf if (lower == -np.inf).any() else float(share @ lower)
        above = -np.inf if (upper == -np.inf).any() else float(share @ upper)
        size = float(share @ np.maximum(np.abs(lower), np.abs(upper)))
    slack = (len(share) + 4) * ROUNDING * size if np.isfinite(size) else 0.0
    # A mean is no smaller than the least and no larger than the largest, whatever the rounding.
    return Bounds(max(below - slack, float(lower.min())), min(above + slack, float(upper.max())))


def _exactly(prob: Numbers, value: npt.NDArray[Any]) -> Number:
    values = value.tolist()
    infinite = [float(v) for v in values if abs(v) == math.inf]
    if infinite:
        return min(infinite)
    share = [Fraction(p) for p in prob.tolist()]
    total = sum((p * Fraction(v) for p, v in zip(share, values, strict=True)), Fraction(0))
    return total / sum(share)


def _outwards(mean: Number, rounded: Callable[[Fraction], float]) -> float:
    return rounded(mean) if isinstance(mean, Fraction) else float(mean)
