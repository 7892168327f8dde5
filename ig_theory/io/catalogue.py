"""Models by name: entry points, files, and factories in Python files."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import IGTheoryError, ModelError
from ig_theory.io import storm
from ig_theory.io.files import load_model
from ig_theory.io.parameters import arguments
from ig_theory.io.python_file import blamed, load_name

GROUP = "ig_theory.models"


def open_model(spec: str) -> ConstrainedMDP:
    """The model that a text names.

    Parameters
    ----------
    spec
        A name of the catalogue, with parameters after a colon (``frozenlake:8x8``,
        ``jailbreak-dialogue:depth=6``); a ``.json`` or ``.npz`` file; a PRISM, JANI or DRN file,
        with options (``brp.pm:const:N=16,cost=sent``; see `ig_theory.io.storm`); or
        ``path.py:name``, where the name is a model, or a function that returns one (parameters
        may follow, after another colon). Naming a Python file executes it.

    Raises
    ------
    ModelError
        Saying what can be given, with the closest match; or what is wrong in the file.

    Examples
    --------
    >>> open_model("frozenlake:4x4,slippery=false").S
    17
    """
    path, found, tail = spec.partition(".py:")
    if found:
        name, _, parameters = tail.partition(":")
        made = load_name(Path(f"{path}.py"), name)
        if callable(made):
            made = _call(made, spec, parameters)
        return _checked(made, spec)
    if spec.endswith(".py"):
        raise ModelError.at(
            f"model {spec!r}", "path.py:name", "no name", f"say which: {spec}:model, for instance"
        )
    through_storm = storm.split_spec(spec)
    if through_storm is not None:
        file, parameters = through_storm
        return storm.load_storm(file, storm.read_options(parameters, f"model {spec!r}"))
    if spec.endswith((".json", ".npz")) or _is_path(spec):
        return load_model(spec)
    name, _, parameters = spec.partition(":")
    factories = _factories()
    if name not in factories:
        raise _unknown(name, list(factories))
    return _checked(_call(_loaded(factories[name]), spec, parameters), spec)


def model_names() -> list[tuple[str, str]]:
    """The names of the catalogue in order, each with the first line of its description.

    Examples
    --------
    >>> dict(model_names())["taxi"]
    'Taxi of Gymnasium: an illegal pickup or dropoff costs 1.'
    """
    described = []
    for name, entry in sorted(_factories().items()):
        try:
            text = inspect.getdoc(_loaded(entry)) or ""
        except ModelError as error:  # one broken package must not hide the other models
            text = f"cannot be loaded: {error}"
        described.append((name, text.strip().split("\n")[0]))
    return described


def _factories() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _loaded(entry: EntryPoint) -> Callable[..., Any]:
    try:
        factory: Callable[..., Any] = entry.load()
    except Exception as error:  # whatever importing another package raises
        raise ModelError.at(
            f"model {entry.name!r}", f"{entry.value} to import", f"{type(error).__name__}: {error}",
            "install or repair the package it is in",
        ) from None  # fmt: skip
    return factory


def _unknown(name: str, known: list[str]) -> ModelError:
    close = difflib.get_close_matches(name, known, n=1)
    files = "a .json or .npz file; a PRISM, JANI or DRN file"
    choices = f"one of {', '.join(sorted(known))}; {files}; or path.py:factory"
    repair = f"did you mean {close[0]!r}?" if close else "name one of these"
    return ModelError(f"model: want {choices}, got {name!r}; {repair}")


def _is_path(spec: str) -> bool:
    try:
        return Path(spec).exists() and ("/" in spec or Path(spec).suffix != "")
    except (OSError, ValueError):
        return False


def _call(factory: Callable[..., Any], spec: str, text: str) -> Any:
    given = arguments(text, factory, f"model {spec!r}")
    try:
        return factory(**given)
    except IGTheoryError as error:
        raise ModelError(f"model {spec!r}: {error}") from error
    except Exception as error:  # a factory is anybody's code
        raise ModelError.at(
            f"model {spec!r}", "a factory that returns a model", blamed(error), "repair the factory"
        ) from error


def _checked(made: Any, spec: str) -> ConstrainedMDP:
    if not isinstance(made, ConstrainedMDP):
        raise ModelError.at(
            f"model {spec!r}", "a ConstrainedMDP", f"a {type(made).__name__}", "return a model"
        )
    return made
