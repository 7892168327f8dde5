"""A guard by name: built in, in a module, or in a Python file."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import GuardError, IGTheoryError, ModelError
from ig_theory.guard import Guard
from ig_theory.guards.lagrangian import lagrangian
from ig_theory.guards.least_intrusive import least_intrusive
from ig_theory.guards.penalty import penalty
from ig_theory.guards.sentinels import refuser, unguarded
from ig_theory.guards.shield import shield
from ig_theory.guards.value_filter import value_filter
from ig_theory.io.parameters import arguments
from ig_theory.io.python_file import blamed, load_name

BUILT_IN: dict[str, Callable[..., Guard]] = {
    "shield": shield,
    "least-intrusive": least_intrusive,
    "penalty": penalty,
    "value-filter": value_filter,
    "lagrangian": lagrangian,
    "unguarded": unguarded,
    "refuser": refuser,
}
"""Factories called with (model, constraint) and the parameters given by name."""


def open_guard(
    spec: str,
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
) -> tuple[str, Guard]:
    """The guard that a text names, made for a model and its constraints.

    Parameters
    ----------
    spec
        A built-in name with parameters (``penalty:n=100``), ``module:name`` or
        ``path.py:name``; parameters may follow after another colon. The name is a guard, or a
        factory called with (model, constraint): the one constraint, or the tuple of several.

    Returns
    -------
    name, guard

    Raises
    ------
    GuardError
        Saying what can be given, or what failed where.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (0, 0, {"t": 1})}}, initial="s")
    >>> open_guard("value-filter:threshold=1", model, BudgetConstraint(0))[0]
    'value-filter:threshold=1'
    """
    several = as_constraints(constraints)
    given = several[0] if len(several) == 1 else several
    try:
        found, parameters = _find(spec)
        if not _takes(found, 2):
            guard = found() if inspect.isclass(found) else found
            if not _takes(guard, 1):
                raise GuardError.at(
                    f"guard {spec!r}", "a guard (view) or a factory (model, constraint)",
                    f"a {type(found).__name__} that takes neither", "give it one of these forms",
                )  # fmt: skip
            return spec, cast(Guard, guard)
        guard = _build(found, spec, parameters, model, given)
    except GuardError:
        raise
    except IGTheoryError as error:
        raise GuardError(f"guard {spec!r}: {error}") from error
    if not _takes(guard, 1):
        raise GuardError.at(
            f"guard {spec!r}", "a factory that returns a guard (view)",
            f"a {type(guard).__name__}", "return a callable",
        )  # fmt: skip
    return spec, cast(Guard, guard)


def _find(spec: str) -> tuple[Any, str]:
    path, is_file, tail = spec.partition(".py:")
    if is_file:
        name, _, parameters = tail.partition(":")
        return load_name(Path(f"{path}.py"), name), parameters
    name, _, parameters = spec.partition(":")
    if name in BUILT_IN:
        return BUILT_IN[name], parameters
    attribute, _, more = parameters.partition(":")
    if attribute and "=" not in attribute:
        return _imported(name, attribute, spec), more
    close = difflib.get_close_matches(name, BUILT_IN, n=1)
    repair = f"did you mean {close[0]!r}?" if close else "name one of these"
    raise GuardError(
        f"guard: want one of {', '.join(BUILT_IN)}; module:name; or path.py:name, "
        f"got {spec!r}; {repair}"
    )


def _imported(module: str, name: str, spec: str) -> Any:
    try:
        found = importlib.import_module(module)
    except Exception as error:  # a module is anybody's code
        raise GuardError.at(
            f"guard {spec!r}", f"a module {module!r} that imports", blamed(error),
            f"install it, or name a file; built in: {', '.join(BUILT_IN)}",
        ) from error  # fmt: skip
    if not hasattr(found, name):
        raise GuardError.at(f"guard {spec!r}", f"a name in {module}", repr(name), "define it there")
    return getattr(found, name)


def _build(
    factory: Callable[..., Any], spec: str, parameters: str, model: ConstrainedMDP, given: Any
) -> Any:
    rest = dict(list(inspect.signature(factory).parameters.items())[2:])
    try:
        keywords = arguments(parameters, factory, f"guard {spec!r}", skip=2) if rest else {}
        if parameters and not rest:
            raise GuardError.at(f"guard {spec!r}", "no parameters", repr(parameters), "drop them")
        return factory(model, given, **keywords)
    except ModelError as error:
        raise GuardError(str(error)) from error
    except IGTheoryError:
        raise
    except Exception as error:  # a factory is anybody's code
        raise GuardError.at(
            f"guard {spec!r}", "a factory that returns a guard", blamed(error), "repair the factory"
        ) from error


def _takes(thing: Any, count: int) -> bool:
    """Whether it can be called with this many positional arguments."""
    if not callable(thing):
        return False
    try:
        inspect.signature(thing).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # no signature to be had (compiled code): taken at its word
        return count == 1
    return True
