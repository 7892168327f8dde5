"""L3.permissive and L2.deterministic: all deterministic policies with memory, one by one.

With T = 3 a policy chooses at the start, after each branch of the first step, and after each
pair of branches: 2^7 policies. A policy that randomises is surely safe iff all the deterministic
ones it may turn into are.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ig_theory.cmdp import Bools, Ints
from proofs_check.claim import Finding, Status
from proofs_check.exhaustive.game import DISCOUNTS, budgets, choice_demand, demand_rows, start
from proofs_check.exhaustive.members import Members, members
from proofs_check.exhaustive.safe_sets import agree

CLAIM = "L3.permissive"
HORIZON = 3
COVERS = (
    "all 24356 models with <= 2 states, <= 2 choices, any supports, costs 0..3 (6094 up to "
    "symmetry), T = 3, gamma in {1, 1/2}: each of the 128 deterministic policies with memory"
)


def run(every: int = 1) -> Finding:
    """Check each `every`-th member: a policy is surely safe iff it stays inside the shield.

    Raises
    ------
    AssertionError
        Naming the first member and budget where the claims fail.
    """
    group = members().take(slice(None, None, every))
    policies = [
        dict(zip(_histories(), choices, strict=True))
        for choices in product(range(2), repeat=len(_histories()))
    ]
    safe_runs = 0
    for q in DISCOUNTS:
        unit = q ** (HORIZON - 1)
        z = budgets(group, 10 if q == 1 else 6, unit)
        demand = demand_rows(group, HORIZON, q)
        need = [choice_demand(group, demand[n - 1], n, q) for n in range(1, HORIZON + 1)]
        covered = demand[HORIZON][:, :1] * unit <= z * q**HORIZON
        some = np.zeros(z.shape, dtype=bool)
        for policy in policies:
            safe, inside = _judge(group, z, policy, need, q, unit)
            agree(safe, inside & covered, f"gamma=1/{q}, policy {list(policy.values())}")
            some |= safe
            safe_runs += int(safe.sum())
        agree(some, covered, f"gamma=1/{q}: some deterministic policy is safe iff z >= D")
    return Finding(
        Status.HOLDS,
        f"{len(group)} members, {len(policies)} policies each, {safe_runs} safe (member, budget, "
        "policy) triples: safe iff inside the shield; one exists iff z >= D",
    )


def _histories() -> list[tuple[int, ...]]:
    """Where a policy chooses: the branches taken so far."""
    return [h for length in range(HORIZON) for h in product(range(2), repeat=length)]


def _judge(
    group: Members, z: Ints, policy: dict[tuple[int, ...], int], need: list[Ints], q: int, unit: int
) -> tuple[Bools, Bools]:
    """Whether all runs keep the budget, and whether each choice on them is allowed."""
    safe = z >= 0
    inside = np.ones(z.shape, dtype=bool)
    rows = np.arange(len(group))

    def walk(history: tuple[int, ...], state: Ints, now: Ints, reached: Bools) -> None:
        nonlocal safe, inside
        left = HORIZON - len(history)
        safe = safe & ((now >= 0) | ~reached[:, None])
        if left == 0:
            return
        # Where a state has one choice, both answers mean that one.
        a = np.minimum(policy[history], np.maximum(group.choices[rows, state] - 1, 0))
        allowed = need[left - 1][rows, state, a][:, None] * unit <= now * q**left
        inside = inside & (allowed | ~reached[:, None])
        paid = (now - unit * group.cost[rows, state, a][:, None]) * q
        for b in range(2):
            there = reached & (group.branches[rows, state, a] > b)
            if there.any():
                walk((*history, b), group.successor[rows, state, a, b], paid, there)

    walk((), start(group), z, np.ones(len(group), dtype=bool))
    return safe, inside
