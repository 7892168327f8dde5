"""The minimal budget for gamma = 1 against plain value iteration from below."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ig_theory.budget import INFINITE
from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.kernels import budget as budget_kernels
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.testing.strategies import constrained_mdps
from simulators.garnet import garnet, sheltered_garnet


def from_below(model: ConstrainedMDP) -> np.ndarray:
    """Iterates ``min_a (c + max D)`` from 0; what exceeds S c_max has no finite demand."""
    demand, cost = np.zeros(model.S, dtype=np.int64), model.cost[0]
    most = model.S * int(cost.max())
    while True:
        worst = np.maximum.reduceat(demand[model.branch_state], model.branch_ptr[:-1])
        through = np.minimum(cost + worst, most + 1)
        after = np.minimum.reduceat(through, model.choice_ptr[:-1])
        after[model.terminal] = 0
        if (after == demand).all():
            return np.where(demand > most, INFINITE, demand)
        demand = after


@given(constrained_mdps(8, max_choices=3, max_branches=3))
def test_demands_are_the_least_fixed_point(model):
    assert (minimal_budget(model, BudgetConstraint(0)).demand == from_below(model)).all()


@given(constrained_mdps(6, costs=st.sampled_from([0, 1, 1025, 5000])))
def test_large_costs_are_settled_in_the_same_order(model):
    assert (minimal_budget(model, BudgetConstraint(0)).demand == from_below(model)).all()


@pytest.mark.parametrize("family", [garnet, sheltered_garnet])
@pytest.mark.parametrize("seed", range(4))
def test_random_families(family, seed):
    for branches in (1, 2, 4):
        model = family(120, branches=branches, largest_cost=2, seed=seed)
        assert (minimal_budget(model, BudgetConstraint(0)).demand == from_below(model)).all()


def ladder(rungs: int, fall: bool) -> ConstrainedMDP:
    """States that can go round for free, or climb down at cost 1; a long chain of losses.

    With `fall`, each state's free choice also leads one down, so that staying fails one after
    the other, from the bottom; without, it stays.
    """
    states = {"bottom": {"spend": (1, 0, {"bottom": 1})}}
    for k in range(1, rungs):
        below = "bottom" if k == 1 else f"s{k - 1}"
        here = {below: 1, f"s{k}": 1} if fall else {f"s{k}": 1}
        states[f"s{k}"] = {
            "round": (0, 0, {t: 1 / len(here) for t in here}), "down": (1, 0, {below: 1}),
        }  # fmt: skip
    return from_dict(states, initial=f"s{rungs - 1}")


@pytest.mark.parametrize("rungs", [3, 60])
def test_long_chains_of_losses_are_followed_to_the_end(rungs):
    assert budget_kernels.PASSES < 60
    lost = minimal_budget(ladder(rungs, fall=True), BudgetConstraint(0))
    assert (lost.demand == INFINITE).all()
    kept = minimal_budget(ladder(rungs, fall=False), BudgetConstraint(0))
    assert (kept.demand[1:] == 0).all()


def test_many_levels_with_free_cycles_on_each():
    """A staircase of free pairs: more levels than are searched in full."""
    steps = 2 * budget_kernels.SEARCHES
    states = {"end": {"stop": (0, 0, {"end": 1})}}
    for k in range(steps):
        down = "end" if k == 0 else f"a{k - 1}"
        # a waits with b for free, but either may be thrown down the stairs, at cost 1
        states[f"a{k}"] = {"swap": (0, 0, {f"b{k}": 1})}
        states[f"b{k}"] = {"swap": (0, 0, {f"a{k}": 0.5, f"c{k}": 0.5})}
        states[f"c{k}"] = {"pay": (1, 0, {down: 1})}
    model = from_dict(states, initial=f"a{steps - 1}")
    demand = minimal_budget(model, BudgetConstraint(0)).demand
    assert (demand == from_below(model)).all()
    assert int(demand.max()) == steps
