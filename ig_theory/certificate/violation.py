"""Kind ``violation``: a run that breaks the budget."""

from __future__ import annotations

from typing import Any

from ig_theory.augmentation import Product
from ig_theory.certificate.sealing import number, sealed
from ig_theory.tracker import BracketTracker
from ig_theory.verdict import Witness


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
            "probability": number(s.probability),
        }
        for s in witness.steps
    ]
    body = {
        "kind": "violation",
        "initial_state": witness.initial_state,
        "initial_probability": number(witness.initial_probability),
        "steps": steps,
        "probability": number(witness.probability),
        "broken": witness.constraint,
    }
    if any(isinstance(t, BracketTracker) for t in product.store.trackers):
        body["grid"] = per_unit
    return sealed(model, product.constraints, guard, body)
