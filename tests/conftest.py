"""Certificates are re-checked in every test; Hypothesis profiles dev, ci and nightly.

Chosen by the environment variable HYPOTHESIS_PROFILE; ci where CI is set, else dev.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from ig_theory import verification
from ig_theory.checker import check_certificate

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_SLOW.append(HealthCheck.function_scoped_fixture)  # the one below is the same for every example

settings.register_profile("dev", max_examples=60, deadline=None, suppress_health_check=_SLOW)
settings.register_profile(
    "ci", max_examples=200, deadline=None, derandomize=True, suppress_health_check=_SLOW
)
settings.register_profile("nightly", max_examples=3000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def every_certificate_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test verifies, the certificate of its verdict is re-checked independently."""
    decide = verification._decided

    def decide_and_check(blank, product, context, *rest):
        verdict = decide(blank, product, context, *rest)
        if verdict.certificate is not None and len(product) <= 2_000:
            claim = check_certificate(verdict.certificate, product.model)
            wanted = ("violation",) if verdict.witness is not None else ("pairs", "demand")
            assert claim.kind in wanted
        return verdict

    monkeypatch.setattr(verification, "_decided", decide_and_check)
