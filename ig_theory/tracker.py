"""The tracker z of one constraint, and the distinct budgets that an exploration meets.

All arithmetic is on exact Python numbers; an exploration has few distinct budgets, so they are
numbered once and everything else handles the numbers of budgets (see `BudgetStore`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ig_theory.budget import RemainingBudget
from ig_theory.cmdp import ConstrainedMDP, Ints
from ig_theory.constraint import Boundary, BudgetConstraint, Scope

KEPT, BROKEN, UNKNOWN = 0, 1, 2
"""What a tracker can say of a budget."""

Value = Hashable
"""A budget as a tracker stores it; only its tracker reads it."""


class Tracker(Protocol):
    """Moves a budget by exact arithmetic, judges it, and shows it to a guard."""

    constraint: BudgetConstraint

    @property
    def start(self) -> Value:
        """The value of ``z_0 = d``."""
        ...

    def step(self, value: Any, cost: int) -> Value:
        """The value of ``(z - cost * unit) / gamma``."""
        ...

    def judge(self, value: Any) -> int:
        """KEPT, BROKEN, or UNKNOWN where rounding leaves it open."""
        ...

    def remaining(self, values: Sequence[Any]) -> RemainingBudget:
        """The budgets a guard is shown."""
        ...


class ExactTracker:
    """The tracker without any rounding.

    For ``gamma = 1`` a value is the integer numerator of ``z`` over a fixed denominator; for
    ``gamma < 1`` it is the Fraction ``z / unit``. With an infinite horizon it is clipped at
    ``c_max / (1 - gamma)``, which changes no sign (THEORY L1.clip) and merges all budgets that can
    no longer be violated.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 0, {"s": 1})}}, initial="s")
    >>> tracker = ExactTracker(model, BudgetConstraint("3/2"))
    >>> tracker.judge(tracker.step(tracker.start, 1)), tracker.remaining([3]).value(0)
    (0, Fraction(3, 2))
    """

    def __init__(self, model: ConstrainedMDP, constraint: BudgetConstraint) -> None:
        self.constraint = constraint
        self.unit = model.cost_unit
        self.gamma = constraint.discount
        budget = constraint.budget / model.cost_unit
        self.integer = self.gamma == 1
        self.denominator = budget.denominator if self.integer else 1
        self.clip: Fraction | float = math.inf
        if not self.integer and constraint.horizon is None:
            largest = int(model.cost[model.cost_index(constraint.cost)].max())
            self.clip = constraint.clip(Fraction(max(largest, 1)))
        self.start: Any = budget.numerator if self.integer else min(budget, self.clip)
        self._strict = constraint.boundary is Boundary.OPEN

    def step(self, value: Any, cost: int) -> Any:
        """One step; see `Tracker`."""
        if self.integer:
            return value - cost * self.denominator
        return min((value - cost) / self.gamma, self.clip)

    def judge(self, value: Any) -> int:
        """KEPT or BROKEN."""
        return KEPT if (value > 0 if self._strict else value >= 0) else BROKEN

    def remaining(self, values: Sequence[Any]) -> RemainingBudget:
        """Exact budgets."""
        fits = self.integer and all(abs(v) < 2**62 for v in values)
        numerator = np.array(values, dtype=np.int64 if fits else object)
        return RemainingBudget(numerator, self.denominator, self.unit)


class GridTracker:
    """The tracker on a directed grid of step ``unit / per_unit``, for ``gamma < 1``.

    A value is the grid index. Rounding down never overstates the budget (sound); rounding up
    never understates it (complete): THEORY T3.down, T3.up. With an infinite horizon it is clipped
    at the first grid point from which nothing can be violated.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 0, {"s": 1})}}, initial="s")
    >>> tracker = GridTracker(model, BudgetConstraint(2, "9/10"), per_unit=2, up=False)
    >>> tracker.start, tracker.step(4, 1)  # (2 - 1) / 0.9 = 1.11, rounded down to 1
    (4, 2)
    """

    def __init__(
        self, model: ConstrainedMDP, constraint: BudgetConstraint, per_unit: int, up: bool
    ) -> None:
        self.constraint = constraint
        self.unit = model.cost_unit
        self.per_unit = per_unit
        self.up = up
        self.p, self.q = constraint.discount.numerator, constraint.discount.denominator
        self.clip: int | float = math.inf
        if constraint.horizon is None and self.p < self.q:
            largest = max(int(model.cost[model.cost_index(constraint.cost)].max()), 1)
            self.clip = -(-per_unit * largest * self.q // (self.q - self.p))
        start = constraint.budget / model.cost_unit * per_unit
        self.start: Any = min(math.ceil(start) if up else math.floor(start), self.clip)
        self._strict = constraint.boundary is Boundary.OPEN

    def step(self, value: Any, cost: int) -> Any:
        """One step, rounded in this tracker's direction."""
        scaled = (value - cost * self.per_unit) * self.q
        return min(-(-scaled // self.p) if self.up else scaled // self.p, self.clip)

    def judge(self, value: Any) -> int:
        """KEPT or BROKEN, of the rounded budget."""
        return KEPT if (value > 0 if self._strict else value >= 0) else BROKEN

    def remaining(self, values: Sequence[Any]) -> RemainingBudget:
        """The rounded budgets."""
        return RemainingBudget(np.array(values, dtype=np.int64), self.per_unit, self.unit)


class BracketTracker:
    """Both roundings at once: a value is a pair that encloses the exact budget.

    The guard is shown the lower end. A budget is KEPT if the lower end is, BROKEN if the upper
    end is, and UNKNOWN otherwise.
    """

    def __init__(self, model: ConstrainedMDP, constraint: BudgetConstraint, per_unit: int) -> None:
        self.constraint = constraint
        self.down = GridTracker(model, constraint, per_unit, up=False)
        self.up = GridTracker(model, constraint, per_unit, up=True)
        self.start: Any = (self.down.start, self.up.start)

    def step(self, value: Any, cost: int) -> Any:
        """One step of both ends."""
        return self.down.step(value[0], cost), self.up.step(value[1], cost)

    def judge(self, value: Any) -> int:
        """KEPT, BROKEN or UNKNOWN."""
        if self.down.judge(value[0]) == KEPT:
            return KEPT
        return BROKEN if self.up.judge(value[1]) == BROKEN else UNKNOWN

    def remaining(self, values: Sequence[Any]) -> RemainingBudget:
        """The lower ends."""
        return self.down.remaining([v[0] for v in values])


class BudgetStore:
    """The distinct budget vectors (one budget per constraint) met so far, numbered from 0.

    Attributes
    ----------
    values : list of tuples
        The vectors; number 0 is the start.
    now, end : int64 arrays over the numbers
        0 if the vector is kept, ``i + 1`` if constraint ``i`` is broken, -1 if unknown; `now`
        judges the anytime constraints only, `end` all of them.
    """

    def __init__(self, model: ConstrainedMDP, trackers: Sequence[Tracker]) -> None:
        self.trackers = tuple(trackers)
        rows = [model.cost_index(t.constraint.cost) for t in trackers]
        distinct, place = np.unique(model.cost[rows], axis=1, return_inverse=True)
        self._costs: list[tuple[int, ...]] = [tuple(map(int, c)) for c in distinct.T]
        self.cost_class: Ints = np.asarray(place, dtype=np.int64).reshape(-1)
        self.values: list[tuple[Any, ...]] = []
        self._number: dict[tuple[Any, ...], int] = {}
        self._now: list[int] = []
        self._end: list[int] = []
        self._next: dict[int, int] = {}
        self._arrays: tuple[Ints, Ints] | None = None
        self._number_of(tuple(t.start for t in trackers))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def now(self) -> Ints:
        """Judgement of the anytime constraints, by number."""
        return self._judgements()[0]

    @property
    def end(self) -> Ints:
        """Judgement of all constraints, by number."""
        return self._judgements()[1]

    def successors(self, numbers: Ints, classes: Ints) -> Ints:
        """The numbers of the budgets after one step; `classes` are entries of `cost_class`."""
        width = len(self._costs)
        keys, place = _unique(numbers * width + classes)
        after = np.empty(len(keys), dtype=np.int64)
        for i, key in enumerate(keys.tolist()):
            number = self._next.get(key)
            if number is None:
                value, cost = self.values[key // width], self._costs[key % width]
                moved = tuple(
                    t.step(v, c) for t, v, c in zip(self.trackers, value, cost, strict=True)
                )
                number = self._next[key] = self._number_of(moved)
            after[i] = number
        return after[place]

    def shown(self, numbers: Ints) -> tuple[RemainingBudget, ...]:
        """What a guard sees of these budgets, one batch per constraint."""
        distinct, place = _unique(numbers)
        batches = []
        for i, tracker in enumerate(self.trackers):
            batches.append(tracker.remaining([self.values[n][i] for n in distinct.tolist()]))
        return tuple(b.take(place) for b in batches)

    def find(self, value: tuple[Any, ...]) -> int:
        """The number of a vector, or -1."""
        return self._number.get(value, -1)

    def _number_of(self, value: tuple[Any, ...]) -> int:
        number = self._number.get(value)
        if number is None:
            number = self._number[value] = len(self.values)
            self.values.append(value)
            verdicts = [t.judge(v) for t, v in zip(self.trackers, value, strict=True)]
            anytime = [
                v if t.constraint.scope is Scope.ANYTIME else KEPT
                for t, v in zip(self.trackers, verdicts, strict=True)
            ]
            self._now.append(_first_broken(anytime))
            self._end.append(_first_broken(verdicts))
        return number

    def _judgements(self) -> tuple[Ints, Ints]:
        if self._arrays is None or len(self._arrays[0]) < len(self._now):
            self._arrays = np.array(self._now), np.array(self._end)
        return self._arrays


def _first_broken(verdicts: Sequence[int]) -> int:
    if BROKEN in verdicts:
        return verdicts.index(BROKEN) + 1
    return -1 if UNKNOWN in verdicts else 0


def _unique(numbers: Ints) -> tuple[Ints, npt.NDArray[np.intp]]:
    """``np.unique`` with inverse, in linear time when the numbers are small."""
    if not len(numbers):
        return numbers, np.empty(0, dtype=np.intp)
    top = int(numbers.max()) + 1
    if top > 4 * len(numbers) + 1024:
        distinct, place = np.unique(numbers, return_inverse=True)
        return distinct, place
    rank = np.zeros(top, dtype=np.intp)
    rank[numbers] = 1
    distinct = np.flatnonzero(rank)
    rank[distinct] = np.arange(len(distinct))
    return distinct, rank[numbers]
