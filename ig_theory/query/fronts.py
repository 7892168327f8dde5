"""The best safe reward at the start as a function of the budget, by whichever solver has it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.query.answer import Line, Mark, Panel, Plot, Table
from ig_theory.query.budgets import starts
from ig_theory.query.wording import exactly
from ig_theory.solvers.grid_table import GridTable, grid_table
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.pareto import pareto
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.start import expectation
from ig_theory.solvers.value_table import value_table
from ig_theory.verdict import Bounds

TOLERANCE = 1e-6
SAMPLES = 100
"""Budgets at which a front without breakpoints is shown, besides D."""

MOST_ENTRIES = 200_000
"""States times levels of the finest grid for such a front."""

CLOSE = 1e-3
"""Mean width of its bounds, relative to the values, at which the grid is fine enough."""


@dataclass(frozen=True)
class Front:
    """Budgets from D on, ascending, with the value at each.

    Attributes
    ----------
    points : tuple of (budget, Bounds)
    kind : {"steps", "rising"}
        ``steps``: each value holds up to the next budget. ``rising``: samples.
    status : Status
    by : str
        How it was found, for people.
    """

    points: tuple[tuple[Fraction, Bounds], ...]
    kind: Literal["steps", "rising"]
    status: Status
    by: str

    def at(self, budget: Fraction, strict: bool) -> Bounds:
        """The value at a budget, ``-inf`` below D; `strict` if it must exceed what rows say."""
        if self.kind == "rising":
            known = [v for z, v in self.points if z == budget]
        else:
            known = [v for z, v in self.points if z < budget or (z == budget and not strict)]
        return known[-1] if known else Bounds(-math.inf, -math.inf)

    def table(self) -> Table:
        """The points as rows."""
        heading = "budget from" if self.kind == "steps" else "budget"
        columns = (("budget", heading), ("value", "best safe reward"))
        return Table(columns, self.points)

    def plot(self, budget: Fraction | None) -> Plot | None:
        """The points as a line, with D and the budget marked."""
        shown = [(b, v) for b, v in self.points if math.isfinite(v.lower + v.upper)]
        if not shown:
            return None
        x = [b for b, _ in shown]
        bounds = [v for _, v in shown]
        if budget is not None and budget > x[-1] and self.kind == "steps":
            x, bounds = [*x, budget], [*bounds, bounds[-1]]
        lower, upper = (tuple(float(getattr(v, e)) for v in bounds) for e in ("lower", "upper"))
        line = Line("", tuple(x), lower, upper, self.kind)
        marks = [Mark(self.points[0][0], f"D = {exactly(self.points[0][0])}")]
        if budget is not None and budget >= self.points[0][0]:
            marks.append(Mark(budget, f"budget d = {exactly(budget)}"))
        panel = Panel("best safe expected reward V", (line,))
        return Plot("Value against budget", "budget z [cost units]", (panel,), tuple(marks))


def front_of(
    model: ConstrainedMDP, constraint: BudgetConstraint, epsilon: Fraction | int = 0
) -> Front:
    """The front up to the constraint's budget; all of it where there is a horizon.

    Raises
    ------
    SolverError
        Where no solver has it.
    """
    if constraint.horizon is not None:
        found = pareto(model, constraint, epsilon=epsilon)
        status = found.status
        if status is Status.INFEASIBLE:  # of the constraint's own budget, not of the front
            status = Status.EXACT if found.gap == 0 and model.exact else Status.CERTIFIED
        points = tuple(found.front())
        if not model.exact:
            points = merged(points, 1e-12)
        return Front(points, "steps", status, "found backwards from the end")
    if constraint.discount == 1:
        return _by_table(model, constraint)
    return _by_grid(model, constraint)


def merged(
    points: tuple[tuple[Fraction, Bounds], ...], tolerance: float
) -> tuple[tuple[Fraction, Bounds], ...]:
    """Neighbours of nearly the same value as one; its bounds enclose them all.

    >>> same = [(Fraction(z), Bounds(1.0, 1.0)) for z in range(3)]
    >>> merged((*same, (Fraction(3), Bounds(2.0, 2.0))), 0.0)[-1][0], len(merged(tuple(same), 0.0))
    (Fraction(3, 1), 1)
    """
    kept: list[tuple[Fraction, Bounds]] = []
    for budget, value in points:
        if kept:
            start, before = kept[-1]
            hull = Bounds(min(before.lower, value.lower), max(before.upper, value.upper))
            if hull.width <= max(tolerance, before.width, value.width):
                kept[-1] = start, hull
                continue
        kept.append((budget, value))
    return tuple(kept)


def _by_table(model: ConstrainedMDP, constraint: BudgetConstraint) -> Front:
    table = value_table(model, constraint, tolerance=TOLERANCE)
    first = starts(model)
    lower, upper = (np.stack(side) for side in zip(*map(table.front, first), strict=True))
    prob = model.initial[first]
    points = []
    for level in range(table.top + 1):
        value = expectation(prob, lower[:, level], upper[:, level])
        if value.upper > -math.inf:
            points.append((level * model.cost_unit, value))
    return Front(
        merged(tuple(points), TOLERANCE), "steps", table.status, "found by a table of all budgets"
    )  # fmt: skip


def _by_grid(model: ConstrainedMDP, constraint: BudgetConstraint) -> Front:
    first = starts(model)
    safe_set = minimal_budget(model, constraint)
    least = max(safe_set.budget_of(s) for s in first)
    step = constraint.budget / SAMPLES
    budgets = {step * k for k in range(SAMPLES + 1)} | {least}
    shown = [Fraction(z) for z in sorted(budgets) if least <= z <= constraint.budget]
    per_unit = 4
    while True:
        down, up = (grid_table(model, constraint, per_unit=per_unit, up=u) for u in (False, True))
        points = [(z, _at(model, first, down, up, z)) for z in shown]
        certified = {down.status, up.status} == {Status.CERTIFIED}
        width = sum(v.width for _, v in points) / max(len(points), 1)
        size = max((abs(float(v.upper)) for _, v in points), default=0.0)
        if width <= CLOSE * size or not shown or 4 * down.value.size > MOST_ENTRIES:
            break
        per_unit *= 4
    status = Status.CERTIFIED if certified else Status.UNCERTIFIED
    return Front(tuple(points), "rising", status, "found on grids of budgets, rounded down and up")


def _at(
    model: ConstrainedMDP, first: list[int], down: GridTable, up: GridTable, z: Fraction
) -> Bounds:
    lower = np.array([down.at(s, z).lower for s in first], dtype=np.float64)
    upper = np.array([up.at(s, z).upper for s in first], dtype=np.float64)
    return expectation(model.initial[first], lower, upper)
