"""Every planted fault is caught, with evidence that holds up; every correct guard passes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Game
from oracle_guards import exact_policy, replay, shortest_violation

from ig_theory.checker import check_certificate
from ig_theory.testing.hand_written import TableShield
from ig_theory.testing.planted_faults import CORRECT, PLANTED
from ig_theory.testing.strategies import constrained_mdps, constraints
from ig_theory.verdict import Outcome
from ig_theory.verification import verify

VIOLATED = sorted(name for name, case in PLANTED.items() if case.outcome is Outcome.VIOLATED)
ERROR = sorted(name for name, case in PLANTED.items() if case.outcome is Outcome.ERROR)


def test_there_are_enough_of_both_kinds():
    assert len(VIOLATED) >= 14
    assert len(ERROR) >= 5
    assert len(VIOLATED) + len(ERROR) == len(PLANTED)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", VIOLATED)
def test_a_fault_is_violated_with_a_shortest_witness_that_replays(name, exact):
    case = PLANTED[name]
    model = case.model()
    guard, game = case.factory(model, case.constraint), Game(model, case.constraint)
    verdict = verify(guard, model, case.constraint, guard_name=name, exact=exact)
    assert verdict.outcome is Outcome.VIOLATED
    replay(game, guard, verdict.witness)
    assert len(verdict.witness.steps) == shortest_violation(game, exact_policy(game, guard))
    assert verdict.violation.upper > 0
    check_certificate(verdict.certificate, model)


@pytest.mark.parametrize("name", ERROR)
def test_a_fault_is_an_error_that_says_where(name):
    case = PLANTED[name]
    model = case.model()
    verdict = verify(case.factory(model, case.constraint), model, case.constraint)
    assert verdict.outcome is Outcome.ERROR
    assert "state" in verdict.error
    assert "budget" in verdict.error
    assert verdict.certificate is None


def test_the_error_names_the_state_and_the_budget_where_it_happened():
    case = PLANTED["tracks-in-floats"]
    model = case.model()
    verdict = verify(case.factory(model, case.constraint), model, case.constraint)
    assert "state 1" in verdict.error
    assert "1/5" in verdict.error


@pytest.mark.parametrize("name", sorted(PLANTED))
@pytest.mark.parametrize("correct", sorted(CORRECT))
def test_correct_guards_are_safe_on_the_same_cases(correct, name):
    case = PLANTED[name]
    model = case.model()
    guard = CORRECT[correct](model, case.constraint)
    verdict = verify(guard, model, case.constraint, guard_name=correct)
    assert verdict.outcome is Outcome.SAFE
    assert verdict.witness is None
    assert verdict.violation.upper == 0
    check_certificate(verdict.certificate, model)


@given(
    constrained_mdps(max_branches=2),
    st.data(),
    st.sampled_from(sorted(CORRECT)),
)
def test_correct_guards_are_safe_wherever_anything_is(model, data, name):
    finite = data.draw(st.booleans())
    constraint = data.draw(
        constraints(
            model.cost_unit,
            discounts=[1, Fraction(9, 10), Fraction(1, 2)] if finite else [1],
            horizons=[1, 2, 3] if finite else [None],
        )
    )
    game = Game(model, constraint)
    starts = [s for s, p in enumerate(game.initial) if p > 0]
    assume(all(game.safe(s, game.start(), constraint.horizon) for s in starts))
    verdict = verify(CORRECT[name](model, constraint), model, constraint)
    assert verdict.outcome is Outcome.SAFE
    check_certificate(verdict.certificate, model)


@given(constrained_mdps(max_branches=2), st.data())
def test_the_hand_written_shield_finds_the_least_demands(model, data):
    constraint = data.draw(constraints(model.cost_unit, [1], horizons=[None, 1, 2, 3]))
    game, guard = Game(model, constraint), TableShield(model, constraint)
    last = None if constraint.horizon is None else len(guard.tables) - 1
    assert guard.tables[-1] == [game.demand(s, last) for s in game.states]
