"""Sets of budget vectors against the exhaustive game and against single constraints."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Game

from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.budget_vectors import safe_vectors
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.solution import Status
from ig_theory.testing.strategies import constrained_mdps


def both(model, first, second, gammas=(1, 1), horizon=None, scope="anytime"):
    return tuple(
        BudgetConstraint(max(z, 0), gamma, cost=i, horizon=horizon, scope=scope)
        for i, (z, gamma) in enumerate(zip((first, second), gammas, strict=True))
    )


def check_against_game(model, found, horizon, most=4):
    """True and False are right; what is left open is inside the gap."""
    game, unit = Game(model, found.constraints), model.cost_unit
    for zs in itertools.product(range(most), repeat=2):
        budgets = tuple(z * unit for z in zs)
        for s in range(model.S):
            answer = found.contains(s, budgets)
            if answer is not None:
                assert answer == game.safe(s, budgets, horizon)
            else:
                assert found.gap(s) > 0


@given(constrained_mdps(4, number_of_costs=2, max_branches=2))
def test_endless_runs_without_discount(model):
    found = safe_vectors(model, both(model, 0, 0), rounds=50)
    assert found.is_inductive()
    check_against_game(model, found, None)


@given(
    constrained_mdps(3, number_of_costs=2, signed=True, max_branches=2),
    st.integers(0, 3),
    st.sampled_from(["anytime", "terminal"]),
    st.sampled_from([(1, 1), (Fraction(1, 2), Fraction(9, 10))]),
    st.sampled_from([1, 2, 32]),
)
def test_horizons_discounts_and_thinning(model, horizon, scope, gammas, most):
    found = safe_vectors(model, both(model, 0, 0, gammas, horizon, scope), most=most)
    check_against_game(model, found, horizon)
    if most == 32:
        assert found.status is Status.EXACT


@given(constrained_mdps(4, number_of_costs=2), st.sampled_from([1, 3]))
def test_the_inner_sets_are_certificates_even_when_thinned(model, most):
    for gammas in ((1, 1), (Fraction(1, 2), Fraction(1, 2)), (Fraction(1, 2), Fraction(9, 10))):
        assert safe_vectors(model, both(model, 0, 0, gammas), most=most, rounds=4).is_inductive()


@given(constrained_mdps(5))
def test_one_constraint_is_the_minimal_budget(model):
    found = safe_vectors(model, BudgetConstraint(0))
    exact = minimal_budget(model, BudgetConstraint(0))
    for s in range(model.S):
        demand = exact.budget_of(s)
        if demand == float("inf"):
            assert found.contains(s, [10]) is not True
        elif found.status is Status.EXACT:
            assert found.inner[s] == ((demand / model.cost_unit,),)


@given(constrained_mdps(3, number_of_costs=2, max_branches=2))
def test_discounted_sides_close_in(model):
    gammas = (Fraction(1, 2), Fraction(1, 2))
    coarse = safe_vectors(model, both(model, 0, 0, gammas), rounds=2)
    fine = safe_vectors(model, both(model, 0, 0, gammas), rounds=6)
    for s in range(model.S):
        assert fine.gap(s) <= coarse.gap(s)


def chain(steps: int):
    """Each step pays one of two costs, which doubles: 2^steps least vectors (T4)."""
    states = {
        f"s{k}": {
            "left": ((2**k, 0), 0, {f"s{k + 1}": 1}), "right": ((0, 2**k), 0, {f"s{k + 1}": 1}),
        }
        for k in range(steps)
    }  # fmt: skip
    return from_dict({**states, f"s{steps}": {"end": ((0, 0), 0, {f"s{steps}": 1})}}, "s0")


def test_the_antichain_grows_as_two_to_the_steps():
    model = chain(6)
    found = safe_vectors(model, both(model, 0, 0), most=100)
    assert found.status is Status.EXACT
    assert len(found.inner[0]) == 2**6
    assert found.contains(0, [20, 43])
    assert found.contains(0, [20, 42]) is False


def test_thinning_reports_the_gap_and_stays_right():
    model = chain(6)
    found = safe_vectors(model, both(model, 0, 0), most=8)
    assert found.status is Status.CERTIFIED
    assert len(found.inner[0]) <= 8
    assert 0 < found.gap(0) < 63
    for left in range(64):
        assert found.contains(0, [left, 63 - left]) is not False
        assert found.contains(0, [left, 62 - left]) is not True
    assert found.is_inductive()


def test_start_is_safe():
    model = chain(2)
    assert safe_vectors(model, both(model, 1, 2)).start_is_safe is True
    assert safe_vectors(model, both(model, 1, 1)).start_is_safe is False


def test_what_is_refused():
    model = chain(1)
    with pytest.raises(SolverError, match="closed boundary"):
        safe_vectors(model, BudgetConstraint(1, boundary="open"))
    signed = from_dict({"s": {"go": (-1, 0, {"s": 1})}}, "s")
    with pytest.raises(SolverError, match="set a horizon"):
        safe_vectors(signed, BudgetConstraint(1))
