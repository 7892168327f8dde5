"""What runs without Storm: writing DRN, reading texts of options, and saying what is missing."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest

from ig_theory.builders import from_arrays, from_dict
from ig_theory.cli import main
from ig_theory.errors import ModelError
from ig_theory.io import open_model
from ig_theory.io.storm import SUFFIXES, read_options, split_spec
from ig_theory.io.storm_drn import left_behind, save_drn

CHAIN = {"s": {"try": ("0.3", "1/3", {"s": "1/3", "g": "2/3"}), "stop": (2, 0, "g")}}


def written(model, tmp_path):
    path = tmp_path / "model.drn"
    save_drn(model, path)
    return path.read_text().splitlines()


def test_a_small_file_word_by_word(tmp_path):
    model = from_dict(CHAIN, initial="s", labels={"goal": ["g"]}, exact=True)
    assert written(model, tmp_path) == [
        "@type: MDP", "@value_type: rational", "@parameters", "", "@reward_models", "cost reward",
        "@nr_states", "2", "@nr_choices", "3", "@model",
        "state 0 init",
        "\taction try [3/10, 1/3]", "\t\t0 : 1/3", "\t\t1 : 2/3",
        "\taction stop [2, 0]", "\t\t1 : 1",
        'state 1 "goal"',
        "\taction end [0, 0]", "\t\t1 : 1",
    ]  # fmt: skip


def test_floats_become_rationals_that_total_one(tmp_path):
    model = from_dict({"s": {"go": (1, 0, {"s": 0.1, "t": 0.2, "u": 0.7})}}, initial="s")
    lines = written(model, tmp_path)
    row = lines[lines.index("\taction go [1, 0]") + 1 :][:3]
    assert sum(Fraction(line.split(":")[1].strip()) for line in row) == 1


def test_a_successor_that_occurs_twice_is_one_entry(tmp_path):
    model = from_arrays([0, 1, 2], [0, 3, 4], [1, 0, 1, 1], ["1/4", "1/2", "1/4", 1],
                        cost=[[1, 0], [2, 0]], exact=True)  # fmt: skip
    lines = written(model, tmp_path)
    assert "cost cost_1 reward" in lines
    assert lines[-7:] == ["state 0 init", "\taction 0 [1, 2, 0]", "\t\t0 : 1/2", "\t\t1 : 1/2",
                          "state 1", "\taction 0 [0, 0, 0]", "\t\t1 : 1"]  # fmt: skip


def test_names_of_choices_that_are_no_words_become_places(tmp_path):
    model = from_dict({"s": {"a b": (1, 0, "s"), "go": (0, 0, "s")}}, initial="s")
    assert [line for line in written(model, tmp_path) if "action" in line] == [
        "\taction 0 [1, 0]", "\taction 1 [0, 0]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "want"),
    [
        ({"initial": {"s": "1/2", "g": "1/2"}}, "initial: want a single state, got 2 states"),
        ({"labels": {"init": ["s"]}}, "labels: want names but init"),
        ({"labels": {'a"b': ["s"]}}, "labels: want names but init, without quotes"),
        ({"cost_names": ("two words",)}, "cost_names: want distinct words"),
        ({"cost_names": ("reward",)}, "cost_names: want distinct words other than reward"),
    ],
)
def test_what_a_file_cannot_hold(tmp_path, more, want):
    model = from_dict(CHAIN, **({"initial": "s"} | more))
    with pytest.raises(ModelError, match=want):
        save_drn(model, tmp_path / "x.drn")
    assert not (tmp_path / "x.drn").exists()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="want a place to write to"):
        save_drn(from_dict(CHAIN, initial="s"), tmp_path / "no" / "x.drn")


def test_what_stays_behind():
    model = open_model("jailbreak-dialogue:depth=2")
    assert left_behind(model)[:2] == ["latents", "the base policy"]
    plain = from_arrays([0, 1], [0, 1], [0], [1], cost=[1])
    assert left_behind(plain) == []


def test_the_command_line_says_what_stays_behind(tmp_path, capsys):
    target = tmp_path / "f.drn"
    assert main(["convert", "frozenlake:4x4", str(target)]) == 0
    said = capsys.readouterr().out
    assert f"wrote {target}: 17 states" in said
    assert "DRN has no place for the names of states" in said
    assert main(["convert", "frozenlake:4x4", str(target), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_without_storm_one_error_names_the_extra(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_text("mdp")
    monkeypatch.setitem(sys.modules, "stormpy", None)
    with pytest.raises(ModelError, match=r'pip install "ig-theory\[storm\]"') as caught:
        open_model(f"{path}:cost=time")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_needs_no_storm(monkeypatch):
    monkeypatch.setitem(sys.modules, "stormpy", None)
    with pytest.raises(ModelError, match=r"nope\.nm: want a model file, got no such file"):
        open_model("nope.nm:cost=time")


def test_importing_the_package_does_not_import_storm():
    import subprocess

    code = "import sys, ig_theory.io, ig_theory.cli.app; sys.exit('stormpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("a.nm", ("a.nm", "")),
        ("dir/a.PRISM:cost=x", ("dir/a.PRISM", "cost=x")),
        ("a.nm:const:N=3,const:file=b.nm", ("a.nm", "const:N=3,const:file=b.nm")),
        ("C:/x/a.drn:cost=", ("C:/x/a.drn", "cost=")),
        ("a.nm.json", None),
        ("a.json", None),
        ("garnet:states=3", None),
        ("models.py:make:file=x.nm", None),
    ],
)
def test_which_texts_name_a_file_for_storm(spec, parts):
    assert split_spec(spec) == parts


def test_options_in_a_text():
    options = read_options("cost=time, cost=energy,reward=gain,const:N=3,exact=false", "m")
    assert options.costs == ("time", "energy")
    assert options.reward == "gain"
    assert dict(options.constants) == {"N": "3"}
    assert options.exact is False
    assert read_options("reward_discount=9/10", "m").reward_discount == Fraction(9, 10)
    assert read_options("cost=", "m").costs == ("",)
    assert read_options("", "m").costs == ()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("time", r"want key=value of: cost, reward, const:NAME, exact, reward_discount"),
        ("csot=time", r"did you mean cost=\.\.\.\?"),
        ("N=3", r"a constant: const:N=VALUE"),
        ("cost=a,cost=a", "each parameter once"),
        ("reward=a,reward=b", "each parameter once"),
        ("const:N=1,const:N=2", "each parameter once"),
        ("const:=1", "want key=value"),
        ("exact=maybe", "want true or false"),
        ("reward_discount=0.9.9", "want an exact rational"),
    ],
)
def test_options_that_are_none(text, want):
    with pytest.raises(ModelError, match=want):
        read_options(text, "model")


def test_initial_states_of_float_models(tmp_path):
    model = from_arrays([0, 1, 2], [0, 1, 2], [1, 1], [1, 1], cost=[1, 0], initial=[0, 1])
    assert np.flatnonzero(model.initial).tolist() == [1]
    assert "state 1 init" in written(model, tmp_path)
