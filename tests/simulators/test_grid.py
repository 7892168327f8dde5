"""The slippery grid: what its documentation says is so."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ModelError
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.value_table import value_table
from simulators.grid import slippery_grid


@pytest.mark.parametrize("discount", [1, "1/2"])
def test_minimal_budgets_are_the_tolls(discount):
    model = slippery_grid(9, 7, seed=3, exact=True)
    safe = minimal_budget(model, BudgetConstraint(2, discount=discount))
    assert list(safe.demand) == [*model.cost[0, model.choice_ptr[:-1]]]
    assert 5 < int(model.labels["hazard"].sum()) < 30


def test_walks_go_where_they_are_aimed_or_to_a_side():
    model = slippery_grid(3, 3, slip="1/3", exact=True)
    east = model.choice_ptr[4] + 1
    branches = slice(model.branch_ptr[east], model.branch_ptr[east + 1])
    assert model.choice_name(east) == "east"
    assert model.branch_state[branches].tolist() == [5, 1, 7]
    assert model.branch_prob[branches].tolist() == [Fraction(2, 3), Fraction(1, 6), Fraction(1, 6)]


def test_walls_keep_one_where_one_is():
    model = slippery_grid(1, 1, exact=True)
    assert (model.branch_state[:12] == 0).all()
    assert model.branch_state[12] == 1


def test_floats_are_the_exact_numbers():
    exact, model = slippery_grid(5, 4, seed=2, exact=True), slippery_grid(5, 4, seed=2)
    for name in ("branch_prob", "reward", "initial"):
        assert [Fraction(x) for x in getattr(model, name)] == list(getattr(exact, name))


def test_the_table_agrees_with_the_product():
    model = slippery_grid(6, 5, seed=1)
    table = value_table(model, BudgetConstraint(4))
    for budget in range(5):
        bounds = budgeted_value(model, BudgetConstraint(budget)).initial
        assert table.at(0, budget).lower <= bounds.upper
        assert table.at(0, budget).upper >= bounds.lower
    assert np.diff(table.value[:, 0]).max() > 0.01


def test_errors():
    with pytest.raises(ModelError, match="width"):
        slippery_grid(0, 3)
    with pytest.raises(ModelError, match="hazards"):
        slippery_grid(hazards="3/2")
