"""The Lagrangian relaxation: maximise reward minus prices times costs, without a budget.

Its policies keep a budget in expectation at best; nothing makes them keep it surely, and
`mixture_violation` says with which probability they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.expected.costs import ExpectedCosts, expected_cost, judged
from ig_theory.solvers.expected.mixing import Column, best_mixture, least_excess
from ig_theory.solvers.policy_violation import policy_violation
from ig_theory.solvers.solution import Status
from ig_theory.solvers.unconstrained import unconstrained
from ig_theory.verdict import Bounds, Number

MOST_COLUMNS = 200


@dataclass(frozen=True, eq=False)
class LagrangianSolution:
    """The best mixture of deterministic policies found, and what bounds it.

    Attributes
    ----------
    columns : tuple of Column
        The policies of the mixture, int64[S] or [T, S], with their own rewards and costs.
    shares : tuple of Fraction
        With which probability each is drawn, once, before the run; they total exactly 1.
    prices : float64[K]
        The multipliers that give the upper bound.
    value : Bounds
        Around the optimum of the constrained problem: what the mixture earns at least, and the
        Lagrangian dual.
    costs : tuple of Bounds
        Expected costs of the mixture, one a constraint.
    status : Status
        CERTIFIED: the mixture keeps every budget (checked in rationals) and the bounds are
        within the tolerance. INFEASIBLE: no policy keeps them. UNCERTIFIED: otherwise.
    iterations : int
        Relaxed problems solved.
    """

    model: ConstrainedMDP
    constraints: tuple[BudgetConstraint, ...]
    columns: tuple[Column, ...]
    shares: tuple[Fraction, ...]
    prices: Floats
    value: Bounds
    costs: tuple[Bounds, ...]
    status: Status
    iterations: int

    @property
    def gap(self) -> float:
        """The duality gap that is left: the width of `value`."""
        return self.value.width


def lagrangian(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    tolerance: float = 1e-6,
) -> LagrangianSolution:
    """Maximise the expected reward with expected costs within their budgets.

    Column generation (Dantzig and Wolfe): the best mixture of the policies known so far has
    prices; the policy that is best at these prices joins, until none is better. For one
    constraint that is the secant method on the convex dual ``g(lambda) + lambda d``.

    Parameters
    ----------
    tolerance : float
        The gap at which to stop, relative to ``1 + |value|``.

    Raises
    ------
    SolverError
        If the horizon is infinite and discounts differ, or if nothing is discounted and a run
        can stay for ever where rewards or costs are not 0 (use `occupation_lp`).

    Notes
    -----
    Each step solves one unconstrained problem, warm-started; there are about ten for one
    constraint, and more the more constraints there are. Weak duality makes the upper bound
    valid whatever the prices. A mixture is needed: one deterministic policy may be far off.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> found = lagrangian(model, BudgetConstraint("1/2"))
    >>> round(found.value.middle, 9), [round(float(share), 9) for share in found.shares]
    (0.5, [0.5, 0.5])
    >>> round(mixture_violation(found).middle, 9)  # every run that goes exceeds the 1/2
    0.5
    """
    if not tolerance > 0:
        raise SolverError.at("tolerance", "a number > 0", tolerance, "use 1e-6")
    problem = expected_cost(model, constraints)
    _check_transient(problem)
    return _Generation(problem, tolerance).run()


class _Generation:
    """The growing set of columns of one call of `lagrangian`."""

    def __init__(self, problem: ExpectedCosts, tolerance: float) -> None:
        self.problem, self.tolerance = problem, tolerance
        self.budgets = problem.budgets
        self.columns: list[Column] = []
        self.count, self.upper = 0, np.inf
        self.prices = np.zeros(len(self.budgets))
        self.guess: Floats | None = None
        self.inner = tolerance / 20

    def run(self) -> LagrangianSolution:
        first = self._ask(1.0, self.prices)
        self.upper = first
        self.inner = self.tolerance / 20 * (1 + abs(float(self.columns[0].reward.upper)))
        if self._feasible() is Status.INFEASIBLE:
            return self._infeasible()
        while True:
            mixture = best_mixture(self.columns, self.budgets)
            if mixture is None:  # only rounding is in the way of a feasible mixture
                return self._finish((), ())
            shares, prices = mixture
            lower = _rounded(_mixed(self.columns, shares, "lower"), "lower")
            if self._close(lower) or self.count >= MOST_COLUMNS:
                break
            known = len(self.columns)
            dual = self._ask(1.0, prices)
            if dual < self.upper:
                self.upper, self.prices = dual, prices
            if self._close(lower) or len(self.columns) == known:
                break
        kept = [i for i, share in enumerate(shares) if share]
        return self._finish(tuple(self.columns[i] for i in kept), tuple(shares[i] for i in kept))

    def _close(self, lower: float) -> bool:
        return bool(self.upper - lower <= self.tolerance / 2 * (1 + abs(self.upper)))

    def _ask(self, reward: float, prices: Floats) -> float:
        """Solve the relaxed problem, keep its policy, and return the dual bound."""
        problem = self.problem
        bounds, policy, self.guess = problem.relaxed(reward, prices, self.inner, self.guess)
        self.count += 1
        if not any(np.array_equal(policy, column.policy) for column in self.columns):
            worth = problem.worth(policy)
            self.columns.append(Column(policy, worth[0], tuple(worth[1:])))
        terms = [Fraction(float(p)) * d for p, d in zip(prices, self.budgets, strict=True)]
        total = float(sum(terms, Fraction(0)))
        slack = 1e-15 * (abs(total) + abs(float(bounds.upper)))
        return float(bounds.upper) + total + slack

    def _feasible(self) -> Status | None:
        """Add columns until some mixture keeps all budgets; INFEASIBLE if none can."""
        while True:
            excess, prices = least_excess(self.columns, self.budgets)
            if excess <= 0 or self.count >= MOST_COLUMNS:
                return None
            known = len(self.columns)
            if self._ask(0.0, prices) < 0:  # at these prices every policy pays more than allowed
                self.prices = prices
                return Status.INFEASIBLE
            if len(self.columns) == known:
                return None

    def _infeasible(self) -> LagrangianSolution:
        nothing = Bounds(-np.inf, -np.inf)
        return LagrangianSolution(
            self.problem.model, self.problem.constraints, (), (), self.prices, nothing, (),
            Status.INFEASIBLE, self.count,
        )  # fmt: skip

    def _finish(
        self, columns: tuple[Column, ...], shares: tuple[Fraction, ...]
    ) -> LagrangianSolution:
        costs = tuple(
            Bounds(
                _rounded(_mixed(columns, shares, "lower", k), "lower"),
                _within(_mixed(columns, shares, "upper", k), budget),
            )
            for k, budget in enumerate(self.budgets)
        )
        lower = _rounded(_mixed(columns, shares, "lower"), "lower") if columns else -np.inf
        value = Bounds(lower, max(self.upper, lower))
        status = judged(value, bool(columns), self.tolerance)
        return LagrangianSolution(
            self.problem.model, self.problem.constraints, columns, shares, self.prices, value,
            costs if columns else (), status, self.count,
        )  # fmt: skip


def _mixed(
    columns: Sequence[Column], shares: Sequence[Fraction], end: str, cost: int | None = None
) -> Fraction:
    """One end of the bounds of a mixture's reward, or of a cost."""
    total = Fraction(0)
    for column, share in zip(columns, shares, strict=True):
        bounds = column.reward if cost is None else column.costs[cost]
        total += share * Fraction(getattr(bounds, end))
    return total


def _rounded(total: Fraction, end: str) -> float:
    """The nearest float that is not inside the bounds."""
    nearest = float(total)
    if (nearest <= total) if end == "lower" else (nearest >= total):
        return nearest
    return float(np.nextafter(nearest, -np.inf if end == "lower" else np.inf))


def _within(total: Fraction, budget: Fraction) -> Number:
    """An upper end rounded up, unless that alone would put it over its budget."""
    nearest = _rounded(total, "upper")
    return total if total <= budget < nearest else nearest


def mixture_violation(solution: LagrangianSolution, *, limit: int = DEFAULT_LIMIT) -> Bounds:
    """P(the run violates a budget), read almost surely as the constraints say, of the mixture.

    Each policy's chain over (state, remaining budget) is explored exactly; pairs beyond `limit`
    stay open and widen the bounds.

    Raises
    ------
    SolverError
        If the solution has no mixture.
    """
    if not solution.columns:
        raise SolverError.at("mixture", "a feasible one", "none", "raise the budgets")
    lower = upper = Fraction(0)
    for column, share in zip(solution.columns, solution.shares, strict=True):
        found = policy_violation(solution.model, solution.constraints, column.policy, limit=limit)
        lower += share * Fraction(float(found.lower))
        upper += share * Fraction(float(found.upper))
    return Bounds(max(float(lower), 0.0), min(float(upper), 1.0))


def _check_transient(problem: ExpectedCosts) -> None:
    model = problem.model
    if problem.horizon is not None or model.reward_discount < 1:
        return
    from ig_theory.solvers.totals.end_components import StateGraph, end_components

    running = ~model.terminal[model.choice_state]
    _, inside = end_components(StateGraph(model), running)
    paying = np.flatnonzero(inside & ((problem.reward != 0) | (problem.cost != 0).any(axis=0)))
    if len(paying):
        name = model.state_name(int(model.choice_state[paying[0]]))
        raise SolverError.at(
            f"undiscounted relaxation around state {name}",
            "no reward or cost where a run can stay for ever", "some",
            "use occupation_lp, a discount below 1, or a horizon",
        )  # fmt: skip


def lagrangian_policy(
    model: ConstrainedMDP, constraint: BudgetConstraint, lam: float
) -> dict[tuple[int, int], int]:
    """A deterministic policy that is greedy for ``r - lam c`` (both discounted by beta).

    Returns
    -------
    dict
        ``(state, time) -> choice``; time is 0 throughout when the horizon is infinite.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> [lagrangian_policy(model, BudgetConstraint(0), lam)[0, 0] for lam in (0.5, 2.0)]
    [0, 1]
    """
    row = model.cost_index(constraint.cost)
    gain = model.reward.astype(np.float64) - lam * float(model.cost_unit) * model.cost[row]
    found = unconstrained(model, gain=gain, tolerance=1e-9, horizon=constraint.horizon)
    assert found.solution.policy is not None
    steps = np.atleast_2d(found.solution.policy)
    return {
        (state, time): choice
        for time, picked in enumerate(steps.tolist())
        for state, choice in enumerate(picked)
        if choice >= 0
    }
