"""The least conditional value at risk of what is spent, and reward less weight times that risk.

By Rockafellar & Uryasev ``CVaR_alpha(S) = min_eta eta + E[(S - eta)+] / (1 - alpha)``, attained at
an atom of S. For one eta the best policy is that of a product with the remaining budget
``eta - spent``: what goes over it is charged ``1 / (1 - alpha)`` per unit. So all atoms that any
policy can have are tried, from the least on, until eta alone is worse than the best found.

With a horizon the atoms are the totals of the runs. Without one, costs are undiscounted and
>= 0, the atoms are multiples of the cost unit, and beyond the budget only the expectation counts,
so that a policy of the states takes over there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import DEFAULT_LIMIT, RUNNING, Product, every_choice, explore
from ig_theory.budget import float_down, float_up
from ig_theory.cmdp import Bools, ConstrainedMDP, Ints
from ig_theory.constraint import BudgetConstraint, Rational, Scope, rational
from ig_theory.errors import SolverError
from ig_theory.solvers.risk.earnings import (
    ELIMINATION,
    Earnings,
    after_breaking,
    best_of_states,
    solve,
)
from ig_theory.solvers.risk.spending import check_complete, check_endless, spent_at
from ig_theory.solvers.risk.spent_law import level_of
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.branches import with_sink
from ig_theory.solvers.totals.exact_total import as_fractions
from ig_theory.solvers.totals.start import over_start
from ig_theory.verdict import Bounds, Number


@dataclass(frozen=True, eq=False)
class LeastCVaR:
    """The best policy for a risk measure of what is spent.

    Attributes
    ----------
    value : Bounds
        `least_cvar`: of the least CVaR, in cost units. `reward_and_cvar`: of the best
        ``reward - weight * CVaR``.
    eta : Fraction
        The level beyond which the policy found charges for spending.
    product : Product
        What the policy plays on. With a horizon its nodes are (state, spent, time); without one
        they hold the budget ``eta - spent``.
    policy : int64[N]
        The chosen product choice of each node; -1 at leaves.
    beyond : int64[S] or None
        Without a horizon: the model's choice of each state once eta is exceeded.
    status : Status
    levels : int
        How many etas were tried.
    """

    value: Bounds
    eta: Fraction
    product: Product
    policy: Ints
    beyond: Ints | None
    status: Status
    levels: int

    def weight(self) -> npt.NDArray[np.object_]:
        """The policy as weights of the product's choices, Fractions [M]."""
        weight = as_fractions(np.zeros(len(self.product.choice)))
        weight[self.policy[self.policy >= 0]] = Fraction(1)
        return weight


def least_cvar(
    model: ConstrainedMDP, constraint: BudgetConstraint, alpha: Rational, *,
    limit: int = DEFAULT_LIMIT,
) -> LeastCVaR:  # fmt: skip
    """The least CVaR_alpha of what is spent, over all budget-aware policies.

    One optimisation, O(pairs * branches) per sweep, for each level tried. The constraint tells
    which cost counts, its discount and its horizon; its budget changes nothing.

    Parameters
    ----------
    alpha
        In [0, 1): 0 is the least expected cost.

    Raises
    ------
    SolverError
        Without a horizon: if costs are discounted or negative. If there are too many pairs.

    Examples
    --------
    Certain 2 against an even gamble for 0 or 3:

    >>> from ig_theory.builders import from_dict
    >>> even = {"bad": "1/2", "t": "1/2"}
    >>> model = from_dict({"s": {"sure": (2, 0, {"t": 1}), "risk": (0, 0, even)},
    ...                    "bad": {"pay": (3, 0, {"t": 1})}}, initial="s", exact=True)
    >>> [str(least_cvar(model, BudgetConstraint(0), a).value.lower) for a in (0, "1/4", "1/2")]
    ['3/2', '2', '2']
    """
    found = _best(model, constraint, level_of(alpha), Fraction(1), False, limit)
    value = Bounds(-found.value.upper, -found.value.lower)
    return replace(found, value=value)


def reward_and_cvar(
    model: ConstrainedMDP, constraint: BudgetConstraint, alpha: Rational, weight: Rational, *,
    limit: int = DEFAULT_LIMIT,
) -> LeastCVaR:  # fmt: skip
    """The best ``E reward - weight * CVaR_alpha(spent)``, over all budget-aware policies.

    Parameters
    ----------
    weight
        Reward per unit of risk, > 0. Larger weights trace the front of reward against risk.

    Raises
    ------
    SolverError
        As `least_cvar`; also without a horizon if rewards are discounted, or can be collected
        for ever.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 3, {"t": 1}), "end": (0, 0, {"t": 1})}},
    ...                   initial="s", exact=True)
    >>> [str(reward_and_cvar(model, BudgetConstraint(0), "1/2", w).value.lower) for w in (1, 4)]
    ['2', '0']
    """
    price = rational(weight, "weight")
    if price <= 0:
        raise SolverError.at("weight", "a number > 0", price, "drop the risk to maximise reward")
    if constraint.horizon is None and model.reward_discount < 1:
        raise SolverError.at(
            "reward_discount", "1 without a horizon", model.reward_discount,
            "set a horizon: costs and rewards then share the time",
        )  # fmt: skip
    return _best(model, constraint, level_of(alpha), price, True, limit)


@dataclass(frozen=True, eq=False)
class _Level:
    """The problem at one eta: the best total, from which ``weight * eta`` is then taken."""

    eta: Fraction
    product: Product
    earnings: Earnings
    alive: Bools | None = None
    beyond: Ints | None = None


def _best(
    model: ConstrainedMDP, constraint: BudgetConstraint, alpha: Fraction, weight: Fraction,
    reward: bool, limit: int,
) -> LeastCVaR:  # fmt: skip
    best: LeastCVaR | None = None
    highest: Number = -math.inf
    certified, tried = True, 0
    levels = _timed if constraint.horizon is not None else _endless
    most = _most_reward(model, constraint, limit) if reward else Fraction(0)
    for level in levels(model, constraint, weight / (1 - alpha), reward, limit):
        # No policy is worth more than this at this eta, nor at the later ones.
        if best is not None and most - weight * level.eta <= Fraction(best.value.lower):
            break
        found = solve(level.product, level.earnings, Fraction(1), level.alive)
        total = over_start(level.product, found.lower, found.upper)
        value = _at_level(total, weight * level.eta, found.status)
        highest, tried = max(highest, value.upper), tried + 1
        certified &= found.status is not Status.UNCERTIFIED
        assert found.policy is not None
        if best is None or value.lower > best.value.lower:
            best = LeastCVaR(
                value, level.eta, level.product, found.policy, level.beyond, found.status, 0
            )
        if math.isinf(best.value.lower):
            break
    assert best is not None
    exact = best.status is Status.EXACT and best.value.lower == highest
    status = Status.EXACT if exact else Status.CERTIFIED if certified else Status.UNCERTIFIED
    return replace(best, value=Bounds(best.value.lower, highest), status=status, levels=tried)


def _at_level(total: Bounds, price: Fraction, status: Status) -> Bounds:
    if status is Status.EXACT:
        return Bounds(total.lower - price, total.upper - price)
    if total.upper == math.inf:
        raise SolverError.at("reward", "finite totals", "an infinite one", "set a horizon")
    if math.isinf(total.lower):
        return Bounds(-math.inf, total.upper)
    return Bounds(
        float_down(Fraction(total.lower) - price), float_up(Fraction(total.upper) - price)
    )


def _timed(
    model: ConstrainedMDP, constraint: BudgetConstraint, charge: Fraction, reward: bool, limit: int
) -> Iterator[_Level]:
    """With a horizon one product serves all levels: only its leaves are charged differently."""
    product = _timed_product(model, constraint, limit)
    spent = spent_at(product)
    exact = model.exact and len(product) <= ELIMINATION
    gain = _discounted(product, exact) if reward else as_fractions(np.zeros(len(product.choice)))
    gain = gain if exact else gain.astype(np.float64)
    leaves = np.flatnonzero(product.outcome != RUNNING).tolist()
    for eta in sorted({spent[n] for n in leaves}):
        leaf = as_fractions(np.zeros(len(product)))
        for n in leaves:
            leaf[n] = -charge * max(Fraction(0), spent[n] - eta)
        worth = leaf if exact else leaf.astype(np.float64)
        yield _Level(eta, product, Earnings((gain, gain), (worth, worth)))


def _endless(
    model: ConstrainedMDP, constraint: BudgetConstraint, charge: Fraction, reward: bool, limit: int
) -> Iterator[_Level]:
    """Without a horizon each level has its own product, whose budget is eta."""
    row = model.cost[model.cost_index(constraint.cost)]
    check_endless(constraint, row)
    cost = as_fractions(row) * model.cost_unit
    earned = as_fractions(model.reward) if reward else as_fractions(np.zeros(model.C))
    charged = earned - charge * cost
    after = best_of_states(
        model, charged if model.exact else charged.astype(np.float64), Fraction(1)
    )
    for k in itertools.count():
        eta = k * model.cost_unit
        budget = BudgetConstraint(eta, cost=constraint.cost)
        product = explore(model, budget, every_choice, limit=limit)
        check_complete(product, limit)
        sunk = with_sink(product)
        over = as_fractions(np.zeros(len(product.choice)))
        budgets = [eta - s for s in spent_at(product)]
        for j in np.flatnonzero(product.broken > 0).tolist():
            excess = cost[product.choice[j]] - budgets[product.choice_node[j]]
            over[j] = charge * excess
        gain = earned[product.choice] - over
        sides = [_after(sunk, gain, worth) for worth in (after.lower, after.upper)]
        alive = np.isfinite(sides[1].astype(np.float64))
        low, high = (np.where(alive, side, 0 * side[:1].sum()) for side in map(_finite, sides))
        nothing = np.zeros(len(sunk)) if low.dtype != object else as_fractions(np.zeros(len(sunk)))
        high = low if after.status is Status.EXACT else high
        yield _Level(eta, sunk, Earnings((low, high), (nothing, nothing)), alive, after.policy)


def _after(sunk: Product, gain: npt.NDArray[Any], worth: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The gains with what follows once the budget is exceeded."""
    rest = after_breaking(sunk, worth, Fraction(1))
    exact = worth.dtype == object and sunk.model.exact and len(sunk) <= ELIMINATION
    return gain + rest if exact else gain.astype(np.float64) + rest.astype(np.float64)


def _finite(side: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return side if side.dtype == object else np.where(np.isfinite(side), side, 0.0)


def _most_reward(model: ConstrainedMDP, constraint: BudgetConstraint, limit: int) -> Fraction:
    """An upper bound on the expected reward of any policy."""
    if constraint.horizon is None:
        top = float(best_of_states(model, model.reward.astype(np.float64), Fraction(1)).upper.max())
    else:
        product = _timed_product(model, constraint, limit)
        gain, nothing = _discounted(product, False), np.zeros(len(product))
        found = solve(product, Earnings((gain, gain), (nothing, nothing)), Fraction(1))
        top = float(over_start(product, found.lower, found.upper).upper)
    if math.isinf(top):
        raise SolverError.at("reward", "a finite optimum", "an infinite one", "set a horizon")
    return Fraction(top)


def _timed_product(model: ConstrainedMDP, constraint: BudgetConstraint, limit: int) -> Product:
    """All pairs with nothing judged before the end, so that no choice breaks."""
    judged = BudgetConstraint(
        constraint.budget, constraint.discount, scope=Scope.TERMINAL, cost=constraint.cost,
        horizon=constraint.horizon,
    )  # fmt: skip
    product = explore(model, judged, every_choice, limit=limit)
    check_complete(product, limit)
    return product


def _discounted(product: Product, exact: bool) -> npt.NDArray[Any]:
    """``beta^t r`` of every choice."""
    model = product.model
    steps = int(product.time.max(initial=0)) + 1
    powers = as_fractions(np.array([model.reward_discount**t for t in range(steps)]))
    time = product.time[product.choice_node]
    if exact:
        return np.asarray(powers[time] * model.reward[product.choice])
    return np.asarray(
        powers.astype(np.float64)[time] * model.reward.astype(np.float64)[product.choice]
    )
