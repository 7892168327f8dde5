"""The oracle itself, on cases worked out by hand."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Game, Node, solve
from oracle_guards import exact_policy, measure, measure_for_ever

from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import GuardView
from ig_theory.testing import strategies
from ig_theory.testing.strategies import Part, assemble, shares

HALF, TENTH = Fraction(1, 2), Fraction(1, 10)
END: list[Part] = [((0,), 0, ((1, 0),))]


def step(cost: int, to: int, reward: int = 0) -> Part:
    return ((cost,), reward, ((1, to),))


def model(*states: list[Part], terminal: int | None = None, **others: object):
    size = len(states)
    others.setdefault("initial", shares([1] + [0] * (size - 1)))
    return assemble(states, terminal=[s == terminal for s in range(size)], **others)


def end_at(state: int) -> list[Part]:
    return [step(0, state)]


def base(view: GuardView) -> np.ndarray:
    return view.base


ALWAYS_ONE = model([step(1, 0)])


@pytest.mark.parametrize(("gamma", "total"), [(HALF, 2), (Fraction(9, 10), 10)])
def test_paying_one_for_ever_needs_one_over_one_minus_gamma(gamma, total):
    game = Game(ALWAYS_ONE, BudgetConstraint(0, gamma))
    assert game.demand(0, None) == total
    assert game.safe(0, (Fraction(total),), None)
    assert not game.safe(0, (total - Fraction(1, 10**9),), None)


def test_paying_one_for_ever_never_exhausts_its_exact_budget():
    """THEORY L1.open: z stays at d > 0, so the open boundary is kept although S = d."""
    game = Game(ALWAYS_ONE, BudgetConstraint(0, HALF, "open"))
    assert game.safe(0, (Fraction(2),), None)
    assert not game.safe(0, (Fraction(19, 10),), None)


def test_the_open_boundary_fails_where_the_exact_budget_is_used_up():
    once = model([step(1, 1)], end_at(1), terminal=1)
    game = Game(once, BudgetConstraint(0, HALF, "open"))
    assert game.demand(0, None) == 1
    assert not game.safe(0, (Fraction(1),), None)
    assert game.safe(0, (Fraction(11, 10),), None)


def test_a_costly_cycle_has_infinite_demand_and_a_free_one_none():
    game = Game(ALWAYS_ONE, BudgetConstraint(0))
    assert game.demand(0, None) == math.inf
    escape = model([step(1, 0), step(2, 1)], [step(0, 1)])
    assert Game(escape, BudgetConstraint(0)).demand(0, None) == 2


def test_three_tenths_fit_a_budget_of_three_tenths_and_not_the_open_one():
    chain = model([step(1, 1)], [step(1, 2)], [step(1, 3)], end_at(3), terminal=3,
                  cost_unit=TENTH)  # fmt: skip
    z = (Fraction(3, 10),)
    for left in (3, None):
        assert Game(chain, BudgetConstraint("3/10", horizon=left)).safe(0, z, left)
        assert not Game(chain, BudgetConstraint("3/10", 1, "open", horizon=left)).safe(0, z, left)


def test_demand_takes_the_worst_successor_and_counts_the_last_step():
    risky = model([((0,), 1, ((9, 1), (1, 2)))], [step(0, 1)], [step(3, 1)])
    for left, demand in ((0, 0), (1, 0), (2, 3), (5, 3)):
        assert Game(risky, BudgetConstraint(0, horizon=left)).demand(0, left) == demand
    assert Game(risky, BudgetConstraint(0, HALF)).demand(0, None) == Fraction(3, 2)


def test_signed_costs_anytime_needs_more_than_terminal():
    credit = model([step(2, 1)], [step(-2, 1)])
    assert Game(credit, BudgetConstraint(0, horizon=2)).demand(0, 2) == 2
    assert Game(credit, BudgetConstraint(0, 1, "closed", "terminal", 0, 2)).demand(0, 2) == 0
    paid_back = model([step(-2, 1)], [step(2, 1)])
    assert Game(paid_back, BudgetConstraint(0, horizon=2)).demand(0, 2) == 0


def test_two_constraints_each_affordable_but_not_together():
    both: list[Part] = [((1, 0), 0, ((1, 0),)), ((0, 1), 0, ((1, 0),))]
    two = model(both)
    several = (BudgetConstraint(1, horizon=2), BudgetConstraint(1, cost=1, horizon=2))
    game = Game(two, several)
    assert game.safe(0, (Fraction(1), Fraction(1)), 2)
    assert not game.safe(0, (Fraction(1), Fraction(0)), 2)


def test_value_spends_the_budget_where_it_pays_most():
    paid = model([step(1, 0, 3), step(0, 0, 1)])
    game = Game(paid, BudgetConstraint(1, horizon=3))
    assert game.value(0, (Fraction(1),), 3) == 3 + 1 + 1
    assert game.value(0, (Fraction(-1),), 3) is None
    halved = model([step(1, 0, 3), step(0, 0, 1)], reward_discount=HALF)
    # 3 now, then 1/2 + 1/4 + ... = 1
    assert Game(halved, BudgetConstraint(1)).value_for_ever(0, (Fraction(1),)) == 4


def test_limit_of_a_fair_coin_is_the_log_of_two():
    coin = model([step(1, 0), step(0, 0)])
    game = Game(coin, BudgetConstraint(0, horizon=3))
    assert game.base_keeps(0, (Fraction(0),), 3) == Fraction(1, 8)
    assert game.limit(0, (Fraction(0),), 3) == pytest.approx(3 * math.log(2))


def test_measures_of_the_base_policy_on_a_fair_coin():
    coin = model([step(1, 0, 2), step(0, 0, 1)])
    got = measure(coin, BudgetConstraint(1, horizon=2), base)
    assert got.violation == Fraction(1, 4)
    assert got.shortest == 2
    # 2+1, 1+2, 1+1, and 2 alone where the second step violates
    assert got.reward == Fraction(3 + 3 + 2 + 2, 4)
    assert got.kl == 0
    assert got.false_interventions == 0
    assert got.urup == Fraction(1, 4)
    assert got.arsp is None


def test_false_interventions_and_divergence_of_always_the_second_choice():
    coin = model([step(1, 0), step(0, 0)])

    def second(view: GuardView) -> np.ndarray:
        return np.tile([0.0, 1.0], (len(view), 1))

    got = measure(coin, BudgetConstraint(1, horizon=2), second)
    assert got.violation == 0
    assert got.shortest is None
    # Three of four base runs keep the budget; only (second, second) is accepted throughout.
    assert got.false_interventions == Fraction(1, 2)
    assert got.kl == pytest.approx(2 * math.log(2))


def test_prompts_and_refusals():
    labels = {"refusal": np.array([False, False, True]),
              "unsafe_prompt": np.array([True, False, False])}  # fmt: skip
    asked = model([step(1, 0), step(0, 2)], [step(0, 1), step(0, 2), step(0, 2)], end_at(2),
                  terminal=2, initial=shares([1, 1, 0]), labels=labels)  # fmt: skip
    got = measure(asked, BudgetConstraint(0, horizon=1), base)
    assert got.urup == HALF
    assert got.violation == Fraction(1, 4)
    assert got.arsp == Fraction(2, 3)
    for_ever = measure_for_ever(asked, BudgetConstraint(0), base)
    assert for_ever.urup == HALF
    assert for_ever.arsp == 1
    assert for_ever.shortest == 1


def test_no_budget_left_at_the_start_violates_the_open_boundary_at_once():
    got = measure(ALWAYS_ONE, BudgetConstraint(0, 1, "open", horizon=2), base)
    assert (got.violation, got.shortest, got.reward) == (1, 0, 0)


def test_for_ever_a_coin_that_may_pay_surely_pays_in_the_end():
    coin = model([step(1, 0, 1), step(0, 0, 1)], reward_discount=HALF)
    got = measure_for_ever(coin, BudgetConstraint(0), base)
    assert got.violation == 1
    # r = (1/2)(1 + r/2), the paying step earning nothing
    assert got.reward == Fraction(2, 3)


def test_solve_is_exact():
    a: Node = (0, (HALF,))
    b: Node = (1, (HALF,))
    assert solve({a: (Fraction(1), [(HALF, b)]), b: (Fraction(0), [(HALF, a), (HALF, b)])},
                 HALF) == {a: Fraction(12, 11), b: Fraction(4, 11)}  # fmt: skip


@given(st.data())
def test_policy_improvement_agrees_with_all_policies(data):
    small = data.draw(strategies.constrained_mdps(2, 2, 2, reward_discounts=[HALF]), label="model")
    c = data.draw(strategies.constraints(small.cost_unit, [1], horizons=[None], budgets=[0, 1, 2]))
    game = Game(small, c)
    assume(game.safe(0, game.start(), None))
    options = game.safe_options(0, game.start())
    plans = itertools.product(*options.values())
    assume(math.prod(len(o) for o in options.values()) <= 64)
    best = max(
        solve(dict(zip(options, plan, strict=True)), HALF)[0, game.start()] for plan in plans
    )
    assert game.value_for_ever(0, game.start()) == best


@given(st.data())
def test_long_finite_demands_approach_the_infinite_one(data):
    small = data.draw(strategies.constrained_mdps(3, 2, 2), label="model")
    c = data.draw(strategies.constraints(small.cost_unit, [1, HALF], horizons=[None]))
    finite = BudgetConstraint(c.budget, c.discount, c.boundary, c.scope, c.cost, 4)
    for s in range(small.S):
        long, forever = Game(small, finite).demand(s, 4), Game(small, c).demand(s, None)
        assert long <= forever
        if c.discount < 1:
            largest = int(small.cost.max()) * small.cost_unit
            assert forever <= long + c.discount**4 * largest / (1 - c.discount)


@given(strategies.constrained_mdps(), strategies.guards())
def test_rows_of_a_tabular_guard_are_exact_distributions(small, guard):
    game = Game(small, BudgetConstraint(1, horizon=2))
    for s in range(small.S):
        assert sum(exact_policy(game, guard)(s, game.start(), 0)) == 1
