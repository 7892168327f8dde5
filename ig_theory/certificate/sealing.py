"""What all kinds share: the model, the constraints, the digest, and the file."""

from __future__ import annotations

import hashlib
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError
from ig_theory.fingerprint import model_hash
from ig_theory.verdict import Number

FORMAT = "ig-theory-certificate"
VERSION = 1


def sealed(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], guard: str,
    body: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The whole certificate: the body of its kind, what it is about, and a digest."""
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


def about(certificate: dict[str, Any], model: ConstrainedMDP) -> dict[str, Any]:
    """The same evidence for the model in floats of which the certificate's is the exact copy.

    Both have the same states, choices, supports and costs, which is all that the evidence rests
    on; the probabilities of a run become floats.
    """
    whole = {**certificate, "model": model_hash(model)}
    for key in ("initial_probability", "probability"):
        if key in whole:
            whole[key] = float(Fraction(whole[key]))
    if "steps" in whole and whole["kind"] == "violation":
        whole["steps"] = [
            {**step, "probability": float(Fraction(step["probability"]))} for step in whole["steps"]
        ]
    return {**whole, "digest": digest(whole)}


def digest(certificate: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of all entries but ``digest``."""
    content = {k: v for k, v in certificate.items() if k != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


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


def number(value: Number) -> str | float:
    """A probability as it is written."""
    return str(value) if isinstance(value, Fraction) else float(value)
