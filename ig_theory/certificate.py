"""Certificates: what `ig_theory.checker` needs to believe a verdict without trusting a solver.

Three kinds, all with the model's hash and the constraints in exact rationals (THEORY T4):

``pairs``
    For a given guard: a set of (state, budgets) pairs with the guard's choices at each, closed
    under every branch, all kept. Budgets are multiples of the cost unit; a clip or a grid only
    rounds them down (THEORY T3).
``demand``
    For every policy inside a shield: D as integers over a common denominator, with one chosen
    action per state that makes it inductive.
``violation``
    A run that violates, step by step.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ig_theory.augmentation import Product
from ig_theory.budget import INFINITE
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError
from ig_theory.fingerprint import model_hash
from ig_theory.solvers.minimal_budget import SafeSet
from ig_theory.tracker import BracketTracker, ExactTracker
from ig_theory.verdict import Number, Witness

FORMAT = "ig-theory-certificate"
VERSION = 1
MOST_PAIRS = 100_000
"""Guards that reach more pairs are certified by the demand of the shield they stay in."""

_LONG_DENOMINATOR = 4096  # bits


def safe_certificate(
    product: Product, safe_set: SafeSet | None, guard: str, per_unit: int | None
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The certificate of a guard that was found SAFE, and what it does not cover.

    Parameters
    ----------
    per_unit
        Grid points per cost unit if budgets were rounded, else None.
    """
    if len(product) <= MOST_PAIRS:
        return _pairs(product, guard, per_unit), ()
    if safe_set is None or not safe_set.start_is_safe():
        return None, (f"no certificate: {len(product)} pairs are too many to list",)
    note = (
        f"the certificate is that of the shield: the guard's own {len(product)} pairs are too many "
        f"to list"
    )
    return demand_certificate(safe_set, guard), (note,)


def demand_certificate(safe_set: SafeSet, guard: str = "shield") -> dict[str, Any]:
    """Certify the safe set itself: from ``z >= D(s)`` the chosen actions keep the budget."""
    model, constraint = safe_set.model, safe_set.constraint
    rows = np.atleast_2d(safe_set.demand)
    denominator, numerators = _common(rows, constraint, safe_set)
    body = {
        "kind": "demand",
        "denominator": denominator,
        "demand": numerators,
        "strict": np.atleast_2d(safe_set.strict).astype(int).tolist(),
        "action": _actions(safe_set),
    }
    return _sealed(model, (constraint,), guard, body)


def violation_certificate(
    product: Product, witness: Witness, guard: str, per_unit: int
) -> dict[str, Any]:
    """The run, with everything that can be checked against the model."""
    model = product.model
    steps = [
        {
            "state": s.state,
            "choice": s.choice - int(model.choice_ptr[s.state]),
            "costs": [str(c) for c in s.costs],
            "budgets": [str(b) for b in s.budgets],
            "next_state": s.next_state,
            "probability": _number(s.probability),
        }
        for s in witness.steps
    ]
    body = {
        "kind": "violation",
        "initial_state": witness.initial_state,
        "initial_probability": _number(witness.initial_probability),
        "steps": steps,
        "probability": _number(witness.probability),
        "broken": witness.constraint,
    }
    if any(isinstance(t, BracketTracker) for t in product.store.trackers):
        body["grid"] = per_unit
    return _sealed(model, product.constraints, guard, body)


def write_certificate(certificate: dict[str, Any], path: str | Path) -> None:
    """Write as JSON; the file is whole or absent, never half written."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(certificate, file, separators=(",", ":"))
            file.write("\n")
        part.replace(path)
    except OSError as error:
        raise CertificateError.at(
            str(path), "a place to write to", error.strerror or error, "choose another folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _pairs(product: Product, guard: str, per_unit: int | None) -> dict[str, Any]:
    model = product.model
    shown = product.store.shown(np.arange(len(product.store)))
    unit = model.cost_unit
    vectors = [tuple(str(b.value(i) / unit) for b in shown) for i in range(len(product.store))]
    used = sorted({vectors[i] for i in product.budget.tolist()})
    number = {vector: i for i, vector in enumerate(used)}
    place = [number[vectors[i]] for i in product.budget.tolist()]
    times = product.time.tolist() if product.timed else None
    places = product.place.tolist()
    ptr = product.choice_ptr.tolist()
    # Pairs of a bracket that share their lower end are one pair: the guard sees the same.
    listed: dict[tuple[int, int, int | None], list[int]] = {}
    for n, (state, budget) in enumerate(zip(product.state.tolist(), place, strict=True)):
        key = state, budget, None if times is None else times[n]
        listed[key] = places[ptr[n] : ptr[n + 1]]
    pairs = [[*key, choices] for key, choices in listed.items()]
    clips = [
        str(t.clip) if isinstance(t, ExactTracker) and t.clip != math.inf else None
        for t in product.store.trackers
    ]
    for i, tracker in enumerate(product.store.trackers):
        if isinstance(tracker, BracketTracker) and tracker.down.clip != math.inf:
            clips[i] = str(Fraction(int(tracker.down.clip), tracker.down.per_unit))
    grids = [per_unit if isinstance(t, BracketTracker) else None for t in product.store.trackers]
    body = {
        "kind": "pairs",
        "clip": clips,
        "grid": grids,
        "budgets": [list(v) for v in used],
        "pairs": pairs,
    }
    return _sealed(model, product.constraints, guard, body)


def _sealed(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], guard: str,
    body: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    whole = {
        "format": FORMAT,
        "version": VERSION,
        "model": model_hash(model),
        "guard": guard,
        "constraints": [
            {
                "budget": str(c.budget),
                "discount": str(c.discount),
                "boundary": c.boundary.value,
                "scope": c.scope.value,
                "cost": model.cost_index(c.cost),
                "horizon": c.horizon,
            }
            for c in constraints
        ],
        **body,
    }
    return {**whole, "digest": digest(whole)}


def digest(certificate: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of all entries but ``digest``."""
    content = {k: v for k, v in certificate.items() if k != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _number(value: Number) -> str | float:
    return str(value) if isinstance(value, Fraction) else float(value)


def _actions(safe_set: SafeSet) -> list[list[int | None]]:
    """For each row of D the place of a choice that makes it inductive; None where D is infinite."""
    model, horizon = safe_set.model, safe_set.constraint.horizon
    rows: list[list[int | None]] = [] if horizon is None else [[None] * model.S]
    for time in [None] if horizon is None else range(horizon - 1, -1, -1):
        demand, strict = safe_set.choice_demand(time)
        # The least demand; among equals one whose z need not exceed it.
        best: list[int | None] = []
        for s in range(model.S):
            low, high = int(model.choice_ptr[s]), int(model.choice_ptr[s + 1])
            found = min(range(low, high), key=lambda c: (demand[c], bool(strict[c])))
            finite = demand[found] != math.inf and (
                demand.dtype == object or demand[found] < INFINITE
            )
            best.append(found - low if finite else None)
        rows.append(best)
    return rows


def _common(
    rows: np.ndarray, constraint: BudgetConstraint, safe_set: SafeSet
) -> tuple[int, list[list[int | None]]]:
    """D over a common denominator; rounded up (THEORY T4) if the exact one would be very long."""
    if rows.dtype != object:
        return 1, [[None if n >= INFINITE else int(n) for n in row] for row in rows]
    gamma = constraint.discount
    exact = math.lcm(*(x.denominator for row in rows for x in row if x != math.inf))
    if exact.bit_length() > _LONG_DENOMINATOR and constraint.horizon is None:
        denominator = 2**64
        slack = gamma / (denominator * (1 - gamma))
        rounded = [[math.ceil((x + slack) * denominator) for x in rows[0]]]
        first = np.flatnonzero((safe_set.model.initial > 0).astype(bool))
        budget = constraint.budget / safe_set.model.cost_unit * denominator
        if all(rounded[0][s] < budget for s in first):
            return denominator, [[int(n) for n in rounded[0]]]
    return exact, [[None if x == math.inf else int(x * exact) for x in row] for row in rows]
