"""How often a given policy, which looks at no budget, violates one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import BROKEN, OPEN, Product, explore
from ig_theory.chain import ROUNDING, evaluate
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import GuardView
from ig_theory.solvers.safe_product import exact_limit
from ig_theory.tracker import BracketTracker
from ig_theory.verdict import Bounds


def chance_of_violation(
    model: ConstrainedMDP, constraint: BudgetConstraint, policy: Floats, *, limit: int = 200_000
) -> Bounds:
    """P(a policy violates the budget), in the almost-sure reading of the constraint.

    Exact budgets where they are few enough, else budgets rounded both ways (THEORY T3); what is
    then still open, or lies beyond `limit` pairs, widens the bounds.

    Parameters
    ----------
    policy : float64[C], or float64[T, C] with a horizon T

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> policy = np.array([0.5, 0.5, 1.0])
    >>> chance_of_violation(model, BudgetConstraint(0), policy).middle
    0.5
    """
    table = np.where(model.padded_choices >= 0, policy[..., model.padded_choices], 0.0)

    def follow(view: GuardView) -> npt.NDArray[Any]:
        state = view.state
        assert state is not None
        rows = table[state] if policy.ndim == 1 else table[_time(view), state]
        return np.asarray(rows)

    product = explore(model, constraint, follow, limit=exact_limit((constraint,), limit))
    per_unit = 16
    while not product.complete and constraint.discount < 1 and per_unit >= 1:
        product = explore(
            model, constraint, follow, limit=limit,
            trackers=[BracketTracker(model, constraint, per_unit)],
        )  # fmt: skip
        per_unit //= 4
    return _reaches_violation(product)


def _reaches_violation(product: Product) -> Bounds:
    if not ((product.broken > 0).any() or (product.outcome >= BROKEN).any()):
        return Bounds(0.0, 0.0)  # a fact about the graph, no arithmetic
    total = np.bincount(product.choice_node, weights=product.weight, minlength=len(product))
    weight = product.weight / total[product.choice_node]
    breaking = np.bincount(
        product.choice_node, weights=np.where(product.broken > 0, weight, 0.0),
        minlength=len(product),
    )  # fmt: skip
    low = np.where(product.outcome == BROKEN, 1.0, breaking)
    high = np.where(product.outcome == OPEN, 1.0, low)
    totals = evaluate(product, np.stack([low, high], axis=1), 1.0, weight)
    prob = product.initial_prob.astype(np.float64)
    prob, slip = prob / prob.sum(), ROUNDING * (len(prob) + 4)
    lower = float(prob @ totals.lower[product.initial, 0]) - slip
    upper = float(prob @ totals.upper[product.initial, 1]) + slip
    return Bounds(min(max(lower, 0.0), 1.0), max(min(upper, 1.0), 0.0))


def _time(view: GuardView) -> Ints:
    assert view.time is not None  # the policy has a horizon
    return view.time
