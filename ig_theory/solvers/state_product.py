"""A model's states as a product without a budget, and expectations over its first states."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import KEPT, RUNNING, Product
from ig_theory.chain import ROUNDING
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.tracker import BudgetStore, ExactTracker
from ig_theory.verdict import Bounds


def state_product(model: ConstrainedMDP, weight: npt.NDArray[Any] | None = None) -> Product:
    """The model's states as a product without a budget: node ``s`` is state ``s``.

    Terminal states are leaves and have no choices.

    Parameters
    ----------
    weight : [C], optional
        A policy; 1 for every choice when absent.
    """
    running = ~model.terminal
    offered = np.flatnonzero(running[model.choice_state]).astype(np.int32)
    sizes = np.where(running, np.diff(model.choice_ptr), 0)
    lengths = np.diff(model.branch_ptr)[offered]
    branch = running[model.choice_state][model.branch_choice]
    free = BudgetConstraint(0)
    states = np.arange(model.S, dtype=np.int32)
    first = np.flatnonzero((model.initial > 0).astype(bool))
    return Product(
        model, (free,), BudgetStore(model, [ExactTracker(model, free)]), states,
        np.zeros(model.S, np.int32), np.where(running, RUNNING, KEPT).astype(np.int8),
        np.array([0, model.S]), first, model.initial[first], _pointers(sizes), offered,
        np.ones(len(offered)) if weight is None else weight[offered],
        np.zeros(len(offered), np.int8), _pointers(lengths),
        model.branch_state[branch].astype(np.int32), np.full(model.S, -1), True,
    )  # fmt: skip


def start_bounds(model: ConstrainedMDP, lower: npt.NDArray[Any], upper: npt.NDArray[Any]) -> Bounds:
    """The expectation over the initial distribution of bounded values [S], rounded outwards."""
    first = np.flatnonzero((model.initial > 0).astype(bool))
    if lower.dtype == object:
        prob = [Fraction(p) for p in model.initial[first].tolist()]
        exact = sum((p * v for p, v in zip(prob, lower[first], strict=True)), Fraction(0))
        total = sum(prob)
        return Bounds(exact / total, exact / total)
    share = model.initial[first].astype(np.float64)
    share /= share.sum()
    ends = []
    for values, sign in ((lower[first], -1.0), (upper[first], 1.0)):
        if len(first) == 1 or not np.isfinite(values).all():
            ends.append(float(values[0]) if len(first) == 1 else _infinite_mean(values, sign))
            continue
        margin = ROUNDING * (len(first) + 2) * float(share @ np.abs(values))
        ends.append(float(share @ values) + sign * margin)
    return Bounds(ends[0], ends[1])


def _infinite_mean(values: Floats, sign: float) -> float:
    found = set(values[~np.isfinite(values)].tolist())
    return found.pop() if len(found) == 1 else sign * np.inf


def _pointers(sizes: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
