"""Saving and loading: without loss, whole or not at all, one clear error for anything malformed."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import models, same

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP, LatentMDP
from ig_theory.errors import ModelError
from ig_theory.fingerprint import model_hash
from ig_theory.io import json as json_format
from ig_theory.io import load_model, save_model
from ig_theory.io import npz as npz_format

SUFFIXES = ("json", "npz")


def example(exact: bool = True) -> ConstrainedMDP:
    half: Any = "1/2" if exact else 0.5
    return from_dict(
        {"s": {"go": ("3/10", half, {"s": half, "t": half}), "stop": (0, 1, "t")}},
        initial="s",
        exact=exact,
        labels={"refusal": ["t"]},
        base={"s": {"go": half, "stop": half}},
        cost_names=("harm",),
    )


def latent_example() -> LatentMDP:
    plain = example(exact=False)
    fields = {n: getattr(plain, n) for n in plain.__dataclass_fields__ if n != "base"}
    return LatentMDP(
        **{**fields, "action": np.array([0, 1, 0])},
        latent=np.array([[0.1, 1 / 3], [0.0, -0.0]]),
        readout=np.array([[1e-300, 2.0], [0.3, 0.7]]),
        readout_bias=np.array([0.1, 0.2]),
    )


@pytest.mark.parametrize("form", [json_format, npz_format], ids=SUFFIXES)
@settings(max_examples=60)
@given(model=models())
def test_every_model_comes_back_to_the_last_bit(form: Any, model: ConstrainedMDP) -> None:
    back = form.decode(form.encode(model))
    assert same(model, back)
    assert model_hash(back) == model_hash(model)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [example, lambda: example(False), latent_example])
def test_files_keep_the_model_and_its_hash(
    tmp_path: Path, suffix: str, make: Callable[[], ConstrainedMDP]
) -> None:
    save_model(make(), tmp_path / f"m.{suffix}")
    back = load_model(tmp_path / f"m.{suffix}")
    assert same(make(), back)
    assert model_hash(back) == model_hash(make())


def test_json_shows_rationals_as_people_write_them() -> None:
    content = json.loads(json_format.encode(example()))
    assert content["cost_unit"] == "3/10"
    assert content["states"][0]["choices"][0] == {
        "name": "go", "cost": [1], "reward": "1/2", "base": "1/2",
        "branches": [[0, "1/2"], [1, "1/2"]],
    }  # fmt: skip


def test_the_documented_example_loads(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "model-format.md").read_text()
    file = tmp_path / "documented.json"
    file.write_text(text.split("```json")[1].split("```")[0])
    model = load_model(file)
    assert model.cost_names == ("harm",)
    assert model.base_policy.tolist() == [Fraction(2, 3), Fraction(1, 3), Fraction(1)]


def test_decimals_in_exact_mode_are_what_they_say() -> None:
    text = json_format.encode(example()).replace(b'"reward": "1/2"', b'"reward": "0.1"')
    assert json_format.decode(text).reward[0] == Fraction(1, 10)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_anywhere_is_one_clear_error(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"cut.{suffix}"
    save_model(latent_example(), file)
    whole = file.read_bytes().rstrip()
    for end in range(0, len(whole), 1 if suffix == "json" else 7):
        file.write_bytes(whole[:end])
        with pytest.raises(ModelError, match=f"cut.{suffix}") as refusal:
            load_model(file)
        assert "\n" not in str(refusal.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_npz_loads_the_same_or_is_refused(data: st.DataObject) -> None:
    whole = bytearray(npz_format.encode(latent_example()))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        back = npz_format.decode(bytes(whole))
    except ModelError:
        return
    assert model_hash(back) == model_hash(latent_example())  # a bit that nothing reads


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\xff\xfe\x00", b"null", b"[]", b"3", b'"text"', b"{}", b"\x80\x04K\x01.",
     b"[" * 100_000, b'{"format": "ig-theory-model"}', b"PK\x03\x04", b"\x93NUMPY\x01\x00",
     b'{"version": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_what_is_no_model_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    file = tmp_path / f"other.{suffix}"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=f"other.{suffix}: .*want .*got .*; "):
        load_model(file)


def _in(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets what is at a place such as ``states.0.choices.1.cost``; ... deletes the key."""

    def change(model: dict[str, Any]) -> None:
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        item: Any = model
        for step in way:
            item = item[step]
        if value is ...:
            del item[last]
        else:
            item[last] = value

    return change


MALFORMED_JSON: list[tuple[str, Any, list[str]]] = [
    ("format", "other", ["format", "ig-theory-model", "'other'"]),
    ("format", ..., ["format", "None"]),
    ("version", 2, ["version", "want 1, got 2", "newer"]),
    ("version", True, ["version", "want 1", "True"]),
    ("exact", "yes", ["exact", "true or false", '"yes"']),
    ("cost_unit", ..., ["cost_unit", "add the key"]),
    ("cost_unit", 0.1, ["cost_unit", "exact rational", "0.1", "write it as text"]),
    ("cost_unit", "1/0", ["cost_unit", "exact rational", "1/0"]),
    ("cost_unit", "1e999999999", ["cost_unit", "exact rational"]),
    ("cost_unit", "-1", ["cost_unit", "positive"]),
    ("cost_unit", None, ["cost_unit", "exact rational", "None"]),
    ("reward_discount", "2", ["reward_discount", "(0, 1]"]),
    ("reward_discout", "1/2", ["reward_discout", "did you mean 'reward_discount'?"]),
    ("cost_names", "harm", ["cost_names", "a list"]),
    ("cost_names", ["a", "b"], ["cost_names", "tuple of 1"]),
    ("labels", [], ["labels", "an object", "a list of 0"]),
    ("labels", {"refusal": [2]}, ["labels['refusal'][0]", "0..1", "got 2"]),
    ("labels", {"refusal": [True]}, ["labels['refusal'][0]", "whole number", "true"]),
    ("labels", {"refusal": "t"}, ["labels['refusal']", "a list"]),
    ("states", ..., ["states", "add the key"]),
    ("states", [], ["states", "at least one state"]),
    ("states", {}, ["states", "a list", "an object of 0"]),
    ("states.0", 3, ["states[0]", "an object", "got 3"]),
    ("states.1.choices", ..., ["states[1].choices", "add the key"]),
    ("states.1.choices", [], ["state 1", "at least one choice"]),
    ("states.1.name", ..., ["states[1].name", "as elsewhere"]),
    ("states.1.name", 7, ["states[1].name", "a string", "got 7"]),
    ("states.1.terminal", 1, ["states[1].terminal", "true or false", "got 1"]),
    ("states.0.initial", "1/2", ["initial", "total 1", "1/2"]),
    ("states.0.choices.1", [], ["states[0].choices[1]", "an object"]),
    ("states.0.choices.1.cost", ..., ["states[0].choices[1].cost", "add the key"]),
    ("states.0.choices.1.cost", 1, ["states[0].choices[1].cost", "a list"]),
    ("states.0.choices.1.cost", [1, 2], ["states[0].choices[1].cost", "1 costs", "got 2"]),
    ("states.0.choices.0.cost", [], ["states[0].choices[0].cost", "1 costs", "got 0"]),
    ("states.0.choices.1.cost", [0.5], ["states[0].choices[1].cost[0]", "whole", "0.5"]),
    ("states.0.choices.1.cost", [2**63], ["states[0].choices[1].cost[0]", "whole"]),
    ("states.0.choices.1.cost", [2**41], ["cost 0 of state 0", "2^40"]),
    ("states.0.choices.1.reward", 0.5, ["states[0].choices[1].reward", "text, '0.5'"]),
    ("states.0.choices.1.reward", None, ["states[0].choices[1].reward", "exact rational"]),
    ("states.0.choices.1.base", ..., ["states[0].choices[1].base", "all or none"]),
    ("states.0.choices.1.base", "-1/2", ["base of state 0", ">= 0"]),
    ("states.0.choices.1.action", 1, ["states[0].choices[0].action", "all or none"]),
    ("states.0.choices.1.branches", [], ["choice 1", "at least one branch"]),
    ("states.0.choices.1.branches", [[1]], ["branches[0]", "[state, probability]"]),
    ("states.0.choices.1.branches", [["t", "1"]], ["branches[0][0]", "whole number", '"t"']),
    ("states.0.choices.1.branches", [[5, "1"]], ["state 0 (s) choice 1 branch 0", "got 5"]),
    ("states.0.choices.1.branches", [[1, "1/3"]], ["state 0 (s) choice 1", "total 1", "1/3"]),
    ("states.0.choices.1.branches", [[1, "x" * 99]], ["branches[0][1]", "exact rational"]),
    ("readout", [[1.0]], ["states[0].latent", "add the key"]),
    ("readout_bias", [1.0], ["readout_bias", "one of"]),
]


@pytest.mark.parametrize(("path", "value", "said"), MALFORMED_JSON)
def test_malformed_json_names_the_file_the_field_and_the_repair(
    tmp_path: Path, path: str, value: Any, said: list[str]
) -> None:
    model = json.loads(json_format.encode(example()))
    _in(path, value)(model)
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(model))
    with pytest.raises(ModelError) as refusal:
        load_model(file)
    for part in ["bad.json", "want", "got", *said]:
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("states.0.choices.1.reward", "1/2", ["reward", "a number", '"exact": true']),
        ("states.0.choices.1.reward", 10**400, ["reward", "finite", "1e308"]),
        ("states.0.choices.1.reward", True, ["reward", "a number", "true"]),
        ("states.1.latent", [1.0], ["states[1].latent", "2 numbers"]),
        ("states.1.latent", [[1.0, 2.0]], ["states[1].latent", "numbers"]),
        ("states.1.latent", ["a", 1], ["states[1].latent[0]", "a number"]),
        ("readout", [[1.0], [1.0, 2.0]], ["readout", "rows of one length"]),
        ("readout", [], ["readout", "[V, 2]"]),
        ("readout", 3, ["readout", "a list"]),
        ("readout_bias", [1.0], ["readout_bias", "[2]"]),
        ("states.0.choices.1.action", ..., ["states[0].choices[1].action", "add the key"]),
        ("states.0.choices.1.action", 9, ["action of state 0 (s) choice 1", "0..1"]),
        ("states.0.choices.1.base", 0.5, ["base"]),
    ],
)
def test_malformed_latent_json(path: str, value: Any, said: list[str]) -> None:
    model = json.loads(json_format.encode(latent_example()))
    _in(path, value)(model)
    with pytest.raises(ModelError) as refusal:
        json_format.decode(json.dumps(model).encode())
    for part in said:
        assert part in str(refusal.value)


JUNK: list[Any] = [
    None,
    True,
    -1,
    0.5,
    10**30,
    "",
    "1/3",
    [],
    [[]],
    {},
    {"a": 1},
    [1, "x"],
    ["1/2"],
]


def _places(item: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = (
        item.items()
        if isinstance(item, dict)
        else enumerate(item)
        if isinstance(item, list)
        else ()
    )
    return [way, *(place for key, value in steps for place in _places(value, (*way, key)))]


@pytest.mark.parametrize("make", [example, latent_example])
def test_junk_in_any_place_gives_a_model_or_one_clear_error(
    make: Callable[[], ConstrainedMDP],
) -> None:
    whole = json.loads(json_format.encode(make()))
    refused: list[str] = []
    for *way, last in _places(whole)[1:]:
        for junk in JUNK:
            model = copy.deepcopy(whole)
            item = model
            for step in way:
                item = item[step]
            item[last] = junk
            try:
                json_format.decode(json.dumps(model).encode())
            except ModelError as refusal:
                refused.append(str(refusal))
    assert len(refused) > 500
    assert all("want" in message and "\n" not in message for message in refused)


def test_nan_and_repeated_keys_are_refused() -> None:
    text = json_format.encode(example(exact=False))
    with pytest.raises(ModelError, match="finite numbers, got NaN"):
        json_format.decode(text.replace(b'"reward": 0.5', b'"reward": NaN'))
    with pytest.raises(ModelError, match="each key once, got 'reward' twice"):
        json_format.decode(text.replace(b'"reward": 0.5', b'"reward": 0.5, "reward": 0.5'))
    with pytest.raises(ModelError, match="a finite number"):
        json_format.decode(text.replace(b'"reward": 0.5', b'"reward": 1e999'))


def _resaved(**changes: Any) -> bytes:
    with np.load(io.BytesIO(npz_format.encode(example()))) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, value in changes.items():
        if value is ...:
            del arrays[name]
        else:
            arrays[name] = value
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _bytes(text: str) -> Any:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _header(**changes: Any) -> Any:
    with np.load(io.BytesIO(npz_format.encode(example()))) as archive:
        header = json.loads(archive["header"].tobytes())
    return _bytes(json.dumps(header | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"header": ...}, ["array 'header'", "present"]),
        ({"header": _bytes("{")}, ["header", "ig-theory-model"]),
        ({"header": _bytes("é")}, ["header", "ASCII"]),
        ({"header": np.zeros(3)}, ["header", "uint8", "float64 of shape [3]"]),
        ({"header": _header(version=7)}, ["version", "want 1, got 7"]),
        ({"header": _header(exact=None)}, ["header exact", "true or false"]),
        ({"header": _header(labels="refusal")}, ["header labels", "list of strings"]),
        ({"header": _header(labels=["a", "b"])}, ["array 'label_1'", "present"]),
        ({"header": _header(cost_unit="x")}, ["cost_unit", "exact rational", "'x'"]),
        ({"header": _header(cost_unit=None)}, ["cost_unit", "exact rational"]),
        ({"header": _header(state_names=["s"])}, ["state_names", "tuple of 2"]),
        ({"header": _header(state_names=3)}, ["state_names", "tuple of 2"]),
        ({"header": _header(latent=True)}, ["array 'latent'", "present"]),
        ({"header": _header(exact=False)}, ["branch_prob", "float64"]),
        ({"cost": ...}, ["array 'cost'", "present"]),
        ({"cost": np.zeros((1, 3))}, ["cost", "int64"]),
        ({"terminal": np.zeros(5, dtype=bool)}, ["terminal", "bool of shape [2]"]),
        ({"choice_ptr": np.array(["a"])}, ["choice_ptr", "int64"]),
        ({"branch_prob": _bytes("1/2\n1/2\n1")}, ["branch_prob", "[4]", "[3]"]),
        ({"branch_prob": _bytes("1/2\n1/2\n1\nnan")}, ["branch_prob[3]", "rational", "'nan'"]),
        ({"branch_prob": np.ones(4)}, ["branch_prob", "uint8", "float64"]),
        ({"reward": np.array([Fraction(1)] * 3)}, ["npz", "pickle"]),
        ({"label_0": np.zeros(2)}, ["label 'refusal'", "bool"]),
    ],
)  # fmt: skip
def test_malformed_npz_names_the_array(changes: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ModelError) as refusal:
        npz_format.decode(_resaved(**changes))
    for part in said:
        assert part in str(refusal.value)


def test_the_npz_format_without_changes_loads() -> None:
    assert same(npz_format.decode(_resaved()), example())
    assert same(npz_format.decode(_resaved(header=_header())), example())


def test_a_missing_file_a_directory_and_an_unknown_suffix(tmp_path: Path) -> None:
    save_model(example(), tmp_path / "model.json")
    with pytest.raises(
        ModelError, match=r"modle\.json: .* no such file; did you mean model\.json\?"
    ):
        load_model(tmp_path / "modle.json")
    with pytest.raises(ModelError, match="no folder"):
        load_model(tmp_path / "nowhere" / "model.json")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(ModelError, match=r"folder\.npz: .* a directory"):
        load_model(tmp_path / "folder.npz")
    for action in (load_model, lambda path: save_model(example(), path)):
        with pytest.raises(ModelError, match=r"model\.pkl: want .*json or .npz, got '\.pkl'"):
            action(tmp_path / "model.pkl")


def test_saving_leaves_no_draft_and_keeps_the_old_file_when_it_fails(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    save_model(example(), file)
    before = file.read_bytes()
    huge = from_dict({"s": {"go": (0, Fraction(10**5000), "s")}}, initial="s", exact=True)
    with pytest.raises(ModelError, match=r"model\.json: reward: want a rational of at most 4300"):
        save_model(huge, file)
    assert file.read_bytes() == before
    with pytest.raises(ModelError, match="a place to write to"):
        save_model(example(), tmp_path / "nowhere" / "model.json")
    (tmp_path / "taken.json").mkdir()
    with pytest.raises(ModelError, match="a place to write to"):
        save_model(example(), tmp_path / "taken.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "taken.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_midway_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "model.json"
    save_model(example(), file)
    before = file.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"os.{step}", full)
    with pytest.raises(ModelError, match=r"model\.json: .* No space left on device"):
        save_model(example(exact=False), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_neither_format_changes_the_model() -> None:
    model = example()
    before = copy.deepcopy({n: getattr(model, n) for n in ("cost", "branch_prob", "reward")})
    json_format.encode(model)
    npz_format.encode(model)
    assert all((before[n] == getattr(model, n)).all() for n in before)
