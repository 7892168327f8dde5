"""The value table against brute force in exact rationals, and against the explicit product."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Game

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.solution import Status
from ig_theory.solvers.table_policy import worth
from ig_theory.solvers.value_table import Beyond, ValueTable, reaching, value_table
from ig_theory.testing.strategies import constrained_mdps
from simulators.garnet import garnet, sheltered_garnet

BETAS = st.sampled_from([Fraction(1), Fraction(9, 10), Fraction(1, 2)])
BOUNDARIES = st.sampled_from(list(Boundary))


def levels(table: ValueTable) -> list[Fraction]:
    """The budgets of the levels: for an open boundary, just above them."""
    above = Fraction(1, 3) if table.constraint.boundary is Boundary.OPEN else 0
    return [(level + above) * table.model.cost_unit for level in range(table.top + 1)]


def iterate(model: ConstrainedMDP, constraint: BudgetConstraint, stop: bool, gain=None) -> dict:
    """Value iteration from 0 over (state, level) pairs, on the oracle's own game.

    Rewards are >= 0, or discounted.
    """
    game = Game(model, constraint)
    unit, beta = model.cost_unit, float(model.reward_discount)
    top = int(constraint.budget / unit)
    moves = {}
    for s in range(model.S):
        for z in range(top + 1):
            options = []
            for a in [] if model.terminal[s] else game.choices[s]:
                left = z - int(a.costs[game.rows[0]] / unit)
                if stop and left < 0:
                    options.append((0.0, []))
                elif left >= 0 and (
                    stop or all(game.safe(t, (left * unit,), None) for _, t in a.branches)
                ):
                    earned = float(a.reward if gain is None else gain[a.number])
                    options.append((earned, [(float(p), (t, left)) for p, t in a.branches]))
            moves[s, z] = options
    value = dict.fromkeys(moves, 0.0)
    for sweep in range(3000):
        moved = 0.0
        for node, options in moves.items():
            if not options:
                if not (stop or model.terminal[node[0]]):
                    value[node] = -math.inf
                continue
            best = max(r + beta * sum(p * value[n] for p, n in b) for r, b in options)
            moved = max(moved, abs(best - value[node]))
            value[node] = best
        if moved < 1e-12 and sweep:
            break
    return value


@given(
    constrained_mdps(4, exact=True, reward_discounts=[Fraction(9, 10), Fraction(1, 2)]), BOUNDARIES
)
def test_the_safe_value_is_the_oracles(model, boundary):
    constraint = BudgetConstraint(4 * model.cost_unit, boundary=boundary)
    table = value_table(model, constraint)
    game = Game(model, constraint)
    assert table.status is Status.CERTIFIED
    for state in range(model.S):
        for z in levels(table):
            exact, bounds = game.value_for_ever(state, (z,)), table.at(state, z)
            if exact is None:
                assert bounds.upper == -math.inf
            else:
                assert bounds.lower <= exact <= bounds.upper
                assert bounds.width <= 1e-6 * max(1, abs(exact))


@given(constrained_mdps(4, reward_discounts=[Fraction(1)]), st.sampled_from(list(Beyond)))
def test_undiscounted_values_are_those_of_value_iteration(model, beyond):
    constraint = BudgetConstraint(3 * model.cost_unit)
    table = value_table(model, constraint, beyond=beyond)
    expected = iterate(model, constraint, beyond is Beyond.STOP)
    for (state, level), value in expected.items():
        bounds = table.at(state, level * model.cost_unit)
        if bounds.lower == math.inf:
            assert value > 100
        elif bounds.lower == -math.inf:
            assert value == -math.inf
        else:
            assert value == pytest.approx(bounds.middle, abs=1e-6)
            assert bounds.width <= 1e-6 * max(1.0, table.value[np.isfinite(table.value)].max())


@given(
    constrained_mdps(4, reward_discounts=[Fraction(9, 10), Fraction(1, 2)]),
    st.sampled_from(list(Beyond)),
    st.data(),
)
def test_signed_rewards_where_they_are_discounted(model, beyond, data):
    drawn = data.draw(st.lists(st.integers(-2, 1), min_size=model.C, max_size=model.C))
    gain = np.where(model.terminal[model.choice_state], 0.0, np.array(drawn, dtype=np.float64))
    constraint = BudgetConstraint(2 * model.cost_unit)
    table = value_table(model, constraint, beyond=beyond, gain=gain)
    expected = iterate(model, constraint, beyond is Beyond.STOP, gain)
    for (state, level), value in expected.items():
        bounds = table.at(state, level * model.cost_unit)
        assert bounds.lower - 1e-9 <= value <= bounds.upper + 1e-9


@given(constrained_mdps(5, max_branches=3), BETAS)
def test_table_and_explicit_product_agree(model, beta):
    constraint = BudgetConstraint(3 * model.cost_unit)
    table = value_table(model, constraint)
    value = budgeted_value(model, constraint)
    for state in range(model.S):
        one, two = table.at(state, constraint.budget), value.at(state, constraint.budget)
        assert float(two.lower) <= one.upper
        assert one.lower <= float(two.upper)
    assert table.initial.lower <= float(value.initial.upper)


@given(constrained_mdps(4, reward_discounts=[Fraction(1), Fraction(1, 2)]))
def test_following_the_policy_earns_the_value(model):
    """The policy is re-evaluated on its own: bounded runs of it from every pair."""
    constraint = BudgetConstraint(3 * model.cost_unit)
    table = value_table(model, constraint)
    safe = minimal_budget(model, constraint)
    beta, cost = float(model.reward_discount), model.cost[0]
    pairs = [(s, z) for s in range(model.S) for z in range(table.top + 1)]
    plan = {
        (s, z): table.choice(s, z * model.cost_unit)
        for s, z in pairs
        if safe.contains(s, z * model.cost_unit) and not model.terminal[s]
    }
    value = dict.fromkeys(pairs, 0.0)
    for _ in range(600):
        for (s, z), c in plan.items():
            after = range(model.branch_ptr[c], model.branch_ptr[c + 1])
            value[s, z] = float(model.reward[c]) + beta * sum(
                float(model.branch_prob[b]) * value[int(model.branch_state[b]), z - int(cost[c])]
                for b in after
            )
    for s, z in plan:
        bounds = table.at(s, z * model.cost_unit)
        if bounds.lower == math.inf:
            assert value[s, z] > 20
        else:
            assert value[s, z] == pytest.approx(bounds.middle, abs=1e-5)


@given(constrained_mdps(5, max_branches=3))
def test_values_grow_with_the_budget_and_vanish_below_the_demand(model):
    constraint = BudgetConstraint(4 * model.cost_unit)
    table, safe = value_table(model, constraint), minimal_budget(model, constraint)
    for state in range(model.S):
        lower, upper = table.front(state)
        assert (lower[:-1] <= upper[1:]).all()
        for z in levels(table):
            assert (table.at(state, z).lower > -math.inf) == safe.contains(state, z)


def test_two_threads_give_the_same_table():
    model = garnet(300, seed=3)
    gain = reaching(model, "goal")
    one, two = (
        value_table(model, BudgetConstraint(12), beyond="stop", gain=gain, threads=n)
        for n in (1, 2)
    )
    assert (one.value == two.value).all()
    assert (one.which == two.which).all()
    assert one.gap == two.gap <= 1e-6


def test_a_slowly_ending_model_is_certified():
    """A shelter that is left once in thousands of steps; also checks the extrapolation."""
    model = sheltered_garnet(400, seed=2)
    table = value_table(model, BudgetConstraint(10), tolerance=1e-3)
    value = budgeted_value(model, BudgetConstraint(10))
    assert table.status is Status.CERTIFIED
    assert table.gap <= 1e-3 * table.value.max()
    assert value.initial.lower <= table.initial.upper
    assert table.initial.lower <= value.initial.upper


def test_resting_for_ever_is_worth_nothing_and_gaining_for_ever_everything():
    model = from_dict(
        {
            "start": {"rest": (0, 0, {"twin": 1}), "leave": (1, 2, {"end": 1})},
            "twin": {"back": (0, 0, {"start": 1}), "farm": (2, 0, {"mine": 1})},
            "mine": {"dig": (0, 1, {"mine": 1})},
        },
        initial="start",
    )
    table = value_table(model, BudgetConstraint(2))
    names = {model.state_name(s): s for s in range(model.S)}
    assert [table.at(names["start"], z).middle for z in range(3)] == pytest.approx([0, 2, math.inf])
    assert [table.at(names["twin"], z).middle for z in range(3)] == pytest.approx([0, 2, math.inf])
    leave = table.choice(names["start"], 1)
    assert model.choice_name(leave) == "leave"
    assert model.choice_name(table.choice(names["twin"], 1)) == "back"
    assert model.choice_name(table.choice(names["start"], 0)) == "rest"


def test_losing_for_ever_is_refused():
    model = from_dict({"s": {"bleed": (0, -1, {"s": 1}), "end": (1, 0, {"t": 1})}}, initial="s")
    with pytest.raises(SolverError, match="no negative reward"):
        value_table(model, BudgetConstraint(1))


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (BudgetConstraint(1, discount="9/10"), "discount 1"),
        (BudgetConstraint(1, horizon=3), "no horizon"),
    ],
)
def test_other_constraints_are_refused(constraint, message):
    with pytest.raises(SolverError, match=message):
        value_table(garnet(10, seed=1), constraint)


def test_a_larger_budget_than_solved_for_is_refused():
    table = value_table(sheltered_garnet(40), BudgetConstraint(3))
    with pytest.raises(SolverError, match="larger budget"):
        table.at(0, 4)


def test_budgets_between_levels_round_down_exactly():
    model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    table = value_table(model, BudgetConstraint("5/2"))
    assert table.initial.middle == pytest.approx(2.0)
    open_table = value_table(model, BudgetConstraint(2, boundary="open"))
    assert open_table.initial.middle == pytest.approx(1.0)
    assert open_table.at(0, Fraction(0)).upper == -math.inf


def test_reaching_counts_runs_once():
    model = garnet(30, seed=5)
    gain = reaching(model, "goal")
    assert gain.max() <= 1
    table = value_table(model, BudgetConstraint(20), beyond="stop", gain=gain)
    assert 0 <= table.initial.lower <= table.initial.upper <= 1 + 1e-9
    with pytest.raises(SolverError, match="label"):
        reaching(model, "nowhere")


@given(constrained_mdps(4, exact=True, reward_discounts=[Fraction(9, 10), Fraction(1, 2)]))
def test_the_policy_evaluated_in_rationals_is_optimal(model):
    constraint = BudgetConstraint(3 * model.cost_unit)
    table, game = value_table(model, constraint), Game(model, constraint)
    starts = [(s, p) for s, p in enumerate(game.initial) if p > 0]
    values = [game.value_for_ever(s, game.start()) for s, _ in starts]
    if None in values:
        with pytest.raises(SolverError, match="lost"):
            worth(table)
        return
    best = sum(p * v for (_, p), v in zip(starts, values, strict=True))
    assert worth(table).lower == best


@given(constrained_mdps(4, reward_discounts=[Fraction(1), Fraction(1, 2)], exact=False))
def test_the_policy_evaluated_in_floats_meets_the_bounds(model):
    table = value_table(model, BudgetConstraint(3 * model.cost_unit))
    assume(-math.inf < table.initial.lower < math.inf)
    found = worth(table)
    assert found.lower <= table.initial.upper
    assert table.initial.lower <= found.upper


@given(constrained_mdps(4, reward_discounts=[Fraction(1, 2)], exact=True))
def test_the_policy_until_the_budget_breaks(model):
    constraint = BudgetConstraint(2 * model.cost_unit)
    table = value_table(model, constraint, beyond="stop")
    found = worth(table)
    assert table.initial.lower <= found.lower <= table.initial.upper


def test_gains_and_sizes_are_checked():
    model = garnet(10, seed=1)
    with pytest.raises(SolverError, match="one for each choice"):
        value_table(model, BudgetConstraint(1), gain=np.zeros(3))
    with pytest.raises(SolverError, match="one for each choice"):
        value_table(model, BudgetConstraint(1), gain=np.full(model.C, np.nan))
    with pytest.raises(SolverError, match="above 0"):
        value_table(model, BudgetConstraint(1), tolerance=0)
    with pytest.raises(SolverError, match="lower the budget"):
        value_table(model, BudgetConstraint(10**12))
