"""The one-step checks: proved, and refuted as soon as any hypothesis is left out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proofs_check import smt
from proofs_check.claim import Method, Status
from proofs_check.registry import all_claims
from proofs_check.smt_steps import STEPS, reals


@pytest.mark.parametrize("name", STEPS)
def test_step_is_proved(name: str) -> None:
    pytest.importorskip("z3")
    assert smt.check_step(name).status is Status.HOLDS


@pytest.mark.parametrize("name", STEPS)
def test_every_hypothesis_is_needed(name: str) -> None:
    """A step that holds without a hypothesis would show nothing about it."""
    z3 = pytest.importorskip("z3")
    hypotheses, conclusions = STEPS[name].parts(z3, reals(z3))
    for left_out in range(len(hypotheses)):
        kept = [h for i, h in enumerate(hypotheses) if i != left_out]
        with pytest.raises(AssertionError, match="refuted by"):
            smt.prove(z3, name, kept, conclusions)


def test_hypotheses_can_be_met() -> None:
    z3 = pytest.importorskip("z3")
    for name, step in STEPS.items():
        query = z3.Solver()
        query.add(*step.parts(z3, reals(z3))[0])
        assert query.check() == z3.sat, f"{name} assumes what cannot be"


def test_a_wrong_step_is_refuted_with_numbers() -> None:
    """Pricing the budget before the step: z >= 0 does not give z' >= 0."""
    z3 = pytest.importorskip("z3")
    v = reals(z3)
    with pytest.raises(AssertionError, match="z = "):
        smt.prove(z3, "z' >= 0", [v.g > 0, v.z >= 0, v.c >= 0], [(v.z - v.c) / v.g >= 0])


def test_a_solver_that_gives_up_has_shown_nothing() -> None:
    query = SimpleNamespace(
        set=lambda *_: None, add=lambda *_: None, check=lambda: "unknown",
        reason_unknown=lambda: "timeout",
    )  # fmt: skip
    z3 = SimpleNamespace(
        Solver=lambda: query, And=lambda *_: None, Not=lambda _: None, unsat="unsat", sat="sat"
    )
    found = smt.prove(z3, "hard", [], [])
    assert found.status is Status.NOT_RUN
    assert "gave up" in found.detail
    assert "timeout" in found.detail


def test_bounded_game() -> None:
    pytest.importorskip("z3")
    found = smt.bounded_game(2)
    assert found.status is Status.HOLDS
    assert "81" in found.detail


def test_without_z3_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smt, "solver", lambda: None)
    for claim in all_claims():
        for check in claim.checks:
            if check.method is Method.SMT:
                assert check.run is not None
                found = check.run()
                assert found.status is Status.NOT_RUN
                assert "not installed" in found.detail


def test_every_step_serves_a_claim() -> None:
    used = {c.covers for claim in all_claims() for c in claim.checks if c.method is Method.SMT}
    assert {step.shown for step in STEPS.values()} <= used
