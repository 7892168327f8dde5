"""Numbers at the edge of what floats can hold: right, or refused with a clear error."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ModelError, SolverError
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.grid_table import enclosing, grid_table
from ig_theory.solvers.lagrangian import lagrangian
from ig_theory.solvers.penalty import penalty_value
from ig_theory.solvers.unconstrained import unconstrained
from ig_theory.solvers.value_table import value_table
from ig_theory.testing.assembly import assemble


def slow(p, reward=1, exact=True, two=False):
    """A run that goes round, by one state or two, until it ends with probability p."""
    if two:
        states = {
            "a": {"go": (0, reward, {"b": 1})}, "b": {"go": (0, 0, {"a": 1 - p, "t": p})},
        }  # fmt: skip
        return from_dict(states, initial="a", exact=exact)
    return from_dict({"s": {"go": (0, reward, {"s": 1 - p, "t": p})}}, initial="s", exact=exact)


def walk(length, exact):
    """Away from its end with probability 3/4; the expected time from state 1 is exact."""
    half = Fraction(1, 4)
    states = {
        f"s{i}": {"go": (0, 1, {f"s{i + 1}": 3 * half, (f"s{i - 1}" if i > 1 else "t"): half})}
        for i in range(1, length)
    }
    states[f"s{length}"] = {"go": (0, 1, {f"s{length - 1}": 1})}
    truth = Fraction(1)
    for _ in range(length - 1):
        truth = 4 + 3 * truth
    return from_dict(states, initial="s1", exact=exact), truth


def holds(bounds, truth):
    assert not math.isnan(bounds.lower)
    assert bounds.lower <= truth <= bounds.upper


@pytest.mark.parametrize("reward", [1, -1])
@pytest.mark.parametrize("p", [Fraction(1, 10**9), Fraction(1, 10**13), Fraction(1, 10**17)])
def test_loops_that_are_hardly_ever_left(p, reward):
    holds(value_table(slow(p, reward), BudgetConstraint(2)).initial, reward / p)
    for exact in (True, False):
        for two in (True, False):
            model = slow(p, reward, exact, two)
            holds(budgeted_value(model, BudgetConstraint(1)).initial, reward / p)


@pytest.mark.parametrize("exact", [True, False])
def test_a_walk_away_from_its_end(exact):
    model, truth = walk(30, exact)
    holds(budgeted_value(model, BudgetConstraint(0)).initial, truth)
    holds(value_table(model, BudgetConstraint(0)).initial, truth)
    holds(unconstrained(model).start, truth)


def test_what_floats_cannot_solve_is_said_to_be_so():
    model = slow(Fraction(1, 10**17), exact=False)
    penalty_value(model, BudgetConstraint(1), 3)
    for solve in (unconstrained, lambda m: lagrangian(m, BudgetConstraint(1))):
        with pytest.raises(SolverError, match="within what floats can tell"):
            solve(model)


def test_numbers_too_large_or_too_close_to_one_are_refused():
    loop = {"s": {"go": (0, 1, {"s": 1})}}
    with pytest.raises(ModelError, match="reward_discount: want 1, or at most"):
        from_dict(loop, initial="s", reward_discount=1 - Fraction(1, 10**12))
    with pytest.raises(ModelError, match="at most 1e"):
        from_dict({"s": {"go": (1, 1e308, {"s": 1})}}, initial="s")


@pytest.mark.parametrize("work", [1, 2])
@pytest.mark.parametrize("beyond", ["forbid", "stop"])
def test_a_finite_entry_beside_one_that_turns_infinite(work, beyond):
    half = {"f2": "1/2", "k2": "1/2"}
    states = {
        "k": {"work": (work, 1, {"k": 1}), "hop": (5, 0, {"loop": 1}), "end": (1, 0, {"t": 1})},
        "loop": {"g": (0, 1, {"loop": 1})},
        "f": {"a": (0, 0, half)},
        "f2": {"a": (0, 0, {"f": "1/2", "k2": "1/2"})},
        "k2": {"work": (1, 1, {"k2": 1}), "end": (1, 0, {"t": 1}), "end2": (2, 5, {"t": 1})},
    }
    table = value_table(from_dict(states, initial="f"), BudgetConstraint(6), beyond=beyond)
    assert table.at(2, 5).middle == pytest.approx(8)


def test_models_with_nothing_to_do():
    model = assemble([[((0,), 0, ((1, 0),))]], terminal=[True], initial=[Fraction(1)], exact=False)
    assert unconstrained(model, compiled=True).start.middle == 0
    assert value_table(model, BudgetConstraint(1)).initial.middle == 0


def test_grids_that_cannot_be_held_or_are_no_bounds_are_refused():
    dear = from_dict(
        {"s": {"a": (2**30, 1, {"s": 1}), "b": (0, 0, {"t": 1})}}, "s", reward_discount="1/2"
    )
    with pytest.raises(SolverError, match="levels of budget"):
        grid_table(dear, BudgetConstraint(10, "1/2"))
    losing = from_dict(
        {"s": {"go": (1, 0, {"u": 1})}, "u": {"lose": ("1/3", -1, {"t": 1})}}, initial="s"
    )
    with pytest.raises(SolverError, match="neither grid is a bound"):
        next(enclosing(losing, BudgetConstraint("7/6", "2/3", horizon=2), beyond="stop"))


def test_a_lattice_over_a_horizon_ends_where_it_ends():
    model = from_dict({"k": {"work": (1, 1, {"k": 1}), "end": (0, 0, {"t": 1})}}, initial="k")
    with pytest.raises(SolverError, match="larger budget"):
        grid_table(model, BudgetConstraint(3, horizon=10)).at(0, 9)
    assert grid_table(model, BudgetConstraint(3, horizon=0)).choice(0, 3) == -1
