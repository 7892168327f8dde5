"""T5 for deterministic dynamics: the least-intrusive policy is the base model, conditioned.

All sequences of choices are enumerated with their base probabilities, in exact integers. The
recursion of T5 must give ``exp(-W) = P_base(never violated)``, and its policy the conditional
probability of each first choice given that the run keeps the budget. All remaining histories
start from some (state, budget, steps to go) of the class, so that this is the whole policy.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np

from ig_theory.cmdp import Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.least_intrusive import least_intrusive
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require
from proofs_check.exhaustive.game import (
    DISCOUNTS,
    budgets,
    choice_demand,
    demand_rows,
    options,
    start,
)
from proofs_check.exhaustive.members import Members, Union, members, union
from proofs_check.exhaustive.safe_sets import agree

CLAIM = "T5.limit"
HORIZON = 4
SHARES = 12
"""Base probabilities w / (w_1 + w_2) with weights 1 and 2 are whole multiples of 1/12."""

SLACK = 1e-9
"""What the solver's W and its probabilities, which are floats, may be off by."""

COVERS = (
    "all 24378 deterministic models with <= 2 states, <= 2 choices, costs in {0, 1, 2}, base "
    "weights in {1, 2} (6105 up to symmetry), T <= 4, gamma in {1, 1/2}: exactly; solver to 1e-9"
)


def run(every: int = 1) -> Finding:
    """Check each `every`-th member.

    Raises
    ------
    AssertionError
        Naming the first member and budget where the claim fails.
    """
    group = members((0, 1, 2), (0,), (1, 2), deterministic=True).take(slice(None, None, every))
    side_by_side = union(group)
    share = base_shares(group)
    count = 0
    for q in DISCOUNTS:
        unit = q ** (HORIZON - 1)
        z = budgets(group, 9 if q == 1 else 4, unit)
        for left in range(1, HORIZON + 1):
            truth = [_enumerated(group, share, z, left, q, unit, a) for a in range(2)]
            terms = intrusion_terms(group, share, start(group), z, left, q, unit)
            for a in range(2):
                agree(truth[a], terms[a], f"gamma=1/{q}, T={left}: mass of choice {a}")
            count += int((truth[0] + truth[1] > 0).sum())
        for budget in (0, 1, 2) if q == 1 else (0, Fraction(1, 2), Fraction(7, 4)):
            at = int(budget * unit)
            _project(side_by_side, Fraction(budget), q, [t[:, at] for t in truth])
    return Finding(
        Status.HOLDS,
        f"{len(group)} members, {count} safe (member, horizon, budget) triples: exp(-W) is "
        "P_base(never violated), the policy is the base model conditioned on it; least_intrusive "
        "agrees",
    )


def base_shares(group: Members) -> Ints:
    """12 times the base policy, int64[M, 2, 2].

    >>> base_shares(members((0,), weights=(1, 2)))[:3, 0].tolist()
    [[12, 0], [12, 0], [4, 8]]
    """
    total = np.maximum(group.weight.sum(axis=2, keepdims=True), 1)
    return np.asarray(group.weight * SHARES // total)


def _enumerated(
    group: Members, share: Ints, z: Ints, left: int, q: int, unit: int, first: int
) -> Ints:
    """P_base(first choice, and the budget is kept) times 12^left, over all 2^left sequences."""
    rows = np.arange(len(group))
    total = np.zeros(z.shape, dtype=np.int64)
    for rest in product(range(2), repeat=left - 1):
        state, now = start(group), z
        mass, kept = np.ones(len(group), dtype=np.int64), z >= 0
        for a in (first, *rest):
            mass = mass * share[rows, state, a]  # 0 for a choice that is not there
            now = (now - unit * group.cost[rows, state, a][:, None]) * q
            kept = kept & (now >= 0)
            state = group.successor[rows, state, a, 0]
        total += mass[:, None] * kept
    return total


def intrusion_terms(
    group: Members, share: Ints, state: Ints, z: Ints, left: int, q: int, unit: int
) -> list[Ints]:
    """T5's terms ``base(a) exp(-W(s', z'))`` times 12^left for the choices in the shield.

    The shield is that of L3, by minimal budgets; outside the safe set W is infinite.
    """
    rows = np.arange(len(group))
    need = choice_demand(group, demand_rows(group, left - 1, q)[-1], left, q)
    terms = []
    for a, present, paid, successors in options(group, state, z, q, unit):
        allowed = present[:, None] & (need[rows, state, a][:, None] * unit <= z * q**left)
        ahead = np.ones(z.shape, dtype=np.int64)
        if left > 1:
            after = successors[0][0]
            ahead = sum(intrusion_terms(group, share, after, paid, left - 1, q, unit), start=0 * z)
        terms.append(np.where(allowed, share[rows, state, a][:, None] * ahead, 0))
    return terms


def _project(side_by_side: Union, budget: Fraction, q: int, truth: list[Ints]) -> None:
    """W and the probabilities of the first choice, by `least_intrusive`, on all members."""
    constraint = BudgetConstraint(budget, Fraction(1, q), horizon=HORIZON)
    limit, first = solved(side_by_side, constraint)
    mass = (truth[0] + truth[1]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = -np.log(mass / SHARES**HORIZON)
        wanted = np.stack(truth, axis=1) / mass[:, None]
    where = f"gamma=1/{q}, d={budget}"
    close(limit, w, f"{where}: least_intrusive's W")
    safe = mass > 0
    close(first[safe], wanted[safe], f"{where}: least_intrusive's first choice")


def solved(side_by_side: Union, constraint: BudgetConstraint) -> tuple[Floats, Floats]:
    """W at the start of each member, float64[M], and its first choice, float64[M, 2]."""
    answer = least_intrusive(side_by_side.model, constraint)
    table = answer.safe.product
    nodes = table.initial
    require(
        bool((table.state[nodes] == side_by_side.state[:, 0]).all()),
        "the product's first nodes are not the members' first states",
    )
    first = np.zeros((len(nodes), 2))
    number = np.full(len(table), -1)
    number[nodes] = np.arange(len(nodes))
    owner = number[table.choice_node]
    mine = owner >= 0
    first[owner[mine], table.place[mine]] = answer.weight[mine]
    return answer.limit[nodes], first


def close(got: Floats, want: Floats, what: str, slack: float = SLACK) -> None:
    """Fail at the first entry that differs by more than `slack`; infinities must be equal.

    Raises
    ------
    AssertionError
    """
    with np.errstate(invalid="ignore"):  # inf - inf, which are equal
        same = (got == want) | (np.abs(got - want) <= slack)
    wrong = np.argwhere(~same)
    if len(wrong):
        at = tuple(wrong[0])
        require(False, f"{what}: member {wrong[0].tolist()}, got {got[at]}, want {want[at]}")
