"""A guard must be a function of each situation: not of its neighbours, nor of the hour."""

from __future__ import annotations

import numpy as np
import pytest

from ig_theory.constraint import BudgetConstraint
from ig_theory.guards import BUILT_IN, open_guard
from ig_theory.io import open_model
from ig_theory.verdict import Outcome
from ig_theory.verification import verify

CONSTRAINT = BudgetConstraint(3)


def cautious_in_company(view):
    """Takes each situation's first choice, unless others are in the batch."""
    first = np.zeros_like(view.base)
    first[:, 0] = 1.0
    return first if len(view) > 2 else view.base


class ChangesItsMind:
    """Alternates between two choices."""

    def __init__(self):
        self.asked = 0

    def __call__(self, view):
        self.asked += 1
        out = np.zeros_like(view.base)
        out[:, self.asked % 2] = 1.0
        return out


@pytest.mark.parametrize("guard", [cautious_in_company, ChangesItsMind()])
def test_a_guard_that_is_no_function_is_an_error(guard):
    model = open_model("jailbreak-dialogue")
    verdict = verify(guard, model, CONSTRAINT)
    assert verdict.outcome is Outcome.ERROR
    assert "function of each situation alone" in verdict.error
    assert "state" in verdict.error
    assert "budget 3" in verdict.error


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_guards_are_functions(name):
    model = open_model("jailbreak-dialogue")
    verdict = verify(open_guard(name, model, CONSTRAINT)[1], model, CONSTRAINT)
    assert verdict.outcome in (Outcome.SAFE, Outcome.VIOLATED)
