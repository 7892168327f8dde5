"""Parameters of a factory, read from the text that a person gave: ``8x8,slippery=false``."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from ig_theory.errors import ModelError
from ig_theory.exact import rational

_EMPTY = inspect.Parameter.empty


def arguments(text: str, factory: Callable[..., Any], where: str, skip: int = 0) -> dict[str, Any]:
    """The keyword arguments that a text gives; bare values go by place.

    Parameters
    ----------
    text
        ``key=value`` items or bare values, separated by commas.
    factory
        What will be called; its annotations and defaults say what the values are.
    where
        Names the thing in errors: ``model 'frozenlake:size=9x9'``.
    skip
        How many of the first parameters the caller fills itself.

    Raises
    ------
    ModelError
        Naming the parameters that there are, with the closest match.

    Examples
    --------
    >>> arguments("3,slip=1/4", lambda length, slip=0: None, "model 'hall'")
    {'length': 3, 'slip': Fraction(1, 4)}
    """
    try:
        signature = inspect.signature(factory, eval_str=True)
    except (NameError, TypeError, ValueError):  # annotations that cannot be evaluated, builtins
        signature = inspect.signature(factory)
    parameters = dict(list(signature.parameters.items())[skip:])
    return _arguments(text, parameters, where)


def _arguments(
    text: str, parameters: Mapping[str, inspect.Parameter], where: str
) -> dict[str, Any]:
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    usable = {
        n: p for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
    shown = ", ".join(_shown(p) for p in usable.values()) or "none"
    found: dict[str, Any] = {}
    named = False
    for place, item in enumerate(text.split(",") if text else []):
        key, equals, value = (part.strip() for part in item.partition("="))
        named = named or bool(equals)
        if not equals:
            if named or place >= len(usable):
                raise ModelError.at(where, f"key=value of: {shown}", repr(item), "name the key")
            key, value = list(usable)[place], key
        if key not in usable and not open_ended:
            close = difflib.get_close_matches(key, list(usable), n=1)
            repair = f"did you mean {close[0]!r}?" if close else "use one of these parameters"
            raise ModelError.at(where, f"a parameter of: {shown}", repr(key), repair)
        if key in found:
            raise ModelError.at(where, "each parameter once", f"{key!r} twice", "remove one")
        found[key] = _value(value, usable.get(key), f"{where} {key}")
    missing = [n for n, p in usable.items() if p.default is _EMPTY and n not in found]
    if missing:
        raise ModelError.at(where, f"the parameters: {shown}", f"no {missing[0]}", "give it")
    return found


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.default is _EMPTY:
        return parameter.name
    default = parameter.default
    return f"{parameter.name}={str(default).lower() if isinstance(default, bool) else default}"


def _value(text: str, parameter: inspect.Parameter | None, where: str) -> Any:
    """The value that a text means, as its parameter's annotation or default wants it."""
    kind = _kind(parameter)
    if kind is str:
        return text
    if kind is bool or (kind is None and text.lower() in ("true", "false")):
        if text.lower() not in ("true", "false"):
            raise ModelError.at(where, "true or false", repr(text), "write one of these")
        return text.lower() == "true"
    if kind is None:
        try:
            number = rational(text, where)
        except ModelError:
            return text
        return int(number) if number.denominator == 1 else number
    number = rational(text, where)
    if kind is int and number.denominator != 1:
        raise ModelError.at(where, "a whole number", text, "write one")
    return float(number) if kind is float else int(number) if kind is int else number


def _kind(parameter: inspect.Parameter | None) -> type | None:
    if parameter is None:
        return None
    kinds = (bool, int, float, str, Fraction)
    if parameter.annotation is not _EMPTY:
        return next((kind for kind in kinds if parameter.annotation is kind), None)
    # A default of 0 does not say that 1/2 is refused, so only these two kinds are read off it.
    return next((kind for kind in (bool, str) if type(parameter.default) is kind), None)
