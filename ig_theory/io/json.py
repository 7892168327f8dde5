"""Models as JSON that people can read; the format is described in docs/model-format.md."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.assembly import mask, pointers
from ig_theory.cmdp import ConstrainedMDP, LatentMDP, Numbers
from ig_theory.errors import ModelError
from ig_theory.exact import rational, written

FORMAT, VERSION = "ig-theory-model", 1

_TOP = ("format", "version", "exact", "cost_unit", "reward_discount", "cost_names", "labels")
_LATENT_TOP = ("readout", "readout_bias")
_STATE = ("name", "initial", "terminal", "latent", "choices")
_CHOICE = ("name", "action", "cost", "reward", "base", "branches")


def encode(model: ConstrainedMDP) -> bytes:
    """The JSON text of a model, one state a line.

    Raises
    ------
    ModelError
        If a Fraction has too many digits to be read back.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, "1/3", "s")}}, initial="s", exact=True)
    >>> decode(encode(model)).reward
    array([Fraction(1, 3)], dtype=object)
    """
    latent = isinstance(model, LatentMDP)
    top: dict[str, Any] = {
        "format": FORMAT, "version": VERSION, "exact": model.exact,
        "cost_unit": written(model.cost_unit, "cost_unit"),
        "reward_discount": written(model.reward_discount, "reward_discount"),
    }  # fmt: skip
    if model.cost_names is not None:
        top["cost_names"] = list(model.cost_names)
    top["labels"] = {n: np.flatnonzero(m).tolist() for n, m in model.labels.items()}
    if isinstance(model, LatentMDP):
        top["readout"] = model.readout.tolist()
        if model.readout_bias is not None:
            top["readout_bias"] = model.readout_bias.tolist()
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in top.items()]
    states = ",\n".join(json.dumps(_state(model, s, latent)) for s in range(model.S))
    return ("{" + ",\n".join(lines) + ',\n"states": [\n' + states + "\n]}\n").encode()


def decode(content: bytes) -> ConstrainedMDP:
    """The model that a JSON text describes.

    Raises
    ------
    ModelError
        Naming the field, as in ``states[3].choices[1].cost``, and the repair.
    """
    top = _parse(content)
    if not isinstance(top, dict) or top.get("format") != FORMAT:
        got = f"format {top.get('format')!r}" if isinstance(top, dict) else _kind(top)
        raise ModelError.at(
            "format", f'an object with "format": "{FORMAT}"', got,
            "is this a model? see docs/model-format.md",
        )  # fmt: skip
    if type(top.get("version")) is not int or top["version"] != VERSION:
        raise ModelError.at(
            "version", f"{VERSION}", repr(top.get("version")), "load it with a newer ig-theory"
        )
    latent = "readout" in top
    _keys(top, "", (*_TOP, "states", *(_LATENT_TOP if latent else ())), ("cost_unit", "states"))
    exact = _get(top, "exact", bool, "", False)
    states = _get(top, "states", list, "")
    if not states:
        raise ModelError.at("states", "at least one state", "none", "add a state")
    fields = _states(states, exact, latent)
    if latent:
        fields["readout"] = _floats(top["readout"], "readout")
        bias = top.get("readout_bias")
        fields["readout_bias"] = None if bias is None else _floats(bias, "readout_bias")
    names = top.get("cost_names")
    labels = _get(top, "labels", dict, "", {})
    return (LatentMDP if latent else ConstrainedMDP)(
        cost_unit=rational(top["cost_unit"], "cost_unit"),
        reward_discount=rational(top.get("reward_discount", 1), "reward_discount"),
        cost_names=None if names is None else tuple(_get(top, "cost_names", list, "")),
        labels={n: _members(m, f"labels[{n!r}]", len(states)) for n, m in labels.items()},
        **fields,
    )


def _state(model: ConstrainedMDP, s: int, latent: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if model.state_names is not None:
        out["name"] = model.state_names[s]
    if model.initial[s] != 0:
        out["initial"] = _shown(model.initial[s], "initial")
    if model.terminal[s]:
        out["terminal"] = True
    if isinstance(model, LatentMDP):
        out["latent"] = model.latent[s].tolist()
    low, high = model.choice_ptr[s : s + 2].tolist()
    out["choices"] = [_choice(model, c, latent) for c in range(low, high)]
    return out


def _choice(model: ConstrainedMDP, c: int, latent: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if model.choice_names is not None:
        out["name"] = model.choice_names[c]
    if model.action is not None:
        out["action"] = int(model.action[c])
    out["cost"] = model.cost[:, c].tolist()
    out["reward"] = _shown(model.reward[c], "reward")
    if model.base is not None and not latent:
        out["base"] = _shown(model.base[c], "base")
    low, high = model.branch_ptr[c : c + 2].tolist()
    out["branches"] = [
        [int(model.branch_state[b]), _shown(model.branch_prob[b], "branch_prob")]
        for b in range(low, high)
    ]
    return out


def _shown(number: Any, field: str) -> Any:
    """A Fraction as text, a float as the number whose repr JSON keeps."""
    return written(number, field) if isinstance(number, Fraction) else float(number)


def _parse(content: bytes) -> Any:
    def refuse(text: str) -> None:
        raise ModelError.at("JSON", "finite numbers", text, "replace it by a number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            double = next(key for key in keys if keys.count(key) > 1)
            raise ModelError.at("JSON", "each key once", f"{double!r} twice", "remove one")
        return found

    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        repair = "the file ends too early: copy it again" if error.pos >= len(text) else "repair it"
        raise ModelError.at(
            f"line {error.lineno} column {error.colno}", "JSON",
            "an empty file" if not text.strip() else error.msg.lower(), repair,
        ) from None  # fmt: skip
    except UnicodeDecodeError as error:
        raise ModelError.at(
            f"byte {error.start}", "JSON in UTF-8", "other bytes", "is this a .json file?"
        ) from None
    except RecursionError:
        raise ModelError.at("JSON", "a model", "brackets nested too deep", "flatten it") from None
    except ValueError:  # what json.loads lets through of int's limit on digits
        raise ModelError.at(
            "JSON", "numbers of at most 4300 digits", "a longer one", "shorten it"
        ) from None


def _states(states: list[Any], exact: bool, latent: bool) -> dict[str, Any]:
    """The fields of the model that the list of states gives."""
    where = [f"states[{s}]" for s in range(len(states))]
    for state, at in zip(states, where, strict=True):
        _keys(state, at, _STATE, ("choices", *(["latent"] if latent else [])))
    flat = [
        (choice, f"{at}.choices[{i}]")
        for state, at in zip(states, where, strict=True)
        for i, choice in enumerate(_get(state, "choices", list, at))
    ]
    for choice, at in flat:
        needed = ("cost", "branches", *(["action"] if latent else []))
        _keys(choice, at, _CHOICE, needed)
    branches = [
        (branch, f"{at}.branches[{i}]")
        for choice, at in flat
        for i, branch in enumerate(_get(choice, "branches", list, at))
    ]
    for branch, at in branches:
        if not isinstance(branch, list) or len(branch) != 2:
            raise ModelError.at(at, "[state, probability]", _kind(branch), "give both")
    given = list(zip(states, where, strict=True))
    base = _optional(flat, "base")
    actions = _optional(flat, "action")
    return {
        "choice_ptr": pointers(len(state["choices"]) for state in states),
        "branch_ptr": pointers(len(choice["branches"]) for choice, _ in flat),
        "branch_state": _ints([(b[0], f"{at}[0]") for b, at in branches]),
        "branch_prob": _numbers([(b[1], f"{at}[1]") for b, at in branches], exact),
        "reward": _numbers([(c.get("reward", 0), f"{at}.reward") for c, at in flat], exact),
        "cost": _costs(flat),
        "initial": _numbers([(s.get("initial", 0), f"{at}.initial") for s, at in given], exact),
        "terminal": np.array([_get(s, "terminal", bool, at, False) for s, at in given], dtype=bool),
        "base": None if base is None else _numbers(base, exact),
        "action": None if actions is None else _ints(actions),
        "state_names": _names(given),
        "choice_names": _names(flat),
        **({"latent": _latents(given)} if latent else {}),
    }


def _costs(flat: list[tuple[Any, str]]) -> Any:
    width = len(flat[0][0]["cost"]) if flat and isinstance(flat[0][0]["cost"], list) else 0
    rows = []
    for choice, at in flat:
        row = _get(choice, "cost", list, at)
        if len(row) != width or not width:
            raise ModelError.at(
                f"{at}.cost", f"{max(width, 1)} costs", len(row), "give one of each kind"
            )
        rows += [(count, f"{at}.cost[{k}]") for k, count in enumerate(row)]
    return _ints(rows).reshape(len(flat), width).T.copy()


def _latents(given: list[tuple[Any, str]]) -> Any:
    rows = [_floats(state["latent"], f"{at}.latent") for state, at in given]
    for row, (_, at) in zip(rows, given, strict=True):
        if row.ndim != 1 or len(row) != len(rows[0]):
            raise ModelError.at(
                f"{at}.latent", f"{rows[0].size} numbers, as elsewhere", row.size, "give them all"
            )
    return np.stack(rows) if rows else np.zeros((0, 0))


def _optional(flat: list[tuple[Any, str]], key: str) -> list[tuple[Any, str]] | None:
    """The values of a key that all items have or none; None if none has it."""
    with_it = [(item[key], f"{at}.{key}") for item, at in flat if key in item]
    if not with_it:
        return None
    if len(with_it) < len(flat):
        at = next(at for item, at in flat if key not in item)
        raise ModelError.at(
            f"{at}.{key}", "a value, as elsewhere", "none", "give it to all or none"
        )
    return with_it


def _names(flat: list[tuple[Any, str]]) -> tuple[str, ...] | None:
    names = _optional(flat, "name")
    return None if names is None else tuple(_typed(n, str, at) for n, at in names)


def _members(value: Any, where: str, states: int) -> Any:
    members = _ints([(m, f"{where}[{i}]") for i, m in enumerate(_typed(value, list, where))])
    out = np.flatnonzero((members < 0) | (members >= states))
    if len(out):
        raise ModelError.at(
            f"{where}[{out[0]}]", f"a state, 0..{states - 1}", int(members[out[0]]), "name a state"
        )
    return mask(members.tolist(), states)


def _ints(values: list[tuple[Any, str]]) -> Any:
    for value, where in values:
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise ModelError.at(where, "a whole number", _kind(value), "write it without a point")
    return np.array([value for value, _ in values], dtype=np.int64)


def _numbers(values: list[tuple[Any, str]], exact: bool) -> Numbers:
    if not exact:
        return np.array([_float(value, where) for value, where in values], dtype=np.float64)
    out: Numbers = np.empty(len(values), dtype=object)
    for i, (value, where) in enumerate(values):
        out[i] = rational(value, where)
    return out


def _floats(value: Any, where: str) -> Any:
    """A nested list of numbers as a float64 array; at most two levels."""
    rows = _typed(value, list, where)
    if rows and all(isinstance(row, list) for row in rows):
        arrays = [_floats(row, f"{where}[{i}]") for i, row in enumerate(rows)]
        if any(a.ndim != 1 or a.shape != arrays[0].shape for a in arrays):
            raise ModelError.at(where, "rows of one length", "a ragged table", "fill the rows")
        return np.stack(arrays)
    return np.array([_float(v, f"{where}[{i}]") for i, v in enumerate(rows)], dtype=np.float64)


def _float(value: Any, where: str) -> float:
    if type(value) not in (int, float):
        raise ModelError.at(
            where, "a number", _kind(value), 'write a number, or set "exact": true for rationals'
        )
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if abs(number) == float("inf"):
        raise ModelError.at(where, "a finite number", "one beyond 1e308", "choose another scale")
    return number


def _get(item: Mapping[str, Any], key: str, kind: type, at: str, default: Any = None) -> Any:
    return _typed(item.get(key, default), kind, f"{at}.{key}" if at else key)


def _typed(value: Any, kind: type, where: str) -> Any:
    if type(value) is not kind:
        names = {bool: "true or false", list: "a list", dict: "an object", str: "a string"}
        raise ModelError.at(where, names[kind], _kind(value), "see docs/model-format.md")
    return value


def _keys(item: Any, at: str, known: tuple[str, ...], needed: tuple[str, ...]) -> None:
    _typed(item, dict, at or "the file")
    for key in item:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            repair = f"did you mean {close[0]!r}?" if close else "remove it"
            raise ModelError.at(
                f"{at}.{key}" if at else key, f"one of {', '.join(known)}", repr(key), repair
            )
    for key in needed:
        if key not in item:
            raise ModelError.at(f"{at}.{key}" if at else key, "a value", "none", "add the key")


def _kind(value: Any) -> str:
    """What an error says it found, short."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
