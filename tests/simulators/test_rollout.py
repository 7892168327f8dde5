"""Sampling agrees with exact verification, is reproducible, and draws nothing forbidden."""

from __future__ import annotations

import numpy as np
import pytest

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError, SolverError
from ig_theory.guards import open_guard
from ig_theory.io import open_model
from ig_theory.verification import verify
from simulators.rollout import _sampled, clopper_pearson, simulate

CASES = [
    ("jailbreak-dialogue", BudgetConstraint(3)),
    ("slippery-hall", BudgetConstraint(2, discount="9/10", horizon=6)),
    ("slippery-hall", BudgetConstraint(2, scope="terminal", horizon=6, boundary="open")),
    ("frozenlake", BudgetConstraint(0)),
]


@pytest.mark.parametrize("guard", ["unguarded", "shield"])
@pytest.mark.parametrize(("name", "constraint"), CASES)
def test_samples_agree_with_the_exact_numbers(name, constraint, guard):
    model = open_model(name)
    asked = open_guard(guard, model, constraint)[1]
    exact = verify(asked, model, constraint)
    found = simulate(asked, model, constraint, runs=4000, seed=11, horizon_cap=2000)
    low, high = clopper_pearson(found.violations, found.runs, confidence=0.99999)
    assert low <= exact.violation.upper
    assert high >= exact.violation.lower
    assert abs(found.mean_reward - exact.reward.middle) <= 5 * found.reward_error + 1e-9


def test_several_constraints_are_all_judged():
    model = open_model("jailbreak-dialogue")
    guard = open_guard("unguarded", model, BudgetConstraint(3))[1]
    loose, tight = BudgetConstraint(100), BudgetConstraint(3)
    both = simulate(guard, model, [loose, tight], runs=500, seed=3)
    assert both.violations == simulate(guard, model, tight, runs=500, seed=3).violations > 0
    assert simulate(guard, model, loose, runs=500, seed=3).violations == 0


def test_an_endless_run_is_cut_and_counted():
    model = open_model("frozenlake")
    guard = open_guard("shield", model, BudgetConstraint(0))[1]
    found = simulate(guard, model, BudgetConstraint(0), runs=20, horizon_cap=5)
    assert (found.truncated, found.violations) == (20, 0)


def test_a_budget_that_is_broken_at_the_start():
    model = open_model("latent-chain")
    found = simulate(lambda v: v.base, model, BudgetConstraint(0, boundary="open"), runs=10)
    assert found.violations == 10


def test_a_choice_of_probability_zero_is_never_drawn():
    class Highest:
        def random(self, n):
            return np.full(n, np.nextafter(1.0, 0.0))

    rows = np.array([[0.1] * 7 + [0.3, 0.0], [0.0, 1.0] + [0.0] * 7, [1 / 3] * 3 + [0.0] * 6])
    assert _sampled(rows, Highest()).tolist() == [7, 1, 2]


def test_faults_are_errors():
    model = open_model("latent-chain")
    with pytest.raises(GuardError):
        simulate(lambda view: view.base * 2, model, BudgetConstraint(1), runs=5)
    with pytest.raises(SolverError):
        simulate(lambda view: view.base, model, BudgetConstraint(1), runs=0)


@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"),
    # Exact ends: (1 - x)^n = 0.025 for no hits, x^n = 0.025 for all hits.
    [(0, 10, 0.0, 1 - 0.025**0.1), (10, 10, 0.025**0.1, 1.0), (0, 1000, 0.0, 1 - 0.025**0.001)],
)
def test_clopper_pearson_where_it_has_a_closed_form(hits, runs, low, high):
    assert clopper_pearson(hits, runs) == pytest.approx((low, high), abs=1e-12)
