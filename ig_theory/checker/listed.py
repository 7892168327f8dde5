"""Pairs of a state and its budgets, as the kinds ``pairs`` and ``reward`` list them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ig_theory.checker.reading import Constraint, below, items, rational, state_at, time_at
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError

Key = tuple[int, int, int | None]
"""A state, the place of its budgets in ``budgets``, and the time if there is a horizon."""

Vector = tuple[Fraction, ...]
"""Budgets in units of the cost, one a constraint."""


def clips_at(certificate: Mapping[str, Any], constraints: list[Constraint]) -> list[Any]:
    """Read ``clip``: for each constraint the budget that no larger one is told from, or None."""
    clips = [None if c is None else rational(c, "clip") for c in items(certificate["clip"])]
    if not len(clips) == len(items(certificate["grid"])) == len(constraints):
        raise CertificateError.at("clip, grid", "one per constraint", "other", "-")
    return clips


def budgets_at(certificate: Mapping[str, Any], constraints: list[Constraint]) -> list[Vector]:
    """Read ``budgets``: distinct vectors."""
    budgets = [
        tuple(rational(b, "budget") for b in items(vector))
        for vector in items(certificate["budgets"])
    ]
    if len(set(budgets)) < len(budgets) or any(len(v) != len(constraints) for v in budgets):
        raise CertificateError.at(
            "budgets", "distinct vectors, one entry a constraint", "other", "-"
        )
    return budgets


def key_at(entry: list[Any], budgets: list[Vector], timed: bool, model: ConstrainedMDP) -> Key:
    """Read a pair: a state, budgets and a time."""
    state, budget, time = entry
    return state_at(state, model), below(budget, len(budgets), "budget"), time_at(time, timed)


def is_over(state: int, time: int | None, constraint: Constraint, model: ConstrainedMDP) -> bool:
    """Whether a run that is here has ended."""
    return bool(model.terminal[state]) or (time is not None and time == constraint.horizon)


def broken_at(constraints: list[Constraint], vector: Vector, over: bool) -> int | None:
    """The place of the first constraint that is judged and not kept."""
    for i, (constraint, z) in enumerate(zip(constraints, vector, strict=True)):
        if (constraint.anytime or over) and not constraint.kept(z):
            return i
    return None


def moved(vector: Vector, choice: int, constraints: list[Constraint]) -> Vector:
    """The budgets after paying for a choice."""
    each = zip(constraints, vector, strict=True)
    return tuple((z - c.cost[choice]) / c.discount for c, z in each)
