"""Guards that are wrong on purpose: each breaks one method of the correct `TableShield`.

The docstring of each says its bug in one line; `planted_faults` has a case for each.
"""

# ruff: noqa: D102 - the overridden methods are documented in TableShield, the bug in its class

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ig_theory.constraint import Scope
from ig_theory.guard import GuardView
from ig_theory.testing.hand_written import Demand, TableShield

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class OverdrawsByAUnit(TableShield):
    """Accepts what overdraws the budget by one cost unit (a boundary off by one)."""

    def covers(self, z: Fraction, need: Demand) -> bool:
        return super().covers(z + self.model.cost_unit, need)


class JudgesBeforePaying(TableShield):
    """Looks whether the budget is kept before the choice is paid, not after."""

    def covers(self, z: Fraction, need: Demand) -> bool:
        return self.constraint.keeps(z)


class TakesOpenForClosed(TableShield):
    """Lets the budget reach 0 exactly although the boundary is open."""

    def covers(self, z: Fraction, need: Demand) -> bool:
        return need <= z


class Tolerates(TableShield):
    """Compares floats with a tolerance of 1e-9."""

    def covers(self, z: Fraction, need: Demand) -> bool:
        return float(need) <= float(z) + 1e-9


class LeavesTheLastStepUnpriced(TableShield):
    """Permits everything in the last step, as if z_T were not judged."""

    def permits(self, view: GuardView, row: int, choice: int) -> bool:
        return self.left(view, row) == 1 or super().permits(view, row, choice)


class LagsOneCost(TableShield):
    """Has not yet paid the previous cost: z is updated one step late."""

    def budget(self, view: GuardView, row: int) -> Fraction:
        state = self.state(view, row)
        entering = [
            self.cost(c)
            for c in range(self.model.C)
            if any(s == state for _, s in self.branches(c)) and c not in self.choices(state)
        ]
        return self.gamma * super().budget(view, row) + max(entering, default=Fraction(0))


class ForgetsToRescale(TableShield):
    """Plans with z' = z - c, without 1/gamma; where that leaves nothing it lets go."""

    def need(self, choice: int, left: int | None) -> Demand:
        table = self.tables[0 if left is None else left - 1]
        return max(self.cost(choice) + table[s] for _, s in self.branches(choice))

    def at_a_loss(self, view: GuardView, row: int) -> Floats:
        return np.asarray(view.base[row, view.enabled[row]])


class DiscountsTwice(TableShield):
    """Discounts the demand of the successor twice."""

    def need(self, choice: int, left: int | None) -> Demand:
        table = self.tables[0 if left is None else left - 1]
        return max(self.cost(choice) + self.gamma**2 * table[s] for _, s in self.branches(choice))


class MixesRawAndRescaled(TableShield):
    """Compares costs discounted to the start with the budget rescaled to now."""

    def permits(self, view: GuardView, row: int, choice: int) -> bool:
        t = 0 if view.time is None else int(view.time[row])
        need = self.gamma**t * self.need(choice, self.left(view, row))
        return self.covers(self.budget(view, row), need)


class CountsUnitsAsCosts(TableShield):
    """Takes the budget in multiples of the cost unit for one in the units of the cost."""

    def budget(self, view: GuardView, row: int) -> Fraction:
        return super().budget(view, row) / self.model.cost_unit


class RoundsUp(TableShield):
    """Rounds the remaining budget up to a whole number."""

    def budget(self, view: GuardView, row: int) -> Fraction:
        return Fraction(math.ceil(super().budget(view, row)))


class ResetsEarly(TableShield):
    """Starts with a full budget again at every other step."""

    def budget(self, view: GuardView, row: int) -> Fraction:
        if view.time is not None and int(view.time[row]) % 2 == 0:
            return self.constraint.budget
        return super().budget(view, row)


class NeverSpends(TableShield):
    """Judges by the initial budget instead of the remaining one."""

    def budget(self, view: GuardView, row: int) -> Fraction:
        return self.constraint.budget


class IgnoresASuccessor(TableShield):
    """Overlooks the last of several successors."""

    def branches(self, choice: int) -> list[tuple[Fraction, int]]:
        every = super().branches(choice)
        return every[:-1] or every


class IgnoresRareSuccessors(TableShield):
    """Overlooks successors that come less than once in a hundred times."""

    def branches(self, choice: int) -> list[tuple[Fraction, int]]:
        return [(p, s) for p, s in super().branches(choice) if p >= Fraction(1, 100)]


class Averages(TableShield):
    """Covers the average successor instead of the worst."""

    def worth(self, choice: int, table: list[Demand]) -> Demand:
        mean = sum(p * table[s] for p, s in self.branches(choice))
        return self.cost(choice) + self.gamma * mean


class LivesForTheDay(TableShield):
    """Covers the next cost but not the demand of the state it leads to."""

    def need(self, choice: int, left: int | None) -> Demand:
        return self.cost(choice)


class LooksTwentyStepsAhead(TableShield):
    """Plans twenty steps of an endless run, so that the violation comes much later."""

    def demands(self) -> list[list[Demand]]:
        table: list[Demand] = [Fraction(0)] * self.model.S
        for _ in range(20):
            table = self.sweep(table)
        return [table]


class Tires(TableShield):
    """Guards the first twelve steps only."""

    def permits(self, view: GuardView, row: int, choice: int) -> bool:
        late = view.time is not None and int(view.time[row]) >= 12
        return late or super().permits(view, row, choice)


class CheatsOutsideTheTest(TableShield):
    """Guards only the first half of the states, the ones it was tested on."""

    def permits(self, view: GuardView, row: int, choice: int) -> bool:
        untested = 2 * self.state(view, row) >= self.model.S
        return untested or super().permits(view, row, choice)


class SpendsCreditInAdvance(TableShield):
    """Plans for the last budget only, though it is judged at every time."""

    def scope(self) -> Scope:
        return Scope.TERMINAL


class WatchesTheWrongCost(TableShield):
    """Plans with the first cost although the constraint bounds another."""

    def cost_row(self) -> int:
        return 0


class LeaksATrace(TableShield):
    """Leaves 1e-12 on every choice that it forbids."""

    def weigh(self, base: Floats, permitted: Mask) -> Floats:
        weights = super().weigh(base, permitted) + 1e-12 * ~permitted
        return np.asarray(weights / weights.sum())


class PenalisesSoftly(TableShield):
    """Lowers the score of a forbidden choice by 30 and takes a softmax, which leaks."""

    def weigh(self, base: Floats, permitted: Mask) -> Floats:
        weights = base * np.exp(-30.0 * ~permitted)
        return np.asarray(weights / weights.sum())


class DividesByNothing(TableShield):
    """Renormalises an empty row: the base policy has no mass on what is permitted."""

    def weigh(self, base: Floats, permitted: Mask) -> Floats:
        with np.errstate(invalid="ignore"):
            return np.asarray(base * permitted / (base * permitted).sum())


class TracksInFloats(TableShield):
    """Subtracts the costs from a float: 0.3 - 0.1 < 0.2, and it permits nothing."""

    def budget(self, view: GuardView, row: int) -> Fraction:
        spent = self.constraint.budget - super().budget(view, row)
        z = float(self.constraint.budget)
        for _ in range(int(spent / self.model.cost_unit)):
            z -= float(self.model.cost_unit)
        return Fraction(z)

    def covers(self, z: Fraction, need: Demand) -> bool:
        return float(need) <= float(z)

    def at_a_loss(self, view: GuardView, row: int) -> Floats:
        return np.zeros(int(view.enabled[row].sum()))


class KnowsSomeBudgets(TableShield):
    """Looks budgets up in a table of those up to the initial one; others raise KeyError."""

    def budget(self, view: GuardView, row: int) -> Fraction:
        units = range(int(self.constraint.budget / self.model.cost_unit) + 1)
        known = {n * self.model.cost_unit: n * self.model.cost_unit for n in units}
        return known[super().budget(view, row)]


class ForgetsTheTotal(TableShield):
    """Removes forbidden choices without renormalising the rest."""

    def weigh(self, base: Floats, permitted: Mask) -> Floats:
        return base * permitted


class CutsAColumn(TableShield):
    """Returns one column too few."""

    def __call__(self, view: GuardView) -> Floats:
        return super().__call__(view)[:, :-1]


class SmoothsThePadding(TableShield):
    """Spreads a little mass over the whole row, choices that the state lacks included."""

    def __call__(self, view: GuardView) -> Floats:
        return np.asarray(0.99 * super().__call__(view) + 0.01 / view.base.shape[1])


class OverCorrects(TableShield):
    """Subtracts a penalty from a forbidden choice's probability, below zero."""

    def weigh(self, base: Floats, permitted: Mask) -> Floats:
        weights = super().weigh(base, permitted) - 0.1 * ~permitted
        return np.asarray(weights / weights.sum())
