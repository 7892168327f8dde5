"""The table of values, all states and budgets at once, against Storm one budget at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from storm_oracle import (
    EXAMPLES,
    FAMILIES,
    SAFE,
    TOLERANCE,
    ask,
    opened,
    safe_case,
    stopped_at,
    storms_safe_choices,
    with_rewards,
    worker,
)

from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.value_table import Beyond, reaching, value_table

NAMES = [*EXAMPLES, *FAMILIES]
TOP = 8

opened = cache(opened)


def within(table, state, storms):
    """Whether Storm's answers for budgets 0.. lie between the table's bounds."""
    lower, upper = table.front(state)
    some = [z for z, value in enumerate(storms) if value is not None]
    values = np.array([storms[z] for z in some])
    assert table.gap <= 1e-6
    return bool(
        (lower[some] - TOLERANCE <= values).all() and (values <= upper[some] + TOLERANCE).all()
    )


@pytest.mark.parametrize("name", NAMES)
def test_reward_until_the_budget_is_exceeded(name):
    model = with_rewards(opened(name)[0], seed=17, paying_only=True)
    table = value_table(model, BudgetConstraint(TOP), beyond=Beyond.STOP, tolerance=1e-8)
    (start,) = np.flatnonzero(model.initial > 0)
    asked = {0, 1, 5, TOP}
    storms = [
        ask(model, f'R{{"reward"}}max=? [C{{"cost"}}<={z}]', exact=False) if z in asked else None
        for z in range(TOP + 1)
    ]
    assert within(table, int(start), storms)


@pytest.mark.parametrize("name", NAMES)
def test_probability_to_reach_a_goal_within_a_budget(name):
    model, goal = opened(name)
    ended = stopped_at(model, goal)
    table = value_table(
        ended,
        BudgetConstraint(TOP),
        beyond=Beyond.STOP,
        gain=reaching(ended, "goal"),
        tolerance=1e-8,
    )
    (start,) = np.flatnonzero(model.initial > 0)
    asked = {0, 2, 6, TOP}
    storms = [
        ask(model, f'Pmax=? [F{{"cost"}}<={z} "goal"]', exact=False) if z in asked else None
        for z in range(TOP + 1)
    ]
    if not goal[start]:
        assert within(table, int(start), storms)


@pytest.mark.parametrize("name", SAFE)
def test_the_best_safe_reward_of_every_pair(name):
    """At all pairs (s, z) that Storm finds safe, and -inf at all others."""
    model, budget = safe_case(name)
    table = value_table(model, BudgetConstraint(budget * model.cost_unit), tolerance=1e-7)
    safe, rows = storms_safe_choices(model, budget)
    query = f'R{{"rew"}}max=? [Cdiscount={model.reward_discount}]'
    storms = np.array(ask(worker().storm_model(rows), query, exact=False, everywhere=True))
    shape = (model.S, budget + 1)
    safe, storms = safe[:-1].reshape(shape), storms[:-1].reshape(shape)
    for state in range(model.S):
        lower, upper = table.front(state)
        assert (np.isfinite(lower) == safe[state]).all()
        kept = safe[state]
        assert np.abs(storms[state][kept] - lower[kept]).max(initial=0) <= 1e-5
        assert (upper[kept] - lower[kept] <= 1e-6).all()


def test_costs_counted_in_tenths():
    """Storm counts whole costs only; the table counts multiples of the cost unit."""
    model = with_rewards(opened("nand")[0], seed=3, paying_only=True)
    tenths = replace(model, cost_unit=model.cost_unit / 10)
    table = value_table(tenths, BudgetConstraint("8/10"), beyond=Beyond.STOP, tolerance=1e-8)
    (start,) = np.flatnonzero(model.initial > 0)
    answer = ask(model, 'R{"reward"}max=? [C{"cost"}<=8]', exact=False)
    assert table.at(int(start), tenths.cost_unit * 8).middle == pytest.approx(answer, abs=1e-5)
