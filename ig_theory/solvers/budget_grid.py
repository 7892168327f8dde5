"""Levels of budget and how costs move between them, for any discount (THEORY T3.down, T3.up).

For ``gamma = 1`` the levels are the whole cost units, exactly. For ``gamma < 1`` they are the
points of a directed grid, up to the budget from which nothing can be violated; moves round down
(never overstating what is left) or up (never understating it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from ig_theory.cmdp import ConstrainedMDP, Ints
from ig_theory.constraint import Boundary, BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.tracker import GridTracker

LOST = -1

LARGEST_GRID = 1_000_000
"""Levels of a grid, at most."""


@dataclass(frozen=True, eq=False)
class BudgetGrid:
    """Levels 0 .. top, each with the budget ``level / per_unit`` in cost units.

    For ``gamma = 1`` with an open boundary a level stands for the budgets just above it.

    Attributes
    ----------
    least : int
        The lowest level that is kept: 1 for ``gamma < 1`` with an open boundary, else 0.
    costs : int64[n]
        The distinct costs of the model.
    cost_class : int64[C]
        Which of them each choice pays.
    after : int64[n, top + 1]
        The level after paying each cost; `LOST` if the budget is broken. Nondecreasing.
    """

    model: ConstrainedMDP
    constraint: BudgetConstraint
    per_unit: int
    costs: Ints
    cost_class: Ints
    after: Ints
    up: bool
    least: int

    @property
    def top(self) -> int:
        """The last level."""
        return int(self.after.shape[1]) - 1

    def level(self, z: Fraction) -> int:
        """The level of a budget in cost units, rounded in the grid's direction; may be `LOST`."""
        scaled = z / self.model.cost_unit * self.per_unit
        if self.constraint.discount == 1 and self.constraint.boundary is Boundary.OPEN:
            level = math.ceil(scaled) - 1
        else:
            level = math.ceil(scaled) if self.up else math.floor(scaled)
        return LOST if level < self.least else min(level, self.top)

    @cached_property
    def needed(self) -> Ints:
        """The least level from which paying each cost leaves at least a level, int64[n, top + 2].

        ``top + 1`` where no level does; also the column of demand ``top + 1``.
        """
        levels = np.arange(self.top + 1)
        columns = [np.searchsorted(row, levels) for row in self.after]
        none = np.full((len(columns), 1), self.top + 1)
        return np.hstack([np.array(columns, dtype=np.int64).reshape(len(columns), -1), none])

    def demands(self, after: Ints) -> Ints:
        """The least level that each choice needs if states need `after` next, int64[C]."""
        model = self.model
        most = np.maximum.reduceat(after[model.branch_state], model.branch_ptr[:-1])
        return np.asarray(self.needed[self.cost_class, most])

    def state_demands(self, after: Ints) -> Ints:
        """The least level each state needs if states need `after` next, int64[S]."""
        need = np.minimum.reduceat(self.demands(after), self.model.choice_ptr[:-1])
        return np.where(self.model.terminal, self.least, np.maximum(need, self.least))

    def endless_demands(self) -> Ints:
        """The least levels from which the budget can be kept for ever, int64[S]."""
        demand = np.full(self.model.S, self.least)
        while True:
            raised = self.state_demands(demand)
            if (raised == demand).all():
                return demand
            demand = raised


def budget_grid(
    model: ConstrainedMDP, constraint: BudgetConstraint, per_unit: int = 1, up: bool = False
) -> BudgetGrid:
    """The lattice (``gamma = 1``) or a directed grid of `per_unit` points per cost unit.

    Raises
    ------
    SolverError
        If costs are negative, so that budgets have no largest level, or there are too many.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 0, {"s": 1})}}, initial="s")
    >>> budget_grid(model, BudgetConstraint(0, discount="1/2"), per_unit=2).after.tolist()
    [[-1, -1, 0, 2, 4]]
    """
    cost = model.cost[model.cost_index(constraint.cost)]
    if (cost < 0).any():
        choice = int(np.flatnonzero(cost < 0)[0])
        raise SolverError.at(
            f"cost of choice {choice}", "costs >= 0", int(cost[choice]),
            "use pareto or budgeted_value, which take signed costs",
        )  # fmt: skip
    costs, cost_class = np.unique(cost, return_inverse=True)
    least = 0
    if constraint.discount == 1:
        units, per_unit = constraint.budget / model.cost_unit, 1
        strict = constraint.boundary is Boundary.OPEN
        top = max(math.ceil(units) - 1 if strict else math.floor(units), 0)
        after = np.arange(top + 1)[None, :] - costs[:, None]
    else:
        least = int(constraint.boundary is Boundary.OPEN)
        free = BudgetConstraint(0, constraint.discount, cost=constraint.cost)
        tracker = GridTracker(model, free, per_unit, up)
        if tracker.clip >= LARGEST_GRID:
            raise SolverError.at(
                "levels of budget", f"fewer than {LARGEST_GRID}", int(tracker.clip) + 1,
                "use a coarser cost_unit or grid, or pareto",
            )  # fmt: skip
        levels = range(int(tracker.clip) + 1)
        moves = [[tracker.step(g, int(c)) for g in levels] for c in costs]
        after = np.array(moves, dtype=np.int64).reshape(len(costs), -1)
    return BudgetGrid(
        model, constraint, per_unit, costs, np.asarray(cost_class).reshape(-1),
        np.where(after < least, LOST, after), up, least,
    )  # fmt: skip
