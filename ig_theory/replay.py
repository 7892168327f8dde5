"""Walks a counterexample again, step by step, and asks a guard whether it would take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError
from ig_theory.guard import Guard, probabilities, view_of
from ig_theory.tracker import ExactTracker, GridTracker, Tracker


@dataclass(frozen=True)
class ReplayRow:
    """One step: what was chosen, what it cost, what remained after it, one per constraint.

    `guard_probability` is what the guard gives this choice now; None without a guard.
    """

    time: int
    state: str
    choice: str
    costs: tuple[Fraction, ...]
    budgets: tuple[Fraction, ...]
    next_state: str
    probability: float
    guard_probability: float | None


def replay(
    certificate: Mapping[str, Any], model: ConstrainedMDP, guard: Guard | None = None
) -> list[ReplayRow]:
    """The steps of a violation certificate, checked first.

    Parameters
    ----------
    guard
        Asked again in every situation of the run.

    Raises
    ------
    CertificateError
        If the certificate proves nothing, is no counterexample, or the guard would not take
        one of its steps.
    GuardError
        If the guard fails.
    """
    claim = check_certificate(certificate, model)
    if claim.kind != "violation":
        raise CertificateError.at(
            "replay", "a counterexample", f"a certificate of kind {claim.kind!r}",
            "check it with verify-cert; only a violation can be replayed",
        )  # fmt: skip
    constraints = [BudgetConstraint(**entry) for entry in certificate["constraints"]]
    steps = certificate["steps"]
    asked: Sequence[float | None] = [None] * len(steps)
    if guard is not None:
        asked = _ask(guard, model, constraints, steps, certificate.get("grid"))
    return [
        ReplayRow(
            time,
            model.state_name(step["state"]),
            model.choice_name(int(model.choice_ptr[step["state"]]) + step["choice"]),
            tuple(map(Fraction, step["costs"])),
            tuple(map(Fraction, step["budgets"])),
            model.state_name(step["next_state"]),
            float(Fraction(step["probability"])),
            again,
        )
        for time, (step, again) in enumerate(zip(steps, asked, strict=True))
    ]


def _ask(
    guard: Guard,
    model: ConstrainedMDP,
    constraints: Sequence[BudgetConstraint],
    steps: Sequence[Mapping[str, Any]],
    grid: int | None,
) -> list[float]:
    """The guard's probability of each step, shown the budgets that verification showed it."""
    trackers: list[Tracker] = [
        GridTracker(model, c, grid, up=False)
        if grid is not None and c.discount < 1
        else ExactTracker(model, c)
        for c in constraints
    ]
    rows = tuple(model.cost_index(c.cost) for c in constraints)
    values: list[Any] = [tracker.start for tracker in trackers]
    found = []
    for time, step in enumerate(steps):
        shown = tuple(t.remaining([v]) for t, v in zip(trackers, values, strict=True))
        clock = None if constraints[0].horizon is None else np.array([time])
        view = view_of(model, rows, np.array([step["state"]]), shown, clock)
        found.append(float(probabilities(guard, view)[0, step["choice"]]))
        if found[-1] == 0:
            raise CertificateError.at(
                f"step {time}", "a choice that the guard takes", "probability 0",
                "this guard is not the one of the certificate, or it has been repaired",
            )  # fmt: skip
        choice = int(model.choice_ptr[step["state"]]) + step["choice"]
        values = [
            t.step(v, int(model.cost[row, choice]))
            for t, v, row in zip(trackers, values, rows, strict=True)
        ]
    return found
