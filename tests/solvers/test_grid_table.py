"""Tables on budget grids against brute force in exact rationals, and against other solvers."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Game

from ig_theory.builders import from_dict
from ig_theory.constraint import Boundary, BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.budget_grid import LOST, budget_grid
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.grid_table import enclosing, grid_table
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.pareto import pareto
from ig_theory.solvers.safe_value import safe_value
from ig_theory.solvers.solution import Status
from ig_theory.solvers.value_table import value_table
from ig_theory.testing.strategies import constrained_mdps
from simulators.garnet import garnet, sheltered_garnet

BOUNDARIES = st.sampled_from(list(Boundary))
GAMMAS = st.sampled_from([Fraction(1, 2), Fraction(9, 10), Fraction(2, 3)])
DISCOUNTED = [Fraction(9, 10), Fraction(1, 2)]


@given(constrained_mdps(3, exact=True, reward_discounts=DISCOUNTED), BOUNDARIES, st.integers(0, 8))
def test_endless_grids_enclose_the_exact_value(model, boundary, halves):
    """gamma = 1/2: the grid's own points are exact for the oracle."""
    z = halves * model.cost_unit / 2
    constraint = BudgetConstraint(z, "1/2", boundary)
    exact = Game(model, constraint)
    *_, (down, up) = enclosing(model, constraint, largest=400)
    for state in range(model.S):
        truth = exact.value_for_ever(state, (z,))
        low, high = down.at(state, z).lower, up.at(state, z).upper
        if truth is None:
            assert low == -math.inf
        else:
            assert low <= truth <= high


@given(constrained_mdps(3, exact=True), GAMMAS, BOUNDARIES, st.integers(0, 4), st.integers(0, 4))
def test_finite_horizons_enclose_the_exact_value(model, gamma, boundary, horizon, units):
    z = units * model.cost_unit
    constraint = BudgetConstraint(z, gamma, boundary, horizon=horizon)
    game = Game(model, constraint)
    down, up = (grid_table(model, constraint, per_unit=3, up=side) for side in (False, True))
    for state in range(model.S):
        truth = game.value(state, (z,), horizon) if game.safe(state, (z,), horizon) else None
        if truth is None:
            assert down.at(state, z).lower == -math.inf
        else:
            assert down.at(state, z).lower <= truth <= up.at(state, z).upper


@given(constrained_mdps(3, exact=True), BOUNDARIES, st.integers(0, 4), st.integers(0, 4))
def test_the_lattice_over_a_horizon_is_exact_and_agrees_with_the_front(
    model, boundary, horizon, units
):
    z = units * model.cost_unit
    constraint = BudgetConstraint(z, 1, boundary, horizon=horizon)
    table, front = grid_table(model, constraint), pareto(model, constraint)
    for state in range(model.S):
        one, two = table.at(state, z), front.at(state, z)
        if two.lower == -math.inf:
            assert one.upper == -math.inf
        else:
            assert one.lower <= two.lower <= one.upper


@given(constrained_mdps(4, reward_discounts=DISCOUNTED), st.sampled_from(["forbid", "stop"]))
def test_without_discounted_costs_it_is_the_value_table(model, beyond):
    constraint = BudgetConstraint(3 * model.cost_unit)
    grid = grid_table(model, constraint, beyond=beyond)
    table = value_table(model, constraint, beyond=beyond)
    for state in range(model.S):
        for units in range(4):
            one = grid.at(state, units * model.cost_unit)
            two = table.at(state, units * model.cost_unit)
            assert one.lower <= two.upper
            assert two.lower <= one.upper


@given(constrained_mdps(3, max_choices=3), GAMMAS, st.integers(1, 4))
def test_grid_demands_enclose_the_exact_ones(model, gamma, per_unit):
    constraint = BudgetConstraint(0, gamma)
    exact = minimal_budget(model, constraint)
    down = budget_grid(model, constraint, per_unit).endless_demands()
    up = budget_grid(model, constraint, per_unit, up=True).endless_demands()
    scale = Fraction(per_unit) / model.cost_unit
    for state in range(model.S):
        demand = exact.budget_of(state) * scale
        assert up[state] - 1 < demand <= down[state]


def test_refining_brings_the_bounds_together():
    model = sheltered_garnet(60, seed=2, reward_discount="9/10")
    pairs = list(enclosing(model, BudgetConstraint(8, "9/10"), largest=100_000))
    widths = [up.initial.upper - down.initial.lower for down, up in pairs]
    assert len(pairs) > 2
    assert all(later < earlier / 2 for earlier, later in itertools.pairwise(widths))
    assert all(table.status is Status.CERTIFIED for pair in pairs for table in pair)


def test_the_lower_policy_is_safe_and_earns_its_value():
    model = sheltered_garnet(30, seed=1, reward_discount="1/2")
    constraint = BudgetConstraint(3, "1/2")
    *_, (down, _) = enclosing(model, constraint, largest=20_000)

    def earned(state: int, z: Fraction, left: int) -> float:
        assert z >= 0
        if left == 0 or model.terminal[state]:
            return 0.0
        c = down.choice(state, z)
        after = (z - int(model.cost[0, c])) / constraint.discount
        branches = range(model.branch_ptr[c], model.branch_ptr[c + 1])
        return float(model.reward[c]) + 0.5 * sum(
            float(model.branch_prob[b]) * earned(int(model.branch_state[b]), after, left - 1)
            for b in branches
        )

    assert earned(0, Fraction(3), 6) >= down.at(0, 3).lower - 2 * 0.5**6


def test_absorbing_models_need_no_discount_and_endless_ones_do():
    ends = from_dict({"s": {"go": (1, 1, {"s": 0.5, "t": 0.5}), "end": (0, 0, {"t": 1})}}, "s")
    table = grid_table(ends, BudgetConstraint(2, "1/2"))
    exact = budgeted_value(ends, BudgetConstraint(2, "1/2")).initial
    assert table.initial.lower <= float(exact.upper)
    assert float(exact.lower) <= table.initial.upper
    endless = from_dict({"s": {"go": (1, 1, {"s": 1})}}, "s")
    with pytest.raises(SolverError, match="every policy to come to an end"):
        grid_table(endless, BudgetConstraint(2, "1/2"))


def test_negative_costs_are_refused():
    model = from_dict({"s": {"go": (-1, 1, {"s": 1})}}, "s", reward_discount="1/2")
    with pytest.raises(SolverError, match="costs >= 0"):
        budget_grid(model, BudgetConstraint(1))


def test_levels_are_rounded_in_the_grids_direction():
    model = from_dict({"s": {"go": (1, 0, {"s": 1})}}, "s")
    down = budget_grid(model, BudgetConstraint(0, "1/2"), 2)
    up = budget_grid(model, BudgetConstraint(0, "1/2"), 2, up=True)
    assert (down.level(Fraction(3, 4)), up.level(Fraction(3, 4))) == (1, 2)
    assert down.level(Fraction(-1, 4)) == LOST
    strict = budget_grid(model, BudgetConstraint(0, "1/2", "open"), 2)
    assert strict.level(Fraction(0)) == LOST
    assert strict.level(Fraction(100)) == strict.top


@pytest.mark.parametrize(
    ("model", "constraint", "by"),
    [
        (sheltered_garnet(40), BudgetConstraint(3), "product"),
        (sheltered_garnet(2000, seed=1), BudgetConstraint(40), "table"),
        (sheltered_garnet(200, reward_discount="9/10"), BudgetConstraint(8, "9/10"), "grid"),
        (garnet(30), BudgetConstraint(3, horizon=4), "product"),
    ],
)
def test_the_solver_that_fits_is_taken(model, constraint, by):
    found = safe_value(model, constraint)
    assert found.by == by
    assert found.status in (Status.CERTIFIED, Status.EXACT)
    if by == "table":
        other = budgeted_value(model, constraint).initial
        assert found.initial.lower <= float(other.upper)
        assert float(other.lower) <= found.initial.upper
