"""The least budget to reach a goal surely, against the nested fixed point on explicit pairs."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ig_theory.budget import INFINITE
from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ModelError, SolverError
from ig_theory.solvers import reaching_budget as module
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.reaching_budget import reaching_budget
from ig_theory.testing.strategies import constrained_mdps
from simulators.garnet import garnet, sheltered_garnet


def choices_of(model):
    """Per state, (cost, successors) of each choice, in plain Python."""
    rows = [
        (int(model.cost[0, c]), set(model.branch_state[low:high].tolist()))
        for c, (low, high) in enumerate(pairwise(model.branch_ptr))
    ]
    return [rows[low:high] for low, high in pairwise(model.choice_ptr)]


def by_pairs(model, goal, most):
    """The first z <= most such that (s, z) reaches the goal almost surely; inf if none does.

    The greatest X such that from each pair some policy inside X meets the goal: on pairs, with no
    use of levels or of zero costs.
    """
    rows = choices_of(model)
    ends = {(s, z) for s in range(model.S) if goal[s] for z in range(most + 1)}
    inside = {(s, z) for s in range(model.S) for z in range(most + 1)}
    moves = {
        (s, z): [{(t, z - c) for t in after} for c, after in rows[s] if c <= z] for s, z in inside
    }
    while True:
        met = set(ends)
        while True:
            more = {
                n
                for n in inside - met
                if any(after <= inside and after & met for after in moves[n])
            }
            if not more:
                break
            met |= more
        if met == inside:
            break
        inside = met
    return [min((z for z in range(most + 1) if (s, z) in inside), default=math.inf)
            for s in range(model.S)]  # fmt: skip


def demands(answer):
    return [math.inf if d >= INFINITE else int(d) for d in answer.demand]


@given(constrained_mdps(max_states=5), st.data())
def test_every_state_agrees_with_the_pairs(model, data):
    goal = np.array(data.draw(st.lists(st.booleans(), min_size=model.S, max_size=model.S)))
    answer = reaching_budget(model, goal)
    # D is at most the sum of the largest costs, as a positive cost makes D fall.
    assert demands(answer) == by_pairs(model, goal, int(model.cost.max()) * model.S)
    assert answer.proves_itself()


@given(constrained_mdps(max_states=5), st.data())
def test_the_compiled_path_is_the_plain_one(model, data):
    goal = np.array(data.draw(st.lists(st.booleans(), min_size=model.S, max_size=model.S)))
    plain = reaching_budget(model, goal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PLAIN", 0)
        fast = reaching_budget(model, goal)
    assert fast.demand.tolist() == plain.demand.tolist()
    assert fast.proves_itself()


@given(constrained_mdps(max_states=4), st.data())
def test_the_policy_reaches_the_goal_and_fits_its_budget(model, data):
    goal = np.array(data.draw(st.lists(st.booleans(), min_size=model.S, max_size=model.S)))
    answer = reaching_budget(model, goal)
    rows = choices_of(model)
    for start in np.flatnonzero(answer.demand < INFINITE).tolist():
        edges, todo = {}, [(start, int(answer.demand[start]))]
        while todo:
            s, z = node = todo.pop()
            assert z >= 0
            if node in edges:
                continue
            edges[node] = set()
            if not goal[s]:
                c, after = rows[s][int(answer.policy[s] - model.choice_ptr[s])]
                edges[node] = {(t, z - c) for t in after}
                todo += edges[node]
        # Almost surely: the goal can be met from everywhere that is met.
        met = {n for n in edges if goal[n[0]]}
        while more := {n for n in edges if n not in met and edges[n] & met}:
            met |= more
        assert met == set(edges)


@given(constrained_mdps(max_states=4))
def test_a_goal_that_costs_nothing_needs_no_less_than_safety(model):
    if not model.terminal.any():
        return
    safe = minimal_budget(model, BudgetConstraint(0)).demand
    assert (reaching_budget(model, model.terminal).demand >= safe).all()


@pytest.mark.parametrize("make", [garnet, sheltered_garnet])
@pytest.mark.parametrize("seed", range(4))
def test_random_models_by_the_compiled_path(make, seed):
    model = make(90, choices=9, branches=2, largest_cost=2, seed=seed)
    assert model.B > 1_500
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PLAIN", 0)
        answer = reaching_budget(model, "goal")
    found = [d if d <= 12 else math.inf for d in demands(answer)]
    assert found == by_pairs(model, model.labels["goal"], 12)
    assert sum(d < math.inf for d in found) > 1
    assert answer.proves_itself()


# A free loop that leaves with probability 1/2 costs nothing, for ever or not.
LOOPS = {
    "s": {"try": (0, 0, {"s": "1/2", "t": "1/2"}), "pay": (7, 0, "g")},
    "t": {"back": (0, 0, {"s": "1/2", "u": "1/2"}), "stay": (0, 0, "t")},
    "u": {"on": (3, 0, {"g": 1}), "try": (1, 0, {"u": "1/2", "g": "1/2"})},
    "trap": {"stay": (0, 0, "trap")},
    "near": {"dare": (0, 0, {"g": "1/2", "trap": "1/2"}), "sure": (2, 0, "g")},
    "far": {"pay": (1, 0, "far")},
}


def test_free_loops_and_traps():
    model = from_dict(LOOPS, initial="s", labels={"goal": ["g"], "none": []})
    answer = reaching_budget(model, "goal")
    assert dict(zip(model.state_names, demands(answer), strict=True)) == {
        "s": 3, "t": 3, "u": 3, "trap": math.inf, "near": 2, "far": math.inf, "g": 0,
    }  # fmt: skip
    assert answer.initial == 3
    assert answer.contains(0, Fraction(3))
    assert not answer.contains(0, Fraction(299, 100))
    assert demands(reaching_budget(model, "none")) == [math.inf] * model.S
    assert reaching_budget(model, np.ones(model.S, dtype=bool)).demand.tolist() == [0] * model.S


def test_what_follows_the_goal_is_not_paid():
    model = from_dict({"s": {"go": (1, 0, "g")}, "g": {"on": (9, 0, "s")}}, initial="s")
    answer = reaching_budget(model, np.array([False, True]))
    assert demands(answer) == [1, 0]
    assert answer.policy.tolist() == [0, -1]


def test_budgets_are_in_units_of_the_cost():
    model = from_dict({"s": {"go": ("0.3", 0, "t")}, "t": {"go": ("0.1", 0, "g")}}, initial="s")
    assert reaching_budget(model, model.terminal).initial == Fraction(2, 5)


@pytest.mark.parametrize("field", ["demand", "order", "policy"])
def test_a_wrong_answer_proves_nothing(field):
    model = from_dict(LOOPS, initial="s", labels={"goal": ["g"]})
    answer = reaching_budget(model, "goal")
    wrong = getattr(answer, field).copy()
    wrong[2] = {"demand": 2, "order": 0, "policy": model.choice_ptr[2] + 1}[field]
    assert answer.proves_itself()
    assert not replace(answer, **{field: wrong}).proves_itself()


def test_one_clear_error_each():
    model = from_dict(LOOPS, initial="s", labels={"goal": ["g"]})
    with pytest.raises(SolverError, match=r"goal: want a label of: goal, got 'gaol'"):
        reaching_budget(model, "gaol")
    with pytest.raises(SolverError, match=r"want a label or bool\[7\], got int64\[1\]"):
        reaching_budget(model, [6])
    with pytest.raises(ModelError, match="cost: want one of 0"):
        reaching_budget(model, "goal", cost=3)
    signed = from_dict({"s": {"go": (-1, 0, "g")}}, initial="s")
    with pytest.raises(SolverError, match="cost of choice 0: want costs >= 0, got -1"):
        reaching_budget(signed, signed.terminal)
