"""Kind ``impossibility``: that the budget is below what any policy needs."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from ig_theory.budget import INFINITE
from ig_theory.certificate.rounding import (
    ROUNDED,
    budget_over,
    common_denominator,
    is_long,
    layers,
    start_states,
    writable,
)
from ig_theory.certificate.sealing import sealed
from ig_theory.constraint import Boundary
from ig_theory.errors import CertificateError
from ig_theory.solvers.minimal_budget import SafeSet

Rows = list[list[int]]


def impossibility_certificate(safe_set: SafeSet, guard: str = "any") -> dict[str, Any]:
    """Certify that no policy keeps this budget from the start (THEORY T4.impossibility).

    A bound L on the minimal budget with, for each choice, a branch that needs as much. With a
    horizon there is a row for each number of steps to go. Without one, for ``gamma = 1``, L ends
    one unit above the budget, so that states that no budget is enough for need no infinity, and
    a rank shows that a run cannot go on for free for ever. Time and size O(T B).

    Raises
    ------
    CertificateError
        If the budget is enough, so that there is nothing to prove.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.constraint import BudgetConstraint
    >>> from ig_theory.solvers.minimal_budget import minimal_budget
    >>> model = from_dict({"s": {"pay": (1, 0, {"s": 1})}}, initial="s")
    >>> found = impossibility_certificate(minimal_budget(model, BudgetConstraint(4)))
    >>> found["lower"], found["rank"]
    ([[5]], [[0]])
    """
    constraint = safe_set.constraint
    if safe_set.start_is_safe():
        raise CertificateError.at(
            "budget", "one that is not enough", constraint.budget,
            "some policy keeps it; certify that with demand_certificate",
        )  # fmt: skip
    scale, lower, strict = _bounds(safe_set)
    body = {
        "kind": "impossibility",
        "denominator": scale,
        "lower": lower,
        "strict": strict,
        "rank": _rank(safe_set, scale, lower[-1], strict[-1]),
    }
    return sealed(safe_set.model, (constraint,), guard, body)


def _bounds(safe_set: SafeSet) -> tuple[int, Rows, Rows]:
    """A common denominator, L over it, and where z must exceed L."""
    constraint, rows = safe_set.constraint, np.atleast_2d(safe_set.demand)
    strict: Rows = np.atleast_2d(safe_set.strict).astype(int).tolist()
    if rows.dtype != object and constraint.horizon is None:
        cap = math.floor(budget_over(safe_set, 1)) + 1
        return 1, [[cap if n >= INFINITE else min(int(n), cap) for n in rows[0]]], strict
    if rows.dtype != object:
        return 1, rows.tolist(), strict
    exact = common_denominator(x for row in rows for x in row)
    if is_long(exact):
        rounded, exceed = _rounded(safe_set)
        budget = budget_over(safe_set, ROUNDED)
        lost = (
            budget < rounded[-1][s] or (budget == rounded[-1][s] and exceed[-1][s])
            for s in start_states(safe_set.model)
        )
        if any(lost):
            return ROUNDED, rounded, exceed
    return writable(exact), [[int(x * exact) for x in row] for row in rows], strict


def _rounded(safe_set: SafeSet) -> tuple[Rows, Rows]:
    """L a little below D, so that it still follows: L = floor(D - e), e >= gamma / (1 - gamma)."""
    constraint, width = safe_set.constraint, safe_set.model.S
    if constraint.horizon is not None:
        exceed = int(constraint.boundary is Boundary.OPEN)
        rows, _ = layers(safe_set.model, constraint, ROUNDED, up=False)
        return rows, [[exceed] * width for _ in rows]
    slack = constraint.discount / (1 - constraint.discount)
    row = [max(0, math.floor(x * ROUNDED - slack)) for x in safe_set.demand]
    return [row], [[0] * width]


def _rank(safe_set: SafeSet, scale: int, lower: list[int], strict: list[int]) -> Rows | None:
    """How many steps a run can at most put off what it must pay; None where none is needed."""
    model, constraint = safe_set.model, safe_set.constraint
    if constraint.horizon is not None or (constraint.discount < 1 and not any(strict)):
        return None
    is_open = constraint.boundary is Boundary.OPEN
    settled = [n == 0 and not (e and not is_open) for n, e in zip(lower, strict, strict=True)]
    rank = [0] * model.S
    missing = [0] * model.S
    waiting: list[list[int]] = [[] for _ in range(model.S)]  # choices that rest on a state's rank
    owner = model.choice_state.tolist()
    for choice in range(model.C):
        if settled[owner[choice]]:
            continue
        free, resting = _supports(safe_set, choice, scale, lower, strict)
        if free:
            continue
        missing[owner[choice]] += 1
        for after in resting:
            waiting[after].append(choice)
    settled = [s or not m for s, m in zip(settled, missing, strict=True)]
    queue, done = deque(s for s in range(model.S) if settled[s]), [False] * model.C
    while queue:
        after = queue.popleft()
        for choice in waiting[after]:
            if done[choice]:
                continue
            done[choice] = True
            state = owner[choice]
            missing[state] -= 1
            if missing[state] == 0:
                rank[state] = rank[after] + 1
                queue.append(state)
    if any(missing):
        raise CertificateError.at(
            f"rank of state {model.state_name(missing.index(max(missing)))}",
            "a least fixed point", "demands that are none", "compute them with minimal_budget",
        )  # fmt: skip
    return [rank]


def _supports(
    safe_set: SafeSet, choice: int, scale: int, lower: list[int], strict: list[int]
) -> tuple[bool, set[int]]:
    """Whether a branch of the choice needs as much without more ado, and those that need a rank."""
    model, constraint = safe_set.model, safe_set.constraint
    p, q = constraint.discount.numerator, constraint.discount.denominator
    state = int(model.choice_state[choice])
    cost = int(model.cost[model.cost_index(constraint.cost), choice])
    own, resting = q * lower[state], set()
    for after in set(model.branch_state[slice(*model.branch_ptr[choice : choice + 2])].tolist()):
        needs = q * cost * scale + p * lower[after]
        tight = own == needs and bool(strict[state])
        if own > needs or (tight and not strict[after]):
            continue
        if (cost >= 1) if p == q else not tight:
            return True, set()
        resting.add(after)
    return False, resting
