"""L2 and L3 with a horizon: the minimal budget and the shield, on a whole class.

For each member, T = 0..4, gamma in {1, 1/2} and budgets around all possible demands:
``z >= D_T`` iff the game of histories is won, and a choice is in the shield iff the budget can
be kept after it wherever it leads. `minimal_budget` and the `shield` guard say the same.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.budget import RemainingBudget
from ig_theory.cmdp import Bools, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import view_of
from ig_theory.guards.shield import shield
from ig_theory.solvers.minimal_budget import minimal_budget
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require
from proofs_check.exhaustive.game import (
    DISCOUNTS,
    budgets,
    can_keep,
    can_keep_after,
    choice_demand,
    demand_rows,
    start,
)
from proofs_check.exhaustive.members import Members, Union, members, union

CLAIM = "L2.game"
HORIZON = 4
COVERS = (
    "all 24356 models with <= 2 states, <= 2 choices, any supports, costs 0..3 (6094 up to "
    "symmetry), T = 0..4, gamma in {1, 1/2}, budgets in half the finest step: the game of histories"
)


def run(every: int = 1) -> Finding:
    """Check each `every`-th member.

    Raises
    ------
    AssertionError
        Naming the first member and budget where the claims fail.
    """
    group = members().take(slice(None, None, every))
    side_by_side = union(group)
    count = 0
    for q in DISCOUNTS:
        unit = 2 * q ** (HORIZON - 1)
        z = budgets(group, 13 if q == 1 else 6, unit)
        _same_demands(group, side_by_side, q)
        rows = demand_rows(group, HORIZON, q)
        for left in range(HORIZON + 1):
            won = can_keep(group, start(group), z, left, q, unit)
            covered = rows[left][:, :1] * unit <= z * q**left
            agree(won, covered, f"gamma=1/{q}, T={left}: z >= D_T")
            count += won.size
            if left:
                kept = can_keep_after(group, start(group), z, left, q, unit)
                _same_shield(group, side_by_side, z, left, q, kept, rows[left - 1])
    return Finding(
        Status.HOLDS,
        f"{len(group)} members, {count} (member, horizon, budget) games: z >= D_T iff won, the "
        "shield is what can be kept; minimal_budget and shield agree",
    )


def agree(truth: npt.NDArray[Any], claimed: npt.NDArray[Any], what: str) -> None:
    """Fail at the first entry that differs.

    Raises
    ------
    AssertionError
    """
    wrong = np.argwhere(np.asarray(truth) != np.asarray(claimed))
    if len(wrong):
        require(False, f"{what}: member and budget {wrong[0].tolist()}, {len(wrong)} differ")


def _same_shield(
    group: Members, side_by_side: Union, z: Ints, left: int, q: int,
    kept: list[Bools], before: Ints,
) -> None:  # fmt: skip
    """The allowed set of L3 and the guard, from state 0, against the game."""
    where = f"gamma=1/{q}, {left} steps to go"
    unit = 2 * q ** (HORIZON - 1)
    need = choice_demand(group, before, left, q)
    for a in range(2):
        present = (group.choices[:, 0] > a)[:, None]
        allowed = present & (need[:, 0, a][:, None] * unit <= z * q**left)
        agree(kept[a], allowed, f"{where}, choice {a}: the shield")
    model = side_by_side.model
    constraint = BudgetConstraint(0, Fraction(1, q), horizon=HORIZON)
    guard = shield(model, constraint)
    # The guard is asked at the demand of each choice, and half a step below and above it.
    near = np.concatenate([(need[:, 0] * unit) // q**left + d for d in (-1, 0, 1)], axis=1)
    near = np.clip(near, 0, z.shape[1] - 1)
    states = np.repeat(side_by_side.state[:, 0], near.shape[1])
    shown = RemainingBudget(near.reshape(-1), unit, model.cost_unit)
    time = np.full(len(states), HORIZON - left, dtype=np.int64)
    played = guard(view_of(model, (0,), states, (shown,), time)).reshape(*near.shape, -1)
    index = np.arange(len(group))[:, None]
    truth = np.stack([kept[a][index, near] for a in range(2)], axis=2)[:, :, : played.shape[2]]
    some = truth.any(axis=2)
    agree((played > 0)[some], truth[some], f"{where}: the shield guard")


def _same_demands(group: Members, side_by_side: Union, q: int) -> None:
    solved = minimal_budget(
        side_by_side.model, BudgetConstraint(0, Fraction(1, q), horizon=HORIZON)
    ).demand
    present = group.choices > 0
    for n, row in enumerate(demand_rows(group, HORIZON, q)):
        found = solved[n][side_by_side.state[present]] * q**n
        agree(row[present], found.astype(np.int64), f"gamma=1/{q}: minimal_budget, row {n}")
        require(bool((found == found.astype(np.int64)).all()), "a demand off the lattice")
