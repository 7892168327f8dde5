"""The minimal budget D(s), the safe set and the shield's allowed choices (THEORY L2.demand).

``D(s) = min_a max(0, max_{s'} [c + gamma D(s')])``, the least fixed point in [0, inf]. Some
policy keeps the budget from (s, z) almost surely iff ``z >= D(s)``; only supports enter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.budget import INFINITE
from ig_theory.cmdp import Bools, ConstrainedMDP, Ints
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView

Demands = npt.NDArray[Any]
"""int64 with `INFINITE` (gamma = 1), or Fractions with ``math.inf``; multiples of the unit."""


@dataclass(frozen=True, eq=False)
class SafeSet:
    """The pairs (s, z) from which the budget can be kept almost surely.

    Attributes
    ----------
    demand : [S], or [T+1, S] with a horizon
        Minimal budgets in multiples of the model's ``cost_unit``; row ``t`` with ``t`` steps to
        go. int64 with `INFINITE` when ``gamma = 1``, else Fractions with ``math.inf``.
    strict : bool, same shape
        True where the budget must exceed the demand (open boundary).
    """

    model: ConstrainedMDP
    constraint: BudgetConstraint
    demand: Demands
    strict: Bools

    def budget_of(self, state: int, time: int = 0) -> Fraction | float:
        """The minimal budget of a state in cost units; ``math.inf`` if none is enough."""
        number = self._row(self.demand, time)[state]
        if number == math.inf or (self.demand.dtype != object and number >= INFINITE):
            return math.inf
        return (
            Fraction(number if isinstance(number, Fraction) else int(number)) * self.model.cost_unit
        )

    def contains(self, state: int, z: Fraction, time: int = 0) -> bool:
        """Whether some policy keeps the budget almost surely from here."""
        least = self.budget_of(state, time)
        return least < z or (least == z and not self._row(self.strict, time)[state])

    def start_is_safe(self) -> bool:
        """Whether the constraint's own budget is enough for every initial state."""
        first = np.flatnonzero((self.model.initial > 0).astype(bool))
        return all(self.contains(int(s), self.constraint.budget) for s in first)

    def choice_demand(self, time: int | None = None) -> tuple[Demands, Bools]:
        """What each choice demands of z: ``c + gamma max D(s')``, and where z must exceed it.

        Parameters
        ----------
        time
            Steps already taken; needed with a finite horizon only.

        Returns
        -------
        demand [C], strict bool[C]
        """
        steps = None if self.constraint.horizon is None else self.constraint.horizon - (time or 0)
        if steps is not None and steps < 1:
            raise SolverError.at(
                "time", f"below {self.constraint.horizon}", time, "the run is over"
            )
        key = -1 if steps is None else steps
        cache: dict[int, tuple[Demands, Bools]] = self.__dict__.setdefault("_choices", {})
        if key not in cache:
            after = self.demand if steps is None else self.demand[steps - 1]
            after_strict = self.strict if steps is None else self.strict[steps - 1]
            cache[key] = _choice_demand(self.model, self.constraint, after, after_strict)
        return cache[key]

    def allowed(self, view: GuardView, batch: int = 0) -> Bools:
        """The shield (THEORY L3.safe): which choices keep every successor in the safe set.

        Parameters
        ----------
        view
            Must tell the state.
        batch
            Which of the view's budgets is this constraint's.

        Returns
        -------
        bool[N, A]
        """
        demand, strict = self.view_demand(view)
        return view.enabled & view.budgets[batch].covers(demand, strict)

    def view_demand(self, view: GuardView) -> tuple[Demands, Bools]:
        """`choice_demand` laid out like a view, [N, A]; meaningless on padding."""
        choice = _choices(self.model, view)
        if view.time is None:
            demand, strict = self.choice_demand()
            return demand[choice], strict[choice]
        out = np.empty(choice.shape, dtype=self.demand.dtype)
        out_strict = np.empty(choice.shape, dtype=bool)
        for time in np.unique(view.time):
            rows = view.time == time
            demand, strict = self.choice_demand(int(time))
            out[rows], out_strict[rows] = demand[choice[rows]], strict[choice[rows]]
        return out, out_strict

    def _row(self, array: npt.NDArray[Any], time: int) -> npt.NDArray[Any]:
        horizon = self.constraint.horizon
        return array if horizon is None else np.asarray(array[horizon - time])


def minimal_budget(model: ConstrainedMDP, constraint: BudgetConstraint) -> SafeSet:
    """Compute D exactly.

    ``gamma = 1``: integers, by settling states in ascending order, about O(B) with small costs.
    ``gamma < 1``: rationals, by value iteration in floats and exact policy improvement. A finite
    horizon: T exact steps, O(T B).

    Raises
    ------
    SolverError
        If costs are negative and the horizon is infinite, or numbers would overflow.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (2, 0, {"end": 1}), "on": (1, 0, {"s": 1})}}, initial="s")
    >>> minimal_budget(model, BudgetConstraint(0)).budget_of(0)
    Fraction(2, 1)
    >>> minimal_budget(model, BudgetConstraint(0, discount="1/3")).budget_of(0)
    Fraction(3, 2)
    """
    cost = model.cost[model.cost_index(constraint.cost)]
    largest = int(np.abs(cost).max()) if len(cost) else 0
    if constraint.horizon is not None:
        rows = _finite(model, constraint, cost, constraint.horizon, largest)
        exceed = np.full(rows.shape, constraint.boundary is Boundary.OPEN)
        return SafeSet(model, constraint, rows, exceed)
    if (cost < 0).any():
        choice = int(np.flatnonzero(cost < 0)[0])
        raise SolverError.at(
            f"cost of choice {choice}", "costs >= 0 with an infinite horizon", int(cost[choice]),
            "set a horizon, or shift the cost model so that no cost is negative",
        )  # fmt: skip
    if constraint.discount == 1:
        _no_overflow(largest * model.S)
        demand = _integer(model, cost)
    else:
        demand = _discounted(model, constraint.discount, cost)
    strict: Bools = np.full(model.S, constraint.boundary is Boundary.OPEN)
    if constraint.boundary is Boundary.OPEN and constraint.discount < 1:
        strict = _must_exceed(model, constraint, demand)
    return SafeSet(model, constraint, demand, strict)


def _integer(model: ConstrainedMDP, cost: Ints) -> Demands:
    from ig_theory.solvers.kernels.budget import least_demands

    return np.asarray(
        least_demands(
            model.choice_ptr, np.ascontiguousarray(cost), model.branch_ptr, model.branch_state,
            model.terminal, INFINITE,
        )
    )  # fmt: skip


def _finite(
    model: ConstrainedMDP, constraint: BudgetConstraint, cost: Ints, horizon: int, largest: int
) -> Demands:
    gamma, anytime = constraint.discount, constraint.scope is Scope.ANYTIME
    p, q = gamma.numerator, gamma.denominator
    integer = q == 1
    if integer:
        _no_overflow(largest * max(horizon, 1))
    costs = cost if integer else cost.astype(object)
    rows: Demands = np.zeros((horizon + 1, model.S), dtype=np.int64 if integer else object)
    # Over the denominator q^t the recursion D_t = c + gamma D_{t-1} stays in integers.
    for t in range(1, horizon + 1):
        worst = np.maximum.reduceat(rows[t - 1][model.branch_state], model.branch_ptr[:-1])
        through: Demands = costs * q**t + p * worst
        if anytime:
            through = np.asarray(np.maximum(through, 0))
        rows[t] = np.minimum.reduceat(through, model.choice_ptr[:-1])
    if integer:
        return rows
    for t in range(horizon + 1):
        rows[t] = [Fraction(int(n), q**t) for n in rows[t]]
    return rows


def _discounted(model: ConstrainedMDP, gamma: Fraction, cost: Ints) -> Demands:
    """Exact D for gamma < 1: the unique bounded fixed point (THEORY L2.least).

    Value iteration in floats proposes, for each state, a choice and its worst branch; their
    values solve exactly along paths that end in cycles. Where the Bellman equation then fails,
    the proposal is improved: first the worst branches, then the choices (strategy iteration).
    """
    best, worst = _float_proposal(model, float(gamma), cost.astype(np.float64))
    costs = np.array([Fraction(int(c)) for c in cost], dtype=object)
    while True:
        demand = _follow(model, gamma, costs, best, worst)
        value = demand[model.branch_state]
        most = np.maximum.reduceat(value, model.branch_ptr[:-1])
        better = (most > value[worst]).astype(bool)
        if better[best].any():
            is_worst = (value == most[model.branch_choice]).astype(bool)
            worst = np.where(better, _first(is_worst, model.branch_ptr), worst)
            continue
        through = costs + gamma * most
        least = np.minimum.reduceat(through, model.choice_ptr[:-1])
        improved = (least < demand).astype(bool)
        if not improved.any():
            return demand
        is_best = (through == least[model.choice_state]).astype(bool)
        best = np.where(improved, _first(is_best, model.choice_ptr), best)


def _float_proposal(
    model: ConstrainedMDP, gamma: float, cost: npt.NDArray[np.float64]
) -> tuple[Ints, Ints]:
    demand = np.zeros(model.S)
    for _ in range(100_000):
        most = np.maximum.reduceat(demand[model.branch_state], model.branch_ptr[:-1])
        through = cost + gamma * most
        least = np.minimum.reduceat(through, model.choice_ptr[:-1])
        still = np.abs(least - demand).max() <= 1e-13 * (1 + np.abs(least).max())
        demand = least
        if still:
            break
    is_worst = demand[model.branch_state] == most[model.branch_choice]
    is_best = through == least[model.choice_state]
    # The last sweep moved nothing by more than rounding; a choice or branch that no longer
    # attains its optimum to the bit is picked anyway and repaired exactly.
    worst = np.where(
        np.maximum.reduceat(is_worst, model.branch_ptr[:-1]),
        _first(is_worst, model.branch_ptr), model.branch_ptr[:-1],
    )  # fmt: skip
    return _first(is_best, model.choice_ptr), worst


def _first(marked: Bools, ptr: Ints) -> Ints:
    """The first marked index of each row (the row's start if none is)."""
    index = np.where(marked, np.arange(len(marked)), len(marked))
    found = np.minimum.reduceat(index, ptr[:-1])
    return np.where(found < len(marked), found, ptr[:-1])


def _follow(
    model: ConstrainedMDP, gamma: Fraction, costs: Demands, best: Ints, worst: Ints
) -> Demands:
    """The exact discounted cost when every state takes one choice and one branch."""
    successor = model.branch_state[worst[best]].tolist()
    pay = costs[best]
    value: list[Any] = [None] * model.S
    for state in np.flatnonzero(model.terminal).tolist():
        value[state] = Fraction(0)
    for root in range(model.S):
        path: list[int] = []
        place: dict[int, int] = {}
        state = root
        while value[state] is None and state not in place:
            place[state] = len(path)
            path.append(state)
            state = successor[state]
        if value[state] is None:  # a new cycle: sum once around it
            around, weight = Fraction(0), Fraction(1)
            for member in path[place[state] :]:
                around += weight * pay[member]
                weight *= gamma
            value[state] = around / (1 - weight)
            path = path[: place[state]] + path[place[state] + 1 :]
        for member in reversed(path):
            value[member] = pay[member] + gamma * value[successor[member]]
    out = np.empty(model.S, dtype=object)
    out[:] = value
    return out


def _must_exceed(model: ConstrainedMDP, constraint: BudgetConstraint, demand: Demands) -> Bools:
    """Open boundary, gamma < 1: states that lose at ``z = D(s)`` exactly.

    There z stays tight along some branches; it is lost if it meets ``D = 0`` (z = 0 is broken)
    in finite time. If it can stay tight for ever, z never falls to 0 (c = 1, d = 1/(1-gamma)).
    """
    strict: Bools = (demand == 0).astype(bool)
    while True:
        choices, exceed = _choice_demand(model, constraint, demand, strict)
        tight = (choices == demand[model.choice_state]).astype(bool)
        wins = np.maximum.reduceat(tight & ~exceed, model.choice_ptr[:-1])
        lost: Bools = np.asarray(strict | ~wins)
        if (lost == strict).all():
            return strict
        strict = lost


def _choice_demand(
    model: ConstrainedMDP, constraint: BudgetConstraint, after: Demands, strict: Bools
) -> tuple[Demands, Bools]:
    cost = model.cost[model.cost_index(constraint.cost)]
    value = after[model.branch_state]
    most = np.maximum.reduceat(value, model.branch_ptr[:-1])
    exceed = np.zeros(model.C, dtype=bool)
    if strict.any():
        attains = (value == most[model.branch_choice]).astype(bool) & strict[model.branch_state]
        exceed = np.logical_or.reduceat(attains, model.branch_ptr[:-1])
    if after.dtype == object:
        return cost.astype(object) + constraint.discount * most, exceed
    return np.where(most >= INFINITE, INFINITE, cost + most), exceed


def _choices(model: ConstrainedMDP, view: GuardView) -> Ints:
    if view.state is None:
        raise SolverError.at("view.state", "the state", "None", "a shield needs the model's state")
    return np.maximum(model.padded_choices[view.state], 0)


def _no_overflow(largest: int) -> None:
    if largest >= 2**61:
        raise SolverError.at("costs", "sums below 2^61 units", largest, "use a coarser cost_unit")
