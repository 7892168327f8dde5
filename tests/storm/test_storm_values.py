"""Values against Storm: within a budget, of safe policies, and without a budget."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from storm_oracle import (
    EXAMPLES,
    FAMILIES,
    SAFE,
    SMALL,
    TOLERANCE,
    ask,
    bounded_reach,
    bounded_reward,
    opened,
    safe_case,
    stopped_at,
    storms_safe_choices,
    with_rewards,
    worker,
)

from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.unconstrained import unconstrained

NAMES = [*EXAMPLES, *FAMILIES]
LARGE = ("firewire", "firewire3", "leader4")
"""Where exact arithmetic would take too long here."""
opened = cache(opened)


def agree(ours, storms, tolerance=TOLERANCE):
    lower, upper = ours
    return lower - tolerance <= storms <= upper + tolerance and upper - lower <= 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_probability_to_reach_a_goal_within_a_budget(name):
    model, goal = opened(name)
    for budget in (0, 2, 7):
        storms = ask(model, f'Pmax=? [F{{"cost"}}<={budget} "goal"]', exact=False)
        assert agree(bounded_reach(model, goal, budget), storms)


@pytest.mark.parametrize("name", [*SMALL, *FAMILIES])
def test_exact_probabilities_lie_within_our_bounds(name):
    """Storm's exact arithmetic against certified floats: no tolerance at all."""
    model, goal = opened(name)
    for budget in (1, 4, 8):
        storms = ask(model, f'Pmax=? [F{{"cost"}}<={budget} "goal"]')
        assert agree(bounded_reach(model, goal, budget), storms, tolerance=0)


@pytest.mark.parametrize("name", NAMES)
def test_reward_until_the_budget_is_exceeded(name):
    model = with_rewards(opened(name)[0], seed=7, paying_only=True)
    for budget in (0, 3, 7):
        storms = ask(model, f'R{{"reward"}}max=? [C{{"cost"}}<={budget}]', exact=False)
        assert agree(bounded_reward(model, budget), storms)


@pytest.mark.parametrize("name", [*SMALL, *FAMILIES])
def test_exact_rewards_lie_within_our_bounds(name):
    model = with_rewards(opened(name)[0], seed=8, paying_only=True)
    for budget in (1, 5):
        storms = ask(model, f'R{{"reward"}}max=? [C{{"cost"}}<={budget}]')
        assert agree(bounded_reward(model, budget), storms, tolerance=0)


@pytest.mark.parametrize("name", NAMES)
def test_discounted_reward_without_a_budget_at_every_state(name):
    model = replace(
        with_rewards(opened(name)[0], seed=9, paying_only=False), reward_discount=Fraction(9, 10)
    )
    storms = ask(model, 'R{"reward"}max=? [Cdiscount=9/10]', exact=False, everywhere=True)
    ours = unconstrained(model, tolerance=1e-8).solution
    assert (ours.upper - ours.lower <= 1e-8).all()
    assert np.abs(np.array(storms) - ours.lower).max() <= 1e-5  # Storm's sweeps stop early


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("firewire", "firewire3", "leader4")]
)
def test_probability_to_reach_a_goal_at_all_exactly(name):
    """Undiscounted, with the end components of other people's models: equal Fractions."""
    model, goal = opened(name)
    ended = stopped_at(model, goal)
    entering = np.where(goal[ended.branch_state], ended.branch_prob, Fraction(0))
    gain = np.add.reduceat(entering, ended.branch_ptr[:-1])
    gain[ended.terminal[ended.choice_state]] = Fraction(0)
    storms = np.array(ask(ended, 'Pmax=? [F "goal"]', everywhere=True))
    ours = unconstrained(ended, gain=gain, discount=1, exact=ended.S <= 400).solution
    lower, upper = ours.lower[~goal], ours.upper[~goal]
    slack = 0 if ended.S <= 400 else TOLERANCE
    assert (lower - slack <= storms[~goal]).all()
    assert (storms[~goal] <= upper + slack).all()


@pytest.mark.parametrize("name", SAFE)
def test_the_best_safe_reward(name):
    """Storm decides which pairs are safe and optimises over them; we solve our own product."""
    model, budget = safe_case(name)
    safe, rows = storms_safe_choices(model, budget)
    ours = budgeted_value(model, BudgetConstraint(budget * model.cost_unit)).initial
    assert safe[int(rows["initial"])]
    query = f'R{{"rew"}}max=? [Cdiscount={model.reward_discount}]'
    storms = ask(worker().storm_model(rows), query, exact=False)
    assert ours.width <= 1e-6
    assert storms == pytest.approx(ours.middle, abs=1e-5)
