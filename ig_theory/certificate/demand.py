"""Kind ``demand``: the safe set, for every policy inside its shield."""

from __future__ import annotations

import math
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
from ig_theory.solvers.minimal_budget import SafeSet

Row = list[int | None]


def demand_certificate(safe_set: SafeSet, guard: str = "shield") -> dict[str, Any]:
    """Certify the safe set itself: from ``z >= D(s)`` the chosen actions keep the budget.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.constraint import BudgetConstraint
    >>> from ig_theory.solvers.minimal_budget import minimal_budget
    >>> model = from_dict({"s": {"pay": (2, 1, {"t": 1})}}, initial="s")
    >>> demand_certificate(minimal_budget(model, BudgetConstraint(2)))["demand"]
    [[2, 0]]
    """
    denominator, numerators, action = _common(safe_set)
    body = {
        "kind": "demand",
        "denominator": denominator,
        "demand": numerators,
        "strict": np.atleast_2d(safe_set.strict).astype(int).tolist(),
        "action": action,
    }
    return sealed(safe_set.model, (safe_set.constraint,), guard, body)


def _common(safe_set: SafeSet) -> tuple[int, list[Row], list[Row]]:
    """D over a common denominator with its actions; rounded up if the exact one is very long."""
    rows = np.atleast_2d(safe_set.demand)
    if rows.dtype != object:
        numerators: list[Row] = [[None if n >= INFINITE else int(n) for n in row] for row in rows]
        return 1, numerators, _actions(safe_set)
    exact = common_denominator(x for row in rows for x in row)
    if is_long(exact):
        rounded, action = _rounded(safe_set)
        budget = budget_over(safe_set, ROUNDED)
        if all((rounded[-1][s] or 0) < budget for s in start_states(safe_set.model)):
            return ROUNDED, rounded, action
    writable(exact)
    return (
        exact,
        [[None if x == math.inf else int(x * exact) for x in row] for row in rows],
        _actions(safe_set),
    )


def _rounded(safe_set: SafeSet) -> tuple[list[Row], list[Row]]:
    constraint = safe_set.constraint
    if constraint.horizon is not None:
        rows, places = layers(safe_set.model, constraint, ROUNDED, up=True)
        return [list(row) for row in rows], places
    gamma = constraint.discount
    slack = gamma / (ROUNDED * (1 - gamma))
    return [[math.ceil((x + slack) * ROUNDED) for x in safe_set.demand]], _actions(safe_set)


def _actions(safe_set: SafeSet) -> list[Row]:
    """For each row of D the place of a choice that makes it inductive; None where D is infinite."""
    model, horizon = safe_set.model, safe_set.constraint.horizon
    rows: list[Row] = [] if horizon is None else [[None] * model.S]
    for time in [None] if horizon is None else range(horizon - 1, -1, -1):
        demand, strict = safe_set.choice_demand(time)
        # The least demand; among equals one whose z need not exceed it.
        best: Row = []
        for s in range(model.S):
            low, high = int(model.choice_ptr[s]), int(model.choice_ptr[s + 1])
            found = min(range(low, high), key=lambda c: (demand[c], bool(strict[c])))
            finite = demand[found] != math.inf and (
                demand.dtype == object or demand[found] < INFINITE
            )
            best.append(found - low if finite else None)
        rows.append(best)
    return rows
