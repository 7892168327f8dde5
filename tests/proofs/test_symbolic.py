"""The symbolic identities hold, and a planted wrong formula fails in each."""

from __future__ import annotations

from inspect import getmembers, isfunction

import pytest

from proofs_check import symbolic
from proofs_check.claim import Method, Status
from proofs_check.registry import all_claims

IDENTITIES = {
    name: function
    for name, function in getmembers(symbolic, isfunction)
    if function.__module__ == symbolic.__name__ and not name.startswith("_")
}

WRONG = {
    "budget_identity": lambda z, c, g: z / g - c,
    "open_boundary": lambda g: g / (1 - g),
    "clip_level": lambda c, g: c / (1 - g) + c,
    "path_gap": lambda h, g, t: h * (1 - g**t) / (1 - g),
    "rounding_reserve": lambda h, g: h / (1 - g),
    "cost_error_reserve": lambda e, g: g * e / (1 - g),
    "penalty_family": lambda k: symbolic._Symbols().R * k,
    "late_penalty": lambda R, kappa: R / kappa,
    "shortfall_growth": lambda z, c, g: g * (z - c),
    "late_violation": lambda g, t: (1 - g ** (t + 1)) / (1 - g),
    "free_energy": lambda weight, total: weight,
    "soft_limits": lambda Z, temperature: 2 * temperature * (Z - 1),
    "block_identity": lambda before, k, c: before + c,
}


def test_every_identity_has_a_planted_fault_and_serves_a_claim() -> None:
    assert IDENTITIES.keys() == WRONG.keys()
    used = {c.run for claim in all_claims() for c in claim.checks if c.method is Method.SYMBOLIC}
    assert used == set(IDENTITIES.values())


@pytest.mark.parametrize("name", IDENTITIES)
def test_holds(name: str) -> None:
    found = IDENTITIES[name]()
    assert found.status is Status.HOLDS
    assert found.detail


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_formula_fails(name: str) -> None:
    with pytest.raises(AssertionError, match="differ by"):
        IDENTITIES[name](WRONG[name])
