"""Files of Storm's own examples as models, and our models through DRN and back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from storm_oracle import EXAMPLES, example, storm_model, stormpy

from ig_theory.builders import from_dict, rationalised
from ig_theory.cli import main
from ig_theory.errors import ModelError
from ig_theory.io import load_model, open_model
from ig_theory.io.storm_drn import save_drn
from ig_theory.testing.strategies import constrained_mdps

PRISM = """
mdp
const int N;
const double p;
module walk
  x : [0..N] init 0;
  [go] x<N -> p : (x'=x+1) + 1-p : (x'=0);
  [jump] x<N -> (x'=N);
  [] x=N -> true;
endmodule
label "top" = x=N;
rewards "toll"
  [go] true : 0.1;
  [jump] true : 3/10;
endrewards
rewards "gain"
  x=1 : 2;
  [jump] x=1 : 1/3;
endrewards
"""


@pytest.fixture
def walk(tmp_path):
    path = tmp_path / "walk.nm"
    path.write_text(PRISM)
    return str(path)


def test_a_small_prism_file_number_by_number(walk):
    """Decimals are exact; state rewards are earned with every choice of the state."""
    model = open_model(f"{walk}:cost=toll,reward=gain,const:N=2,const:p=0.3")
    assert model.exact
    assert model.state_names == ("x=0", "x=1", "x=2")
    assert model.choice_names == ("go", "jump", "go", "jump", "0")
    assert model.cost_unit == Fraction(1, 10)
    assert model.cost.tolist() == [[1, 3, 1, 3, 0]]
    assert model.reward.tolist() == [0, 0, 2, Fraction(7, 3), 0]
    assert model.terminal.tolist() == [False, False, True]
    assert model.cost_names == ("toll",)
    assert list(model.labels) == ["top"]
    assert model.labels["top"].tolist() == [False, False, True]
    assert model.branch_prob[:2].tolist() == [Fraction(7, 10), Fraction(3, 10)]
    assert model.branch_state[:2].tolist() == [0, 1]
    assert model.initial.tolist() == [1, 0, 0]


def test_floats_on_demand_but_never_for_costs(walk):
    model = open_model(f"{walk}:cost=toll,const:N=2,const:p=1/3,exact=false,reward_discount=9/10")
    assert not model.exact
    assert model.branch_prob[0] == pytest.approx(2 / 3)
    assert model.cost_unit == Fraction(1, 10)
    assert model.reward_discount == Fraction(9, 10)
    assert not model.reward.any()


def test_several_costs_and_a_cost_of_each_step(walk):
    model = open_model(f"{walk}:cost=gain,cost=toll,cost=1/2,const:N=2,const:p=1/3")
    units = [[int(n) * model.cost_unit for n in row] for row in model.cost]
    assert units == [
        [0, 0, 2, Fraction(7, 3), 0],
        [Fraction(1, 10), Fraction(3, 10), Fraction(1, 10), Fraction(3, 10), 0],
        [Fraction(1, 2), Fraction(1, 2), Fraction(1, 2), Fraction(1, 2), 0],
    ]


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ("cost=toll", r"want values of the constants N, p, got none of N; give it: .*const:N="),
        ("cost=toll,const:N=2,const:q=1", r"want an undefined constant of: N, p, got 'q'"),
        ("cost=toll,const:N=2.5,const:p=1", r"const:N: want a whole number, got 2.5"),
        ("cost=toll,const:N=2,const:p=x", r"const:p: want an exact rational"),
        ("cost=tol,const:N=2,const:p=1/2", r"got 'tol'; did you mean 'toll'\?"),
        ("cost=toll,reward=gian,const:N=2,const:p=1/2", r"reward: .*did you mean 'gain'\?"),
        ("const:N=2,const:p=1/2", r"want one reward model called cost or costs, got gain, toll"),
        ("cost=toll,const:N=2,const:p=3/2", r"walk\.nm: want a file that Storm can build"),
    ],
)
def test_options_that_do_not_fit_the_file(walk, options, want):
    with pytest.raises(ModelError, match=want) as caught:
        open_model(f"{walk}:{options}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_the_models_that_storm_builds(name):
    """Sizes, supports and exact probabilities, read back from the DRN that we write."""
    spec, label = EXAMPLES[name]
    model = open_model(example(spec))
    assert label in model.labels
    sparse = storm_model(replace(model, cost_names=None))
    assert (sparse.nr_states, sparse.nr_choices) == (model.S, model.C)
    assert sparse.nr_transitions == model.B
    matrix, b = sparse.transition_matrix, 0
    for row in range(min(matrix.nr_rows, 300)):
        for entry in matrix.get_row(row):
            assert entry.column == model.branch_state[b]
            assert Fraction(str(entry.value)) == model.branch_prob[b]
            b += 1
    assert list(sparse.labeling.get_states(label)) == np.flatnonzero(model.labels[label]).tolist()


def test_a_chain_has_one_choice_in_each_state():
    model = open_model(example("dtmc/die.pm:cost=coin_flips"))
    assert (model.S, model.C, model.B) == (13, 13, 20)
    assert model.terminal.sum() == 6
    assert set(model.branch_prob.tolist()) == {Fraction(1, 2), Fraction(1)}


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("ctmc/dft.drn", "a model of type CTMC"),
        ("pomdp/maze.drn", "a model of type POMDP"),
        ("pdtmc/die.drn", "want a file that Storm can build, got .*parametric"),
        ("imdp/tiny-01.drn", "want a file that Storm can build"),
        ("pomdp/maze_2.prism", "a model of type POMDP"),
        ("mdp/coin2-2-illegalSynchronizingWrite.nm", "illegally assigns"),
        ("mdp/system_composition.nm", "custom system compositions"),
    ],
)
def test_files_of_other_kinds(path, want, capfd):
    """One error each, and Storm itself prints nothing."""
    with pytest.raises(ModelError, match=want):
        open_model(example(f"{path}:cost=1"))
    assert capfd.readouterr() == ("", "")


def test_the_log_level_is_as_it_was(walk):
    developer = stormpy.developer
    before = developer.get_log_level()
    developer.set_log_level(developer.LogLevel.WARN)
    try:
        with pytest.raises(ModelError):
            open_model(f"{walk}:cost=toll")
        assert developer.get_log_level() == developer.LogLevel.WARN
    finally:
        developer.set_log_level(before)


def test_older_drn_files_do_not_count_their_choices(tmp_path):
    path = tmp_path / "old.drn"
    lines = ["@type: MDP", "@parameters", "", "@reward_models", "cost", "@nr_states", "2", "@model",
             "state 0 init", "\taction go [0.1]", "\t\t0 : 0.5", "\t\t1 : 0.5", "state 1 done",
             "\taction 0 [0]", "\t\t1 : 1"]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    model = open_model(str(path))
    assert model.cost_unit == Fraction(1, 10)
    assert model.choice_names is None
    assert model.branch_prob.tolist() == [Fraction(1, 2), Fraction(1, 2), 1]


def test_a_branch_of_probability_0_is_none(tmp_path):
    model = from_dict({"s": {"go": (1, 0, {"g": "1/2", "s": "1/2"})}}, initial="s", exact=True)
    path = tmp_path / "zero.drn"
    save_drn(model, path)
    path.write_text(path.read_text().replace("\t\t0 : 1/2\n\t\t1 : 1/2", "\t\t0 : 0\n\t\t1 : 1"))
    back = open_model(str(path))
    assert back.branch_ptr.tolist() == [0, 1, 2]
    assert back.branch_state.tolist() == [1, 1]
    assert back.branch_prob.tolist() == [1, 1]


def test_convert_reads_prism_and_writes_json_and_drn(walk, tmp_path, capsys):
    first, second, third = (str(tmp_path / n) for n in ("a.json", "b.drn", "c.json"))
    assert main(["convert", f"{walk}:cost=toll,reward=gain,const:N=3,const:p=1/3", first]) == 0
    assert main(["convert", first, second]) == 0
    assert main(["convert", f"{second}:cost=toll", third]) == 0
    capsys.readouterr()
    one, two = load_model(first), load_model(third)
    alike(one, two)
    assert two.choice_names == one.choice_names == ("go", "jump", "go", "jump", "0", "go", "jump")


def test_a_command_takes_such_a_model(walk, capsys):
    asked = ["solve", "--ask", "min-budget", "--model", f"{walk}:cost=toll,const:N=3,const:p=1/3"]
    assert main(asked) == 0
    assert "almost surely, from the start: 3/10" in capsys.readouterr().out


def alike(one, two):
    """The same model up to merged and sorted branches, the cost unit and what DRN leaves out."""
    for name in ("choice_ptr", "terminal", "initial", "reward"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()
    for ours, theirs in zip(one.cost, two.cost, strict=True):
        assert [int(n) * one.cost_unit for n in ours] == [int(n) * two.cost_unit for n in theirs]
    rows = []
    for model in (one, two):
        totals: list[dict[int, Fraction]] = [{} for _ in range(model.C)]
        for c, s, p in zip(model.branch_choice, model.branch_state, model.branch_prob, strict=True):
            totals[c][int(s)] = totals[c].get(int(s), Fraction(0)) + p
        rows.append(totals)
    assert rows[0] == rows[1]
    full = {k: v.tolist() for k, v in one.labels.items() if v.any()}
    assert full == {k: v.tolist() for k, v in two.labels.items()}


@settings(max_examples=40)
@given(constrained_mdps(max_states=5, number_of_costs=2, signed=True))
def test_our_models_survive_the_way_there_and_back(tmp_path_factory, model):
    start = np.array([Fraction(int(s == 0)) for s in range(model.S)], dtype=object)
    model = replace(rationalised(model), initial=start, cost_names=("harm", "leak"))
    path = tmp_path_factory.mktemp("drn") / "model.drn"
    save_drn(model, path)
    back = open_model(f"{path}:cost=harm,cost=leak")
    # A free loop without reward reads as the end of the run.
    still = np.logical_and.reduceat(
        np.logical_and.reduceat(
            model.branch_state == model.choice_state[model.branch_choice], model.branch_ptr[:-1]
        )
        & ~model.cost.any(axis=0)
        & (model.reward == 0).astype(bool),
        model.choice_ptr[:-1],
    )
    alike(replace(model, terminal=still), back)
    assert back.cost_names == ("harm", "leak")


def test_labels_keep_their_names(tmp_path):
    labels = {"a b": ["s"], "(x = 1) & y": ["s", "g"], "refusal": ["g"]}
    model = from_dict({"s": {"go": (1, 0, "g")}}, initial="s", labels=labels, exact=True)
    save_drn(model, tmp_path / "m.drn")
    back = open_model(str(tmp_path / "m.drn"))
    assert {k: v.tolist() for k, v in back.labels.items()} == {
        "a b": [True, False], "(x = 1) & y": [True, True], "refusal": [False, True],
    }  # fmt: skip
