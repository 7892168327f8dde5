"""The maximally permissive guard: forbid exactly what cannot be kept safe.

THEORY L3.safe, L3.permissive.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.budget import INFINITE
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.guard import Guard, GuardView
from ig_theory.guards.table import TableGuard
from ig_theory.solvers.minimal_budget import SafeSet, minimal_budget
from ig_theory.solvers.totals.safe_product import exact_limit, safe_product


def shield(
    model: ConstrainedMDP, constraint: BudgetConstraint | Sequence[BudgetConstraint]
) -> Guard:
    """The base model restricted to the choices that can be kept safe.

    Where nothing can be kept safe any more it takes the choices that demand least. With several
    constraints the safe choices are found by exploring all pairs.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> type(shield(model, BudgetConstraint(2))).__name__
    'Shield'
    """
    several = as_constraints(constraint)
    if len(several) == 1:
        return Shield(minimal_budget(model, several[0]))
    safe = safe_product(model, several, limit=exact_limit(several, DEFAULT_LIMIT))
    return TableGuard(
        safe.product,
        safe.alive.astype(np.float64),
        lambda view, rows: restrict(view.base, rows > 0),
    )


class Shield:
    """The shield of one constraint, from its safe set."""

    def __init__(self, safe_set: SafeSet) -> None:
        self.safe_set = safe_set

    def __call__(self, view: GuardView) -> Floats:
        """Base probabilities of the allowed choices, scaled to total 1."""
        return restrict(view.base, allowed_or_least(self.safe_set, view))


def allowed_or_least(safe_set: SafeSet, view: GuardView) -> Bools:
    """The shield's choices; where it has none, those with the least demand (or least cost)."""
    allowed = safe_set.allowed(view)
    lost = np.flatnonzero(~allowed.any(axis=1))
    if len(lost):
        demand, _ = safe_set.view_demand(view)
        for row in lost:
            enabled = np.flatnonzero(view.enabled[row])
            wanted = demand[row, enabled]
            least = min(wanted)
            if least == float("inf") or (demand.dtype != object and least >= INFINITE):
                wanted = view.cost[row, enabled]
                least = wanted.min()
            allowed[row, enabled[wanted == least]] = True
    return allowed


def restrict(base: Floats, mask: Bools) -> Floats:
    """``base`` on ``mask``, rows scaled to total 1; uniform where the base has no mass there."""
    weight = np.where(mask, base, 0.0)
    empty = weight.sum(axis=1) == 0
    weight[empty] = mask[empty]
    total = weight.sum(axis=1, keepdims=True)
    return weight / np.where(total > 0, total, 1.0)
