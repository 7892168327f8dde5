"""T5 for stochastic dynamics: no safe policy has less expected divergence than W.

The expected KL divergence from the base policy, summed over the steps, is minimised by search: at
each history over the probability of the first of two choices, in a bracket that shrinks around
the minimum of a convex function, without the closed form. T5's formula must give the same number,
and so must `least_intrusive`, within the stated tolerance.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ig_theory.cmdp import Bools, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from proofs_check.claim import Finding, Status
from proofs_check.exhaustive.conditioned import close, solved
from proofs_check.exhaustive.game import (
    DISCOUNTS,
    budgets,
    choice_demand,
    demand_rows,
    options,
    start,
)
from proofs_check.exhaustive.members import Members, members, union

CLAIM = "T5.bellman"
HORIZON = 3
TOLERANCE = 1e-9
COVERS = (
    "all 24356 models with <= 2 states, <= 2 choices, any supports (equal probabilities), costs in "
    "{0, 1}, base weights in {1, 2} (6094 up to symmetry), T = 1..3, gamma in {1, 1/2}: to 1e-9"
)
_SHRINKS = 45
"""The bracket ends at (2/3)^45 = 1e-8 of its width, and the minimum is off by its square."""


def run(every: int = 1) -> Finding:
    """Check each `every`-th member.

    Raises
    ------
    AssertionError
        Naming the first member and budget where the numbers differ.
    """
    group = members((0, 1), (0,), (1, 2)).take(slice(None, None, every))
    side_by_side = union(group)
    count = 0
    for q in DISCOUNTS:
        unit = q ** (HORIZON - 1)
        z = budgets(group, 3, 1) if q == 1 else budgets(group, 2, unit)
        for left in range(1, HORIZON + 1):
            least = least_divergence(group, start(group), z, left, q, unit)
            w = limit(group, start(group), z, left, q, unit)
            close(w, least, f"gamma=1/{q}, T={left}: W", TOLERANCE)
            count += int(np.isfinite(least).sum())
        for budget in (0, 1) if q == 1 else (0, Fraction(3, 4)):
            constraint = BudgetConstraint(budget, Fraction(1, q), horizon=HORIZON)
            found, _ = solved(side_by_side, constraint)
            want = least[:, int(budget * unit)]
            close(found, want, f"gamma=1/{q}, d={budget}: least_intrusive", TOLERANCE)
    return Finding(
        Status.HOLDS,
        f"{len(group)} members, {count} safe (member, horizon, budget) triples: the least "
        "divergence found by search, T5's formula and least_intrusive agree within 1e-9",
    )


def least_divergence(group: Members, state: Ints, z: Ints, left: int, q: int, unit: int) -> Floats:
    """The least expected divergence of a surely safe policy, by search, float64[M, Z]."""
    if left == 0:
        return np.where(z >= 0, 0.0, np.inf)
    one, two = (
        _mean(successors, [least_divergence(group, after, paid, left - 1, q, unit)
                           for after, _ in successors], present)
        for _, present, paid, successors in options(group, state, z, q, unit)
    )  # fmt: skip
    rows = np.arange(len(group))
    weight = group.weight[rows, state].astype(np.float64)
    base = (weight / weight.sum(axis=1, keepdims=True))[:, :, None]

    def total(x: Floats) -> Floats:
        """The divergence when the first choice has probability x; x log x is 0 at 0."""
        parts = []
        for share, b, ahead in ((x, base[:, 0], one), (1 - x, base[:, 1], two)):
            with np.errstate(divide="ignore", invalid="ignore"):
                part = share * (np.log(share) - np.log(b) + ahead)
            parts.append(np.where(share > 0, part, 0.0))
        return np.asarray(parts[0] + parts[1])

    low, high = np.zeros(z.shape), np.ones(z.shape)
    for _ in range(_SHRINKS):
        left_third, right_third = low + (high - low) / 3, high - (high - low) / 3
        falls = total(left_third) > total(right_third)
        low, high = np.where(falls, left_third, low), np.where(falls, high, right_third)
    best = total((low + high) / 2)
    for end in (0.0, 1.0):  # one choice only: where the other cannot be kept safe
        best = np.fmin(best, total(np.full(z.shape, end)))
    return np.where(z >= 0, best, np.inf)


def _mean(successors: list[tuple[Ints, Bools]], ahead: list[Floats], present: Bools) -> Floats:
    """The mean over the branches that are there; infinite for a choice that is not."""
    both = successors[1][1][:, None]
    mean = np.where(both, (ahead[0] + ahead[1]) / 2, ahead[0])
    return np.where(present[:, None], mean, np.inf)


def limit(group: Members, state: Ints, z: Ints, left: int, q: int, unit: int) -> Floats:
    """W by T5's formula, over the shield of L3, float64[M, Z]."""
    if left == 0:
        return np.where(z >= 0, 0.0, np.inf)
    rows = np.arange(len(group))
    need = choice_demand(group, demand_rows(group, left - 1, q)[-1], left, q)
    weight = group.weight[rows, state].astype(np.float64)
    base = weight / weight.sum(axis=1, keepdims=True)
    mass = np.zeros(z.shape)
    for a, present, paid, successors in options(group, state, z, q, unit):
        allowed = present[:, None] & (need[rows, state, a][:, None] * unit <= z * q**left)
        ahead = [limit(group, after, paid, left - 1, q, unit) for after, _ in successors]
        cost = _mean(successors, ahead, present)
        mass += np.where(allowed, base[:, a][:, None] * np.exp(-cost), 0.0)
    with np.errstate(divide="ignore"):
        return np.where(mass > 0, -np.log(mass), np.inf)
