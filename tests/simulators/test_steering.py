"""Activation steering on the toy dialogue: it lowers the risk, and never removes it."""

from __future__ import annotations

import numpy as np
import pytest

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError
from ig_theory.guard import steered, view_of
from ig_theory.io import open_model
from ig_theory.tracker import BudgetStore, ExactTracker
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from simulators.latent import DIALOGUE_BASIS

CONSTRAINT = BudgetConstraint(3)


def steering(strength: float):
    direction = np.zeros(len(DIALOGUE_BASIS))
    direction[list(DIALOGUE_BASIS).index("refusal")] = strength
    return lambda view: steered(view, view.latent + direction).base


def test_no_steering_is_the_base_model():
    model = open_model("jailbreak-dialogue")
    plain = verify(lambda view: view.base, model, CONSTRAINT)
    nothing = verify(steering(0.0), model, CONSTRAINT)
    assert nothing.violation.middle == pytest.approx(plain.violation.middle, abs=1e-12)
    assert nothing.kl.upper == pytest.approx(0, abs=1e-12)


def test_every_finite_strength_leaves_a_risk():
    model = open_model("jailbreak-dialogue")
    found = [verify(steering(a), model, CONSTRAINT) for a in (0.0, 1.0, 2.0, 4.0, 8.0)]
    assert all(v.outcome is Outcome.VIOLATED and v.violation.lower > 0 for v in found)
    risks = [v.violation.middle for v in found]
    assert risks == sorted(risks, reverse=True)
    assert risks[-1] < risks[0] / 10


def test_a_model_without_latents_cannot_be_steered():
    model = open_model("garnet:states=5")
    store = BudgetStore(model, [ExactTracker(model, CONSTRAINT)])
    view = view_of(model, (0,), np.array([0]), store.shown(np.array([0])), None)
    with pytest.raises(GuardError, match="want a model with latents"):
        steered(view, np.zeros((1, 8)))
