"""Step functions of the budget against brute force in rationals and against the products."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Game

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.errors import SolverError
from ig_theory.solvers import pareto_steps
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.pareto import Pareto, pareto
from ig_theory.solvers.solution import Status
from ig_theory.testing.strategies import constrained_mdps, constraints

TINY = Fraction(1, 10**9)
HALF, NINE_TENTHS = Fraction(1, 2), Fraction(9, 10)
FEWER = settings(max_examples=max(settings.default.max_examples // 2, 1))


@st.composite
def problems(draw: st.DrawFn, exact: bool = True, **restricted: Any) -> Any:
    """A small model (signed costs included) and a constraint with a horizon of at most 3."""
    model = draw(constrained_mdps(3, 3, 2, exact=exact, signed=True))
    chosen = {"horizons": (3, 2, 0, 1), **restricted}
    return model, draw(constraints(model.cost_unit, **chosen))


def trials(answer: Pareto, state: int | None, time: int) -> list[Fraction]:
    """Every breakpoint, just below and just above it, and budgets far outside."""
    at = [budget for budget, _ in answer.front(state, time)]
    return [z for b in at for z in (b - TINY, b, b + TINY)] + [at[-1] + 10**30, at[0] - 10**30]


def worth(value: Fraction | None) -> Fraction | float:
    return -math.inf if value is None else value


def follow(answer: Pareto, game: Game, s: int, z: Fraction, time: int) -> Fraction | None:
    """The exact value of playing `Pareto.choice`; None if a budget is not kept."""
    left = len(answer.steps) - 1 - time
    over = game.over(s, left)
    if game.broken((z,), over):
        return None
    if over:
        return Fraction(0)
    picked = answer.choice(s, z, time)
    a = game.choices[s][picked - int(game.model.choice_ptr[s])]
    total = a.reward
    for p, t in a.branches:
        tail = follow(answer, game, t, game.after((z,), a)[0], time + 1)
        if tail is None:
            return None
        total += game.beta * p * tail
    return total


# -- exact models ---------------------------------------------------------------------------------


@given(problems())
def test_steps_are_the_best_safe_values(problem):
    """At and around every breakpoint, and so everywhere, if there are no others: that the oracle's
    value moves only at breakpoints is tested below."""
    model, constraint = problem
    game, answer = Game(model, constraint), pareto(model, constraint)
    for time in range(constraint.horizon + 1):
        left = constraint.horizon - time
        for s in range(model.S):
            for z in trials(answer, s, time):
                found = answer.at(s, z, time)
                assert found.lower == found.upper == worth(game.value(s, (z,), left))
    assert answer.gap == 0
    start = answer.at(None, constraint.budget)
    assert answer.initial == start
    assert answer.status is (Status.INFEASIBLE if start.lower == -math.inf else Status.EXACT)


@given(problems(), st.fractions(min_value=-2, max_value=8, max_denominator=60))
def test_steps_at_any_budget(problem, z):
    model, constraint = problem
    game, answer = Game(model, constraint), pareto(model, constraint)
    for s in range(model.S):
        value = worth(game.value(s, (z * model.cost_unit,), constraint.horizon))
        assert answer.at(s, z * model.cost_unit).lower == value


@given(problems())
def test_fronts_are_monotone_and_start_at_the_minimal_budget(problem):
    model, constraint = problem
    answer, safe = pareto(model, constraint), minimal_budget(model, constraint)
    for time in range(constraint.horizon + 1):
        for s in range(model.S):
            front = answer.front(s, time)
            assert front[0][0] == safe.budget_of(s, time)
            for (z, value), (more, better) in pairwise(front):
                assert z < more
                assert value.lower < better.lower


@given(problems())
def test_the_front_of_the_start_is_the_expectation(problem):
    model, constraint = problem
    answer = pareto(model, constraint)
    for z in trials(answer, None, 0):
        parts = [p * answer.at(s, z).lower for s, p in enumerate(model.initial.tolist()) if p > 0]
        assert answer.at(None, z).lower == (-math.inf if -math.inf in parts else sum(parts))


@given(problems())
def test_choices_keep_the_budget_and_earn_the_value(problem):
    model, constraint = problem
    game, answer = Game(model, constraint), pareto(model, constraint)
    for s in range(model.S):
        for z in trials(answer, s, 0):
            value = answer.at(s, z)
            if value.lower == -math.inf:
                assert constraint.horizon == 0 or answer.choice(s, z) == -1
            else:
                assert follow(answer, game, s, z, 0) == value.lower


@settings(max_examples=60)
@given(problems(scopes=[Scope.ANYTIME]))
def test_pareto_agrees_with_the_product_at_breakpoints(problem):
    model, constraint = problem
    answer = pareto(model, constraint)
    product = budgeted_value(model, constraint)
    for s in range(model.S):
        for z in trials(answer, s, 0)[:5]:
            assert answer.at(s, z) == product.at(s, z)


# -- merged steps, and floats ---------------------------------------------------------------------


@FEWER
@given(problems(), st.sampled_from([Fraction(1, 100), HALF, Fraction(2)]))
def test_merged_steps_enclose_the_exact_ones(problem, epsilon):
    model, constraint = problem
    exact, merged = pareto(model, constraint), pareto(model, constraint, epsilon=epsilon)
    assert merged.gap <= epsilon
    for time in range(constraint.horizon + 1):
        for s in range(model.S):
            budgets = [b for b, _ in merged.front(s, time)]
            assert set(budgets) <= {b for b, _ in exact.front(s, time)}
            assert budgets[0] == exact.front(s, time)[0][0]
            for z in trials(exact, s, time):
                bounds, value = merged.at(s, z, time), exact.at(s, z, time).lower
                assert bounds.lower <= value <= bounds.upper
                assert bounds.width <= merged.gap


@FEWER
@given(problems(), st.sampled_from([Fraction(1, 3), Fraction(1)]))
def test_merged_choices_earn_the_lower_bound(problem, epsilon):
    model, constraint = problem
    game, merged = Game(model, constraint), pareto(model, constraint, epsilon=epsilon)
    for s in range(model.S):
        for z, value in merged.front(s):
            z += TINY  # the open boundary too
            earned = follow(merged, game, s, z, 0)
            assert earned is not None
            assert value.lower <= earned <= value.upper


@FEWER
@given(problems(exact=False))
def test_float_models_have_tight_certified_bounds(problem):
    model, constraint = problem
    game, answer = Game(model, constraint), pareto(model, constraint)
    assert answer.status in (Status.CERTIFIED, Status.INFEASIBLE) or constraint.horizon == 0
    assert answer.gap <= 1e-12
    for s in range(model.S):
        for z in trials(answer, s, 0):
            value, bounds = worth(game.value(s, (z,), constraint.horizon)), answer.at(s, z)
            assert bounds.lower <= value <= bounds.upper


def thirds(reward: Any = (1, 1, 1), **others: Any) -> ConstrainedMDP:
    """Three ways to earn: for nothing, for 1, for 2."""
    moves = {f"pay {i}": (i, r, {"s": 1}) for i, r in enumerate(reward)}
    return from_dict({"s": moves}, initial="s", **others)


def test_equal_values_up_to_rounding_are_one_step():
    """0.1 + 0.2 is not 0.3 in floats; it would double the breakpoints at each step."""
    model = thirds((0.1, 0.2, 0.3))
    answer = pareto(model, BudgetConstraint(0, horizon=12))
    assert len(answer.front(0)) == 25
    last = answer.front(0)[-1]
    assert last[0] == 24
    assert last[1].lower <= 3.6 <= last[1].upper


# -- numbers beyond int64, limits, errors ---------------------------------------------------------


def test_denominators_beyond_int64_are_exact():
    """One cost of 1 in every step: the only breakpoint is the discounted total."""
    model = from_dict({"s": {"go": (1, 1, {"s": 1})}}, initial="s", exact=True)
    answer = pareto(model, BudgetConstraint(0, discount="9/10", horizon=40))
    assert answer.steps[-1].at.dtype == object
    assert answer.front(0) == [(10 * (1 - NINE_TENTHS**40), answer.at(0, 10))]
    assert answer.at(0, 10).lower == 40
    assert answer.at(0, answer.front(0)[0][0] - Fraction(1, 10**60)).lower == -math.inf


@FEWER
@given(problems(discounts=[HALF, NINE_TENTHS, Fraction(2, 3)]))
def test_python_integers_give_the_same_steps(problem):
    model, constraint = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pareto_steps, "LARGEST", 0)
        large = pareto(model, constraint)
    small = pareto(model, constraint)
    assert constraint.horizon == 0 or large.steps[-1].at.dtype == object
    for s in range(model.S):
        assert large.front(s) == small.front(s)


def test_half_discounting_doubles_the_front_and_merging_stops_it():
    """Spending 1 or 0 each step at gamma = beta = 1/2: all 2^T subsets are on the front."""
    model = thirds((0, 1), exact=True, reward_discount="1/2")
    constraint = BudgetConstraint(0, discount="1/2", horizon=9)
    full = pareto(model, constraint)
    assert [int(b * 2**8) for b, _ in full.front(0)] == list(range(2**9))
    assert all(value.lower == budget for budget, value in full.front(0))
    merged = pareto(model, constraint, epsilon=Fraction(1, 10))
    assert len(merged.front(0)) < 60
    assert 0 < merged.gap <= 0.1
    assert merged.status is Status.CERTIFIED
    with pytest.raises(SolverError, match="epsilon"):
        pareto(model, constraint, limit=300)
    assert pareto(model, constraint, limit=300, epsilon=Fraction(1, 10)).gap <= 0.1


def test_open_boundary_excludes_the_breakpoint():
    model = thirds((0, 1), exact=True)
    answer = pareto(model, BudgetConstraint(0, boundary=Boundary.OPEN, horizon=2))
    assert [b for b, _ in answer.front(0)] == [0, 1, 2]
    assert answer.at(0, 0).upper == -math.inf
    assert answer.at(0, TINY).lower == 0
    assert answer.at(0, 2).lower == 1
    assert answer.status is Status.INFEASIBLE


def test_terminal_scope_may_borrow():
    """Pay 1 first and get 2 back: the budget may be negative in between."""
    moves = {"s": {"borrow": (1, 5, {"m": 1}), "no": (0, 0, {"m": 1})}}
    moves["m"] = {"back": (-2, 0, {"e": 1})}
    model = from_dict(moves, initial="s", exact=True)
    ends = pareto(model, BudgetConstraint(0, scope="terminal", horizon=2))
    assert [(b, v.lower) for b, v in ends.front(0)] == [(-2, 0), (-1, 5)]
    always = pareto(model, BudgetConstraint(0, horizon=2))
    assert [(b, v.lower) for b, v in always.front(0)] == [(0, 0), (1, 5)]
    assert always.at(0, -1).lower == -math.inf


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: pareto(m, BudgetConstraint(0)), "horizon: want a finite one"),
        (lambda m: pareto(m, BudgetConstraint(0, horizon=1), epsilon=-1), "epsilon: want"),
        (lambda m: pareto(m, BudgetConstraint(0, horizon=1), epsilon=math.inf), "epsilon: want"),
        (lambda m: pareto(m, BudgetConstraint(0, horizon=1)).at(0, 0, 2), "time: want within 0..1"),
        (lambda m: pareto(m, BudgetConstraint(0, horizon=1)).at(None, 0, 1), "time: want 0"),
        (lambda m: pareto(m, BudgetConstraint(0, horizon=1)).at(7, 0), "state: want"),
    ],
)  # fmt: skip
def test_bad_questions_get_one_clear_error(call, match):
    with pytest.raises(SolverError, match=match):
        call(thirds())


def test_a_longer_horizon_never_needs_less_and_layers_are_shared():
    """The layer with t steps to go does not depend on the horizon."""
    model = thirds((0, 2, 3), exact=True)
    long = pareto(model, BudgetConstraint(0, discount="2/3", horizon=5))
    short = pareto(model, BudgetConstraint(0, discount="2/3", horizon=3))
    assert long.front(0, time=2) == short.front(0)
    assert np.array_equal(long.steps[3].at, short.steps[3].at)
