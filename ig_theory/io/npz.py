"""Models as compressed NumPy archives, without pickle; see docs/model-format.md."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import ConstrainedMDP, LatentMDP, Numbers
from ig_theory.errors import ModelError
from ig_theory.exact import rational, written
from ig_theory.io.json import FORMAT, VERSION

Bytes = npt.NDArray[np.uint8]

_ARRAYS = ("choice_ptr", "branch_ptr", "branch_state", "cost", "terminal")
_NUMBERS = ("branch_prob", "reward", "initial")
_LATENT = ("latent", "readout", "readout_bias")
_NAMES = ("state_names", "choice_names", "cost_names")


def encode(model: ConstrainedMDP) -> bytes:
    """The bytes of an npz archive that holds the model.

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
    header: dict[str, Any] = {
        "format": FORMAT, "version": VERSION, "exact": model.exact, "latent": latent,
        "cost_unit": written(model.cost_unit, "cost_unit"),
        "reward_discount": written(model.reward_discount, "reward_discount"),
        "labels": list(model.labels),
    }  # fmt: skip
    # Names are kept as JSON: NumPy's own strings would drop NUL characters at their end.
    header |= {name: getattr(model, name) for name in _NAMES}
    arrays = {name: getattr(model, name) for name in _ARRAYS}
    arrays |= {name: _stored(name, getattr(model, name)) for name in _NUMBERS}
    if model.base is not None and not latent:
        arrays["base"] = _stored("base", model.base)
    if model.action is not None:
        arrays["action"] = model.action
    for name in _LATENT if latent else ():
        if getattr(model, name) is not None:
            arrays[name] = getattr(model, name)
    arrays |= {f"label_{i}": members for i, members in enumerate(model.labels.values())}
    stream = io.BytesIO()
    np.savez_compressed(stream, header=_packed(json.dumps(header)), **arrays)
    return stream.getvalue()


def decode(content: bytes) -> ConstrainedMDP:
    """The model that an npz archive holds.

    Raises
    ------
    ModelError
        Naming the array that is wrong, and the repair.
    """
    arrays = _read(content)
    header = _header(arrays)
    exact, latent = _flag(header, "exact"), _flag(header, "latent")
    labels = header.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ModelError.at("header labels", "a list of strings", labels, "save the model again")
    fields: dict[str, Any] = {name: _array(arrays, name) for name in _ARRAYS}
    for name in _NUMBERS:
        fields[name] = _numbers(name, _array(arrays, name), exact)
    if "base" in arrays:
        fields["base"] = _numbers("base", arrays["base"], exact)
    if "action" in arrays:
        fields["action"] = arrays["action"]
    if latent:
        fields |= {name: _array(arrays, name) for name in _LATENT[:2]}
        fields["readout_bias"] = arrays.get("readout_bias")
    for name in _NAMES:
        value = header.get(name)
        fields[name] = tuple(value) if isinstance(value, list) else value
    return (LatentMDP if latent else ConstrainedMDP)(
        cost_unit=rational(header.get("cost_unit"), "cost_unit"),
        reward_discount=rational(header.get("reward_discount"), "reward_discount"),
        labels={label: _array(arrays, f"label_{i}") for i, label in enumerate(labels)},
        **fields,
    )


def _read(content: bytes) -> dict[str, Any]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    # A damaged archive fails in zipfile, zlib, struct, ast or numpy, each with errors of its own.
    except Exception as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        reason = first_line[:100] if content else "an empty file"
        raise ModelError.at(
            "npz", "a whole npz archive without pickled objects", reason,
            "copy the file again, or save the model again",
        ) from None  # fmt: skip


def _header(arrays: dict[str, Any]) -> dict[str, Any]:
    text = _unpacked("header", _array(arrays, "header"))
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelError.at(
            "header", f'JSON with "format": "{FORMAT}"', repr(text[:40]),
            "is this a model? see docs/model-format.md",
        )  # fmt: skip
    if type(header.get("version")) is not int or header["version"] != VERSION:
        raise ModelError.at(
            "version", f"{VERSION}", repr(header.get("version")), "load it with a newer ig-theory"
        )
    return header


def _array(arrays: dict[str, Any], name: str) -> Any:
    if name not in arrays:
        few = ", ".join(sorted(arrays)[:8]) or "an empty archive"
        raise ModelError.at(f"array {name!r}", "present", few, "save the model again")
    return arrays[name]


def _flag(header: dict[str, Any], key: str) -> bool:
    value = header.get(key)
    if not isinstance(value, bool):
        raise ModelError.at(f"header {key}", "true or false", repr(value), "save the model again")
    return value


def _stored(name: str, numbers: Numbers) -> npt.NDArray[Any]:
    """Floats as they are; Fractions as text, one a line, in bytes."""
    if numbers.dtype != object:
        return numbers
    return _packed("\n".join(written(number, name) for number in numbers))


def _numbers(name: str, stored: npt.NDArray[Any], exact: bool) -> Numbers:
    if not exact:
        return stored
    lines = _unpacked(name, stored).split("\n")
    out: Numbers = np.empty(len(lines), dtype=object)
    read: dict[str, Fraction] = {}  # few numbers occur often
    for i, line in enumerate(lines):
        if line not in read:
            read[line] = rational(line, f"{name}[{i}]")
        out[i] = read[line]
    return out


def _packed(text: str) -> Bytes:
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8)


def _unpacked(name: str, stored: npt.NDArray[Any]) -> str:
    if stored.dtype != np.uint8 or stored.ndim != 1:
        raise ModelError.at(
            f"array {name!r}", "text as uint8 bytes",
            f"{stored.dtype} of shape {list(stored.shape)}", "save the model again",
        )  # fmt: skip
    try:
        return stored.tobytes().decode("ascii")
    except UnicodeDecodeError:
        raise ModelError.at(
            f"array {name!r}", "ASCII text", "other bytes", "save it again"
        ) from None
