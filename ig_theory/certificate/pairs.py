"""Kind ``pairs``: what a guard that was found SAFE can reach."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import Product
from ig_theory.certificate.demand import demand_certificate
from ig_theory.certificate.sealing import sealed
from ig_theory.cmdp import Ints
from ig_theory.solvers.minimal_budget import SafeSet
from ig_theory.tracker import BracketTracker, ExactTracker

MOST_PAIRS = 100_000
"""Guards that reach more pairs are certified by the demand of the shield they stay in."""


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


def budget_columns(product: Product, nodes: Ints) -> tuple[list[Any], list[list[str]], list[int]]:
    """The budgets of these nodes in units of the cost: clips, distinct vectors, and places."""
    shown = product.store.shown(np.arange(len(product.store)))
    unit = product.model.cost_unit
    numbers = product.budget[nodes].tolist()
    vectors = {i: tuple(str(b.value(i) / unit) for b in shown) for i in set(numbers)}
    used = sorted(set(vectors.values()))
    place = {vector: i for i, vector in enumerate(used)}
    clips: list[Any] = [
        str(t.clip) if isinstance(t, ExactTracker) and t.clip != math.inf else None
        for t in product.store.trackers
    ]
    for i, tracker in enumerate(product.store.trackers):
        if isinstance(tracker, BracketTracker) and tracker.down.clip != math.inf:
            clips[i] = str(Fraction(int(tracker.down.clip), tracker.down.per_unit))
    return clips, [list(v) for v in used], [place[vectors[i]] for i in numbers]


def _pairs(product: Product, guard: str, per_unit: int | None) -> dict[str, Any]:
    clips, budgets, place = budget_columns(product, np.arange(len(product)))
    times = product.time.tolist() if product.timed else None
    places = product.place.tolist()
    ptr = product.choice_ptr.tolist()
    # Pairs of a bracket that share their lower end are one pair: the guard sees the same.
    listed: dict[tuple[int, int, int | None], list[int]] = {}
    for n, (state, budget) in enumerate(zip(product.state.tolist(), place, strict=True)):
        key = state, budget, None if times is None else times[n]
        listed[key] = places[ptr[n] : ptr[n + 1]]
    body = {
        "kind": "pairs",
        "clip": clips,
        "grid": [per_unit if isinstance(t, BracketTracker) else None
                 for t in product.store.trackers],
        "budgets": budgets,
        "pairs": [[*key, choices] for key, choices in listed.items()],
    }  # fmt: skip
    return sealed(product.model, product.constraints, guard, body)
