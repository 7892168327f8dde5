"""Saving a model to a file and loading it, by the suffix of its name."""

from __future__ import annotations

import difflib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from ig_theory.io import json, npz

_FORMATS: dict[str, tuple[Callable[[ConstrainedMDP], bytes], Callable[[bytes], ConstrainedMDP]]] = {
    ".json": (json.encode, json.decode),
    ".npz": (npz.encode, npz.decode),
}


def load_model(path: str | os.PathLike[str]) -> ConstrainedMDP:
    """Load a model (or a `LatentMDP`) from a ``.json`` or ``.npz`` file.

    Raises
    ------
    ModelError
        Naming the file, the field that is wrong, and the repair.

    Examples
    --------
    >>> import tempfile
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": ("1/3", 2, "s")}}, initial="s")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/one.json")
    ...     load_model(f"{folder}/one.json").cost_unit
    Fraction(1, 3)
    """
    file = Path(path)
    _, decode = _format(file)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise ModelError.at(f"{file}", "a model file", "no such file", _nearby(file)) from None
    except IsADirectoryError:
        raise ModelError.at(f"{file}", "a model file", "a directory", "name a file") from None
    except OSError as error:
        raise ModelError.at(
            f"{file}", "a file that can be read", error.strerror or error, "check its permissions"
        ) from None
    try:
        return decode(content)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from None


def save_model(model: ConstrainedMDP, path: str | os.PathLike[str]) -> None:
    """Save a model to a ``.json`` or ``.npz`` file, without loss.

    The file appears whole or not at all: it is written beside its place and then moved there.

    Raises
    ------
    ModelError
        If the suffix is unknown, or the file cannot be written.
    """
    file = Path(path)
    encode, _ = _format(file)
    try:
        content = encode(model)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from None
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with draft.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, file)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError.at(
            f"{file}", "a place to write to", error.strerror or error,
            "name a file in a folder that exists and can be written",
        ) from None  # fmt: skip


def _format(
    file: Path,
) -> tuple[Callable[[ConstrainedMDP], bytes], Callable[[bytes], ConstrainedMDP]]:
    try:
        return _FORMATS[file.suffix.lower()]
    except KeyError:
        raise ModelError.at(
            f"{file}", "a name that ends in .json or .npz", repr(file.suffix), "rename the file"
        ) from None


def _nearby(file: Path) -> str:
    try:
        names = [p.name for p in file.parent.iterdir() if p.suffix.lower() in _FORMATS]
    except OSError:
        return f"{file.parent} is no folder that can be read"
    close = difflib.get_close_matches(file.name, names, n=1)
    return f"did you mean {close[0]}?" if close else "check the path"
