"""Rewards: of the safe policies at one budget and at all, and of any policy."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Rational, rational
from ig_theory.errors import SolverError
from ig_theory.query.answer import Answer, Plot, Table
from ig_theory.query.budgets import start_first, starts
from ig_theory.query.fronts import front_of
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.safe_value import safe_value
from ig_theory.solvers.solution import Status
from ig_theory.solvers.unconstrained import LARGEST_EXACT, unconstrained
from ig_theory.verdict import Bounds

ENDLESS = "infinite: reward can be collected for ever"
WAYS = {
    "product": "solved on all reachable pairs of state and budget",
    "table": "solved on a table of all budgets",
    "grid": "solved on grids of budgets, rounded down and up",
}


def value(
    model: ConstrainedMDP,
    constraints: tuple[BudgetConstraint, ...],
    *,
    limit: int = DEFAULT_LIMIT,
    curve: bool = False,
) -> Answer:
    """The best safe reward at the start, at the budget that is given."""
    found = safe_value(model, constraints, limit=limit)
    status, findings = judged(found.initial, found.status, model, constraints)
    plot = _curve(model, constraints) if curve else None
    return Answer(
        "value", constraints, "best expected reward of the almost surely safe policies",
        found.initial, status, findings=findings, plot=plot, notes=(WAYS[found.by],),
    )  # fmt: skip


def pareto_front(
    model: ConstrainedMDP, constraint: BudgetConstraint, *, epsilon: Rational = 0
) -> Answer:
    """The best safe reward at every budget."""
    merge = rational(epsilon, "epsilon")
    if merge and constraint.horizon is None:
        raise SolverError.at(
            "epsilon", "0 without a horizon", merge, "leave it out: there is nothing to merge"
        )
    front = front_of(model, constraint, merge)
    strict = constraint.boundary is Boundary.OPEN
    found = front.at(constraint.budget, strict)
    status, findings = judged(found, front.status, model, (constraint,))
    notes = [front.by]
    if strict and front.kind == "steps":
        notes.append("an open boundary: the budget must exceed what a row says")
    return Answer(
        "pareto", (constraint,),
        f"best expected reward of the almost surely safe policies at budget {constraint.budget}",
        found, status, findings=findings,
        table=front.table(), plot=front.plot(constraint.budget or None), notes=tuple(notes),
    )  # fmt: skip


def without_budget(model: ConstrainedMDP, constraint: BudgetConstraint) -> Answer:
    """The best reward when no budget is to be kept."""
    exact = model.exact and model.S <= LARGEST_EXACT
    found = unconstrained(model, horizon=constraint.horizon, exact=exact)
    solution, at_start = found.solution, found.start
    lower, upper = solution.lower, solution.upper
    if constraint.horizon is not None:
        lower, upper = lower[0], upper[0]
    first = set(starts(model))
    rows = tuple(
        (model.state_name(s), s in first, Bounds(lower[s], upper[s])) for s in start_first(model)
    )
    columns = (("state", "state"), ("start", "start"), ("value", "best reward"))
    findings = (ENDLESS,) if at_start.lower == math.inf else ()
    return Answer(
        "unconstrained", (constraint,), "best expected reward of any policy, safe or not",
        at_start, solution.status, findings=findings, table=Table(columns, rows),
        notes=("no budget is kept",),
    )  # fmt: skip


def judged(
    found: Bounds, status: Status, model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...]
) -> tuple[Status, tuple[str, ...]]:
    """INFEASIBLE where there is no safe policy, and what to say of it."""
    if found.upper == -math.inf:
        return Status.INFEASIBLE, (f"no policy is almost surely safe{_least(model, constraints)}",)
    return status, (ENDLESS,) if found.lower == math.inf else ()


def _least(model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...]) -> str:
    """The least budget that is enough, where that is easily known."""
    if len(constraints) > 1:
        return " under these budgets together"
    try:
        safe_set = minimal_budget(model, constraints[0])
    except SolverError:
        return " with this budget"
    least = max(safe_set.budget_of(s) for s in starts(model))
    if least == math.inf:
        return ", whatever the budget"
    exceed = " more than" if bool(np.any(safe_set.strict)) else ""
    return f" with a budget of {constraints[0].budget}; it takes{exceed} {Fraction(least)}"


def _curve(model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...]) -> Plot | None:
    if len(constraints) > 1:
        raise SolverError.at(
            "plot", "one constraint", len(constraints), "a front over several budgets is no curve"
        )
    return front_of(model, constraints[0]).plot(constraints[0].budget)
