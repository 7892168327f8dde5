"""The best reward for every state and every budget at once: V(s, z) as a table.

``V(s, z) = max_a [r + beta sum_s' P(s'|s,a) V(s', z - c)]`` over the choices that the budget z
allows. The product of states and budgets is never built: a level (all states at one budget) is
a row, levels ascend, and only choices that cost nothing couple the entries of one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.budget import INFINITE
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.errors import SolverError
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.solution import Status
from ig_theory.solvers.table_options import Options, options
from ig_theory.verdict import Bounds

ROUNDING = 2.0**-52
"""Bound on the relative error of one float64 operation, doubled to be generous."""

MOST_SWEEPS = 20_000
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
        low = high = 0.0
        for state in np.flatnonzero((self.model.initial > 0).astype(bool)).tolist():
            prob, bounds = float(self.model.initial[state]), self.at(state, self.constraint.budget)
            low, high = low + prob * bounds.lower, high + prob * bounds.upper
        rounding = 4 * ROUNDING * len(self.model.initial)
        if math.isfinite(low) and math.isfinite(high):
            low, high = low - rounding * abs(low), high + rounding * abs(high)
        return Bounds(low, high)

    def choice(self, state: int, z: Fraction | int) -> int:
        """The model's choice that the policy takes; -1 at terminals and where none is safe.

        In a merged group it leads to the state that leaves best, or stays for ever.
        """
        level, group = self.level(z), int(self.options.group[state])
        if level < 0 or self.model.terminal[state] or not self.value[level, group] > -math.inf:
            return -1
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
        Wanted distance between the bounds, in the unit of rewards.
    threads
        1 or 2; large models use 2 unless told otherwise. The answer does not depend on it.
    progress
        Called with (levels done, levels in all).

    Raises
    ------
    SolverError
        If costs are discounted or negative, the horizon is finite, or undiscounted rewards have
        no well-defined total.

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
    gain = model.reward.astype(np.float64) if gain is None else np.asarray(gain, dtype=np.float64)
    since = cost
    if beyond is Beyond.FORBID:
        since = minimal_budget(model, _closed(constraint)).choice_demand()[0]
    beta = float(model.reward_discount)
    rows = options(model, gain, cost, since, beta, top)
    if threads is None:
        threads = 2 if model.S >= TWO_THREADS else 1
    return _Solver(model, constraint, beyond, rows, cost, gain, tolerance, top).run(
        threads, progress
    )


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


@dataclass(frozen=True, eq=False)
class _Solver:
    model: ConstrainedMDP
    constraint: BudgetConstraint
    beyond: Beyond
    rows: Options
    cost: Ints
    gain: Floats
    tolerance: float
    top: int

    def run(self, threads: int, progress: Callable[[int, int], None] | None) -> ValueTable:
        """Level after level; what costs two and more is pushed while the next one settles."""
        from ig_theory.solvers.table_kernels import largest

        rows, top = self.rows, self.top
        groups, levels = len(rows.stay), top + 1
        value = np.empty((levels, groups))
        which = np.empty((levels, groups), dtype=rows.paid.place.dtype)
        which.fill(np.iinfo(which.dtype).max)
        value[:] = rows.stay
        if self.beyond is Beyond.STOP:
            self._may_break(value)
        steps, settled = self._steps()
        error, reads, unsettled = np.zeros(levels), 0, not settled
        gains = float(np.abs(self.gain).max(initial=0.0))
        work = _Level.of(rows, value, which)
        pool = ThreadPoolExecutor(1) if threads > 1 else None
        later = None
        accumulated = 0.0
        try:
            for z in range(levels):
                # What earlier levels left over of the tolerance is shared by the rest.
                target = (0.45 * self.tolerance - accumulated) / (steps * (levels - z))
                change, read = work.settle(z, max(target, 0.0))
                if later is not None:
                    reads += later.result()
                reads += read + work.push(z, 0, 1)
                if pool is not None:
                    later = pool.submit(work.push, z, 1, len(rows.costs))
                else:
                    reads += work.push(z, 1, len(rows.costs))
                rounding = ROUNDING * (self._longest + 6) * (gains + float(largest(value[z])))
                unsettled |= not change <= target
                accumulated = accumulated * (1 + 4 * ROUNDING) + (change + rounding) * steps
                error[z] = accumulated
                if progress is not None:
                    progress(z + 1, levels)
        finally:
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        status = Status.UNCERTIFIED if unsettled else Status.CERTIFIED
        passes = reads / (max(len(rows.paid.node) + len(rows.free.node), 1) * levels)
        return ValueTable(
            self.model, self.constraint, self.beyond, value, error, which, rows, status, passes
        )

    @property
    def _longest(self) -> int:
        return int(np.diff(self.model.branch_ptr).max())

    def _may_break(self, value: Floats) -> None:
        """Where some choice overspends, the run may end with nothing more."""
        most = np.zeros(len(self.rows.stay), dtype=np.int64)
        owner = self.rows.group[self.model.choice_state]
        ended = self.model.terminal[self.model.choice_state]
        np.maximum.at(most, owner, np.where(ended, 0, self.cost))
        for z in range(min(self.top + 1, int(most.max(initial=0)))):
            row = value[z]
            row[most > z] = np.maximum(row[most > z], 0.0)

    def _steps(self) -> tuple[float, bool]:
        """How many free options can follow one another, expected, at most."""
        from ig_theory.solvers.table_kernels import longest

        rows, beta = self.rows, float(self.model.reward_discount)
        discounted = 1 / (1 - beta) if beta < 1 else math.inf
        steps = np.ones(len(rows.stay))
        most = 50 if beta < 1 else MOST_SWEEPS
        found, move = longest(
            rows.member, rows.free_ptr, rows.free.ptr, rows.free.node, rows.free.prob, steps, most
        )
        counted = float(steps.max()) / (1 - move) if found else math.inf
        return min(counted, discounted) * (1 + 1e-9), math.isfinite(min(counted, discounted))


@dataclass(frozen=True, eq=False)
class _Level:
    """The work of one level, on arrays that all levels share."""

    rows: Options
    value: Floats
    which: npt.NDArray[np.unsignedinteger]
    known: npt.NDArray[np.uint32]
    floor: Floats
    option: npt.NDArray[np.uint32]
    work: Floats
    gains: bool

    @classmethod
    def of(cls, rows: Options, value: Floats, which: npt.NDArray[np.unsignedinteger]) -> _Level:
        """With scratch space, and the groups whose entries no free option can change."""
        free = len(rows.member)
        known = np.diff(rows.option_ptr) > 0
        known[rows.member] = False
        return cls(
            rows, value, which, np.flatnonzero(known).astype(np.uint32), np.zeros(free),
            np.zeros(free, dtype=np.uint32), np.zeros((2, free)),
            bool((rows.endless < INFINITE).any()),
        )  # fmt: skip

    def push(self, z: int, first: int, last: int) -> int:
        """Offer the paid options of some cost classes to the levels above; branches read."""
        from ig_theory.solvers.table_kernels import push

        rows, paid, reads = self.rows, self.rows.paid, 0
        for k in range(first, min(last, len(rows.costs))):
            level = z + int(rows.costs[k])
            if level >= len(self.value):
                break
            low, high = int(rows.class_ptr[k]), int(rows.class_ptr[k + 1])
            push(
                self.value[z], level, paid.owner, paid.since, paid.gain, paid.ptr, paid.node,
                paid.prob, paid.place, low, high, self.value[level], self.which[level],
            )  # fmt: skip
            reads += int(paid.ptr[high]) - int(paid.ptr[low])
        return reads

    def settle(self, z: int, target: float) -> tuple[float, int]:
        """Make level z final; the largest last move and the branches read."""
        from ig_theory.solvers.table_kernels import guess, settle

        rows, free, x = self.rows, self.rows.free, self.value[z]
        if self.gains:
            x[rows.endless <= z] = np.inf
        if not len(rows.member):
            return 0.0, 0
        guess(self.value, z, rows.member, self.known, x, self.floor)
        if self.gains:
            x[rows.endless <= z] = np.inf
        change, reads = settle(
            z, x, rows.member, rows.free_ptr, free.since, free.gain, free.ptr, free.node,
            free.prob, free.place, self.which[z], self.floor, self.option, self.work, target,
            MOST_SWEEPS,
        )  # fmt: skip
        return float(change), int(reads)


__all__ = ["INFINITE", "Beyond", "ValueTable", "reaching", "value_table"]
