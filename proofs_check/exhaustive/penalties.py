"""T1.threshold: above n* every greedy policy is safe, on a whole class, for all n at once.

M_n is solved by walking the tree of histories. Two penalties are enough for all: the value of an
unsafe first choice is a maximum of functions ``A - n B`` with ``B >= 0``, so convex and falling in
n. If it is at most 0 at ``n = n_1`` and below 0 at ``n_1 + 1``, then it is below 0 for all
``n > n_1``, while a safe policy, which is never charged, is worth at least 0.

Costs are paid by choices here, so that the threshold with ``p^(T-1)`` in place of ``p^T`` is
enough; that smaller one is what is checked, and n* above it follows.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ig_theory.cmdp import Bools, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.guards.penalty import penalty
from ig_theory.solvers.penalty import finite_threshold
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require
from proofs_check.exhaustive.game import (
    DISCOUNTS,
    budgets,
    can_keep,
    can_keep_after,
    options,
    start,
)
from proofs_check.exhaustive.members import Members, members, union

CLAIM = "T1.threshold"
HORIZON = 4
COVERS = (
    "all 24356 models with <= 2 states, <= 2 choices, any supports (equal probabilities), costs "
    "and rewards in {0, 1} (6094 up to symmetry), T = 1..4, beta and gamma in {1, 1/2}, all n > n*"
)


def run(every: int = 1) -> Finding:
    """Check each `every`-th member, and the penalty guard on those that can be safe.

    Raises
    ------
    AssertionError
        Naming the first member and budget where a greedy policy is unsafe.
    """
    group = members((0, 1), (0, 1)).take(slice(None, None, every))
    pairs = ties = 0
    for q in DISCOUNTS:
        unit = q ** (HORIZON - 1)
        z = budgets(group, 4 if q == 1 else 2, unit)
        for left in range(1, HORIZON + 1):
            safe = can_keep(group, start(group), z, left, q, unit)
            kept = can_keep_after(group, start(group), z, left, q, unit)
            for twice_beta in (2, 1):
                where = f"gamma=1/{q}, beta={twice_beta}/2, T={left}"
                found = _above_threshold(group, z, left, q, unit, twice_beta, safe, kept, where)
                pairs += found[0]
                ties += found[1]
            for budget in (0, 1) if q == 1 else (0, Fraction(1, 2)):
                able = safe[:, int(budget * unit)]
                _project(group.take(able), Fraction(budget), left, q)
    return Finding(
        Status.HOLDS,
        f"{len(group)} members, {pairs} unsafe choices at safe pairs, none greedy for any "
        f"n > p n*; {ties} tie at p n* itself; the penalty guard is SAFE above n*",
    )


def geometric(count: int, twice_beta: int) -> Fraction:
    """``1 + beta + .. + beta^(count-1)``.

    >>> geometric(3, 1)
    Fraction(7, 4)
    """
    return sum((Fraction(twice_beta, 2) ** k for k in range(count)), Fraction(0))


def thresholds(group: Members, left: int, twice_beta: int) -> Ints:
    """``R (1 + .. + beta^(T-1)) / (p^(T-1) beta^T)`` of each member; a whole number here."""
    largest = group.reward.max(axis=(1, 2))
    halves = (group.branches == 2).any(axis=(1, 2))
    beta = Fraction(twice_beta, 2)
    scale = geometric(left, twice_beta) / beta**left
    require(scale.denominator == 1, "a threshold that is no whole number")
    return np.asarray(largest * int(scale) * np.where(halves, 2 ** (left - 1), 1))


def _above_threshold(
    group: Members, z: Ints, left: int, q: int, unit: int, twice_beta: int,
    safe: Bools, kept: list[Bools], where: str,
) -> tuple[int, int]:  # fmt: skip
    """How many unsafe choices there are at safe pairs, and how many are greedy at n_1."""
    least = thresholds(group, left, twice_beta)
    pairs = ties = 0
    for more in (0, 1):
        worth = choice_values(group, start(group), z, left, q, unit, twice_beta, least + more)
        for a in range(2):
            bad = safe & (group.choices[:, 0] > a)[:, None] & ~kept[a]
            wrong = np.argwhere(bad & (worth[a] > -more))
            at = wrong[0].tolist() if len(wrong) else None
            require(at is None, f"{where}: choice {a} of member and budget {at} is greedy above n*")
            if more == 0:
                best = np.maximum(*worth)
                pairs += int(bad.sum())
                ties += int((bad & (worth[a] == best)).sum())
    return pairs, ties


def choice_values(
    group: Members, state: Ints, z: Ints, left: int, q: int, unit: int, twice_beta: int, n: Ints
) -> list[Ints]:
    """The values of both choices in M_n times ``4^left``, each int64[M, Z]; absent: very small."""
    rows = np.arange(len(group))
    found = []
    for a, present, paid, successors in options(group, state, z, q, unit):
        # beta sum p V is (b/2) (w/2) V with b = 2 beta and w = 2 p.
        share = np.where(successors[1][1], 1, 2)[:, None]
        total = np.tile(group.reward[rows, state, a][:, None] * 4**left, (1, z.shape[1]))
        for after, there in successors:
            ahead = _value(group, after, paid, left - 1, q, unit, twice_beta, n)
            total += np.where(there[:, None], twice_beta * share * ahead, 0)
        found.append(np.where(present[:, None], total, np.iinfo(np.int64).min // 2))
    return found


def _value(
    group: Members, state: Ints, z: Ints, left: int, q: int, unit: int, twice_beta: int, n: Ints
) -> Ints:
    """V times ``4^left``: once z < 0, -n at every remaining time, the last included."""
    charge = n[:, None] * int(geometric(left + 1, twice_beta) * 4**left)
    if left == 0:
        return np.where(z < 0, -charge, 0)
    one, two = choice_values(group, state, z, left, q, unit, twice_beta, n)
    return np.where(z < 0, -charge, np.maximum(one, two))


def _project(group: Members, budget: Fraction, left: int, q: int) -> None:
    """The penalty guard, just above `finite_threshold`, on all members that can be safe."""
    for beta in (Fraction(1), Fraction(1, 2)):
        for halves in (False, True):
            part = group.take((group.branches == 2).any(axis=(1, 2)) == halves)
            if len(part) == 0:
                continue
            model = union(part, beta).model
            constraint = BudgetConstraint(budget, Fraction(1, q), horizon=left)
            n = float(finite_threshold(model, left) * Fraction(1001, 1000))
            guard = penalty(model, constraint, n=n)
            found = verify(guard, model, constraint, price=False)
            require(
                found.outcome is Outcome.SAFE,
                f"gamma=1/{q}, beta={beta}, T={left}, d={budget}, n={n}: the penalty guard is "
                f"{found.outcome.name}",
            )
