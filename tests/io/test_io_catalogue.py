"""Models by name, by file, and from Python files; one clear error for everything else."""

from __future__ import annotations

import sys
from fractions import Fraction
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from ig_theory.builders import from_dict
from ig_theory.errors import ModelError
from ig_theory.fingerprint import model_hash
from ig_theory.io import catalogue, model_names, open_model, save_model
from ig_theory.io.gymnasium import frozenlake

FACTORY = '''
from __future__ import annotations
from dataclasses import dataclass
from fractions import Fraction
from ig_theory.builders import from_dict

@dataclass
class Size:
    depth: int = 2

def chain(depth: int = 2, cost: "Fraction | str" = "1/2", loop: bool = False, name: str = "s",
          slip: float = 0.0):
    """A chain."""
    global GIVEN
    GIVEN = (depth, cost, loop, name, slip)
    return from_dict({f"{name}{i}": {"go": (cost, 1, f"{name}{i + 1}")} for i in range(depth)},
                     initial=f"{name}0")

def untyped(depth, mode="fast", ratio=1):
    return chain(depth)

def number():
    return 3

def broken():
    return 1 / 0

def careless():
    return from_dict({"s": {"go": (0.1, 0, "s")}}, initial="s")

def open_ended(**given):
    return from_dict({"s": {"go": (given["cost"], 0, "s")}}, initial="s")

model = chain(3)
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models.py"
    path.write_text(FACTORY)
    return path


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        ("frozenlake", frozenlake()),
        ("frozenlake:8x8", frozenlake("8x8")),
        ("frozenlake:size=8x8,slippery=false", frozenlake("8x8", slippery=False)),
        ("frozenlake:4x4,false,hole_cost=1/2", frozenlake(slippery=False, hole_cost="1/2")),
        ("frozenlake: 4x4 , reward_discount = 0.9", frozenlake(reward_discount="9/10")),
    ],
)
def test_names_take_parameters(spec: str, same: Any) -> None:
    assert model_hash(open_model(spec)) == model_hash(same)


def test_gymnasium_models_are_in_the_catalogue() -> None:
    names = dict(model_names())
    assert {"frozenlake", "cliffwalking", "taxi"} <= set(names)
    assert names["frozenlake"].startswith("FrozenLake of Gymnasium")
    assert list(names) == sorted(names)
    assert all(description for description in names.values())
    assert open_model("cliffwalking").S == 38
    assert open_model("taxi:rainy=true").S == 404


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("frozenlak", ["one of", "frozenlake", "path.py:factory", "did you mean 'frozenlake'?"]),
        ("zzz", ["one of", "taxi", ".npz file", "got 'zzz'", "name one of these"]),
        ("", ["one of", "got ''"]),
        ("frozenlake:siz=8x8", ["size=4x4, slippery=true", "'siz'", "did you mean 'size'?"]),
        ("frozenlake:slippery=maybe", ["slippery", "true or false", "'maybe'"]),
        ("frozenlake:8x8,size=4x4", ["each parameter once", "'size' twice"]),
        ("frozenlake:size=4x4,true", ["key=value", "'true'", "name the key"]),
        ("taxi:true,1,2", ["key=value", "rainy=false, reward_discount=1", "'2'"]),
        ("taxi:reward_discount=2", ["model 'taxi:reward_discount=2'", "(0, 1]"]),
        ("frozenlake:9x9", ["model 'frozenlake:9x9'", "size", "4x4, 8x8"]),
        ("frozenlake:hole_cost=cheap", ["cost of tile 'H'", "'cheap'"]),
        ("nowhere.json", ["nowhere.json", "no such file"]),
        ("nowhere.py:model", ["nowhere.py", "a Python file", "No such file"]),
        ("models.py", ["path.py:name", "no name", "models.py:model"]),
        ("a\x00b", ["one of"]),
    ],
)
def test_what_cannot_be_opened_says_what_can(spec: str, said: list[str]) -> None:
    with pytest.raises(ModelError) as refusal:
        open_model(spec)
    for part in said:
        assert part in str(refusal.value)


def test_model_files_open(tmp_path: Path) -> None:
    model = from_dict({"s": {"go": (1, 2, "s")}}, initial="s")
    for suffix in ("json", "npz"):
        save_model(model, tmp_path / f"m.{suffix}")
        assert model_hash(open_model(str(tmp_path / f"m.{suffix}"))) == model_hash(model)
    (tmp_path / "m.txt").write_text("x")
    with pytest.raises(ModelError, match=r"m\.txt: want a name that ends in \.json or \.npz"):
        open_model(str(tmp_path / "m.txt"))


def given(file: Path, spec: str) -> Any:
    open_model(f"{file}:{spec}")
    module = next(
        m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == str(file)
    )
    return vars(module)["GIVEN"]


def test_values_are_what_the_parameters_want(file: Path) -> None:
    assert given(file, "chain") == (2, "1/2", False, "s", 0.0)
    got = given(file, "chain:3,0.1,TRUE,7,slip=1/4")
    assert got == (3, Fraction(1, 10), True, "7", 0.25)
    assert [type(v) for v in got] == [int, Fraction, bool, str, float]
    assert given(file, "chain:cost=2")[1] == 2
    assert given(file, "untyped:4") [0] == 4  # fmt: skip


def test_a_model_in_a_file_opens_too(file: Path) -> None:
    assert open_model(f"{file}:model").S == 4
    assert open_model(f"{file}:open_ended:cost=1/7").cost_unit == Fraction(1, 7)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("chian", ["models.py", "the name 'chian'", "did you mean 'chain'?"]),
        ("nothing", ["models.py", "the name 'nothing'", "define it in the file"]),
        ("number", ["a ConstrainedMDP", "a int"]),
        ("broken", ["ZeroDivisionError", "models.py:26", "repair the factory"]),
        ("careless", ["cost of state 's' choice 'go'", "float 0.1"]),
        ("untyped", ["the parameters: depth, mode=fast, ratio=1", "no depth"]),
        ("untyped:x", ["TypeError", "models.py:"]),
        ("chain:depth=1/2", ["depth", "a whole number", "1/2"]),
        ("chain:depth=two", ["depth", "'two'"]),
    ],
)
def test_errors_in_a_file_name_the_file(file: Path, spec: str, said: list[str]) -> None:
    with pytest.raises(ModelError) as refusal:
        open_model(f"{file}:{spec}")
    for part in said:
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"x = 1\ny = (\n", ["bad.py:2", "SyntaxError", "never closed"]),
        (b"def f():\nreturn 1\n", ["bad.py:2", "IndentationError"]),
        (b"x = 1\nraise ValueError('no\\nluck')\n", ["bad.py:2", "ValueError: no luck"]),
        (b"import nowhere_at_all\n", ["bad.py:1", "ModuleNotFoundError"]),
        (b"def f():\n    1 / 0\nf()\n", ["bad.py:2", "ZeroDivisionError"]),
        (b"import sys\nsys.exit(3)\n", ["bad.py:2", "SystemExit: 3"]),
        (b"x = '\xff'\n", ["bad.py", "SyntaxError"]),
        (b"x\x00 = 1\n", ["bad.py", "null bytes"]),
        (
            b"from ig_theory.builders import from_dict\nfrom_dict({}, initial='s')\n",
            ["bad.py", "initial"],
        ),
        (b"", ["bad.py", "the name 'model'", "got none"]),
    ],
)
def test_a_file_that_does_not_run_names_file_and_line(
    tmp_path: Path, source: bytes, said: list[str]
) -> None:
    path = tmp_path / "bad.py"
    path.write_bytes(source)
    before = list(sys.path)
    with pytest.raises(ModelError) as refusal:
        open_model(f"{path}:model")
    for part in said:
        assert part in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert sys.path == before


def test_a_file_may_import_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "neighbour_of_models.py").write_text("cost = 3\n")
    (tmp_path / "own.py").write_text(
        "from ig_theory.builders import from_dict\nfrom neighbour_of_models import cost\n"
        "model = from_dict({'s': {'go': (cost, 0, 's')}}, initial='s')\n"
    )
    assert open_model(f"{tmp_path / 'own.py'}:model").cost.tolist() == [[3]]
    monkeypatch.delitem(sys.modules, "neighbour_of_models")


def test_one_broken_package_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint("broken", "nowhere_at_all:model", catalogue.GROUP),
        EntryPoint("taxi", "ig_theory.io.gymnasium:taxi", catalogue.GROUP),
    ]
    monkeypatch.setattr(catalogue, "entry_points", lambda group: entries)
    names = dict(model_names())
    assert names["broken"].startswith("cannot be loaded:")
    assert names["taxi"].startswith("Taxi")
    with pytest.raises(ModelError, match="model 'broken': want nowhere_at_all:model to import"):
        open_model("broken")
