"""Step functions of the budget, all states at once: one step of the recursion of `pareto`.

A layer holds, state after state, ascending breakpoints and the values from each of them on. Budgets
are whole numbers over the common denominator ``q^t``: int64 while they fit, else Python integers.
All lookups and merges are sorts of integer ranks, so that the same code serves both, and Fractions
as well as floats for the values.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.chain import ROUNDING
from ig_theory.cmdp import Bools, ConstrainedMDP, Ints, Numbers
from ig_theory.constraint import BudgetConstraint, Scope
from ig_theory.errors import SolverError
from ig_theory.verdict import Bounds

Whole = npt.NDArray[Any]
"""Whole numbers: int64, or Python integers as objects."""

LARGEST = 2**62
"""Budgets beyond this are Python integers."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Nondecreasing step functions of the budget, one per state.

    Attributes
    ----------
    ptr : int64[S+1]
        The breakpoints of state ``s`` are ``ptr[s] .. ptr[s+1]-1``.
    at : whole numbers [E]
        Breakpoints, ascending within a state, in multiples of ``cost_unit / q^t``. Below the
        first the value is ``-inf``.
    lower, upper : [E]
        Bounds on the value from each breakpoint to the next; one and the same array of Fractions
        when exact.
    choice : int64[E]
        The model's choice that attains `lower`; -1 where nothing is chosen.
    """

    ptr: Ints
    at: Whole
    lower: Numbers
    upper: Numbers
    choice: Ints

    def find(self, place: int, z: Fraction, strict: bool) -> int:
        """The step that a budget is on (from its breakpoint exclusively if strict), or -1."""
        low, high = int(self.ptr[place]), int(self.ptr[place + 1])
        last = math.ceil(z) - 1 if strict else math.floor(z)
        if self.at.dtype != object:
            last = min(max(last, -LARGEST), LARGEST)
        found = bisect_right(self.at, last, low, high) - 1
        return found if found >= low else -1

    def bounds(self, step: int) -> Bounds:
        """The value on a step."""
        lower, upper = self.lower[step], self.upper[step]
        if isinstance(lower, Fraction):
            return Bounds(lower, upper)
        return Bounds(float(lower), float(upper))


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """The numbers of a model and a constraint as the recursion reads them.

    `prob`, `reward`, `beta` and `merge` are Fractions in exact mode, else floats; `merge` is how
    much the values of merged breakpoints may differ.
    """

    model: ConstrainedMDP
    cost: Ints
    p: int
    q: int
    anytime: bool
    prob: Numbers
    reward: Numbers
    beta: Any
    merge: Any
    limit: int

    @classmethod
    def of(
        cls, model: ConstrainedMDP, constraint: BudgetConstraint, epsilon: Any, limit: int
    ) -> Arithmetic:
        """Prepare; `epsilon` is shared out over the steps."""
        beta: Any = model.reward_discount
        prob: Numbers = model.branch_prob
        merge: Any = Fraction(epsilon) / max(
            sum(beta**k for k in range(constraint.horizon or 0)), 1
        )
        if not model.exact:
            prob = prob / np.add.reduceat(prob, model.branch_ptr[:-1])[model.branch_choice]
            beta, merge = float(beta), float(merge)
        return cls(
            model, model.cost[model.cost_index(constraint.cost)],
            constraint.discount.numerator, constraint.discount.denominator,
            constraint.scope is Scope.ANYTIME, prob, model.reward, beta, merge, limit,
        )  # fmt: skip

    def last_layer(self) -> Steps:
        """No steps to go: any kept budget is worth 0."""
        states = self.model.S
        value = np.zeros(states)
        if self.model.exact:
            value = np.full(states, Fraction(0), dtype=object)
        nothing = np.full(states, -1)
        return Steps(np.arange(states + 1), np.zeros(states, dtype=np.int64), value, value, nothing)

    def rounding(self, steps: Steps, longest: int) -> float:
        """A bound on the rounding error of one backup of a choice."""
        if self.model.exact:
            return 0.0
        size = np.abs(steps.lower).max() + np.abs(steps.upper).max() + np.abs(self.reward).max()
        return float(ROUNDING * (longest + 6) * size)


def backward(arithmetic: Arithmetic, after: Steps, left: int) -> Steps:
    """The layer with `left` steps to go from the one with ``left - 1``."""
    model = arithmetic.model
    longest = int(np.diff(model.branch_ptr).max())
    error = arithmetic.rounding(after, longest)
    row, at, lower, upper = _expected(
        arithmetic, after, model.branch_ptr, model.branch_state, arithmetic.prob, left
    )
    same = lower is upper
    lower = arithmetic.reward[row] + arithmetic.beta * lower
    upper = lower if same else arithmetic.reward[row] + arithmetic.beta * upper
    if not model.exact:
        lower, upper = lower - error, upper + error
    at = _moved(arithmetic, at, row, left)
    best = _best(model.choice_state[row], at, lower, upper, row, model.S)
    # In floats, values that are equal but for rounding are one step.
    return _merged(best, max(arithmetic.merge, 4 * error) if error else arithmetic.merge)


def over_start(arithmetic: Arithmetic, first: Steps, left: int) -> Steps:
    """The expectation over the initial distribution, a step function of the common budget."""
    model = arithmetic.model
    support = np.flatnonzero((model.initial > 0).astype(bool))
    prob = model.initial[support]
    prob = prob / prob.sum()
    error = arithmetic.rounding(first, len(support))
    row, at, lower, upper = _expected(
        arithmetic, first, np.array([0, len(support)]), support, prob, left
    )
    if not model.exact:
        lower, upper = lower - error, upper + error
    best = _best(row, at, lower, upper, np.full(len(row), -1), 1)
    return _merged(best, 4 * error)


def _expected(
    arithmetic: Arithmetic, steps: Steps, row_ptr: Ints, successor: Ints, prob: Numbers, left: int
) -> tuple[Ints, Whole, Numbers, Numbers]:
    """Expectations of step functions over the branches of every row (a choice).

    Returns
    -------
    row, at, lower, upper : [F]
        For each row, ascending, the breakpoints of any of its successors from which on all
        successors have a value, and the expected value there.
    """
    distinct, rank = np.unique(steps.at, return_inverse=True)
    wide = len(distinct)
    owner = np.repeat(np.arange(len(row_ptr) - 1), np.diff(row_ptr))
    size = np.diff(steps.ptr)[successor]
    _within(arithmetic, int(size.sum()), left)
    index = _ranges(steps.ptr[successor], size)
    key = np.sort(np.repeat(owner, size) * wide + rank[index])
    key = key[np.append(True, key[1:] != key[:-1])]
    row, level = key // wide, key % wide
    least = np.maximum.reduceat(rank[steps.ptr[successor]], row_ptr[:-1])
    defined = level >= least[row]
    row, level = row[defined], level[defined]
    width = np.diff(row_ptr)[row]
    _within(arithmetic, int(width.sum()), left)
    branch = _ranges(row_ptr[row], width)
    state = np.repeat(np.arange(len(steps.ptr) - 1), np.diff(steps.ptr))
    place = np.searchsorted(
        state * wide + rank, successor[branch] * wide + np.repeat(level, width), side="right"
    ) - 1  # fmt: skip
    first = np.cumsum(width) - width
    lower = np.add.reduceat(prob[branch] * steps.lower[place], first)
    if steps.lower is steps.upper:
        return row, distinct[level], lower, lower
    return row, distinct[level], lower, np.add.reduceat(prob[branch] * steps.upper[place], first)


def _moved(arithmetic: Arithmetic, at: Whole, row: Ints, left: int) -> Whole:
    """Breakpoints before the step: ``c + gamma z'``, over the denominator ``q^left``."""
    scale = arithmetic.q**left
    largest = int(np.abs(arithmetic.cost).max()) * scale + arithmetic.p * int(np.abs(at).max())
    kind: Any = np.int64 if at.dtype != object and largest < LARGEST else object
    # Once the denominator outgrows int64, so do the largest budgets, or else there are no costs.
    cost = arithmetic.cost[row].astype(kind)
    paid = cost * scale if scale < LARGEST or kind is object else np.zeros(len(row), dtype=kind)
    moved = paid + arithmetic.p * at.astype(kind)
    return np.asarray(np.maximum(moved, 0)) if arithmetic.anytime else moved


def _best(
    state: Ints, at: Whole, lower: Numbers, upper: Numbers, choice: Ints, states: int
) -> Steps:
    """The largest of each state's step functions; every breakpoint left raises a bound."""
    distinct, rank = np.unique(at, return_inverse=True)
    key = state * len(distinct) + rank
    order = np.argsort(key, kind="stable")
    key, state = key[order], state[order]
    below, source = _running(lower[order], state)
    above = below if lower is upper else _running(upper[order], state)[0]
    # Of several entries at one breakpoint the last holds the maximum of all.
    last = np.flatnonzero(np.append(key[1:] != key[:-1], True))
    new = np.append(True, state[last[1:]] != state[last[:-1]])
    raises = np.append(True, below[last[1:]] > below[last[:-1]])
    if above is not below:
        raises |= np.append(True, above[last[1:]] > above[last[:-1]])
    kept = last[new | raises.astype(bool)]
    ptr = np.searchsorted(state[kept], np.arange(states + 1))
    value = below[kept]
    return Steps(
        ptr, at[order[kept]], value, value if above is below else above[kept],
        choice[order[source[kept]]],
    )  # fmt: skip


def _running(value: Numbers, state: Ints) -> tuple[Numbers, Ints]:
    """The running maximum within each state, and the entry that first attained it."""
    distinct, rank = np.unique(value, return_inverse=True)
    key = state * len(distinct) + rank
    most = np.maximum.accumulate(key)
    rises = np.append(True, most[1:] > most[:-1])
    source = np.maximum.accumulate(np.where(rises, np.arange(len(key)), 0))
    return distinct[most - state * len(distinct)], source


def _merged(steps: Steps, epsilon: Any) -> Steps:
    """Merge runs of steps whose middles differ by at most `epsilon`, from the left.

    The gap between the bounds grows by no more than epsilon: it becomes the mean of the gaps of
    the first and the last step of the run, plus the distance of their middles.
    """
    if not epsilon or len(steps.at) < 2:
        return steps
    middle = steps.lower if steps.lower is steps.upper else (steps.lower + steps.upper) / 2
    heads = np.zeros(len(middle), dtype=bool)
    heads[steps.ptr[:-1]] = True
    if not (~heads[1:] & (middle[1:] - middle[:-1] <= epsilon).astype(bool)).any():
        return steps
    first = _greedy(middle, heads, epsilon)
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(middle)) - 1
    return Steps(
        np.searchsorted(starts, steps.ptr), steps.at[starts], steps.lower[starts],
        steps.upper[ends], steps.choice[starts],
    )  # fmt: skip


def _greedy(middle: Numbers, heads: Bools, epsilon: Any) -> Bools:
    """Where runs start."""
    first = heads.tolist()
    start: Any = middle[0]
    for i, value in enumerate(middle.tolist()):
        if first[i] or value - start > epsilon:
            first[i], start = True, value
    return np.array(first)


def _ranges(first: Ints, size: Ints) -> Ints:
    """``first[i] .. first[i] + size[i] - 1`` for every i, one after the other."""
    ends = np.cumsum(size)
    return np.asarray(np.arange(int(ends[-1])) + np.repeat(first - (ends - size), size))


def _within(arithmetic: Arithmetic, count: int, left: int) -> None:
    if count > arithmetic.limit:
        raise SolverError.at(
            f"breakpoints with {left} steps to go", f"at most {arithmetic.limit}", count,
            "merge them by a positive epsilon, shorten the horizon, or raise the limit",
        )  # fmt: skip
