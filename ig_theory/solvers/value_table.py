"""The best reward for every state and every budget at once: V(s, z) as a table.

``V(s, z) = max_a [r + beta sum_s' P(s'|s,a) V(s', z - c)]`` over the choices that the budget z
allows. The product of states and budgets is never built: a level (all states at one budget) is
a row, levels ascend, and only choices that cost nothing couple the entries of one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.errors import SolverError
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.solution import Status
from ig_theory.solvers.table_levels import MOST_SWEEPS, Levels, free_steps
from ig_theory.solvers.table_options import Options, options
from ig_theory.solvers.totals.start import expectation
from ig_theory.validation import LARGEST_NUMBER
from ig_theory.verdict import Bounds

QUICK = 60
"""Sweeps in which short runs of free options show; longer ones are first put in order."""

LARGEST_TABLE = 1_000_000_000
"""Entries of a table unless told otherwise, at 9 bytes each."""

TWO_THREADS = 20_000
"""States from which a second thread is worth its hand-overs."""


class Beyond(Enum):
    """What a choice that would overspend means."""

    FORBID = "forbid"
    """It may not be taken: V is the best almost surely safe reward (-inf where there is none)."""
    STOP = "stop"
    """The run ends there and earns nothing more: V is the best reward until the budget breaks."""


@dataclass(frozen=True, eq=False)
class ValueTable:
    """V(s, z) for z = 0, 1, .., top cost units, with certified bounds and an optimal policy.

    Attributes
    ----------
    value : float64[top + 1, G]
        Approximate values of the groups of states; see `at` for bounds.
    error : float64[top + 1]
        ``|V - value|`` at each level is at most this.
    which : uint8, uint16 or uint32 [top + 1, G]
        The place of the best option within its group; the largest number if there is none.
    options : Options
    status : Status
    passes : float
        Branches read, in units of one Bellman pass over all branches and levels.
    gain : float64[C] or None
        What each choice earns, where it is not the model's reward.
    """

    model: ConstrainedMDP
    constraint: BudgetConstraint
    beyond: Beyond
    value: Floats
    error: Floats
    which: npt.NDArray[np.unsignedinteger]
    options: Options
    status: Status
    passes: float
    gain: Floats | None

    @property
    def top(self) -> int:
        """The last level."""
        return len(self.value) - 1

    @property
    def gap(self) -> float:
        """The largest distance between lower and upper bounds."""
        return 2 * float(self.error.max())

    def level(self, z: Fraction | int) -> int:
        """The level of a budget in cost units; -1 where the budget is broken.

        Raises
        ------
        SolverError
            If the budget is larger than the table's.
        """
        level = min(level_of(self.model, self.constraint, Fraction(z)), self.top + 1)
        if level > self.top:
            raise SolverError.at(
                "z", f"at most the table's budget {self.constraint.budget}", z,
                "solve with a larger budget",
            )  # fmt: skip
        return max(level, -1)

    def at(self, state: int, z: Fraction | int) -> Bounds:
        """V(state, z); ``-inf`` where no policy is safe."""
        level = self.level(z)
        if level < 0:
            broken = 0.0 if self.beyond is Beyond.STOP else -math.inf
            return Bounds(broken, broken)
        lower, upper = self._bounds(state)
        return Bounds(float(lower[level]), float(upper[level]))

    def front(self, state: int) -> tuple[Floats, Floats]:
        """Lower and upper bounds of V(state, .) at every level, float64[top + 1] each."""
        return self._bounds(state)

    @property
    def initial(self) -> Bounds:
        """V from the initial distribution at the constraint's budget."""
        first = np.flatnonzero((self.model.initial > 0).astype(bool))
        bounds = [self.at(s, self.constraint.budget) for s in first.tolist()]
        lower, upper = (np.array([getattr(b, side) for b in bounds]) for side in ("lower", "upper"))
        return expectation(self.model.initial[first], lower, upper)

    def choice(self, state: int, z: Fraction | int) -> int:
        """The model's choice that the policy takes; -1 at terminals and where none is safe.

        In a merged group it leads to the state that leaves best, or stays for ever.
        """
        level, group = self.level(z), int(self.options.group[state])
        if level < 0 or self.model.terminal[state] or not self.value[level, group] > -math.inf:
            return -1
        if self.value[level, group] == math.inf:
            return int(self.options.endless_choice[state])
        place = int(self.which[level, group])
        first = int(self.options.option_ptr[group])
        if place != np.iinfo(self.which.dtype).max:
            chosen = int(self.options.option[first + place])
            owner = int(self.model.choice_state[chosen])
            return chosen if owner == state else self._towards(state, owner)
        return self._inside(state)

    def _bounds(self, state: int) -> tuple[Floats, Floats]:
        value = self.value[:, self.options.group[state]]
        with np.errstate(invalid="ignore"):
            return value - self.error, value + self.error

    def _inside(self, state: int) -> int:
        """A choice that stays in the group, or one that overspends (`Beyond.STOP`)."""
        first, last = self.model.choice_ptr[state], self.model.choice_ptr[state + 1]
        inside = np.flatnonzero(self.options.internal[first:last])
        if len(inside):
            return int(first + inside[0])
        cost = self.model.cost[self.model.cost_index(self.constraint.cost)][first:last]
        return int(first + int(np.argmax(cost)))

    def _towards(self, state: int, goal: int) -> int:
        """A choice within the group that brings `state` nearer to `goal`, almost surely."""
        model, internal = self.model, self.options.internal
        reached, found = {goal}, -1
        members = np.flatnonzero(self.options.group == self.options.group[state]).tolist()
        while state not in reached:
            layer = []
            for s in members:
                if s in reached:
                    continue
                for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
                    after = model.branch_state[model.branch_ptr[c] : model.branch_ptr[c + 1]]
                    if internal[c] and not reached.isdisjoint(after.tolist()):
                        layer.append(s)
                        found = c if s == state else found
                        break
            reached.update(layer)
        return found


def level_of(model: ConstrainedMDP, constraint: BudgetConstraint, z: Fraction) -> int:
    """The largest whole number of cost units that can be spent out of z."""
    units = z / model.cost_unit
    return math.ceil(units) - 1 if constraint.boundary is Boundary.OPEN else math.floor(units)


def value_table(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    *,
    beyond: Beyond | str = Beyond.FORBID,
    gain: Floats | None = None,
    tolerance: float = 1e-6,
    threads: int | None = None,
    limit: int = LARGEST_TABLE,
    progress: Callable[[int, int], None] | None = None,
) -> ValueTable:
    """Solve for V at every state and every budget up to the constraint's.

    About two Bellman passes over all branches and budgets, O(B d) each; 9 bytes per entry.

    Parameters
    ----------
    constraint
        With ``gamma = 1`` and an infinite horizon; its budget is the table's last.
    beyond
        What overspending means; see `Beyond`.
    gain : float64[C], optional
        What each choice earns; the model's rewards unless given (see `reaching`).
    tolerance
        Wanted distance between the bounds, relative to the largest value where that exceeds 1.
    threads
        1 or 2; large models use 2 unless told otherwise. The answer does not depend on it.
    limit
        How many entries the table may have.
    progress
        Called with (levels done, levels in all).

    Raises
    ------
    SolverError
        If costs are discounted or negative, the horizon is finite, the table would be too large,
        or undiscounted rewards have no well-defined total.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> table = value_table(model, BudgetConstraint(3))
    >>> [round(table.at(0, z).middle, 6) for z in range(4)]
    [0.0, 1.0, 2.0, 3.0]
    """
    beyond = Beyond(beyond)
    cost, top = _checked(model, constraint)
    if not tolerance > 0:
        raise SolverError.at("tolerance", "a number above 0", tolerance, "use 1e-6")
    if model.S * (top + 1) > limit:
        raise SolverError.at(
            "states times budgets", f"at most {limit} entries", model.S * (top + 1),
            "lower the budget, use a coarser cost_unit, or raise the limit",
        )  # fmt: skip
    given, gain = gain, gains(model, gain)
    since = cost
    if beyond is Beyond.FORBID:
        since = minimal_budget(model, _closed(constraint)).choice_demand()[0]
    beta = float(model.reward_discount)
    rows = options(model, gain, cost, since, beta, top)
    steps = free_steps(rows, beta, QUICK)
    if steps == math.inf:
        rows = options(model, gain, cost, since, beta, top, in_order=True)
        steps = free_steps(rows, beta, MOST_SWEEPS)
    if threads is None:
        threads = 2 if model.S >= TWO_THREADS else 1
    value = _without_options(model, rows, cost, top + 1, beyond is Beyond.STOP)
    work = Levels.of(rows, value)
    longest, most = int(np.diff(model.branch_ptr).max()), float(np.abs(gain).max(initial=0.0))
    error, certified, passes = work.solve(beta, steps, longest, most, tolerance, threads, progress)
    status = Status.CERTIFIED if certified else Status.UNCERTIFIED
    return ValueTable(
        model, constraint, beyond, value, error, work.which, rows, status, passes, given
    )  # fmt: skip


def gains(model: ConstrainedMDP, gain: Floats | None) -> Floats:
    """What each choice earns, checked: the model's rewards unless given, float64[C].

    Raises
    ------
    SolverError
        If there is not one finite number for each choice.
    """
    if gain is None:
        return np.asarray(model.reward.astype(np.float64))
    found = np.asarray(gain, dtype=np.float64)
    if found.shape != (model.C,) or not (np.abs(found) <= LARGEST_NUMBER).all():
        raise SolverError.at(
            "gain", f"{model.C} finite numbers, one for each choice",
            f"shape {found.shape}, {int((~(np.abs(found) <= LARGEST_NUMBER)).sum())} not finite",
            "give one gain per choice",
        )  # fmt: skip
    return found


def reaching(model: ConstrainedMDP, goal: str) -> Floats:
    """Gains whose total is the probability of reaching a set of terminal states, float64[C].

    Raises
    ------
    SolverError
        If a state of the goal is not terminal: its runs would be counted more than once.
    """
    if goal not in model.labels:
        known = ", ".join(model.labels) or "none"
        raise SolverError.at("goal", f"a label of the model ({known})", repr(goal), "name one")
    inside = model.labels[goal]
    outside = np.flatnonzero(inside & ~model.terminal)
    if len(outside):
        raise SolverError.at(
            f"goal {goal}", "terminal states only", model.state_name(int(outside[0])),
            "make the goal's states terminal",
        )  # fmt: skip
    prob = np.where(inside[model.branch_state], model.branch_prob.astype(np.float64), 0.0)
    entered = np.add.reduceat(prob, model.branch_ptr[:-1])
    return np.where(model.terminal[model.choice_state], 0.0, np.minimum(entered, 1.0))


def _closed(constraint: BudgetConstraint) -> BudgetConstraint:
    """The demands in whole cost units: a level is what can be spent, under either boundary."""
    return BudgetConstraint(constraint.budget, cost=constraint.cost)


def _checked(model: ConstrainedMDP, constraint: BudgetConstraint) -> tuple[Ints, int]:
    cost = model.cost[model.cost_index(constraint.cost)]
    if constraint.discount != 1 or constraint.horizon is not None:
        raise SolverError.at(
            "constraint", "discount 1 and no horizon",
            f"discount {constraint.discount}, horizon {constraint.horizon}",
            "use budgeted_value, grid_table or pareto",
        )  # fmt: skip
    if (cost < 0).any():
        choice = int(np.flatnonzero(cost < 0)[0])
        raise SolverError.at(
            f"cost of choice {choice}", "costs >= 0", int(cost[choice]),
            "use budgeted_value, which explores pairs",
        )  # fmt: skip
    assert constraint.scope is Scope.ANYTIME  # TERMINAL needs a horizon
    return cost, max(level_of(model, constraint, constraint.budget), 0)


def _without_options(
    model: ConstrainedMDP, rows: Options, cost: Ints, levels: int, stop: bool
) -> Floats:
    """What every entry is worth before anything is done, float64[levels, G]."""
    value = np.empty((levels, len(rows.stay)))
    value[:] = rows.stay
    if not stop:
        return value
    # Where some choice overspends, the run may end with nothing more.
    most = np.zeros(len(rows.stay), dtype=np.int64)
    running = ~model.terminal[model.choice_state]
    np.maximum.at(most, rows.group[model.choice_state[running]], cost[running])
    for z in range(min(levels, int(most.max(initial=0)))):
        row = value[z]
        row[most > z] = np.maximum(row[most > z], 0.0)
    return value
