"""How often a given policy, which looks at no budget, violates one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import BROKEN, DEFAULT_LIMIT, OPEN, Product, explore
from ig_theory.chain import evaluate
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.guard import GuardView
from ig_theory.solvers.totals.safe_product import exact_limit
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.totals.states import weights_of
from ig_theory.tracker import BracketTracker, ExactTracker, Tracker
from ig_theory.verdict import Bounds


def policy_violation(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    policy: npt.NDArray[Any],
    *,
    limit: int = DEFAULT_LIMIT,
) -> Bounds:
    """P(a policy violates some budget), in the almost-sure reading of the constraints.

    Exact budgets where they are few enough, else budgets rounded both ways (THEORY T3.down, T3.up);
    what is then still open, or lies beyond `limit` pairs, widens the bounds.

    Parameters
    ----------
    policy : float64[C], or [T, C] with a horizon T
        Probabilities of the choices; or a deterministic policy, int64[S] or [T, S].

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> policy = np.array([0.5, 0.5, 1.0])
    >>> policy_violation(model, BudgetConstraint(0), policy).middle
    0.5
    """
    several = as_constraints(constraints)
    weight = weights_of(model, policy) if policy.dtype.kind == "i" else policy
    table = np.where(model.padded_choices >= 0, weight[..., model.padded_choices], 0.0)

    def follow(view: GuardView) -> Floats:
        assert view.state is not None
        rows = table[view.state] if weight.ndim == 1 else table[view.time, view.state]
        return np.asarray(rows)

    product = explore(model, several, follow, limit=exact_limit(several, limit))
    per_unit = 16
    while not product.complete and any(c.discount < 1 for c in several) and per_unit >= 1:
        trackers: list[Tracker] = [
            BracketTracker(model, c, per_unit) if c.discount < 1 else ExactTracker(model, c)
            for c in several
        ]
        product = explore(model, several, follow, limit=limit, trackers=trackers)
        per_unit //= 4
    return chain_violation(product)[0]


def chain_violation(product: Product) -> tuple[Bounds, bool]:
    """P(violate) in the chain of the product's weights, and whether that is certified.

    OPEN nodes count as kept in the lower and as violated in the upper bound.
    """
    breaks = product.broken > 0
    if not (breaks.any() or (product.outcome >= BROKEN).any()):
        return Bounds(0.0, 0.0), True  # a fact about the graph, no arithmetic
    weight = product.weight / product.at_nodes(product.weight)[product.choice_node]
    breaking = product.at_nodes(np.where(breaks, weight, 0.0))
    low = np.where(product.outcome == BROKEN, 1.0, breaking)
    high = np.where(product.outcome == OPEN, 1.0, low)
    totals = evaluate(product, np.stack([low, high], axis=1), 1.0, weight)
    found = over_start(product, totals.lower[:, 0], totals.upper[:, 1])
    lower, upper = min(max(found.lower, 0.0), 1.0), max(min(found.upper, 1.0), 0.0)
    return Bounds(lower, upper), totals.certified
