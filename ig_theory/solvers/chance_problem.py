"""Reward against the probability of violating, as two undiscounted totals on one product.

Reward is discounted and the probability of violating is not, so that an optimal policy depends
on time as well. With a horizon time is in the pairs already. Without one and ``beta < 1`` the
pairs are unrolled for N steps, after which every policy is bounded: from above by the best
reward at the least violation, from below by one policy that violates least. What that leaves
open is at most ``beta^N`` times their difference, and is part of the bounds.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import BROKEN, RUNNING, Product, every_choice, explore
from ig_theory.chain import evaluate
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.end_components import end_components
from ig_theory.solvers.solution import Solution
from ig_theory.solvers.total_reward import best_total
from ig_theory.solvers.unroll import unroll
from ig_theory.solvers.violation import Violation, as_fractions, exact_total, over_branches

After = Literal["stop", "free"]

ELIMINATION = 3_000
"""Beyond this many pairs exact models are answered by certified floats."""

UNROLLED = 400_000
"""How many pairs an endless discounted run may be unrolled to."""


@dataclass(frozen=True, eq=False)
class Earnings:
    """What is earned on a product of the model's own reward discount.

    Attributes
    ----------
    gain : (lower, upper), [M]
    leaf : (lower, upper), [N]
        Equal arrays of Fractions where exact.
    """

    gain: tuple[npt.NDArray[Any], npt.NDArray[Any]]
    leaf: tuple[npt.NDArray[Any], npt.NDArray[Any]]

    @property
    def exact(self) -> bool:
        """Whether all of it is Fractions."""
        return all(a.dtype == object for a in (*self.gain, *self.leaf))

    def floats(self) -> Earnings:
        """The same as floats."""
        return Earnings(_as_floats(self.gain), _as_floats(self.leaf))

    @property
    def sharp(self) -> bool:
        """Whether lower and upper are the same."""
        return self.gain[0] is self.gain[1] and self.leaf[0] is self.leaf[1]


@dataclass(frozen=True, eq=False)
class ChanceProblem:
    """Maximise an undiscounted reward while reaching a BROKEN leaf seldom.

    Attributes
    ----------
    product
        Timed, unrolled, or with ``beta = 1``; with a sink.
    origin : int64[M]
        The choice of `violation.product` that each choice is.
    earnings
        With ``beta^t`` in it.
    broken : (lower, upper), [N]
        P(violated) of each leaf; other than 0 and 1 only where unrolling ends.
    safest : int64[N]
        A policy that violates as seldom as any.
    safest_value : Solution
        The reward of that policy on `violation.product`; optimal where the start never violates.
    violation
        The least probability of violating on the product before it was unrolled.
    """

    product: Product
    origin: Ints
    earnings: Earnings
    broken: tuple[npt.NDArray[Any], npt.NDArray[Any]]
    safest: Ints
    safest_value: Solution
    violation: Violation


def chance_problem(violation: Violation, after: After, gap: float) -> ChanceProblem:
    """Set up the two totals.

    Raises
    ------
    SolverError
        If ``beta = 1``, there is no horizon and reward can be collected for ever.
    """
    product = violation.product
    beta = product.model.reward_discount
    earned = _earnings(product, after)
    if beta == 1 and not product.timed:
        _no_endless_reward(product, earned)
    alive = violation.staying | ~violation.never[product.choice_node]
    assert violation.solution.policy is not None
    between = ~violation.never & ~violation.surely
    best = np.zeros(len(alive), dtype=bool)
    best[violation.solution.policy[violation.solution.policy >= 0]] = True
    alive &= best | ~between[product.choice_node]
    safest = solve(product, earned, beta, alive)
    assert safest.policy is not None
    ends = (product.outcome == BROKEN).astype(np.float64)
    broken: tuple[Any, Any] = (ends, ends)
    if beta == 1 or product.timed:
        weights = _powers(product, beta, earned.exact)
        gain, leaf = (_scaled(e, w) for e, w in (
            (earned.gain, weights[product.choice_node]), (earned.leaf, weights)))  # fmt: skip
        if earned.exact:
            broken = (as_fractions(ends), as_fractions(ends))
        timed = Earnings(gain, leaf)
        origin = np.arange(len(alive))
        return ChanceProblem(product, origin, timed, broken, safest.policy, safest, violation)
    return _unrolled(violation, earned.floats(), safest, gap)


def solve(
    product: Product, earnings: Earnings, beta: Fraction, alive: Bools | None = None
) -> Solution:
    """The best total: Fractions where the earnings are and elimination is feasible."""
    if alive is None:
        alive = np.ones(len(product.choice), dtype=bool)
    floats = earnings.floats()
    found = best_total(product, floats.gain[1], floats.leaf[1], beta, alive)
    if not floats.sharp:
        low = best_total(product, floats.gain[0], floats.leaf[0], beta, alive)
        found = replace(found, lower=low.lower, policy=low.policy)
    if earnings.exact and len(product) <= ELIMINATION and np.isfinite(found.lower).all():
        with contextlib.suppress(SolverError):
            return exact_total(product, earnings.gain[0], earnings.leaf[0], beta, found, alive)
    return found


def _as_floats(sides: tuple[Any, Any]) -> tuple[Floats, Floats]:
    low = sides[0].astype(np.float64)
    return low, low if sides[0] is sides[1] else sides[1].astype(np.float64)


def _earnings(product: Product, after: After) -> Earnings:
    """The expected reward of each choice, and the worth of leaves, with the run's discount."""
    model = product.model
    exact = model.exact and len(product) <= ELIMINATION
    reward = (model.reward if exact else model.reward.astype(np.float64))[product.choice]
    nothing = as_fractions(np.zeros(len(product))) if exact else np.zeros(len(product))
    if after == "stop":
        whole = (product.outcome != BROKEN).astype(np.float64)
        gain = reward * over_branches(product, as_fractions(whole) if exact else whole)
        return Earnings((gain, gain), (nothing, nothing))
    if after != "free":
        raise SolverError.at("after", "stop or free", repr(after), "say what follows a violation")
    free = _unconstrained(product)
    sides = []
    for value in (free.lower, free.upper):
        worth = value if exact and value.dtype == object else value.astype(np.float64)
        gain = reward.astype(worth.dtype) + after_breaking(product, worth, model.reward_discount)
        leaf = nothing.astype(worth.dtype)
        first = product.initial[product.outcome[product.initial] == BROKEN]
        if not product.timed or product.constraints[0].horizon:
            leaf[first] = worth[_place(product, product.state[first], np.zeros(len(first), int))]
        sides.append((gain, leaf))
    if free.lower is free.upper:
        sides[1] = sides[0]
    return Earnings((sides[0][0], sides[1][0]), (sides[0][1], sides[1][1]))


def _unconstrained(product: Product) -> Solution:
    """The best value without any budget of (time, state), flat; 0 where the run is over."""
    model, horizon = product.model, product.constraints[0].horizon
    free = BudgetConstraint(0, horizon=horizon)
    states = explore(without_costs(model), free, every_choice, limit=2**31)
    gain, leaf = model.reward[states.choice], as_fractions(np.zeros(len(states)))
    floats = gain.astype(np.float64), leaf.astype(np.float64)
    exact = model.exact and len(product) <= ELIMINATION
    earned = (
        Earnings((gain, gain), (leaf, leaf)) if exact
        else Earnings((floats[0],) * 2, (floats[1],) * 2)
    )  # fmt: skip
    found = solve(states, earned, model.reward_discount)
    if not (np.isfinite(found.lower.astype(float)) & np.isfinite(found.upper.astype(float))).all():
        raise SolverError.at(
            "the unconstrained optimum", "a finite reward after a violation", "an infinite one",
            "set reward_discount below 1 or a horizon, or use after='stop'",
        )  # fmt: skip
    times = 1 if horizon is None else horizon + 1
    when = states.time if horizon is not None else np.zeros(len(states), dtype=np.int64)
    out = []
    for value in (found.lower, found.upper):
        flat = np.zeros(times * model.S, dtype=value.dtype)
        flat[:] = 0
        flat[when * model.S + states.state] = value
        out.append(flat)
    return replace(found, lower=out[0], upper=out[0] if found.lower is found.upper else out[1])


def without_costs(model: ConstrainedMDP) -> ConstrainedMDP:
    """The same model where nothing costs, as a plain `ConstrainedMDP`."""
    return ConstrainedMDP(
        model.choice_ptr, model.branch_ptr, model.branch_state, model.branch_prob, model.reward,
        np.zeros((1, model.C), dtype=np.int64), model.initial, model.terminal,
        reward_discount=model.reward_discount,
    )  # fmt: skip


def after_breaking(
    product: Product, worth: npt.NDArray[Any], discount: Fraction
) -> npt.NDArray[Any]:
    """``discount * E worth`` after each choice that breaks at once, 0 elsewhere, [M].

    Parameters
    ----------
    product
        With a sink, to which those choices lead.
    worth : [S], or [(T+1) S] by time where the product is timed
        Fractions give Fractions.
    """
    model, sink = product.model, len(product) - 1
    beta = discount if worth.dtype == object else float(discount)
    out = np.zeros(len(product.choice), dtype=worth.dtype)
    out[:] = Fraction(0) if worth.dtype == object else 0.0
    to_sink = np.flatnonzero(product.branch_node == sink)
    if not len(to_sink):
        return out
    choice = np.searchsorted(product.branch_ptr, to_sink, side="right") - 1
    branch = product.first_prob[choice] + to_sink - product.branch_ptr[choice]
    prob = model.branch_prob[branch] if worth.dtype == object else product.prob[branch]
    time = product.time[product.choice_node[choice]].astype(np.int64) + 1
    mass = beta * prob * worth[_place(product, model.branch_state[branch], time)]
    np.add.at(out, choice, mass)
    return out


def _place(product: Product, state: npt.NDArray[Any], time: Ints) -> Ints:
    return np.asarray((time * product.model.S if product.timed else 0) + state, dtype=np.int64)


def _powers(product: Product, beta: Fraction, exact: bool) -> npt.NDArray[Any]:
    """``beta^t`` of every node; 1 where there is no time."""
    steps = int(product.time.max(initial=0)) + 1 if product.timed else 1
    powers = as_fractions(np.ones(steps))
    for t in range(1, steps):
        powers[t] = powers[t - 1] * beta
    time = product.time if product.timed else np.zeros(len(product), dtype=np.int64)
    return powers[time] if exact else powers.astype(np.float64)[time]


def _scaled(sides: tuple[Any, Any], weight: npt.NDArray[Any]) -> tuple[Any, Any]:
    low = sides[0] * weight
    return low, low if sides[0] is sides[1] else sides[1] * weight


def _no_endless_reward(product: Product, earned: Earnings) -> None:
    gain = earned.floats().gain[1]
    internal = end_components(product, np.ones(len(gain), dtype=bool))[1]
    paying = np.flatnonzero(internal & (gain != 0))
    if len(paying):
        name = product.model.state_name(int(product.state[product.choice_node[paying[0]]]))
        raise SolverError.at(
            f"undiscounted reward around state {name}", "no reward where a run can stay for ever",
            float(gain[paying[0]]), "set reward_discount below 1, or a horizon",
        )  # fmt: skip


def _unrolled(
    violation: Violation, earned: Earnings, safest: Solution, gap: float
) -> ChanceProblem:
    product = violation.product
    beta = float(product.model.reward_discount)
    assert safest.policy is not None
    weight = np.zeros(len(product.choice))
    weight[safest.policy[safest.policy >= 0]] = 1.0
    gain = np.bincount(product.choice_node, weights=weight * earned.gain[0], minlength=len(product))
    low = evaluate(product, (gain + earned.leaf[0])[:, None], beta, weight).lower[:, 0]
    every = np.ones(len(weight), dtype=bool)
    high = best_total(
        product, earned.gain[1], earned.leaf[1], product.model.reward_discount, every
    ).upper
    unknown = float((high - low).max(initial=0.0))
    steps = 1
    if unknown > gap / 4:
        steps = max(1, math.ceil(math.log(gap / (4 * unknown)) / math.log(beta)))
    steps = max(1, min(steps, UNROLLED // len(product)))
    long, nodes, origin = unroll(product, steps)
    weights = beta ** np.minimum(long.time, steps).astype(np.float64)
    cut = (product.outcome[nodes] == RUNNING) & (long.outcome != RUNNING)
    leaf = tuple(
        weights * np.where(cut, rest[nodes], end[nodes])
        for rest, end in zip((low, high), earned.leaf, strict=True)
    )
    gains = tuple(g[origin] * weights[long.choice_node] for g in earned.gain)
    ends = (long.outcome == BROKEN).astype(np.float64)
    least = violation.solution
    broken = tuple(
        np.where(cut, p.astype(np.float64)[nodes], ends) for p in (least.lower, least.upper)
    )
    policy = np.full(len(long), -1)
    running = np.flatnonzero(long.outcome == RUNNING)
    offset = safest.policy[nodes[running]] - product.choice_ptr[nodes[running]]
    policy[running] = long.choice_ptr[running] + offset
    return ChanceProblem(
        long, origin, Earnings((gains[0], gains[1]), (leaf[0], leaf[1])),
        (broken[0], broken[1]), policy, safest, violation,
    )  # fmt: skip
