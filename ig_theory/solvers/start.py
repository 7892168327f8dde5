"""The expectation of a solver's values over the initial distribution."""

from __future__ import annotations

import numpy as np

from ig_theory.augmentation import Product
from ig_theory.chain import ROUNDING
from ig_theory.cmdp import Floats, Numbers
from ig_theory.verdict import Bounds


def over_start(product: Product, lower: Floats, upper: Floats) -> Bounds:
    """Bounds on the expectation over the initial distribution, rounding included.

    Parameters
    ----------
    lower, upper : float64[N]
        Bounds on the value of each node; infinities are allowed.

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


def expectation(prob: Numbers, lower: Floats, upper: Floats) -> Bounds:
    """Bounds on an expectation, rounding included.

    A value of ``-inf`` (no safe policy) with any probability makes the expectation ``-inf``,
    whatever can be gained elsewhere.

    Examples
    --------
    >>> expectation(np.array([1.0]), np.array([2.0]), np.array([3.0]))
    Bounds(lower=2.0, upper=3.0)
    """
    prob = np.asarray(prob.astype(np.float64))
    lower, upper, prob = lower[prob > 0], upper[prob > 0], prob[prob > 0]
    if len(prob) == 1:
        return Bounds(float(lower[0]), float(upper[0]))
    prob = prob / prob.sum()
    with np.errstate(invalid="ignore"):
        below = -np.inf if (lower == -np.inf).any() else float(prob @ lower)
        above = -np.inf if (upper == -np.inf).any() else float(prob @ upper)
        size = float(prob @ np.maximum(np.abs(lower), np.abs(upper)))
    slack = (len(prob) + 4) * ROUNDING * size if np.isfinite(size) else 0.0
    return Bounds(below - slack, above + slack)
