"""The guard that changes the base model least (THEORY T5.bellman)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.guard import Guard, GuardView
from ig_theory.guards.shield import Shield, restrict, shield
from ig_theory.guards.table import TableGuard
from ig_theory.solvers.least_intrusive import least_intrusive as solve


def least_intrusive(
    model: ConstrainedMDP, constraint: BudgetConstraint | Sequence[BudgetConstraint]
) -> Guard:
    """The safe guard with the least expected KL divergence from the base model.

    Its weights come from the solved product (a directed grid where budgets are too many); what
    it may do at all is decided by the exact shield, so the grid cannot make it unsafe. It plays
    the shield where no safe policy has a finite divergence.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> type(least_intrusive(model, BudgetConstraint(2))).__name__
    'TableGuard'
    """
    several = as_constraints(constraint)
    solved = solve(model, several)
    fallback = shield(model, several)
    bounded = isinstance(fallback, Shield)

    def decide(view: GuardView, rows: Floats) -> Floats:
        safe = np.asarray(fallback(view))
        weight = np.where(safe > 0, rows, 0.0) if bounded else rows
        empty = weight.sum(axis=1) == 0
        weight[empty] = safe[empty]
        return restrict(weight, weight > 0)

    return TableGuard(solved.safe.product, solved.weight, decide)
