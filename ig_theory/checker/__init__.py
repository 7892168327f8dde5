"""Check a certificate against a model, trusting no solver.

Everything is recomputed in exact integers and rationals by plain loops over the model; this
package imports the model, its hash and the errors, and nothing that computed the certificate.
One file a kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ig_theory.checker.demand import check_demand
from ig_theory.checker.impossibility import check_impossibility
from ig_theory.checker.pairs import check_pairs
from ig_theory.checker.reading import (
    MOST_DIGITS,
    Claim,
    constraint_of,
    digest_of,
    items,
    same,
)
from ig_theory.checker.reward import check_reward
from ig_theory.checker.violation import check_violation
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError
from ig_theory.fingerprint import model_hash

__all__ = ["COMMON", "KINDS", "MOST_DIGITS", "Claim", "check_certificate"]

COMMON = frozenset({"format", "version", "digest", "model", "guard", "constraints", "kind"})
"""The entries of every certificate."""

KINDS = {
    "pairs": frozenset({"clip", "grid", "budgets", "pairs"}),
    "demand": frozenset({"denominator", "demand", "strict", "action"}),
    "violation": frozenset(
        {"initial_state", "initial_probability", "steps", "probability", "broken", "grid"}
    ),
    "impossibility": frozenset({"denominator", "lower", "strict", "rank"}),
    "reward": frozenset(
        {
            "reward_discount", "clip", "grid", "budgets", "pairs", "dead", "denominator",
            "upper", "lower", "choice", "steps",
        }
    ),
}  # fmt: skip
"""The further entries of each kind; ``grid`` of a violation may be absent."""

_CHECKS = {
    "pairs": check_pairs,
    "demand": check_demand,
    "violation": check_violation,
    "impossibility": check_impossibility,
    "reward": check_reward,
}


def check_certificate(certificate: Mapping[str, Any], model: ConstrainedMDP) -> Claim:
    """Check every step of the proof.

    Parameters
    ----------
    certificate
        As read from JSON.
    model
        The model that it is about.

    Raises
    ------
    CertificateError
        At the first thing that is malformed, does not belong to the model, or does not follow.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.certificate import demand_certificate
    >>> from ig_theory.constraint import BudgetConstraint
    >>> from ig_theory.solvers.minimal_budget import minimal_budget
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> certificate = demand_certificate(minimal_budget(model, BudgetConstraint(2)))
    >>> check_certificate(certificate, model).kind
    'demand'
    """
    try:
        return _check(certificate, model)
    except CertificateError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError,
            AttributeError, RecursionError) as error:  # fmt: skip
        raise CertificateError.at(
            "certificate", "the documented structure", f"{type(error).__name__}: {error}",
            "write it anew with `ig-theory check --report`",
        ) from error  # fmt: skip


def _check(certificate: Mapping[str, Any], model: ConstrainedMDP) -> Claim:
    if not isinstance(certificate, Mapping):
        raise CertificateError.at("certificate", "a JSON object", type(certificate).__name__, "-")
    same("format", "ig-theory-certificate", certificate.get("format"))
    same("version", 1, certificate.get("version"))
    same("digest", digest_of(certificate), certificate.get("digest"))
    same("model", model_hash(model), certificate.get("model"))
    if not isinstance(certificate["guard"], str):
        raise CertificateError.at("guard", "a name", repr(certificate["guard"]), "name it")
    constraints = [constraint_of(entry, model) for entry in items(certificate["constraints"])]
    if not constraints or len({c.horizon for c in constraints}) > 1:
        raise CertificateError.at("constraints", "at least one, one horizon", "other", "-")
    kind = certificate["kind"]
    if kind not in KINDS:
        raise CertificateError.at("kind", ", ".join(KINDS), repr(kind), "use a known kind")
    unknown = set(certificate) - COMMON - KINDS[kind]
    if unknown:
        raise CertificateError.at("certificate", "known entries", sorted(unknown), "drop them")
    return _CHECKS[kind](certificate, model, constraints)
