"""How long the large cases take; the answer is checked first, time never gates.

Run by ``make bench``; the name keeps these out of the ordinary test run.
"""

from __future__ import annotations

import resource
import time

import pytest

from ig_theory.constraint import BudgetConstraint
from ig_theory.guards import open_guard
from ig_theory.io import open_model
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.verdict import Outcome
from ig_theory.verification import verify

SIZES = (1_000, 10_000, 100_000)


@pytest.mark.parametrize("states", SIZES)
def test_check_shield_on_a_sheltered_garnet(states):
    model = open_model(f"sheltered-garnet:states={states},choices=4,seed=1")
    constraint = BudgetConstraint(50)
    marks = [time.perf_counter()]
    safe_set = minimal_budget(model, constraint)
    marks.append(time.perf_counter())
    guard = open_guard("shield", model, constraint)[1]
    verdict = verify(guard, model, constraint, guard_name="shield", price=False)
    marks.append(time.perf_counter())
    assert safe_set.start_is_safe()
    assert verdict.outcome is Outcome.SAFE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n{model.S} states, {model.C} choices, {model.B} branches: minimal budget "
        f"{marks[1] - marks[0]:.2f} s, check {marks[2] - marks[1]:.2f} s, "
        f"{verdict.states_explored} pairs, peak (of this process) {peak:.2f} GiB"
    )


@pytest.mark.parametrize("states", [1_000, 10_000])
def test_the_price_of_safety_on_a_sheltered_garnet(states):
    model = open_model(f"sheltered-garnet:states={states},choices=4,seed=1")
    constraint = BudgetConstraint(50)
    guard = open_guard("shield", model, constraint)[1]
    started = time.perf_counter()
    verdict = verify(guard, model, constraint, guard_name="shield", price=True)
    seconds = time.perf_counter() - started
    assert verdict.outcome is Outcome.SAFE
    assert verdict.reward.upper <= verdict.optimal_reward.upper
    assert verdict.kl.upper >= verdict.kl_limit.lower
    print(
        f"\n{model.S} states, {verdict.states_explored} pairs: with the price {seconds:.2f} s; "
        f"reward {verdict.reward.middle:.3f} (width {verdict.reward.width:.1e}), optimum "
        f"{verdict.optimal_reward.middle:.3f} (width {verdict.optimal_reward.width:.1e}), "
        f"KL {verdict.kl.middle:.3f}, limit {verdict.kl_limit.middle:.3f} "
        f"(width {verdict.kl_limit.width:.1e})"
    )
