"""Toy-text environments against their own tables, in exact rationals."""

from __future__ import annotations

import sys
from collections import defaultdict
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from gymnasium.envs.toy_text.cliffwalking import CliffWalkingEnv
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
from gymnasium.envs.toy_text.taxi import TaxiEnv

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from ig_theory.io.gymnasium import cliffwalking, from_gymnasium, frozenlake, taxi


def meant(p: float) -> Fraction:
    return Fraction(p).limit_denominator(300)


def reachable(env: Any) -> tuple[set[int], set[int]]:
    """States in which a run goes on, and states in which one ends; from the table alone."""
    going = {s for s, p in enumerate(env.initial_state_distrib) if p}
    ended, todo = set(), list(going)
    while todo:
        for outcomes in env.P[todo.pop()].values():
            for _, t, _, done in outcomes:
                if done:
                    ended.add(int(t))
                elif int(t) not in going:
                    going.add(int(t))
                    todo.append(int(t))
    return going, ended


def check_against_table(model: ConstrainedMDP, env: Any, names: dict[int, str]) -> None:
    """Every reachable state, choice, probability and reward is what ``P`` says, exactly."""
    assert model.state_names is not None
    assert model.choice_names is not None
    index = {name: s for s, name in enumerate(model.state_names)}
    going, ended = reachable(env)
    assert model.S - len(going | ended) in (0, 1)  # one sink, if ending somewhere costs
    for s in going:
        choices = range(*model.choice_ptr[index[names[s]] : index[names[s]] + 2].tolist())
        assert len(choices) == len(env.P[s])
        for c, outcomes in zip(choices, env.P[s].values(), strict=True):
            want: dict[int, Fraction] = defaultdict(Fraction)
            for p, t, _, _ in outcomes:
                want[index[names[int(t)]]] += meant(p)
            low, high = model.branch_ptr[c : c + 2].tolist()
            got = dict(zip(model.branch_state[low:high].tolist(), model.branch_prob[low:high],
                           strict=True))  # fmt: skip
            assert got == want
            assert sum(got.values()) == 1
            assert len(got) == high - low  # merged
            assert model.reward[c] == sum(meant(p) * Fraction(r) for p, _, r, _ in outcomes)
    for s in ended:
        last = index[names[s]]
        assert model.choice_name(int(model.choice_ptr[last])) == "end"


@pytest.mark.parametrize("size", ["4x4", "8x8"])
@pytest.mark.parametrize("slippery", [True, False])
def test_frozenlake_is_its_table(size: str, slippery: bool) -> None:
    env = FrozenLakeEnv(map_name=size, is_slippery=slippery)
    model = frozenlake(size, slippery)
    names = {s: f"({s // env.ncol},{s % env.ncol})" for s in env.P}
    check_against_table(model, env, names)
    holes = {names[s] for s, tile in enumerate(env.desc.ravel()) if tile == b"H"}
    for c in range(model.C):
        in_hole = model.state_name(int(model.choice_state[c])) in holes
        assert model.cost[0, c] == int(in_hole)
    assert [model.state_name(int(s)) for s in model.terminal.nonzero()[0]].count("sink") == 1
    assert model.base is None


def test_frozenlake_rows_that_do_not_total_one_as_floats_do_so_exactly() -> None:
    env = FrozenLakeEnv()
    rows = [[p for p, *_ in o] for row in env.P.values() for o in row.values()]
    off = [row for row in rows if sum(map(Fraction, row)) != 1]
    assert len(off) == 44  # all the rows of the 11 tiles that are neither a hole nor the goal
    model = frozenlake()
    third = Fraction(1, 3)
    assert set(model.branch_prob.tolist()) <= {third, 2 * third, Fraction(1)}
    assert third in model.branch_prob.tolist()


def test_a_hole_that_costs_nothing_ends_the_run_at_once() -> None:
    model = frozenlake(hole_cost=0)
    assert (model.S, int(model.terminal.sum())) == (16, 5)
    assert frozenlake(hole_cost="1/2").cost_unit == Fraction(1, 2)


def test_the_success_rate_is_exact() -> None:
    model = frozenlake(success_rate="9/10")
    assert set(model.branch_prob.tolist()) >= {Fraction(9, 10), Fraction(1, 20)}
    assert 0 not in frozenlake(success_rate=1).branch_prob.tolist()
    for bad in ("3/2", "-1"):
        with pytest.raises(ModelError, match="success_rate: want a probability"):
            frozenlake(success_rate=bad)
    with pytest.raises(ModelError, match="size: want one of 4x4, 8x8, got '5x5'"):
        frozenlake("5x5")


def test_cliffwalking_is_its_table_and_each_step_into_the_cliff_costs_one() -> None:
    env = CliffWalkingEnv()
    model = cliffwalking()
    names = {s: f"({s // 12},{s % 12})" for s in env.P}
    check_against_table(model, env, names)
    assert model.S == 38
    paying = {
        (model.state_name(int(model.choice_state[c])), model.choice_name(c))
        for c in range(model.C)
        if model.cost[0, c]
    }
    assert paying == {("(3,0)", "right")} | {(f"(2,{column})", "down") for column in range(1, 11)}


def test_slippery_cliffwalking_pays_for_each_fall_on_the_way_back() -> None:
    model = cliffwalking(slippery=True)
    assert model.state_names is not None
    cliff, start = model.state_names.index("cliff"), model.state_names.index("(3,0)")
    climb = int(model.choice_ptr[cliff])
    assert (model.choice_name(climb), model.cost[0, climb]) == ("climb", 1)
    assert model.cost.sum() == 1
    assert model.branch_state[model.branch_ptr[climb]] == start
    # At (2,5): up slips to the sides only; down falls with 1/3.
    above = int(model.choice_ptr[model.state_names.index("(2,5)")])
    falls = [
        sum(
            model.branch_prob[b]
            for b in range(*model.branch_ptr[c : c + 2])
            if model.branch_state[b] == cliff
        )
        for c in range(above, above + 4)
    ]
    third = Fraction(1, 3)
    assert falls == [0, third, third, third]


@pytest.mark.parametrize("rainy", [False, True])
def test_taxi_is_its_table_and_each_illegal_action_costs_one(rainy: bool) -> None:
    env = TaxiEnv(is_rainy=rainy)
    model = taxi(rainy)
    places = "RGYB"

    def name(s: int) -> str:
        row, column, passenger, goal = env.decode(s)
        where = "in taxi" if passenger == 4 else f"at {places[passenger]}"
        return f"({row},{column}) passenger {where}, to {places[goal]}"

    check_against_table(model, env, {s: name(s) for s in env.P})
    assert (model.S, int(model.terminal.sum())) == (404, 4)
    assert set(model.initial.tolist()) == {Fraction(0), Fraction(1, 300)}
    assert sum(model.initial) == 1
    index = {name(s): s for s in env.P}
    for c in range(model.C):
        s = int(model.choice_state[c])
        if not model.terminal[s]:
            outcomes = list(env.P[index[model.state_name(s)]].values())[c - model.choice_ptr[s]]
            assert model.cost[0, c] == int(any(r == -10 for _, _, r, _ in outcomes))


def table(*rows: Any, start: Any = (1.0, 0.0), **more: Any) -> Any:
    return SimpleNamespace(P=dict(enumerate(rows)), initial_state_distrib=start, **more)


GOAL = {0: [(1.0, 1, 0, True)]}


def test_a_state_that_is_passed_and_ended_in_becomes_two() -> None:
    env = table({0: [(0.5, 1, 0, False), (0.5, 1, 3.0, True)]}, {0: [(1.0, 0, 0, False)]})
    model = from_gymnasium(env)
    assert model.state_names == ("0", "1", "1 (end)")
    assert model.terminal.tolist() == [False, False, True]
    assert model.reward.tolist() == [Fraction(3, 2), 0, 0]


def test_cost_and_base_are_given_by_state_and_action() -> None:
    env = table({0: [(1.0, 0, 0, False)], 1: [(1.0, 1, 0, True)]}, GOAL)
    model = from_gymnasium(
        env,
        lambda s, a: f"{a}/10",
        base=lambda s, a: Fraction(1 + a, 3),
        action_names=("stay", "go"),
        reward_discount="9/10",
    )
    assert (model.cost_unit, model.cost.tolist()) == (Fraction(1, 10), [[0, 1, 0]])
    assert model.base_policy.tolist() == [Fraction(1, 3), Fraction(2, 3), 1]
    assert model.choice_names == ("stay", "go", "end")
    assert model.reward_discount == Fraction(9, 10)


def test_every_choice_on_a_tile_pays_for_standing_there() -> None:
    env = table({0: [(1.0, 0, 0, False)], 1: [(1.0, 1, 0, True)]}, GOAL, desc=[["A", "B"]])
    model = from_gymnasium(env, {"A": 2, "B": 3}, base=lambda s, a: "1/2")
    assert model.state_names == ("0", "1", "sink")
    assert model.cost.tolist() == [[2, 2, 3, 0]]
    assert model.terminal.tolist() == [False, False, True]
    assert model.base_policy.tolist() == [Fraction(1, 2), Fraction(1, 2), 1, 1]


@pytest.mark.parametrize(
    ("env", "cost", "said"),
    [
        (object(), None, ["environment object", "a table P", "from_successors"]),
        (table({0: [(0.5, 0, 0, False)]}), None, ["P[0][0]", "total exactly 1", "got 1/2"]),
        (
            table({0: [(1e-9, 0, 0, False), (1 - 1e-9, 1, 0, True)]}, GOAL),
            None,
            ["P[0][0]", "stay positive", "1e-09", "raise max_denominator"],
        ),
        (table({0: [(1.0, 0, float("nan"), False)]}), None, ["P[0][0]", "finite", "nan"]),
        (table(GOAL, GOAL, start=(0.5, 0.25)), None, ["initial", "total 1", "3/4"]),
        (table(GOAL, GOAL), {"H": 1}, ["a map `desc`", "function of state and action"]),
        (TaxiEnv(), {"R": 1}, ["environment TaxiEnv", "a map `desc`"]),
        (FrozenLakeEnv(), {"X": 1}, ["cost", "tiles of the map (F, G, H, S)", "'X'"]),
        (FrozenLakeEnv(), {"H": 0.5}, ["cost of tile 'H'", "float 0.5"]),
        (FrozenLakeEnv(), lambda s, a: 0.5, ["cost of state '0'", "float 0.5"]),
    ],
)
def test_what_cannot_be_exact_is_refused(env: Any, cost: Any, said: list[str]) -> None:
    with pytest.raises(ModelError) as refusal:
        from_gymnasium(env, cost)
    for part in said:
        assert part in str(refusal.value)


def test_without_gymnasium_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium.envs.toy_text.frozen_lake", None)
    with pytest.raises(ModelError, match=r"pip install 'ig-theory\[rl\]'"):
        frozenlake()
