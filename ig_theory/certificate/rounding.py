"""Numbers over a common denominator, rounded to the safe side where the exact one is too long."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, Scope
from ig_theory.errors import CertificateError
from ig_theory.solvers.minimal_budget import SafeSet

LONG_DENOMINATOR = 4096
"""Bits of a common denominator beyond which numbers are rounded."""

ROUNDED = 2**64
"""The denominator that they are rounded to."""

LONGEST = 13_000
"""Bits of the longest denominator that is written at all; JSON readers stop at 4300 digits."""


def common_denominator(numbers: Iterable[Any]) -> int:
    """Of all that are finite, as exact as they are; may be long."""
    return math.lcm(*{x.denominator for x in numbers if x not in (math.inf, -math.inf)})


def is_long(denominator: int) -> bool:
    """Whether numbers over it are better rounded."""
    return denominator.bit_length() > LONG_DENOMINATOR


def writable(denominator: int) -> int:
    """The denominator itself.

    Raises
    ------
    CertificateError
        If numbers over it would be longer than a JSON file can hold.
    """
    if denominator.bit_length() > LONGEST:
        raise CertificateError.at(
            "common denominator", f"at most {LONGEST} bits", denominator.bit_length(),
            "the budget lies too near to the least one to be rounded; move it, or the discount",
        )  # fmt: skip
    return denominator


def layers(
    model: ConstrainedMDP, constraint: BudgetConstraint, scale: int, up: bool
) -> tuple[list[list[int]], list[list[int | None]]]:
    """The minimal budgets of 0, 1, ... steps to go over `scale`, rounded at every step.

    Rounded up they are demands that the returned places of choices meet; rounded down they are
    bounds that no policy can do with less than (THEORY T4.safety, T4.impossibility). O(T B).
    """
    p, q = constraint.discount.numerator, constraint.discount.denominator
    cost = model.cost[model.cost_index(constraint.cost)].astype(object) * (q * scale)
    row = np.zeros(model.S, dtype=object)
    rows: list[list[int]] = [row.tolist()]
    places: list[list[int | None]] = [[None] * model.S]
    first = model.choice_ptr[:-1]
    for _ in range(constraint.horizon or 0):
        through = cost + p * np.maximum.reduceat(row[model.branch_state], model.branch_ptr[:-1])
        through = -(-through // q) if up else through // q
        if constraint.scope is Scope.ANYTIME:
            through = np.maximum(through, 0)
        row = np.minimum.reduceat(through, first)
        hit = np.flatnonzero((through == row[model.choice_state]).astype(bool))[::-1]
        place = np.zeros(model.S, dtype=np.int64)
        place[model.choice_state[hit]] = hit
        rows.append(row.tolist())
        places.append((place - first).tolist())
    return rows, places


def budget_over(safe_set: SafeSet, scale: int) -> Any:
    """The constraint's budget over `scale`, in units of the cost."""
    return safe_set.constraint.budget / safe_set.model.cost_unit * scale


def start_states(model: ConstrainedMDP) -> list[int]:
    """The states in which a run may start."""
    return [int(s) for s in np.flatnonzero((model.initial > 0).astype(bool))]
