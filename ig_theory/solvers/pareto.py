"""The exact Pareto front of worst-case budget against reward, for a finite horizon.

With ``t`` steps to go, the best expected reward among the policies that keep the budget surely is
a nondecreasing step function of the remaining budget. The steps satisfy

    ``V_t(s, z) = max_a [r + beta sum_s' P(s'|s,a) V_{t-1}(s', (z - c) / gamma)]``,

with value ``-inf`` where the budget cannot be kept (THEORY L2.demand, L3.permissive), so that a
breakpoint ``y`` of ``V_{t-1}`` becomes ``c + gamma y``: whatever gamma is, breakpoints
are whole multiples of ``cost_unit / q^t`` with q the denominator of gamma. No product with budgets
is explored and no grid is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.pareto_steps import Arithmetic, Steps, backward, over_start
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds

DEFAULT_BREAKPOINTS = 4_000_000
"""How many breakpoints one step of the recursion may handle unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Pareto:
    """The step functions of every state and every number of steps to go.

    Attributes
    ----------
    steps : Steps [T+1]
        With ``t`` steps to go; the last belongs to time 0.
    start : Steps
        The expectation over the initial distribution, as if it were the only state.
    initial : Bounds
        The value at the constraint's own budget; ``-inf`` if that cannot be kept.
    gap : float
        The largest distance between the lower and the upper function over all states and times:
        0 if exact, else what merging and rounding cost.
    status : Status
        EXACT or CERTIFIED; INFEASIBLE if the constraint's own budget cannot be kept (the
        functions hold all the same).
    """

    model: ConstrainedMDP
    constraint: BudgetConstraint
    steps: tuple[Steps, ...]
    start: Steps
    initial: Bounds
    gap: float
    status: Status

    def at(self, state: int | None, z: Fraction | int, time: int = 0) -> Bounds:
        """V(state, z) at a time, or over the initial distribution (state None); O(log)."""
        steps, place, scaled = self._locate(state, z, time)
        found = steps.find(place, scaled, self._strict)
        if found < 0:
            return Bounds(-math.inf, -math.inf)
        return steps.bounds(found)

    def choice(self, state: int, z: Fraction | int, time: int = 0) -> int:
        """The model's choice that attains the lower function; -1 where there is none.

        Followed at every step it keeps the budget surely and earns at least ``at(...).lower``.
        """
        steps, place, scaled = self._locate(state, z, time)
        found = steps.find(place, scaled, self._strict)
        return -1 if found < 0 else int(steps.choice[found])

    def front(self, state: int | None = None, time: int = 0) -> list[tuple[Fraction, Bounds]]:
        """The front: each breakpoint with the value from there to the next.

        Parameters
        ----------
        state
            None: over the initial distribution (time 0), for a budget that all states share.
        time
            Steps already taken.

        Returns
        -------
        list of (budget, value)
            Budgets in cost units, ascending; the first is the minimal budget ``D_{T-time}``. With
            an open boundary the budget must exceed them.
        """
        steps, place, _ = self._locate(state, 0, time)
        unit = self._unit(time)
        low, high = int(steps.ptr[place]), int(steps.ptr[place + 1])
        return [(unit * int(steps.at[i]), steps.bounds(i)) for i in range(low, high)]

    @property
    def _strict(self) -> bool:
        return self.constraint.boundary is Boundary.OPEN

    def _unit(self, time: int) -> Fraction:
        left = len(self.steps) - 1 - time
        return self.model.cost_unit / Fraction(self.constraint.discount.denominator) ** left

    def _locate(
        self, state: int | None, z: Fraction | int, time: int
    ) -> tuple[Steps, int, Fraction]:
        horizon = len(self.steps) - 1
        if not 0 <= time <= horizon or (state is None and time > 0):
            want = "0 without a state" if state is None else f"within 0..{horizon}"
            raise SolverError.at("time", want, time, "ask about a time of the run")
        if state is not None and not 0 <= state < self.model.S:
            raise SolverError.at("state", f"within 0..{self.model.S - 1}", state, "pick a state")
        scaled = Fraction(z) / self._unit(time)
        if state is None:
            return self.start, 0, scaled
        return self.steps[horizon - time], state, scaled


def pareto(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    *,
    epsilon: Fraction | float | int = 0,
    limit: int = DEFAULT_BREAKPOINTS,
) -> Pareto:
    """Compute the step functions backwards, for all states, budgets and times at once.

    Any gamma in (0, 1], costs of any sign, both scopes and both boundaries. Values are Fractions
    for a model in exact mode; else float bounds with every rounding accounted for, in which steps
    that differ by no more than rounding are one. O(T n log n) for n breakpoints of a layer, times
    branches; n may grow exponentially with T unless gamma = 1 or `epsilon` is positive.

    Parameters
    ----------
    constraint
        With a horizon. Its budget only decides `Pareto.initial`.
    epsilon
        How wide the bounds at time 0 may become by merging breakpoints of nearly the same value:
        in the lower function they are raised late, in the upper one early. Breakpoints left stay
        exact, the minimal budget among them.
    limit
        The most breakpoints one step may handle.

    Raises
    ------
    SolverError
        If the horizon is infinite, epsilon negative, or breakpoints exceed the limit.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> moves = {"spend": (1, 3, {"s": 1}), "save": (0, 1, {"s": 1})}
    >>> model = from_dict({"s": moves}, initial="s", exact=True)
    >>> answer = pareto(model, BudgetConstraint(0, discount="1/2", horizon=2))
    >>> [(str(budget), int(value.lower)) for budget, value in answer.front()]
    [('0', 2), ('1/2', 4), ('3/2', 6)]
    """
    horizon = constraint.horizon
    if horizon is None:
        raise SolverError.at(
            "horizon", "a finite one", "none", "set horizon=T, or use budgeted_value"
        )
    if not 0 <= epsilon < math.inf:
        raise SolverError.at("epsilon", "a number >= 0", epsilon, "use 0 for no merging")
    arithmetic = Arithmetic.of(model, constraint, epsilon, limit)
    layers = [arithmetic.last_layer()]
    for left in range(1, horizon + 1):
        layers.append(backward(arithmetic, layers[-1], left))
    start = over_start(arithmetic, layers[-1], horizon)
    gap = max(_gap(steps) for steps in (*layers, start))
    exact = all(steps.lower is steps.upper for steps in (*layers, start))
    status = Status.EXACT if exact else Status.CERTIFIED
    nowhere = Bounds(-math.inf, -math.inf)
    answer = Pareto(model, constraint, tuple(layers), start, nowhere, gap, status)
    initial = answer.at(None, constraint.budget)
    status = Status.INFEASIBLE if initial.upper == -math.inf else status
    return Pareto(model, constraint, tuple(layers), start, initial, gap, status)


def _gap(steps: Steps) -> float:
    if steps.lower is steps.upper:
        return 0.0
    width: Any = np.max(steps.upper - steps.lower, initial=0)
    return float(width)
