"""Reward against the probability of violating, as two undiscounted totals on one product.

Reward is discounted and the probability of violating is not, so that an optimal policy depends
on time as well. With a horizon time is in the pairs already. Without one and ``beta < 1`` the
pairs are unrolled for N steps, after which every policy is bounded: from above by the best
reward at the least violation, from below by one policy that violates least. What that leaves
open is at most ``beta^N`` times their difference, and is part of the bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import BROKEN, RUNNING, Product
from ig_theory.chain import evaluate
from ig_theory.cmdp import Ints
from ig_theory.errors import SolverError
from ig_theory.solvers.risk.earnings import (
    ELIMINATION,
    Earnings,
    after_breaking,
    best_of_states,
    placed,
    solve,
)
from ig_theory.solvers.risk.unroll import unroll
from ig_theory.solvers.solution import Solution
from ig_theory.solvers.totals.branches import over_branches
from ig_theory.solvers.totals.end_components import refuse_endless
from ig_theory.solvers.totals.exact_total import as_fractions
from ig_theory.solvers.totals.total_reward import best_total
from ig_theory.solvers.violation import Violation

After = Literal["stop", "free"]

UNROLLED = 400_000
"""How many pairs an endless discounted run may be unrolled to."""


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
        refuse_endless(product, np.ones(len(product.choice), dtype=bool), earned.floats().gain[1])
    alive = violation.staying | ~violation.never[product.choice_node]
    assert violation.solution.policy is not None
    between = ~violation.never & ~violation.surely
    best = product.deterministic(violation.solution.policy) > 0
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
            leaf[first] = worth[placed(product, product.state[first], np.zeros(len(first), int))]
        sides.append((gain, leaf))
    if free.lower is free.upper:
        sides[1] = sides[0]
    return Earnings((sides[0][0], sides[1][0]), (sides[0][1], sides[1][1]))


def _unconstrained(product: Product) -> Solution:
    """The best value without any budget of (time, state), flat; 0 where no run comes."""
    model, exact = product.model, product.model.exact and len(product) <= ELIMINATION
    reward = model.reward if exact else model.reward.astype(np.float64)
    horizon = product.constraints[0].horizon
    found = best_of_states(model, reward, model.reward_discount, horizon)
    if not (np.isfinite(found.lower.astype(float)) & np.isfinite(found.upper.astype(float))).all():
        raise SolverError.at(
            "the unconstrained optimum", "a finite reward after a violation", "an infinite one",
            "set reward_discount below 1 or a horizon, or use after='stop'",
        )  # fmt: skip
    return found


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


def _unrolled(
    violation: Violation, earned: Earnings, safest: Solution, gap: float
) -> ChanceProblem:
    product = violation.product
    beta = float(product.model.reward_discount)
    assert safest.policy is not None
    weight = product.deterministic(safest.policy)
    gain = product.at_nodes(weight * earned.gain[0])
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
