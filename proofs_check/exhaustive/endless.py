"""L2 without a horizon: D is the least fixed point, and the minimal budget.

gamma = 1: the pairs of state and budget are finite, and those from which one can stay for ever
are what is left when losers are deleted in turn. gamma = 1/2: every stationary policy against
every stationary adversary, exactly; policies that remember are bracketed by the game of
histories, which from ``D - 1/8`` they lose within 6 steps.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np

from ig_theory.budget import INFINITE
from ig_theory.cmdp import Bools, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.minimal_budget import minimal_budget
from proofs_check.claim import Finding, Status
from proofs_check.exhaustive.game import can_keep, start
from proofs_check.exhaustive.members import Members, Union, members, union
from proofs_check.exhaustive.safe_sets import agree

CLAIM = "L2.least"
COVERS = (
    "all 24356 models with <= 2 states, <= 2 choices, any supports, costs 0..3 (6094 up to "
    "symmetry), T = infinity, gamma in {1, 1/2}: games on pairs, and all stationary strategies"
)
MOST = 6
"""A finite demand at gamma = 1: each of 2 states pays at most 3, once."""

NEVER = 99
"""Stands for an infinite demand at gamma = 1."""


def run(every: int = 1) -> Finding:
    """Check each `every`-th member.

    Raises
    ------
    AssertionError
        Naming the first member where a claim fails.
    """
    group = members().take(slice(None, None, every))
    side_by_side = union(group)
    demand = _undiscounted(group)
    _least(group, demand)
    infinite = int((demand == NEVER).sum())
    _project(group, side_by_side, demand, 1)
    thirds = _discounted(group)
    _remembering(group, thirds)
    _project(group, side_by_side, thirds, 2)
    return Finding(
        Status.HOLDS,
        f"{len(group)} members, gamma = 1 ({infinite} states of infinite demand) and 1/2: games, "
        "stationary strategies, least fixed point and minimal_budget agree; at 1/2 policies with "
        "memory are excluded below D - 1/8",
    )


def _after(group: Members, value: Ints) -> Ints:
    """The largest value among the successors of each choice, int64[M, 2, 2]."""
    ahead = value[np.arange(len(group))[:, None, None, None], group.successor]
    there = np.arange(2) < group.branches[:, :, :, None]
    return np.asarray(np.where(there, ahead, np.iinfo(np.int64).min).max(axis=3))


def _undiscounted(group: Members) -> Ints:
    """D at gamma = 1 from the pairs that survive, int64[M, 2]; checked by stationary policies."""
    size = MOST + 2
    alive = np.ones((len(group), 2, size), dtype=bool)  # member, state, budget
    rows = np.arange(len(group))
    while True:
        next_alive = np.zeros_like(alive)
        for s, a in product(range(2), repeat=2):
            for z in range(size):
                rest = z - group.cost[:, s, a]
                ok = (group.choices[:, s] > a) & (rest >= 0)
                for b in range(2):
                    there = group.branches[:, s, a] > b
                    ahead = alive[rows, group.successor[:, s, a, b], np.maximum(rest, 0)]
                    ok &= ahead | ~there
                next_alive[:, s, z] |= ok
        if (next_alive == alive).all():
            break
        alive = next_alive
    present = group.choices > 0
    demand = np.where(alive.any(axis=2), alive.argmax(axis=2), NEVER)
    upward = (alive == (np.arange(size) >= demand[:, :, None])).all(axis=2)
    agree(upward[present], np.ones(int(present.sum()), dtype=bool), "gamma=1: upward closed")
    _stationary(group, demand)
    return np.where(present, demand, 0)


def _stationary(group: Members, demand: Ints) -> None:
    """The least worst total of the stationary policies; more than `MOST`: for ever."""
    least = np.full((len(group), 2), NEVER)
    for policy in product(range(2), repeat=2):
        total = np.zeros((len(group), 2), dtype=np.int64)
        valid = np.ones(len(group), dtype=bool)
        for s in range(2):
            valid &= (group.choices[:, s] > policy[s]) | (group.choices[:, s] == 0)
        for _ in range(2 * MOST + 4):
            through = group.cost + _after(group, total)
            total = np.stack([through[:, s, policy[s]] for s in range(2)], axis=1)
            total = np.where(group.choices > 0, total, 0)
        worst = np.where(valid[:, None], np.where(total > MOST, NEVER, total), NEVER)
        least = np.minimum(least, worst)
    present = group.choices > 0
    agree(least[present], demand[present], "gamma=1: stationary policies")


def _least(group: Members, demand: Ints) -> None:
    """All functions with values in {0, .., 7, infinity}: what solves the equation is >= D."""
    values = [*range(MOST + 2), NEVER]
    present = group.choices > 0
    found = np.zeros(len(group), dtype=bool)
    for pair in product(values, repeat=2):
        candidate = np.where(present, np.array(pair), 0)
        solves = (_operator(group, candidate) == candidate).all(axis=1)
        above = (candidate >= demand).all(axis=1)
        agree(solves & ~above, np.zeros(len(group), dtype=bool), f"gamma=1: D = {pair} not least")
        found |= solves & (candidate == demand).all(axis=1)
    agree(found, np.ones(len(group), dtype=bool), "gamma=1: D solves its equation")


def _operator(group: Members, value: Ints) -> Ints:
    through = np.minimum(group.cost + _after(group, value), NEVER)
    offered = np.arange(2) < group.choices[:, :, None]
    least = np.where(offered, through, NEVER).min(axis=2)
    return np.where(group.choices > 0, np.maximum(least, 0), 0)


def _discounted(group: Members) -> Ints:
    """3 D at gamma = 1/2, int64[M, 2].

    On 2 states a run of two stationary strategies repeats x_1, x_2 from time 1 on, so that it
    pays ``c_0 + (c_1/2 + c_2/4) / (1 - 1/4)``, which is ``(3 c_0 + 2 c_1 + c_2) / 3``.
    """
    rows, huge = np.arange(len(group)), np.iinfo(np.int64).max
    best = np.full((len(group), 2), huge)
    for policy in product(range(2), repeat=2):
        valid = np.ones(len(group), dtype=bool)
        for s in range(2):
            valid &= (group.choices[:, s] > policy[s]) | (group.choices[:, s] == 0)
        worst = np.zeros((len(group), 2), dtype=np.int64)
        chosen = np.array(policy)
        for adversary in product(range(2), repeat=2):
            branch = np.array(adversary)
            for s in range(2):
                state, total = np.full(len(group), s), np.zeros(len(group), dtype=np.int64)
                for factor in (3, 2, 1):
                    a = chosen[state]
                    total += factor * group.cost[rows, state, a]
                    # A branch that is not there is the first one again.
                    last = np.maximum(group.branches[rows, state, a] - 1, 0)
                    b = np.minimum(branch[state], last)
                    state = group.successor[rows, state, a, b]
                worst[:, s] = np.maximum(worst[:, s], total)
        best = np.where(valid[:, None], np.minimum(best, worst), best)
    return np.where(group.choices > 0, best, 0)


def _remembering(group: Members, thirds: Ints) -> None:
    """No policy keeps D - 1/8 for 6 steps, where D exceeds it; D itself is kept."""
    unit = 24
    at = thirds[:, :1] * 8
    below = at - 3
    kept = can_keep(group, start(group), at, 6, 2, unit)
    agree(kept, np.ones_like(kept), "gamma=1/2: z = D is kept for 6 steps")
    lost: Bools = ~can_keep(group, start(group), below, 6, 2, unit)
    agree(lost, np.ones_like(lost), "gamma=1/2: z = D - 1/8 is lost within 6 steps")


def _project(group: Members, side_by_side: Union, demand: Ints, q: int) -> None:
    solved = minimal_budget(side_by_side.model, BudgetConstraint(0, Fraction(1, q))).demand
    present = group.choices > 0
    found = solved[side_by_side.state[present]]
    found = np.where(found >= INFINITE, NEVER, found) if q == 1 else found * 3
    agree(demand[present], found, f"gamma=1/{q}: minimal_budget")
