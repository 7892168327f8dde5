"""PRISM, JANI and DRN files as constrained MDPs, read by Storm (the optional extra ``storm``).

Storm builds the model with exact rationals, so costs are exact whatever they are multiples of.
It is imported when a file is read, and never needed otherwise.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from ig_theory.exact import rational

SUFFIXES = (".nm", ".pm", ".prism", ".jani", ".drn")
"""Files that are read through Storm; ``.drn`` is written too, without it."""

# A colon ends the name of a file (but for a drive): what follows are options.
_SPEC = re.compile(
    rf"((?:[a-z]:)?[^:]*(?:{'|'.join(map(re.escape, SUFFIXES))}))(?::(.*))?", re.I | re.S
)
_KEYS = ("cost", "reward", "const:NAME", "exact", "reward_discount")


@dataclass(frozen=True)
class StormOptions:
    """How a file's reward models become costs and rewards.

    Parameters
    ----------
    costs : tuple of str, optional
        Reward models to take as costs (``""`` is the unnamed one); a number stands for that
        cost of every step outside terminal states. If empty, the one called ``cost`` or
        ``costs``.
    reward : str, optional
        The reward model to take as reward, likewise; if None, the one called ``reward``,
        ``rewards`` or ``rew``, and else all rewards are 0.
    constants : mapping, optional
        Values, as text, of the file's undefined constants.
    exact : bool
        Keep probabilities and rewards as Fractions; floats suit models beyond 10^5 branches.
    reward_discount : Fraction
    """

    costs: tuple[str, ...] = ()
    reward: str | None = None
    constants: Mapping[str, str] = field(default_factory=dict)
    exact: bool = True
    reward_discount: Fraction = Fraction(1)


def split_spec(spec: str) -> tuple[str, str] | None:
    """The file and the parameters that a text names, or None if no such file is meant.

    >>> split_spec("dir/brp.pm:const:N=16,cost=sent")
    ('dir/brp.pm', 'const:N=16,cost=sent')
    >>> split_spec("garnet:states=10") is None
    True
    """
    found = _SPEC.fullmatch(spec)
    return (found[1], found[2] or "") if found else None


def read_options(text: str, where: str) -> StormOptions:
    """The options that a text gives.

    Parameters
    ----------
    text
        Items ``cost=NAME`` (may be repeated), ``reward=NAME``, ``const:NAME=VALUE``,
        ``exact=false`` and ``reward_discount=9/10``, separated by commas.
    where
        Names the model in errors.

    Raises
    ------
    ModelError
        At an item that is none of these, or given twice.

    Examples
    --------
    >>> read_options("cost=time,const:N=3", "model").costs
    ('time',)
    """
    costs: list[str] = []
    constants: dict[str, str] = {}
    others: dict[str, str] = {}
    for item in text.split(",") if text.strip() else []:
        key, equals, value = (part.strip() for part in item.partition("="))
        name = key.removeprefix("const:") if key.startswith("const:") else None
        if not equals or not (name or key in _KEYS):
            close = difflib.get_close_matches(key, _KEYS, n=1)
            repair = f"did you mean {close[0]}=...?" if close else f"a constant: const:{key}=VALUE"
            raise ModelError.at(where, f"key=value of: {', '.join(_KEYS)}", repr(item), repair)
        if key == "cost" and value not in costs:
            costs.append(value)
        elif (key == "cost") or name in constants or key in others:
            raise ModelError.at(where, "each parameter once", f"{key!r} twice", "remove one")
        elif name:
            constants[name] = value
        else:
            others[key] = value
    exact = others.get("exact", "true").lower()
    if exact not in ("true", "false"):
        raise ModelError.at(f"{where} exact", "true or false", repr(exact), "write one of these")
    discount = rational(others.get("reward_discount", 1), f"{where} reward_discount")
    return StormOptions(tuple(costs), others.get("reward"), constants, exact == "true", discount)


def load_storm(path: str, options: StormOptions = StormOptions()) -> ConstrainedMDP:
    """Load a PRISM (``.nm``, ``.pm``, ``.prism``), JANI or DRN file.

    MDPs and discrete-time Markov chains are read; a chain has one choice in each state. State
    rewards are added to every choice of their state. Labels are kept (of a JANI file: also the
    conditions that its properties name). A state is terminal if all its choices are loops to
    itself, free and without reward.

    Raises
    ------
    ModelError
        If Storm is not installed or cannot read the file, a constant has no value, a reward
        model is not there, or the model is of another kind.

    Examples
    --------
    >>> load_storm("die.pm")
    Traceback (most recent call last):
    ig_theory.errors.ModelError: die.pm: want a model file, got no such file; check the path
    """
    from pathlib import Path

    if not Path(path).is_file():
        raise ModelError.at(path, "a model file", "no such file", "check the path")
    stormpy = imported(path)
    from ig_theory.io import storm_read

    log = stormpy.developer
    level = log.get_log_level()
    log.set_log_level(log.LogLevel.OFF)  # it writes to stdout, besides raising
    try:
        sparse = storm_read.build(stormpy, path, options.constants)
        return storm_read.convert(sparse, path, options)
    finally:
        log.set_log_level(level)


def imported(path: str) -> Any:
    """Storm's Python package.

    Raises
    ------
    ModelError
        If it is not installed, naming the extra.
    """
    try:
        import stormpy
        import stormpy.developer
    except ImportError as error:
        raise ModelError.at(
            path, "Storm to read it", f"no stormpy ({error})",
            'install the extra: pip install "ig-theory[storm]"',
        ) from None  # fmt: skip
    return stormpy
