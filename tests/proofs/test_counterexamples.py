"""The counterexamples, their numbers, and that each check can fail."""

from __future__ import annotations

import importlib
import pkgutil
from fractions import Fraction

import numpy as np
import pytest

import proofs_check.counterexamples as package
from proofs_check.claim import Status
from proofs_check.counterexamples import (
    aliasing,
    antichain,
    floats,
    last_step,
    no_threshold,
    not_least,
    open_boundary,
    sharp_grid,
    signed_costs,
    tight_threshold,
    zero_cycle,
)

MODULES = [
    importlib.import_module(f"{package.__name__}.{info.name}")
    for info in pkgutil.iter_modules(package.__path__)
    if info.name != "require"
]


def test_there_is_one_for_each_refuted_or_attained_claim():
    assert sorted(module.CLAIM for module in MODULES) == [
        "L1.identity", "L1.open", "L1.signed", "L2.least", "T1.last-step", "T1.no-threshold",
        "T1.threshold", "T2.aliasing", "T3.sharp", "T4.antichain", "T4.cycle",
    ]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rsplit(".", 1)[1])
def test_each_holds_with_its_numbers(module):
    found = module.run()
    assert found.status is Status.HOLDS
    assert found.detail
    assert "\n" not in found.detail + module.COVERS


def test_the_times_at_which_late_violations_come():
    late = [no_threshold.late(n) for n in no_threshold.PENALTIES]
    assert [found.time for found in late] == [44, 88, 153]
    assert all(found.budget < 9 for found in late)
    assert sorted(found.budget for found in late) == [found.budget for found in late]
    for found in late:  # a larger penalty mends this budget, not one closer to 9
        assert no_threshold.late(found.enough).budget > found.budget


def test_the_random_family_is_the_stated_one():
    assert last_step.counts() == (166, 0)
    assert last_step.family() == last_step.family()


def test_one_step_is_enough_to_leave_the_last_one_unpriced():
    problem = last_step.smallest()
    for n in (1, 10**6, 10**100):
        assert last_step.greedy(problem, Fraction(n), last_step=False)(0, 0, 0) == 0
    assert last_step.greedy(problem, Fraction(2), last_step=True)(0, 0, 0) == 1


def test_the_gap_is_closer_to_the_bound_the_smaller_epsilon(monkeypatch):
    ratios = []
    for epsilon in (Fraction(1, 10**3), Fraction(1, 10**6), Fraction(1, 10**12)):
        monkeypatch.setattr(sharp_grid, "EPSILON", epsilon)
        down, exact = sharp_grid.demands(5, Fraction(9, 10))
        ratios.append((down - exact) / sharp_grid.bound(5, Fraction(9, 10)))
    assert ratios == [1 - Fraction(1, 10), 1 - Fraction(1, 10**4), 1 - Fraction(1, 10**10)]


def test_undiscounted_runs_spend_alike_if_they_choose_alike_as_often():
    found = antichain.vectors(3, Fraction(1))
    assert len(found) == 4
    assert not antichain.is_antichain({(Fraction(0), Fraction(0)), (Fraction(1), Fraction(1))})


# -- each check can fail: the statement is made false, or the project wrong -----------------------


def fails(module) -> str:
    with pytest.raises(AssertionError) as caught:
        module.run()
    return str(caught.value)


def test_a_penalty_that_is_enough_refutes_nothing(monkeypatch):
    enough = no_threshold.late(10)
    monkeypatch.setattr(
        no_threshold, "late",
        lambda n: no_threshold.Late(n, enough.budget, enough.time, Fraction(-1), enough.enough),
    )  # fmt: skip
    assert "not better" in fails(no_threshold)


def test_a_threshold_that_is_not_sharp_is_noticed(monkeypatch):
    sharp = tight_threshold.threshold
    monkeypatch.setattr(tight_threshold, "threshold", lambda *case: sharp(*case) + 1)
    assert "want a tie" in fails(tight_threshold)


def test_a_guard_that_leaves_the_last_step_unpriced_is_noticed(monkeypatch):
    def unpriced(problem, n, last_step):
        return ORIGINAL(problem, n, last_step=False)

    ORIGINAL = last_step.greedy
    monkeypatch.setattr(last_step, "greedy", unpriced)
    assert "z_T is priced" in fails(last_step)


@pytest.mark.parametrize(
    ("module", "constant", "value"),
    [
        (aliasing, "COST", {(room, a): 0 for room in ("left", "right") for a in "ab"}),
        (sharp_grid, "EPSILON", Fraction(1, 50)),
        (zero_cycle, "COST", {"u": 1, "s": 1}),
        (zero_cycle, "LOWER", Fraction(0)),
        (not_least, "TRIED", (Fraction(6),)),
    ],
)
def test_other_numbers_are_no_counterexamples(monkeypatch, module, constant, value):
    monkeypatch.setattr(module, constant, value)
    assert fails(module)


@pytest.mark.parametrize(
    ("module", "function", "value"),
    [
        (open_boundary, "unspent", lambda gamma: [Fraction(1)] * 3),
        (signed_costs, "tracked", lambda gamma: [Fraction(0)] * 3),
        (floats, "in_floats", lambda: 0.0),
        (antichain, "vectors", lambda horizon, gamma: {(Fraction(0), Fraction(0))}),
        (not_least, "iterates", lambda count: [Fraction(0), Fraction(1)]),
    ],
)
def test_other_runs_are_no_counterexamples(monkeypatch, module, function, value):
    monkeypatch.setattr(module, function, value)
    assert fails(module)


def test_a_solver_that_returns_another_fixed_point_is_noticed(monkeypatch):
    solve = not_least.minimal_budget

    def wrong(model, constraint):
        found = solve(model, constraint)
        return type(found)(model, constraint, np.where(found.demand == 0, 5, found.demand),
                           found.strict)  # fmt: skip

    monkeypatch.setattr(not_least, "minimal_budget", wrong)
    assert "minimal_budget gives 5" in fails(not_least)


def test_a_checker_that_takes_everything_is_noticed(monkeypatch):
    monkeypatch.setattr(zero_cycle, "check_certificate", lambda certificate, model: None)
    assert "the checker" in fails(zero_cycle)
