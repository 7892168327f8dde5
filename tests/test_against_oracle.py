"""Solvers and verification against brute force in exact rationals, on drawn small models."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import Game
from oracle_guards import base_keeps_for_ever, measure, measure_for_ever, one_view, replay

from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.errors import SolverError
from ig_theory.guard import Guard, GuardView
from ig_theory.guards import open_guard
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.least_intrusive import least_intrusive
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.testing.strategies import constrained_mdps, constraints, guards, latent_mdps
from ig_theory.verdict import Bounds, Outcome, Verdict
from ig_theory.verification import verify

HALF, NINE_TENTHS = Fraction(1, 2), Fraction(9, 10)
FINITE = (3, 0, 1, 2, 4)
SHORT = (2, 0, 1, 3)
MANY = settings(max_examples=2 * settings.default.max_examples)
"""For what is cheap and has rare cases."""

SLACK = 1e-9
"""For quantities that the oracle itself has only in floats (logarithms)."""


@st.composite
def problems(draw: st.DrawFn, model: dict[str, Any], constraint: dict[str, Any]) -> Any:
    """A model and a constraint in its units."""
    drawn = draw(constrained_mdps(**model))
    return drawn, draw(constraints(drawn.cost_unit, **constraint))


@st.composite
def several(draw: st.DrawFn) -> Any:
    """Two costs and two constraints, which share their horizon."""
    model = draw(constrained_mdps(3, 3, 2, signed=True, number_of_costs=2))
    horizon = draw(st.sampled_from(SHORT))
    both = tuple(
        draw(constraints(model.cost_unit, horizons=[horizon], cost=cost))
        for cost in (draw(st.sampled_from([0, 1])), 1)
    )
    return model, both


class Inside:
    """A guard's weights on what the oracle permits; uniform there if they leave nothing."""

    def __init__(self, game: Game, guard: Guard) -> None:
        self.game, self.guard = game, guard

    def __call__(self, view: GuardView) -> np.ndarray:
        output = np.asarray(self.guard(view)).copy()
        for row, state in enumerate(view.state):
            zs = tuple(budget.value(row) for budget in view.budgets)
            left = None if view.time is None else self.game.horizon - int(view.time[row])
            here = self.game.choices[int(state)]
            ok = np.array([self.game.permitted(a, zs, left) for a in here])
            if ok.any():
                weights = np.where(ok, output[row, : len(here)], 0.0)
                weights = weights if weights.sum() > 0 else ok.astype(float)
                output[row, : len(here)] = weights / weights.sum()
        return output


def trial_budgets(game: Game, s: int, left: int | None) -> list[Fraction]:
    """The demand, just around it, zero, and the constraint's own budget."""
    demand, step = game.demand(s, left), Fraction(1, 10**6)
    around = [] if demand == math.inf else [demand - step, demand, demand + step]
    return [*around, Fraction(0), game.constraints[0].budget]


def contains(bounds: Bounds | None, truth: Fraction | float | None, slack: float = 0) -> bool:
    if truth is None or bounds is None:
        return truth is None and bounds is None
    return bounds.lower - slack <= truth <= bounds.upper + slack


def equals(bounds: Bounds | None, truth: Fraction | None) -> bool:
    if truth is None or bounds is None:
        return truth is None and bounds is None
    return bounds.lower == truth == bounds.upper


# -- minimal budgets, safe sets, the shield -------------------------------------------------------


def demands_agree(model: ConstrainedMDP, constraint: BudgetConstraint) -> None:
    """Demand, safe set and shield of every state at every time, at and around the demand."""
    game, found = Game(model, constraint), minimal_budget(model, constraint)
    horizon = constraint.horizon
    for time in range(1 if horizon is None else horizon + 1):
        left = None if horizon is None else horizon - time
        for s in range(model.S):
            assert found.budget_of(s, time) == game.demand(s, left)
            for z in trial_budgets(game, s, left):
                assert found.contains(s, z, time) == game.safe(s, (z,), left)
                if left != 0:
                    view = one_view(game, s, (z,), None if left is None else time)
                    allowed = found.allowed(view)[0, : len(game.choices[s])]
                    assert allowed.tolist() == [
                        game.permitted(a, (z,), left) for a in game.choices[s]
                    ]
    starts = [s for s, p in enumerate(game.initial) if p > 0]
    assert found.start_is_safe() == all(game.safe(s, game.start(), horizon) for s in starts)


@MANY
@given(problems({}, {"horizons": FINITE, "scopes": [Scope.ANYTIME]}))
def test_demands_on_finite_horizons(problem):
    demands_agree(*problem)


@MANY
@given(problems({"signed": True, "max_choices": 2}, {"horizons": FINITE}))
def test_demands_with_signed_costs_in_both_scopes(problem):
    demands_agree(*problem)


@MANY
@given(problems({}, {"horizons": [None], "discounts": [1]}))
def test_demands_for_ever_undiscounted(problem):
    demands_agree(*problem)


@MANY
@given(problems({"max_states": 3}, {"horizons": [None], "discounts": [HALF, NINE_TENTHS]}))
def test_demands_for_ever_discounted(problem):
    demands_agree(*problem)


@MANY
@given(
    problems(
        {"max_states": 3, "costs": st.integers(0, 1)},
        {"horizons": [None], "discounts": [HALF], "boundaries": [Boundary.OPEN]},
    )
)
def test_demands_for_ever_discounted_that_must_or_need_not_be_exceeded(problem):
    demands_agree(*problem)


# -- the best safe value --------------------------------------------------------------------------


def best_from_start(game: Game) -> Fraction | float:
    total: Fraction | float = Fraction(0)
    for s, p in enumerate(game.initial):
        if p > 0:
            left = game.horizon
            worth = (
                game.value_for_ever(s, game.start())
                if left is None
                else game.value(s, game.start(), left)
            )
            total = -math.inf if worth is None or total == -math.inf else total + p * worth
    return total


@given(problems({"signed": True, "max_branches": 2}, {"horizons": SHORT}), st.booleans())
def test_finite_values(problem, exact):
    model, constraint = problem
    if not exact:
        model = as_floats(model)
    game, found = Game(model, constraint), budgeted_value(model, constraint)
    truth = best_from_start(game)
    assert equals(found.initial, truth) if exact else contains(found.initial, truth)
    for s in range(model.S):
        for z in trial_budgets(game, s, constraint.horizon):
            if z >= 0:
                worth = game.value(s, (z,), constraint.horizon)
                worth = -math.inf if worth is None else worth
                bounds = found.at(s, z)
                assert equals(bounds, worth) if exact else contains(bounds, worth)


@given(several())
def test_values_under_several_constraints(problem):
    model, both = problem
    assert equals(budgeted_value(model, both).initial, best_from_start(Game(model, both)))


@given(problems({"signed": True, "max_branches": 2}, {"horizons": (1, 2, 3)}))
def test_values_in_mid_run_of_budgets_that_may_be_negative(problem):
    """z < 0 is lost; before a terminal judgement it is not, and the solver declines."""
    model, constraint = problem
    game, found = Game(model, constraint), budgeted_value(model, constraint)
    left = constraint.horizon - 1
    for s in range(model.S):
        for z in (Fraction(-1), Fraction(0), Fraction(1, 2)):
            if z < 0 and constraint.scope is Scope.TERMINAL:
                with pytest.raises(SolverError):
                    found.at(s, z, time=1)
                continue
            worth = game.value(s, (z,), left)
            assert equals(found.at(s, z, time=1), -math.inf if worth is None else worth)


@given(
    problems(
        {"max_states": 3, "max_choices": 2, "max_branches": 2,
         "reward_discounts": [HALF, NINE_TENTHS]},
        {"horizons": [None], "discounts": [1, HALF], "budgets": [0, 1, 2, HALF, 3]},
    ),
    st.booleans(),
)  # fmt: skip
def test_infinite_values(problem, exact):
    model, constraint = problem
    if not exact:
        model = as_floats(model)
    game = Game(model, constraint)
    truth = best_from_start(game)
    found = budgeted_value(model, constraint)
    if exact and constraint.discount == 1:
        assert equals(found.initial, truth)
    else:
        assert contains(found.initial, truth)


def as_floats(model: ConstrainedMDP) -> ConstrainedMDP:
    """The same model with float64 probabilities and rewards."""

    def cast(values: Any) -> Any:
        return None if values is None else values.astype(np.float64)

    return ConstrainedMDP(
        model.choice_ptr, model.branch_ptr, model.branch_state, cast(model.branch_prob),
        cast(model.reward), model.cost, cast(model.initial), model.terminal, model.cost_unit,
        model.reward_discount, cast(model.base), labels=model.labels,
    )  # fmt: skip


# -- verification ---------------------------------------------------------------------------------


def agree(guard: Guard, model: ConstrainedMDP, constraint: Any, exact: bool = False) -> Verdict:
    """Every quantity of the verdict against the enumeration of all runs."""
    game = Game(model, constraint)
    verdict = verify(guard, model, constraint, exact=exact)
    truth = (measure_for_ever if game.horizon is None else measure)(model, constraint, guard)
    within = equals if exact else contains
    assert within(verdict.violation, truth.violation)
    assert contains(verdict.urup, truth.urup)
    assert contains(verdict.arsp, truth.arsp)
    if truth.reward is not None:
        assert within(verdict.reward, truth.reward)
    if truth.kl is not None:
        assert contains(verdict.kl, truth.kl, SLACK)
        assert verdict.kl.width <= SLACK
    if truth.false_interventions is not None:
        assert contains(verdict.false_interventions, truth.false_interventions)
    if truth.violation > 0:
        assert verdict.outcome is Outcome.VIOLATED
        assert len(verdict.witness.steps) == truth.shortest
        replay(game, guard, verdict.witness)
    else:
        assert verdict.outcome is Outcome.SAFE
        assert verdict.witness is None
        assert verdict.violation == Bounds(0, 0)
        check_certificate(verdict.certificate, model)
    return verdict


@given(
    problems({"signed": True, "max_branches": 2, "base_zeros": True}, {"horizons": SHORT}),
    guards(),
    st.booleans(),
    st.booleans(),
)
def test_verify_finite(problem, guard, inside, exact):
    model, constraint = problem
    guard = Inside(Game(model, constraint), guard) if inside else guard
    agree(guard, model, constraint, exact)


@given(
    problems({"signed": True, "max_branches": 2, "exact": False}, {"horizons": SHORT}),
    guards(),
    st.booleans(),
)
def test_verify_finite_on_float_models(problem, guard, inside):
    model, constraint = problem
    guard = Inside(Game(model, constraint), guard) if inside else guard
    agree(guard, model, constraint)


@given(several(), guards(), st.booleans(), st.booleans())
def test_verify_several_constraints(problem, guard, inside, exact):
    model, both = problem
    guard = Inside(Game(model, both), guard) if inside else guard
    agree(guard, model, both, exact)


@given(
    problems(
        {"max_states": 3, "max_branches": 2, "base_zeros": True},
        {"horizons": [None], "discounts": [1, HALF]},
    ),
    guards(),
    st.booleans(),
    st.booleans(),
)
def test_verify_for_ever(problem, guard, inside, exact):
    model, constraint = problem
    guard = Inside(Game(model, constraint), guard) if inside else guard
    agree(guard, model, constraint, exact)


@given(latent_mdps(), st.data())
def test_verify_latent_models(model, data):
    constraint = data.draw(constraints(horizons=SHORT))
    guard = data.draw(guards())
    agree(guard, model, constraint)


@given(
    st.one_of(
        problems({"signed": True}, {"horizons": SHORT}),
        problems({"max_states": 3}, {"horizons": [None], "discounts": [1, HALF]}),
    )
)
def test_the_shield_is_safe_exactly_where_anything_is(problem):
    model, constraint = problem
    game = Game(model, constraint)
    starts = [s for s, p in enumerate(game.initial) if p > 0]
    possible = all(game.safe(s, game.start(), constraint.horizon) for s in starts)
    verdict = verify(open_guard("shield", model, (constraint,))[1], model, constraint)
    assert (verdict.outcome is Outcome.SAFE) == possible
    check_certificate(verdict.certificate, model)


@settings(max_examples=30)
@given(problems({"max_states": 3}, {"horizons": [None], "discounts": [NINE_TENTHS]}))
def test_discounted_budgets_on_a_grid_are_never_wrongly_safe(problem):
    """With few pairs allowed the directed grid takes over; it may be INCONCLUSIVE, never wrong."""
    model, constraint = problem
    game = Game(model, constraint)
    starts = [s for s, p in enumerate(game.initial) if p > 0]
    possible = all(game.safe(s, game.start(), constraint.horizon) for s in starts)
    guard = open_guard("shield", model, (constraint,))[1]
    verdict = verify(guard, model, constraint, state_limit=200, grid=model.cost_unit)
    if possible:
        assert verdict.outcome in (Outcome.SAFE, Outcome.INCONCLUSIVE)
    else:
        assert verdict.outcome in (Outcome.VIOLATED, Outcome.INCONCLUSIVE)
    if verdict.certificate is not None:
        check_certificate(verdict.certificate, model)


# -- the least intervention -----------------------------------------------------------------------


@given(problems({"signed": True, "max_branches": 2, "base_zeros": True}, {"horizons": SHORT}))
def test_limit_on_finite_horizons(problem):
    model, constraint = problem
    game, found = Game(model, constraint), least_intrusive(model, constraint)
    starts = [(s, p) for s, p in enumerate(game.initial) if p > 0]
    truth = sum(float(p) * game.limit(s, game.start(), constraint.horizon) for s, p in starts)
    assert contains(found.initial, truth, SLACK)
    assert found.initial.width <= SLACK


@given(problems({"signed": True, "deterministic": True}, {"horizons": SHORT}))
def test_limit_of_deterministic_models_is_the_probability_of_never_violating(problem):
    model, constraint = problem
    game, found = Game(model, constraint), least_intrusive(model, constraint)
    truth = 0.0
    for s, p in enumerate(game.initial):
        if p > 0:
            keeps = game.base_keeps(s, game.start(), constraint.horizon)
            truth += float(p) * (-math.log(keeps) if keeps > 0 else math.inf)
    assert contains(found.initial, truth, SLACK)


@given(problems({"max_branches": 2}, {"horizons": SHORT}), guards())
def test_no_safe_guard_intervenes_less_than_the_limit(problem, guard):
    model, constraint = problem
    game = Game(model, constraint)
    starts = [s for s, p in enumerate(game.initial) if p > 0]
    assume(all(game.safe(s, game.start(), constraint.horizon) for s in starts))
    truth = measure(model, constraint, Inside(game, guard))
    assert truth.violation == 0
    assert least_intrusive(model, constraint).initial.lower <= truth.kl + SLACK


@given(
    problems(
        {"max_states": 3, "deterministic": True},
        {"horizons": [None], "discounts": [1, HALF]},
    )
)
def test_limit_of_deterministic_models_for_ever(problem):
    model, constraint = problem
    game, found = Game(model, constraint), least_intrusive(model, constraint)
    truth = 0.0
    for s, p in enumerate(game.initial):
        if p > 0:
            keeps = base_keeps_for_ever(game, s)
            truth += float(p) * (-math.log(keeps) if keeps > 0 else math.inf)
    assert contains(found.initial, truth, SLACK)
