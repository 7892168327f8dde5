"""Certificates and models as the words that the extracted checker reads.

It shares no code with `ig_theory.checker` on purpose: what both accept has been read twice. Each
kind is written as the comment above its writer says; numbers are decimal (hexadecimal if very
long), rationals are two numbers, absent ones are ``-``, and lists are preceded by their length. A
place is whether the run is over there and its choices; a choice is a cost for each constraint and
the places to which it may lead. Places are numbered from 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError
from ig_theory.fingerprint import model_hash
from proofs_check.translation_kinds import demand, impossibility, pairs, violation
from proofs_check.translation_reading import (
    Game,
    Limit,
    Translated,
    listed,
    natural,
    need,
    rational,
    refusal,
)
from proofs_check.translation_reward import reward

ENTRIES = {
    "pairs": "clip grid budgets pairs",
    "demand": "denominator demand strict action",
    "violation": "initial_state initial_probability steps probability broken",
    "impossibility": "denominator lower strict rank",
    "reward": "reward_discount clip grid budgets pairs dead denominator upper lower choice steps",
}
COMMON = "format version digest model guard constraints kind"


_WRITERS: dict[str, Callable[[Mapping[str, Any], Game], Translated]] = {
    "pairs": pairs,
    "demand": demand,
    "violation": violation,
    "impossibility": impossibility,
    "reward": reward,
}


def translate(certificate: Mapping[str, Any], model: ConstrainedMDP) -> Translated:
    """Read a certificate and write the input of the extracted checker.

    Raises
    ------
    CertificateError
        The certificate is malformed, or is not of this model.
    """
    try:
        kind, game = _opened(certificate, model)
        translated = _WRITERS[kind](certificate, game)
        # All of it is written here, so that what cannot be read is told now.
        return Translated(kind, translated.sentence, list(translated.words), translated.bounds)
    except CertificateError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError,
            RecursionError) as error:  # fmt: skip
        raise refusal(f"{type(error).__name__}: {error}") from error


def _opened(certificate: Mapping[str, Any], model: ConstrainedMDP) -> tuple[str, Game]:
    """Digest, model, constraints and the names of the entries."""
    need(isinstance(certificate, Mapping), "a JSON object")
    text = json.dumps(
        {key: value for key, value in certificate.items() if key != "digest"},
        sort_keys=True, separators=(",", ":"),
    )  # fmt: skip
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    need(certificate.get("format") == "ig-theory-certificate", "the format ig-theory-certificate")
    version = certificate.get("version")
    need(type(version) is int and version == 1, "version 1")
    need(certificate.get("digest") == digest, "the digest of its content")
    need(certificate.get("model") == model_hash(model), "the hash of this model")
    need(isinstance(certificate["guard"], str), "a guard's name")
    kind = certificate["kind"]
    need(isinstance(kind, str) and kind in ENTRIES, "a known kind")
    known = {*COMMON.split(), *ENTRIES[kind].split(), *(["grid"] if kind == "violation" else [])}
    need(set(certificate) <= known, "known entries only")
    limits = [_limit(entry, model) for entry in listed(certificate["constraints"])]
    need(bool(limits) and len({limit.horizon for limit in limits}) == 1, "constraints, one horizon")
    return kind, Game(model, limits)


def _limit(entry: Any, model: ConstrainedMDP) -> Limit:
    need(
        set(entry) == {"budget", "discount", "boundary", "scope", "cost", "horizon"},
        "the entries of a constraint",
    )
    need(entry["boundary"] in ("closed", "open"), "a boundary, closed or open")
    need(entry["scope"] in ("anytime", "terminal"), "a scope, anytime or terminal")
    row = natural(entry["cost"], model.K)
    horizon = None if entry["horizon"] is None else natural(entry["horizon"])
    budget, discount = rational(entry["budget"]), rational(entry["discount"])
    need(budget >= 0 and 0 < discount <= 1, "a budget >= 0 and a discount in (0, 1]")
    anytime = entry["scope"] == "anytime"
    need(anytime or horizon is not None, "a horizon with scope terminal")
    return Limit(
        budget / model.cost_unit, discount, entry["boundary"] == "closed", anytime,
        model.cost[row].tolist(), horizon,
    )  # fmt: skip
