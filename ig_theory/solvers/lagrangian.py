"""The Lagrangian relaxation: maximise reward minus prices times costs, without a budget.

Its policies keep a budget in expectation at best; nothing makes them keep it surely, and
`mixture_violation` says with which probability they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ig_theory.augmentation import BROKEN, DEFAULT_LIMIT, OPEN, every_choice, explore
from ig_theory.chain import evaluate
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView
from ig_theory.solvers.expected_cost import ExpectedCost, expected_cost, judged
from ig_theory.solvers.mixing import Column, best_mixture, least_excess
from ig_theory.solvers.solution import Status
from ig_theory.solvers.total_reward import best_total
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

    def __init__(self, problem: ExpectedCost, tolerance: float) -> None:
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


def policy_violation(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    policy: Ints,
    *,
    limit: int = DEFAULT_LIMIT,
) -> Bounds:
    """P(the run violates a budget) under a deterministic policy, int64[S] or [T, S]."""

    def follow(view: GuardView) -> Floats:
        assert view.state is not None
        picked = policy[view.state] if view.time is None else policy[view.time, view.state]
        out = np.zeros(view.base.shape)
        out[np.arange(len(view)), picked - model.choice_ptr[view.state]] = 1.0
        return out

    product = explore(model, constraints, follow, limit=limit)
    breaking = np.bincount(
        product.choice_node, weights=product.weight * (product.broken > 0), minlength=len(product)
    )
    lost = np.where(product.outcome == BROKEN, 1.0, breaking)
    if not lost.any() and product.complete:
        return Bounds(0.0, 0.0)
    both = np.stack([lost, np.where(product.outcome == OPEN, 1.0, lost)], axis=1)
    totals = evaluate(product, both, 1.0)
    share = product.initial_prob.astype(np.float64)
    share /= share.sum()
    margin = 0.0 if len(share) == 1 else 4e-16 * (len(share) + 2)
    lower = float(share @ totals.lower[product.initial, 0]) - margin
    upper = float(share @ totals.upper[product.initial, 1]) + margin
    return Bounds(min(max(lower, 0.0), 1.0), max(min(upper, 1.0), 0.0))


def _check_transient(problem: ExpectedCost) -> None:
    model = problem.model
    if problem.horizon is not None or model.reward_discount < 1:
        return
    from ig_theory.solvers.end_components import StateGraph, end_components

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
    # Without costs to count, the pairs are the states (at each time).
    free = BudgetConstraint(0, horizon=constraint.horizon, cost=constraint.cost)
    product = explore(_without_costs(model), free, every_choice, limit=2**31)
    gain = model.reward.astype(np.float64) - lam * float(model.cost_unit) * model.cost[row]
    solution = best_total(
        product, gain[product.choice], np.zeros(len(product)), model.reward_discount,
        np.ones(len(product.choice), dtype=bool),
    )  # fmt: skip
    assert solution.policy is not None
    nodes: Ints = np.flatnonzero(solution.policy >= 0)
    time = product.time[nodes] if product.timed else np.zeros(len(nodes), dtype=np.int64)
    picked = product.choice[solution.policy[nodes]]
    keys = zip(product.state[nodes].tolist(), time.tolist(), strict=True)
    return dict(zip(keys, picked.tolist(), strict=True))


def _without_costs(model: ConstrainedMDP) -> ConstrainedMDP:
    return ConstrainedMDP(
        model.choice_ptr, model.branch_ptr, model.branch_state, model.branch_prob,
        model.reward,
        np.zeros_like(model.cost), model.initial, model.terminal, cost_names=model.cost_names,
    )  # fmt: skip
