"""Builders: what they build, in which order, and how they refuse what cannot be exact."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import models, same

from ig_theory.builders import (
    from_arrays,
    from_dict,
    from_networkx,
    from_successors,
    rationalised,
    to_networkx,
)
from ig_theory.cmdp import LatentMDP
from ig_theory.errors import ModelError
from ig_theory.exact import common_unit, rational, written
from ig_theory.fingerprint import model_hash

WALK: dict[str, Any] = {
    "s": {"go": ("0.1", "1/2", {"s": "1/3", "t": "2/3"}), "stop": ("0.25", 0, "end")},
    "t": {"on": (1, 2, {"end": 1})},
}


def test_from_dict_lays_out_states_choices_and_branches_in_their_order() -> None:
    model = from_dict(WALK, initial={"s": "1/4", "t": "3/4"}, exact=True)
    assert model.state_names == ("s", "t", "end")
    assert model.choice_names == ("go", "stop", "on", "end")
    assert model.choice_ptr.tolist() == [0, 2, 3, 4]
    assert model.branch_ptr.tolist() == [0, 2, 3, 4, 5]
    assert model.branch_state.tolist() == [0, 1, 2, 2, 2]
    assert model.branch_prob.tolist() == [Fraction(1, 3), Fraction(2, 3), 1, 1, 1]
    assert model.reward.tolist() == [Fraction(1, 2), 0, 2, 0]
    assert (model.cost_unit, model.cost.tolist()) == (Fraction(1, 20), [[2, 5, 20, 0]])
    assert model.initial.tolist() == [Fraction(1, 4), Fraction(3, 4), 0]
    assert model.terminal.tolist() == [False, False, True]


def test_float_mode_reads_text_too_and_keeps_costs_exact() -> None:
    model = from_dict(WALK, initial="s")
    assert model.branch_prob.dtype == np.float64
    assert model.branch_prob[0] == 1 / 3
    assert model.cost_unit == Fraction(1, 20)


def test_a_state_without_choices_is_terminal() -> None:
    model = from_dict({"s": {"go": (1, 0, "t")}, "t": {}}, initial="s")
    assert model.terminal.tolist() == [False, True]
    assert (model.choice_name(1), model.cost.tolist()) == ("end", [[1, 0]])


def test_several_costs_base_labels_and_discount() -> None:
    model = from_dict(
        {"s": {"a": ((1, "1/2"), 0, "s"), "b": ((0, 3), 0, "t")}},
        initial="s",
        base={"s": {"b": 1}},
        labels={"refusal": ["t"], "unsafe_prompt": "s"},
        cost_names=("harm", "leak"),
        reward_discount="9/10",
    )
    assert (model.cost.tolist(), model.cost_unit) == ([[2, 0, 0], [1, 6, 0]], Fraction(1, 2))
    assert model.base_policy.tolist() == [0.0, 1.0, 1.0]
    assert model.labels["refusal"].tolist() == [False, True]
    assert model.labels["unsafe_prompt"].tolist() == [True, False]
    assert model.reward_discount == Fraction(9, 10)


def test_states_that_the_base_does_not_name_choose_uniformly() -> None:
    model = from_dict(
        {"s": {"a": (0, 0, "t"), "b": (0, 0, "t")}, "t": {"a": (0, 0, "s"), "b": (0, 0, "s")}},
        initial="s",
        base={"t": {"a": "1/4", "b": "3/4"}},
        exact=True,
    )
    assert model.base_policy.tolist() == [Fraction(n, 4) for n in (2, 2, 1, 3)]


def test_a_given_cost_unit_is_kept() -> None:
    model = from_dict(WALK, initial="s", cost_unit="1/100")
    assert (model.cost_unit, model.cost.tolist()) == (Fraction(1, 100), [[10, 25, 100, 0]])


GO: Any = {"go": (1, 0, "s")}
REFUSED_DICTS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"s": {"go": (0.1, 0, "s")}}, {}, ["cost of state 's' choice 'go'", "float 0.1", "'0.1'"]),
    ({"s": {"go": (np.float64(0.1), 0, "s")}}, {}, ["cost of state 's'", "float 0.1"]),
    ({"s": {"go": (True, 0, "s")}}, {}, ["cost of state 's'", "an exact rational", "True"]),
    ({"s": {"go": ("1/0", 0, "s")}}, {}, ["cost of state 's'", "'1/0'"]),
    ({"s": {"go": ("1e9", 0, "s")}}, {}, ["cost of state 's'", "'1e9'", "3/10"]),
    ({"s": {"go": (2**41, 0, "s")}}, {}, ["cost of state 's' choice 'go'", "2^40"]),
    (
        {"s": {"go": (1, 0, "s"), "no": (Fraction(1, 10**15), 0, "s")}},
        {},
        ["cost of state 's' choice 'go'", "2^40 units of 1/1000000000000000", "round the costs"],
    ),
    (
        {"s": {"go": ((1, 2), 0, "s"), "no": (1, 0, "s")}},
        {},
        ["cost of state 's' choice 'no'", "2 costs, as elsewhere", "got 1"],
    ),
    ({"s": {"go": (1, 0)}}, {}, ["state 's' choice 'go'", "(cost, reward,", "give all three"]),
    ({"s": {"go": (1, 0, {})}}, {}, ["state 's' choice 'go'", "at least one successor"]),
    ({"s": {"go": (1, 0, ["s"])}}, {}, ["state 's' choice 'go'", "one name", "['s']"]),
    ({"s": [1]}, {}, ["state 's'", "{choice: (cost, reward, successors)}", "use a dict"]),
    ({"s": {"go": (1, 0, {"s": 0.5})}}, {}, ["state 0 (s) choice 0", "total 1", "0.5"]),
    ({"s": {"go": (1, 0, {"s": "x"})}}, {}, ["probability in state 's' choice 'go'", "'x'"]),
    ({"s": {"go": (1, float("nan"), "s")}}, {}, ["reward of state 's' choice 'go'", "finite"]),
    ({"s": {"go": (1, 10**400, "s")}}, {}, ["reward of state 's' choice 'go'", "finite", "inf"]),
    (
        {"s": {"go": (1, 0.5, "s")}},
        {"exact": True},
        ["reward of state 's' choice 'go'", "float 0.5", "'0.5'"],
    ),
    (
        {"s": {"go": (1, 0, {"s": 1.0})}},
        {"exact": True},
        ["probability in state 's' choice 'go'", "float 1.0"],
    ),
    ({"s": {1: (1, 0, "s"), "1": (1, 0, "s")}}, {}, ["state 's'", "distinct choice names", "'1'"]),
    ({"prompt": GO}, {"initial": "promt"}, ["initial", "'promt'", "did you mean 'prompt'?"]),
    ({"s": GO}, {"initial": {"x": 1}}, ["initial", "a state ('s')", "'x'", "add it"]),
    ({"s": GO}, {"initial": ["s"]}, ["initial", "['s']", "name the first state"]),
    ({"s": GO}, {"initial": {}}, ["initial", "{}"]),
    ({"s": GO}, {"initial": {"s": 0.5}}, ["initial", "total 1", "0.5"]),
    ({"s": GO}, {"labels": {"bad": ["x"]}}, ["label 'bad'", "'x'"]),
    ({"s": GO}, {"labels": {"bad": [["s"]]}}, ["label 'bad'", "the name of a state", "['s']"]),
    ({"s": GO}, {"base": {"x": {"go": 1}}}, ["base", "'x'"]),
    ({"s": GO}, {"base": {"s": {"goo": 1}}}, ["base of state 's'", "a choice", "mean 'go'?"]),
    ({"s": GO}, {"base": {"s": {}}}, ["base of state 0", "total 1"]),
    ({"s": GO}, {"reward_discount": 0.9}, ["reward_discount", "float 0.9", "'0.9'"]),
    ({"s": GO}, {"cost_unit": "2"}, ["cost of state 's' choice 'go'", "multiple of", "finer"]),
    ({"s": GO}, {"cost_unit": 0}, ["cost_unit", "> 0"]),
    ({"s": GO}, {"cost_names": ("a", "b")}, ["cost_names", "1 strings"]),
]


@pytest.mark.parametrize(("states", "options", "said"), REFUSED_DICTS)
def test_from_dict_names_the_state_the_choice_the_value_and_the_repair(
    states: Any, options: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(ModelError) as refusal:
        from_dict(states, **{"initial": next(iter(states)), **options})
    for part in said:
        assert part in str(refusal.value)


def test_from_arrays_takes_whole_costs_as_multiples_of_the_unit() -> None:
    model = from_arrays(
        [0, 2, 3], [0, 1, 2, 3], [1, 0, 1], [1, 1, 1], cost=[2, 4, 0], cost_unit="1/10",
        terminal=[False, True], labels={"refusal": [1]},
    )  # fmt: skip
    assert (model.cost_unit, model.cost.tolist()) == (Fraction(1, 10), [[2, 4, 0]])
    assert model.initial.tolist() == [1.0, 0.0]
    assert model.labels["refusal"].tolist() == [False, True]


def test_from_arrays_finds_the_coarsest_unit_of_rational_costs() -> None:
    rows = ([0, 1, 2], [0, 1, 2], [1, 0], ["1", 1])
    model = from_arrays(*rows, cost=[["0.3", 0], [Fraction(3, 2), 3]], exact=True)
    assert (model.cost_unit, model.cost.tolist()) == (Fraction(3, 10), [[1, 0], [5, 10]])
    assert model.exact


def test_from_arrays_copies_what_it_is_given() -> None:
    cost, prob = np.array([[1]]), np.array([1.0])
    model = from_arrays([0, 1], [0, 1], [0], prob, cost=cost)
    cost[0, 0], prob[0] = 7, 0.5
    assert (model.cost.tolist(), model.branch_prob.tolist()) == ([[1]], [1.0])


ONE: dict[str, Any] = {
    "choice_ptr": [0, 1], "branch_ptr": [0, 1], "branch_state": [0], "branch_prob": [1],
    "cost": [1],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cost": [0.1]}, ["cost 0 of choice 0", "float 0.1", "'0.1'"]),
        ({"cost": np.array([0.1])}, ["cost 0 of choice 0", "float 0.1"]),
        ({"cost": ["1/2"], "cost_unit": 1}, ["cost", "whole multiples", "leave cost_unit out"]),
        ({"cost": [[1], [1, 2]]}, ["cost", "rows of one length", "[1, 2]"]),
        ({"cost": []}, ["cost", "int64 of shape [1, 1]", "[1, 0]"]),
        ({"cost": 3}, ["cost", "a list of numbers", "3"]),
        ({"cost": [2**70]}, ["cost 0 of choice 0", "2^40"]),
        ({"choice_ptr": [0.0, 1.0]}, ["choice_ptr", "whole numbers", "float64"]),
        ({"branch_state": [[0]]}, ["branch_state", "one row", "a table"]),
        ({"branch_state": [[0], [1, 2]]}, ["branch_state", "whole numbers"]),
        ({"branch_prob": ["x"]}, ["branch_prob[0]", "'x'"]),
        ({"branch_prob": [1.0], "exact": True}, ["branch_prob[0]", "float 1.0"]),
        ({"reward": "abc"}, ["reward", "a list of numbers"]),
        ({"reward": [1, 2]}, ["reward", "[1]", "[2]"]),
        ({"labels": {"x": [1]}}, ["label 'x'", "states 0..0", "got 1"]),
        ({"terminal": [0]}, ["terminal", "True or False for each state", "got [0]"]),
        ({"labels": {"x": [0.5]}}, ["label 'x'", "whole numbers"]),
        ({"cost_unit": -1}, ["cost_unit", "> 0"]),
        ({"base": [0.5]}, ["base of state 0", "total 1"]),
        ({"state_names": ["a", "b"]}, ["state_names", "1 strings"]),
    ],
)
def test_from_arrays_refuses(change: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ModelError) as refusal:
        from_arrays(**{**ONE, **change})
    for part in said:
        assert part in str(refusal.value)


def grid(state: tuple[int, int]) -> list[tuple[str, int, int, list[tuple[str, Any]]]]:
    x, y = state
    if (x, y) == (2, 2):
        return []
    return [
        ("right", 0, 1, [("1/2", (min(x + 1, 2), y)), ("1/2", state)]),
        ("up", 1, 1, [("1", (x, min(y + 1, 2)))]),
    ]


def test_from_successors_explores_breadth_first_and_calls_each_state_once() -> None:
    seen = []

    def recorded(state: Any) -> Any:
        seen.append(state)
        return grid(state)

    model = from_successors(
        recorded, initial=(0, 0), labels={"corner": lambda s: s[0] == s[1]}, exact=True
    )
    assert seen == [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (2, 1), (1, 2), (2, 2)]
    assert model.state_names == tuple(str(s) for s in seen)
    assert model.labels["corner"].tolist() == [s[0] == s[1] for s in seen]
    assert model.terminal.tolist() == [s == (2, 2) for s in seen]


def test_from_successors_takes_a_distribution_and_a_base() -> None:
    model = from_successors(
        grid,
        initial={(0, 0): "1/3", (2, 2): "2/3"},
        base=lambda state, name: {"right": "1/4", "up": "3/4"}[name],
        exact=True,
    )
    assert model.initial[:2].tolist() == [Fraction(1, 3), Fraction(2, 3)]
    assert model.base_policy[:3].tolist() == [Fraction(1, 4), Fraction(3, 4), 1]


def test_from_successors_stops_at_the_limit_and_says_how_to_raise_it() -> None:
    def count(n: int) -> Any:
        return [("up", 1, 0, [(1, n + 1)])]

    with pytest.raises(
        ModelError, match=r"at most 50 states, got more: 50 found, 49 of them.*=100"
    ):
        from_successors(count, initial=0, limit=50)
    assert from_successors(grid, initial=(0, 0), limit=9).S == 9


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ([("go", 1, 0)], ["a choice of state 0", "(name, cost, reward,", "('go', 1, 0)"]),
        ([("go", 1, 0, [1])], ["a choice of state 0", "return tuples"]),
        ([3], ["a choice of state 0", "got 3"]),
        ([("go", 1, 0, [(1, [0])])], ["state 0 choice 'go'", "hashable", "[0]"]),
        ([("go", 1, 0, [])], ["state '0' choice 'go'", "at least one successor"]),
        ([("go", 0.5, 0, [(1, 0)])], ["cost of state '0' choice 'go'", "float 0.5"]),
        ([("go", 1, 0, [(1, 0)])] * 2, ["state '0'", "distinct choice names", "'go' twice"]),
    ],
)
def test_from_successors_refuses(choices: Any, said: list[str]) -> None:
    with pytest.raises(ModelError) as refusal:
        from_successors(lambda _: choices, initial=0)
    for part in said:
        assert part in str(refusal.value)


def test_a_dict_and_a_successor_function_build_the_same_model() -> None:
    walk = from_successors(
        lambda s: [
            (name, cost, reward, [(p, t) for t, p in ({to: 1} if to == "end" else to).items()])
            for name, (cost, reward, to) in WALK.get(s, {}).items()
        ],
        initial="s",
        exact=True,
    )
    assert same(walk, from_dict(WALK, initial="s", exact=True))


def graph() -> Any:
    g: Any = nx.MultiDiGraph()
    g.add_node("s", initial=True, labels=["start"])
    g.add_edge("s", "s", choice="try", prob="1/3", cost="0.1", reward=2)
    g.add_edge("s", "t", choice="try", prob="2/3")
    g.add_edge("s", "t", choice="skip")
    g.nodes["t"]["labels"] = "refusal"
    return g


def test_from_networkx_groups_edges_by_choice() -> None:
    model = from_networkx(graph(), exact=True)
    want = from_dict(
        {"s": {"try": ("0.1", 2, {"s": "1/3", "t": "2/3"}), "skip": (0, 0, "t")}},
        initial="s", labels={"start": ["s"], "refusal": ["t"]}, exact=True,
    )  # fmt: skip
    assert same(model, want)


def test_edges_without_a_choice_are_choices_of_their_own() -> None:
    g: Any = nx.DiGraph([("s", "a"), ("s", "b")])
    g.nodes["s"]["initial"] = 1
    assert from_networkx(g).choice_names == ("a", "b", "end", "end")


def test_from_networkx_refuses() -> None:
    g = graph()
    g.add_edge("s", "t", choice="try", prob=1, cost=5)
    with pytest.raises(ModelError, match=r"cost of node 's' choice 'try': .*'0.1' and 5"):
        from_networkx(g)
    with pytest.raises(ModelError, match="a directed graph, got Graph"):
        from_networkx(nx.Graph())  # type: ignore[arg-type]  # the point
    g = graph()
    g.add_edge("s", "t", choice="some", base=1)
    with pytest.raises(ModelError, match=r"'base'.*on every choice or on none"):
        from_networkx(g)
    with pytest.raises(ModelError, match="initial: want total 1, got 0"):
        from_networkx(nx.DiGraph([("s", "t")]))
    twice = from_arrays([0, 2], [0, 1, 2], [0, 0], [1, 1], cost=[0, 0], choice_names=["a", "a"])
    with pytest.raises(ModelError, match="distinct names"):
        to_networkx(twice)


@given(models(latent=False))
def test_a_graph_keeps_everything_that_counts(model: Any) -> None:
    model = replace(model, choice_names=tuple(str(c) for c in range(model.C)))
    assert model_hash(from_networkx(to_networkx(model))) == model_hash(model)


@given(models(exact=False), st.sampled_from([None, 10**9]))
def test_rationalised_keeps_supports_and_stays_close(model: Any, bound: int | None) -> None:
    exact = rationalised(model, bound)
    assert exact.exact
    assert type(exact) is type(model)
    assert exact.branch_state is model.branch_state
    for field in ("branch_prob", "reward", "initial", "base_policy"):
        floats, fractions = getattr(model, field), getattr(exact, field)
        assert ((floats == 0) == (fractions == 0)).all() or field == "reward"
        if field != "reward" or bound is None:
            np.testing.assert_allclose(fractions.astype(float), floats, rtol=1e-8)
    assert (np.add.reduceat(exact.branch_prob, exact.branch_ptr[:-1]) == 1).all()
    assert (np.add.reduceat(exact.base_policy, exact.choice_ptr[:-1]) == 1).all()
    assert rationalised(exact) is exact


def test_rationalised_finds_the_rationals_that_were_meant() -> None:
    model = from_dict(
        {"s": {"go": (0, 0.1, {"s": 1 / 3, "t": 2 / 3})}}, initial="s", base={"s": {"go": 1.0}}
    )
    exact = rationalised(model, 1000)
    assert exact.branch_prob[:2].tolist() == [Fraction(1, 3), Fraction(2, 3)]
    assert exact.reward[0] == Fraction(1, 10)
    assert rationalised(model).reward[0] == Fraction(0.1)


def test_rationalised_never_drops_a_branch() -> None:
    model = from_dict({"s": {"go": (0, 0, {"s": 1e-9, "t": 1 - 1e-9})}}, initial="s")
    with pytest.raises(ModelError, match=r"branch_prob\[0\].*1e-09, which would round to 0; raise"):
        rationalised(model, 1000)
    assert rationalised(model).branch_prob[0] > 0
    with pytest.raises(ModelError, match="max_denominator: want at least 1"):
        rationalised(model, 0)


@given(models(exact=False, latent=True))
def test_rationalised_latents_stay_latents(model: LatentMDP) -> None:
    exact = rationalised(model)
    assert isinstance(exact, LatentMDP)
    assert exact.latent is model.latent


@given(st.lists(st.fractions(max_denominator=40), max_size=5))
def test_the_common_unit_is_exact_and_the_coarsest(costs: list[Fraction]) -> None:
    unit = common_unit(costs)
    counts = [c / unit for c in costs]
    assert unit > 0
    assert all(count.denominator == 1 for count in counts)
    if any(c.denominator > 1 for c in costs):
        assert math.gcd(*(int(count) for count in counts)) == 1
    else:
        assert unit == 1


@given(st.fractions())
def test_rationals_are_written_and_read_back(number: Fraction) -> None:
    assert rational(written(number, "x"), "x") == number
