"""Least budgets: to keep safe, and to reach a goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ig_theory.cmdp import Bools, ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.query.answer import Answer, Line, Mark, Panel, Plot, Table
from ig_theory.query.wording import exactly
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.reaching_budget import reaching_budget
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds

Demand = Fraction | float


def min_budget(model: ConstrainedMDP, constraint: BudgetConstraint) -> Answer:
    """The minimal budget D of every state (THEORY L2.demand)."""
    safe_set = minimal_budget(model, constraint)
    demand = [safe_set.budget_of(s) for s in range(model.S)]
    most = max(demand[s] for s in starts(model))
    findings = []
    if most == math.inf:
        findings.append("no budget is enough: whatever is done, costs may go on for ever")
    elif constraint.budget > 0:
        word = "enough" if safe_set.start_is_safe() else "not enough"
        findings.append(f"the budget {constraint.budget} is {word}")
    notes = ["an open boundary: the budget must exceed D"] if _open(constraint) else []
    if constraint.horizon is not None:
        notes.append(f"with all {constraint.horizon} steps to go")
    return Answer(
        "min-budget", (constraint,),
        "least budget that some policy keeps almost surely, from the start",
        Bounds(most, most), Status.EXACT, "cost units", tuple(findings),
        table=_states(model, demand, "minimal budget D"),
        plot=_shares(demand, most, "z can be kept"), notes=tuple(notes),
    )  # fmt: skip


def reach(
    model: ConstrainedMDP, constraint: BudgetConstraint, *, goal: str | None = None
) -> Answer:
    """The least budget with which a goal is reached almost surely."""
    given = {
        f"discount {constraint.discount}": constraint.discount != 1,
        f"horizon {constraint.horizon}": constraint.horizon is not None,
        "an open boundary": _open(constraint),
    }
    if any(given.values()):
        raise SolverError.at(
            "question reach", "costs that are added up until the goal",
            " and ".join(word for word, is_given in given.items() if is_given), "leave that out",
        )  # fmt: skip
    goal, mask = _goal(model, goal)
    found = reaching_budget(model, mask, cost=constraint.cost)
    demand = [found.budget_of(s) for s in range(model.S)]
    findings = []
    if found.initial == math.inf:
        findings.append(f"no budget is enough: no policy is sure to reach {goal} at a bounded cost")
    return Answer(
        "reach", (constraint,), f"least budget to reach {goal} almost surely, from the start",
        Bounds(found.initial, found.initial), found.status, "cost units", tuple(findings),
        (("goal states", int(found.goal.sum())),), _states(model, demand, "least budget"),
        _shares(demand, found.initial, f"z reaches {goal}"),
        ("what is paid after the goal does not count",),
    )  # fmt: skip


def _goal(model: ConstrainedMDP, goal: str | None) -> tuple[str, Bools]:
    """A label, the name of a state, or ``terminal``; the label ``goal`` unless told otherwise."""
    name = "goal" if goal is None else goal
    if name in model.labels:
        return name, model.labels[name]
    if goal == "terminal":
        return "the end", model.terminal
    named = np.array([model.state_name(s) == goal for s in range(model.S)])
    if named.any():
        return name, named
    labels = f"a label ({', '.join(model.labels)}), " if model.labels else ""
    got = "none" if goal is None else repr(goal)
    raise SolverError.at(
        "goal", f"{labels}the name of a state, or 'terminal' (any state where runs end)", got,
        "name one",
    )  # fmt: skip


def starts(model: ConstrainedMDP) -> list[int]:
    """The states with a positive initial probability."""
    return [int(s) for s in np.flatnonzero((model.initial > 0).astype(bool))]


def start_first(model: ConstrainedMDP) -> list[int]:
    """All states, those of the start before the others."""
    first = starts(model)
    inside = set(first)
    return [*first, *(s for s in range(model.S) if s not in inside)]


def _states(model: ConstrainedMDP, demand: Sequence[Demand], heading: str) -> Table:
    first = set(starts(model))
    rows = tuple((model.state_name(s), s in first, demand[s]) for s in start_first(model))
    return Table((("state", "state"), ("start", "start"), ("budget", heading)), rows)


def _shares(demand: Sequence[Demand], start: Demand, verb: str) -> Plot | None:
    """The share of the states for which a budget z is enough."""
    known = sorted({d for d in demand if d != math.inf})
    if not known:
        return None
    counts = dict.fromkeys(known, 0)
    for d in demand:
        if d != math.inf:
            counts[d] += 1
    heights = tuple(float(h) for h in np.cumsum(list(counts.values())) / len(demand))
    line = Line("", tuple(known), heights, heights, "steps")
    marks = () if start == math.inf else (Mark(start, f"D at the start = {exactly(start)}"),)
    panel = Panel(f"share of the {len(demand)} states\nwhere {verb}", (line,))
    return Plot("Minimal budgets", "budget z [cost units]", (panel,), marks)


def _open(constraint: BudgetConstraint) -> bool:
    return constraint.boundary is Boundary.OPEN
