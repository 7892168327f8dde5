"""The two ends of every table: do nothing, and refuse everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ig_theory.budget import INFINITE
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import SolverError
from ig_theory.guard import Guard, GuardView


def unguarded(
    model: ConstrainedMDP, constraint: BudgetConstraint | Sequence[BudgetConstraint]
) -> Guard:
    """The base model as it is."""
    return lambda view: view.base


def refuser(
    model: ConstrainedMDP, constraint: BudgetConstraint | Sequence[BudgetConstraint]
) -> Guard:
    """The cheapest way to stop: least worst-case cost to a terminal state, then fewest steps.

    Where no choice surely leads to an end it takes the cheapest choice, the first of equals.
    """
    choice = _cheapest_stop(model, as_constraints(constraint))

    def guard(view: GuardView) -> Floats:
        assert view.state is not None
        out = np.zeros(view.base.shape)
        places = choice[view.state] - model.choice_ptr[view.state]
        out[np.arange(len(view)), places] = 1.0
        return out

    return guard


def _cheapest_stop(model: ConstrainedMDP, constraints: Sequence[BudgetConstraint]) -> np.ndarray:
    from ig_theory.solvers.kernels.budget import least_demands

    rows = sorted({model.cost_index(c.cost) for c in constraints})
    paid = np.maximum(model.cost[rows], 0).sum(axis=0)
    # One unit for a step, and more than all steps together for a unit of cost: then no choice
    # is free, and the least demand is the cheapest and shortest way to an end.
    scale = model.S + 1
    if int(paid.max()) * scale * scale >= 2**61:
        raise SolverError.at(
            "costs", f"at most {2**61 // scale**2} units for the refuser", int(paid.max()),
            "use a coarser cost_unit",
        )  # fmt: skip
    cost = paid * scale + 1
    demand = least_demands(
        model.choice_ptr, cost, model.branch_ptr, model.branch_state, model.terminal, INFINITE,
    )  # fmt: skip
    worst = np.maximum.reduceat(demand[model.branch_state], model.branch_ptr[:-1])
    through = np.where(worst >= INFINITE, INFINITE // 2 + cost, cost + worst)
    least = np.minimum.reduceat(through, model.choice_ptr[:-1])
    index = np.where(through == least[model.choice_state], np.arange(model.C), model.C)
    return np.asarray(np.minimum.reduceat(index, model.choice_ptr[:-1]))
