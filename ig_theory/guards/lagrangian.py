"""The Lagrangian guard: greedy for reward minus a price on cost, blind to the budget."""

from __future__ import annotations

import numpy as np

from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import Guard, GuardView
from ig_theory.guards.penalty import single
from ig_theory.solvers.lagrangian import lagrangian_policy


def lagrangian(model: ConstrainedMDP, constraint: BudgetConstraint, lam: float = 5.0) -> Guard:
    """Greedy for ``r - lam c``; keeps a budget in expectation at best, never almost surely.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> guard = lagrangian(model, BudgetConstraint(0), lam=0.5)
    """
    (only,) = single(constraint, "lagrangian")
    policy = lagrangian_policy(model, only, lam)

    def guard(view: GuardView) -> Floats:
        assert view.state is not None
        out = np.zeros(view.base.shape)
        times = view.time.tolist() if view.time is not None else [0] * len(view)
        for row, (state, time) in enumerate(zip(view.state.tolist(), times, strict=True)):
            out[row, policy[state, time] - model.choice_ptr[state]] = 1.0
        return out

    return guard
