"""V(s, z) on a grid of budgets: discounted costs without end, or any costs over a horizon.

For ``gamma < 1`` budgets do not recur: the table lives on a directed grid (THEORY T3.down, T3.up).
Rounded down it is the value of policies that are safe, a lower bound; rounded up it allows every
safe policy, an upper bound; `enclosing` refines until the two are close. For ``gamma = 1`` and a
horizon the lattice is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.budget_grid import LOST, BudgetGrid, budget_grid
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.solution import Status
from ig_theory.solvers.table_levels import ROUNDING
from ig_theory.solvers.table_options import Rows, all_rows
from ig_theory.solvers.totals.start import expectation
from ig_theory.solvers.value_table import Beyond, gains
from ig_theory.verdict import Bounds

MOST_SWEEPS = 20_000
MOST_STEPS = 5_000
"""Sweeps after which endless undiscounted runs are given up."""

LARGEST_TABLE = 500_000
"""Entries (states times levels) beyond which a grid is not refined."""


@dataclass(frozen=True, eq=False)
class GridTable:
    """Values on one grid.

    Attributes
    ----------
    value : float64[top + 1, S]
        At the start (all steps to go, with a horizon).
    error : float
        ``|V - value|`` is at most this, V the optimum of the rounded budgets.
    which : uint8[.., top + 1, S]
        The place of the best choice in its state, the largest number if none; with a horizon T
        one table for each number of steps to go, 1 .. T.
    """

    grid: BudgetGrid
    beyond: Beyond
    value: Floats
    error: float
    which: npt.NDArray[np.unsignedinteger]
    status: Status
    sweeps: int

    def at(self, state: int, z: Fraction | int) -> Bounds:
        """The value of the rounded budgets at (state, z); ``-inf`` where none is safe.

        Raises
        ------
        SolverError
            For ``gamma = 1``, if the budget is larger than the table's.
        """
        constraint = self.grid.constraint
        if constraint.discount == 1 and z > constraint.budget:
            raise SolverError.at(
                "z", f"at most the table's budget {constraint.budget}", z,
                "solve with a larger budget",
            )  # fmt: skip
        level = self.grid.level(Fraction(z))
        if level == LOST:
            broken = 0.0 if self.beyond is Beyond.STOP else -math.inf
            return Bounds(broken, broken)
        value = float(self.value[level, state])
        return Bounds(value - self.error, value + self.error)

    @property
    def initial(self) -> Bounds:
        """From the initial distribution, at the constraint's budget."""
        model = self.grid.model
        first = np.flatnonzero((model.initial > 0).astype(bool))
        bounds = [self.at(s, self.grid.constraint.budget) for s in first.tolist()]
        lower, upper = (np.array([getattr(b, side) for b in bounds]) for side in ("lower", "upper"))
        return expectation(model.initial[first], lower, upper)

    def choice(self, state: int, z: Fraction | int, time: int = 0) -> int:
        """The model's choice of the policy at a budget, `time` steps into the run; -1 if none."""
        level = self.grid.level(Fraction(z))
        if level == LOST or self.grid.model.terminal[state] or not self.which.size:
            return -1
        rows = self.which if self.which.ndim == 2 else self.which[-1 - time]
        place = int(rows[level, state])
        none = place == np.iinfo(rows.dtype).max
        return -1 if none else int(self.grid.model.choice_ptr[state]) + place


def grid_table(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    *,
    per_unit: int = 4,
    up: bool = False,
    beyond: Beyond | str = Beyond.FORBID,
    gain: Floats | None = None,
    tolerance: float = 1e-9,
    start: GridTable | None = None,
) -> GridTable:
    """Solve on one grid: a sweep is O(B levels); a horizon T takes T of them.

    Parameters
    ----------
    per_unit, up
        The grid and its direction; the lattice of ``gamma = 1`` has none.
    tolerance
        Wanted error, relative to the largest value where that exceeds 1 (infinite horizon).
    start
        A coarser table to start from.

    Raises
    ------
    SolverError
        If costs are negative, or without a horizon and without discounting of rewards some
        policy runs for ever.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s",
    ...     reward_discount="1/2")
    >>> cap = BudgetConstraint("3/2", discount="1/2")  # 1 can be spent, then 1 more (worth 1/2)
    >>> round(grid_table(model, cap).initial.middle, 6)
    1.5
    """
    beyond = Beyond(beyond)
    grid = budget_grid(model, constraint, per_unit, up)
    if not tolerance > 0:
        raise SolverError.at("tolerance", "a number above 0", tolerance, "use 1e-9")
    gain = gains(model, gain)
    if beyond is Beyond.STOP and constraint.discount < 1 and (gain < 0).any():
        raise SolverError.at(
            f"reward of choice {int(np.flatnonzero(gain < 0)[0])}",
            "rewards >= 0 where overspending stops a run on a grid", float(gain.min()),
            "shift the rewards: breaking the budget would end losses, so neither grid is a bound",
        )  # fmt: skip
    beta = float(model.reward_discount)
    rows, class_ptr = all_rows(model, gain, grid.cost_class, beta)
    solver = _Sweeper(grid, beyond, rows, class_ptr, gain)
    if constraint.horizon is not None:
        return solver.finite(constraint.horizon)
    return solver.endless(beta, tolerance, start)


def enclosing(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    *,
    beyond: Beyond | str = Beyond.FORBID,
    gain: Floats | None = None,
    tolerance: float = 1e-6,
    largest: int = LARGEST_TABLE,
) -> Iterator[tuple[GridTable, GridTable]]:
    """Pairs of tables (rounded down, rounded up) that enclose V ever more closely.

    Ends when the bounds at the start are within `tolerance`, or a table would have more than
    `largest` entries; the first pair always comes. For ``gamma = 1`` there is one exact pair.
    """
    per_unit, pair = 2, None
    safe = beyond == Beyond.STOP or minimal_budget(model, constraint).start_is_safe()
    while True:
        sides = [
            grid_table(
                model, constraint, per_unit=per_unit, up=up, beyond=beyond, gain=gain,
                tolerance=tolerance / 8, start=pair[up] if pair else None,
            )
            for up in (False, True)
        ]  # fmt: skip
        pair = (sides[0], sides[1])
        yield pair
        close = pair[1].initial.upper - pair[0].initial.lower <= tolerance
        size = 4 * pair[0].value.size
        if close or not safe or constraint.discount == 1 or size > largest:
            return
        per_unit *= 4


@dataclass(frozen=True, eq=False)
class _Sweeper:
    grid: BudgetGrid
    beyond: Beyond
    rows: Rows
    class_ptr: Ints
    gain: Floats

    def finite(self, horizon: int) -> GridTable:
        """Backwards from the end, one sweep for each step."""
        grid, model = self.grid, self.grid.model
        levels, size = grid.top + 1, 0.0
        demand = np.full(model.S, grid.least)
        value = np.zeros((levels, model.S))
        value[: grid.least] = self._broken
        which = np.empty((horizon, levels, model.S), dtype=self.rows.place.dtype)
        error = 0.0
        for t in range(horizon):
            since = self._since(demand)
            demand = grid.state_demands(demand)
            value = self._sweep(value, since, which[t])
            size = max(size, _largest(value))
            error = error * (1 + 4 * ROUNDING) + self._rounding(size)
        return GridTable(grid, self.beyond, value, error, which, Status.CERTIFIED, horizon)

    def endless(self, beta: float, tolerance: float, start: GridTable | None) -> GridTable:
        """Sweeps until nothing moves; the last move bounds every entry's Bellman error."""
        from ig_theory.solvers.table_kernels import longest

        grid, model = self.grid, self.grid.model
        steps = 1 / (1 - beta) if beta < 1 else math.inf
        if beta == 1:
            counted = np.ones(model.S)
            member = np.flatnonzero(~model.terminal).astype(np.uint32)
            rows, _ = all_rows(model, self.gain, np.zeros(model.C, dtype=np.int64), 1.0)
            ptr = np.concatenate([model.choice_ptr[member], [model.choice_ptr[-1]]])
            ptr = np.searchsorted(rows.choice, ptr).astype(np.uint32)
            found, move = longest(member, ptr, rows.ptr, rows.node, rows.prob, counted, MOST_STEPS)
            if not found:
                raise SolverError.at(
                    "undiscounted rewards", "every policy to come to an end",
                    "one that may run for ever", "set reward_discount below 1, or a horizon",
                )  # fmt: skip
            steps = float(counted.max()) / (1 - move)
        since = self._since(grid.endless_demands())
        value = np.where(self._unsafe(since), -np.inf, 0.0)
        value[:, model.terminal] = 0.0
        value[: grid.least] = self._broken
        if start is not None:
            ratio = grid.per_unit // start.grid.per_unit
            coarse = start.value[np.minimum(np.arange(grid.top + 1) // ratio, start.grid.top)]
            value = np.where(np.isfinite(value) & np.isfinite(coarse), coarse, value)
        which = np.empty(value.shape, dtype=self.rows.place.dtype)
        change, sweeps = math.inf, 0
        while sweeps < MOST_SWEEPS:
            sweeps += 1
            after = self._sweep(value, since, which)
            change = _distance(after, value)
            value = after
            if change * steps <= tolerance * max(1.0, _largest(value)) / 2:
                break
        error = (change + self._rounding(_largest(value))) * steps
        close = error <= tolerance * max(1.0, _largest(value))
        status = Status.CERTIFIED if close else Status.UNCERTIFIED
        return GridTable(grid, self.beyond, value, error, which, status, sweeps)

    @property
    def _broken(self) -> float:
        return 0.0 if self.beyond is Beyond.STOP else -math.inf

    def _since(self, demand: Ints) -> npt.NDArray[np.int32]:
        """The level from which each option may be taken, when states need `demand` next."""
        if self.beyond is Beyond.STOP:
            demand = np.full(len(demand), self.grid.least)
        return self.grid.demands(demand)[self.rows.choice].astype(np.int32)

    def _unsafe(self, since: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Where no choice may be taken, bool[top + 1, S]; nowhere if overspending ends the run."""
        model, levels = self.grid.model, np.arange(self.grid.top + 1)
        if self.beyond is Beyond.STOP:
            return np.zeros((len(levels), model.S), dtype=bool)
        least = np.full(model.S, self.grid.top + 1)
        np.minimum.at(least, self.rows.owner, since)
        return levels[:, None] < least[None, :]

    def _sweep(
        self, value: Floats, since: npt.NDArray[np.int32], which: npt.NDArray[np.unsignedinteger]
    ) -> Floats:
        """One Bellman backup of every entry."""
        from ig_theory.solvers.table_kernels import sweep

        grid, rows = self.grid, self.rows
        out = self._without_options(value.shape)
        which.fill(np.iinfo(which.dtype).max)
        sweep(
            value, grid.after, since, rows.owner, rows.gain, rows.ptr, rows.node, rows.prob,
            rows.place, self.class_ptr, grid.least, out, which,
        )  # fmt: skip
        return out

    def _without_options(self, shape: tuple[int, ...]) -> Floats:
        """What each entry is worth if nothing may be done there."""
        grid, model = self.grid, self.grid.model
        out = np.full(shape, -np.inf)
        out[:, model.terminal] = 0.0
        if self.beyond is Beyond.STOP:
            lost = (grid.after == LOST).sum(axis=1)[grid.cost_class]
            lost = np.where(model.terminal[model.choice_state], 0, lost)
            dearest = np.maximum.reduceat(lost, model.choice_ptr[:-1])
            for level in range(int(dearest.max())):  # below it some choice overspends
                out[level, dearest > level] = 0.0
        out[: grid.least] = self._broken
        return out

    def _rounding(self, size: float) -> float:
        longest = int(np.diff(self.grid.model.branch_ptr).max())
        return ROUNDING * (longest + 6) * (float(np.abs(self.gain).max(initial=0.0)) + size)


def _largest(value: Floats) -> float:
    finite = np.abs(value[np.isfinite(value)])
    return float(finite.max(initial=0.0))


def _distance(one: Floats, two: Floats) -> float:
    """The largest difference; infinite where only one side is."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(one - two)
    return float(np.where(one == two, 0.0, difference).max(initial=0.0))
