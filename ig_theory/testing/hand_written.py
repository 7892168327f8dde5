"""A shield written by hand, apart from the solvers, and other correct guards built on it.

Every part of the shield is a method of its own, so that a planted fault can break just one.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.guard import GuardView

Demand = Fraction | float
"""A budget in the units of the cost, or ``math.inf``."""

SWEEPS = 60
"""Sweeps from above for a discounted demand: what they reach is enough, maybe not the least."""


class TableShield:
    """Keep the base policy on the choices whose worst case the remaining budget covers.

    The demands come from plain value iteration in Fractions: for a finite horizon one table per
    number of steps to go; for an infinite one the least fixed point if ``gamma = 1``, else a
    few sweeps downwards from ``c_max / (1 - gamma)``, which never fall below the least demand
    (THEORY L2.demand, L3.safe). If nothing is covered it plays what demands least.

    Parameters
    ----------
    model : ConstrainedMDP
        With costs >= 0 if the horizon is infinite.
    constraint : BudgetConstraint

    Examples
    --------
    >>> from ig_theory.testing.planted_faults import toll
    >>> TableShield(toll(), BudgetConstraint(1, horizon=2)).need(0, 2)
    Fraction(1, 1)
    """

    def __init__(self, model: ConstrainedMDP, constraint: BudgetConstraint) -> None:
        self.model = model
        self.constraint = constraint
        self.gamma = constraint.discount
        self.row = self.cost_row()
        self.tables = self.demands()

    def cost_row(self) -> int:
        """Which of the model's costs is bounded."""
        return self.model.cost_index(self.constraint.cost)

    # -- planning ------------------------------------------------------------------------------

    def demands(self) -> list[list[Demand]]:
        """Demand per state: one table per number of steps to go, or just one if infinite."""
        free: list[Demand] = [Fraction(0)] * self.model.S
        if self.constraint.horizon is not None:
            self.tables = [free]
            for _ in range(self.constraint.horizon):
                self.tables.append(self.sweep(self.tables[-1]))
            return self.tables
        costs = [self.cost(c) for c in range(self.model.C)]
        if self.gamma < 1:
            top: Demand = max(costs) / (1 - self.gamma)
            table = [Fraction(0) if ends else top for ends in self.model.terminal]
            for _ in range(SWEEPS):
                table = self.sweep(table)
            return [table]
        limit, table, following = max(costs) * self.model.S, free, self.sweep(free)
        while following != table:
            table = following
            following = [d if d <= limit else math.inf for d in self.sweep(table)]
        return [table]

    def sweep(self, table: list[Demand]) -> list[Demand]:
        """One step of value iteration."""
        least = -math.inf if self.scope() is Scope.TERMINAL else Fraction(0)
        return [
            Fraction(0) if ends else max(least, min(self.worth(c, table) for c in self.choices(s)))
            for s, ends in enumerate(self.model.terminal)
        ]

    def scope(self) -> Scope:
        """When the budget is judged."""
        return self.constraint.scope

    def choices(self, state: int) -> range:
        """The choices of a state."""
        return range(int(self.model.choice_ptr[state]), int(self.model.choice_ptr[state + 1]))

    def cost(self, choice: int) -> Fraction:
        """What a choice costs, in the units of the cost."""
        return int(self.model.cost[self.row, choice]) * self.model.cost_unit

    def branches(self, choice: int) -> list[tuple[Fraction, int]]:
        """The successors of a choice with their probabilities."""
        places = range(int(self.model.branch_ptr[choice]), int(self.model.branch_ptr[choice + 1]))
        return [
            (Fraction(self.model.branch_prob[b]), int(self.model.branch_state[b])) for b in places
        ]

    def worth(self, choice: int, table: list[Demand]) -> Demand:
        """Budget that covers a choice whatever follows: ``max c + gamma D(s')``."""
        return max(self.cost(choice) + self.gamma * table[s] for _, s in self.branches(choice))

    def need(self, choice: int, left: int | None) -> Demand:
        """Budget that covers a choice with so many steps to go."""
        return self.worth(choice, self.tables[0 if left is None else left - 1])

    # -- acting --------------------------------------------------------------------------------

    def budget(self, view: GuardView, row: int) -> Fraction:
        """The remaining budget."""
        return view.budgets[0].value(row)

    def covers(self, z: Fraction, need: Demand) -> bool:
        """Whether the budget covers a need, by the constraint's boundary."""
        return need <= z if self.constraint.boundary is Boundary.CLOSED else need < z

    def permits(self, view: GuardView, row: int, choice: int) -> bool:
        """Whether a choice may be taken."""
        return self.covers(self.budget(view, row), self.need(choice, self.left(view, row)))

    def left(self, view: GuardView, row: int) -> int | None:
        """Steps to go."""
        if view.time is None or self.constraint.horizon is None:
            return None
        return self.constraint.horizon - int(view.time[row])

    def weigh(
        self, base: npt.NDArray[np.float64], permitted: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Probabilities of a state's choices: the base policy on what is permitted."""
        weights = np.where(permitted, base, 0.0)
        if weights.sum() == 0:
            weights = permitted.astype(np.float64)
        return np.asarray(weights / weights.sum())

    def at_a_loss(self, view: GuardView, row: int) -> npt.NDArray[np.float64]:
        """Probabilities where nothing is permitted: all on the least demanding choice."""
        left = self.left(view, row)
        needs = [self.need(c, left) for c in self.choices(self.state(view, row))]
        return np.asarray(np.eye(len(needs))[min(range(len(needs)), key=lambda i: needs[i])])

    def state(self, view: GuardView, row: int) -> int:
        """The state of a situation (these guards are for small models that show it)."""
        if view.state is None:
            raise ValueError("a table shield needs view.state")
        return int(view.state[row])

    def answer(self, view: GuardView, row: int) -> npt.NDArray[np.float64]:
        """Probabilities of one situation, over the choices of its state."""
        choices = self.choices(self.state(view, row))
        permitted = np.array([self.permits(view, row, c) for c in choices])
        if not permitted.any():
            return self.at_a_loss(view, row)
        return self.weigh(view.base[row, : len(choices)], permitted)

    def __call__(self, view: GuardView) -> npt.NDArray[np.float64]:
        """Probabilities ``[N, A]``."""
        output = np.zeros(view.base.shape)
        for row in range(len(view)):
            answer = self.answer(view, row)
            output[row, : len(answer)] = answer
        return output


class Uniform(TableShield):
    """Any covered choice, all alike, whatever the base policy says."""

    def weigh(
        self, base: npt.NDArray[np.float64], permitted: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Uniform on what is permitted."""
        return np.asarray(permitted / permitted.sum())


class Miser(TableShield):
    """Always the least demanding choice."""

    def answer(self, view: GuardView, row: int) -> npt.NDArray[np.float64]:
        """All mass on one choice."""
        return self.at_a_loss(view, row)


class Hoarder(TableShield):
    """Like the shield, but keeps a reserve of one cost unit as long as it can."""

    def covers(self, z: Fraction, need: Demand) -> bool:
        """Whether a unit would be left over."""
        return super().covers(z - self.model.cost_unit, need)


class Greedy(TableShield):
    """The covered choice with the largest reward."""

    def answer(self, view: GuardView, row: int) -> npt.NDArray[np.float64]:
        """All mass on one choice."""
        choices = self.choices(self.state(view, row))
        permitted = [i for i, c in enumerate(choices) if self.permits(view, row, c)]
        if not permitted:
            return self.at_a_loss(view, row)
        best = max(permitted, key=lambda i: self.model.reward[choices[i]])
        return np.asarray(np.eye(len(choices))[best])


CORRECT: dict[str, type[TableShield]] = {
    "table-shield": TableShield,
    "uniform": Uniform,
    "miser": Miser,
    "hoarder": Hoarder,
    "greedy": Greedy,
}
"""Guards that are right: from wherever any guard is safe, these are."""
