"""From states with named choices to the arrays of a ConstrainedMDP; what all builders share."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ig_theory.cmdp import Bools, ConstrainedMDP, Ints, Numbers
from ig_theory.errors import ModelError
from ig_theory.exact import common_unit, rational
from ig_theory.validation import LARGEST_COST


class Choice(NamedTuple):
    """One choice of a state: its name, its cost or costs, its reward, its (prob, successor)s."""

    name: str
    cost: Any
    reward: Any
    branches: Sequence[tuple[Any, int]]


END = "end"
"""Name of the only choice of a terminal state: a free self-loop."""


def assemble(
    names: Sequence[str],
    rows: Sequence[Sequence[Choice]],
    initial: Mapping[int, Any],
    *,
    exactly: bool,
    cost_unit: Any = None,
    terminal: Iterable[int] = (),
    base: Sequence[Any] | None = None,
    labels: Mapping[str, Iterable[int]] | None = None,
    **rest: Any,
) -> ConstrainedMDP:
    """Build the model whose state ``i`` is called ``names[i]`` and has the choices ``rows[i]``.

    A state without choices is terminal. Costs are in the units of the cost. `base` has one
    entry per given choice (terminals get 1 for the loop they are given). Time O(B).

    Raises
    ------
    ModelError
        Naming the state, the choice, the value and the repair.
    """
    ends = {s for s, row in enumerate(rows) if not row}
    width = next((len(_costs(c.cost)) for row in rows for c in row), 1)
    filled = [row or [Choice(END, (0,) * width, 0, [(1, s)])] for s, row in enumerate(rows)]
    flat = [(s, c) for s, row in enumerate(filled) for c in row]
    for state, row in zip(names, rows, strict=True):
        _distinct(state, row)
    cost, unit = _cost_rows(names, flat, width, cost_unit)
    branches = [(s, c, p, t) for s, c in flat for p, t in c.branches]
    if base is not None:
        given = iter(base)
        base = [1 if s in ends else next(given) for s, _ in flat]
    return ConstrainedMDP(
        choice_ptr=pointers(len(row) for row in filled),
        branch_ptr=pointers(len(c.branches) for _, c in flat),
        branch_state=np.array([b[3] for b in branches], dtype=np.int64),
        branch_prob=numbers(
            [b[2] for b in branches],
            exactly,
            lambda i: f"probability in {_at(names, *branches[i][:2])}",
        ),
        reward=numbers(
            [c.reward for _, c in flat], exactly, lambda i: f"reward of {_at(names, *flat[i])}"
        ),
        cost=cost,
        cost_unit=unit,
        initial=numbers(
            [initial.get(s, 0) for s in range(len(names))],
            exactly,
            lambda i: f"initial probability of state {names[i]!r}",
        ),
        terminal=mask({*ends, *terminal}, len(names)),
        base=None
        if base is None
        else numbers(base, exactly, lambda i: f"base probability of {_at(names, *flat[i])}"),
        state_names=tuple(names),
        choice_names=tuple(c.name for _, c in flat),
        labels={label: mask(members, len(names)) for label, members in (labels or {}).items()},
        **rest,
    )


def numbers(values: Sequence[Any], exactly: bool, where: Callable[[int], str]) -> Numbers:
    """Probabilities or rewards as one array: Fractions, or float64.

    Parameters
    ----------
    where
        The place that an error about ``values[i]`` names; called only when there is one.

    Raises
    ------
    ModelError
        For a float in exact mode, a number that is not finite, or no number at all.
    """
    if not exactly:
        return np.array([_float(v, i, where) for i, v in enumerate(values)], dtype=np.float64)
    out: Numbers = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        out[i] = value if isinstance(value, Fraction) else rational(value, where(i))
    return out


def pointers(lengths: Iterable[int]) -> Ints:
    """Row pointers ``0, n_0, n_0 + n_1, ...`` of rows with the given lengths."""
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, dtype=np.int64))]).astype(np.int64)


def mask(members: Iterable[int], size: int) -> Bools:
    """The bool[size] that is true at `members`."""
    out = np.zeros(size, dtype=np.bool_)
    out[list(members)] = True
    return out


def lookup(name: Hashable, index: Mapping[Any, int], where: str, what: str = "state") -> int:
    """The place of a name, or an error that offers the closest name there is.

    Raises
    ------
    ModelError
        If there is no such name.
    """
    try:
        return index[name]
    except KeyError:
        close = difflib.get_close_matches(str(name), [str(n) for n in index], n=1)
        repair = f"did you mean {close[0]!r}?" if close else f"add it, or name another {what}"
        few = ", ".join(repr(n) for n in list(index)[:5]) + (", ..." if len(index) > 5 else "")
        raise ModelError.at(where, f"a {what} ({few})", repr(name), repair) from None
    except TypeError:
        raise ModelError.at(where, f"the name of a {what}", repr(name), "give one name") from None


def counted(cost: Fraction, unit: Fraction, where: str) -> int:
    """A cost as a whole number of units.

    Raises
    ------
    ModelError
        If it is no multiple of the unit, or too many units for exact int64 sums.
    """
    count = cost / unit
    if count.denominator != 1:
        raise ModelError.at(where, f"a multiple of the cost_unit {unit}", cost, "use a finer unit")
    if abs(count) > LARGEST_COST:
        raise ModelError.at(
            where, f"at most 2^40 units of {unit} in size", cost,
            "round the costs up so that their common unit is coarser",
        )  # fmt: skip
    return int(count)


def _cost_rows(
    names: Sequence[str], flat: Sequence[tuple[int, Choice]], width: int, cost_unit: Any
) -> tuple[Ints, Fraction]:
    table = []
    for s, c in flat:
        costs = _costs(c.cost)
        if len(costs) != width:
            raise ModelError.at(
                f"cost of {_at(names, s, c)}", f"{width} costs, as elsewhere", len(costs),
                "give every choice the same number of costs, 0 where it is free",
            )  # fmt: skip
        table.append([rational(v, f"cost of {_at(names, s, c)}") for v in costs])
    unit = common_unit(v for row in table for v in row)
    if cost_unit is not None:
        unit = positive(cost_unit, "cost_unit")
    counts = [
        [counted(v, unit, f"cost of {_at(names, s, c)}") for v in row]
        for row, (s, c) in zip(table, flat, strict=True)
    ]
    return np.array(counts, dtype=np.int64).reshape(len(flat), width).T.copy(), unit


def positive(value: Any, where: str) -> Fraction:
    """An exact rational above 0.

    Raises
    ------
    ModelError
        If it is none.
    """
    number = rational(value, where)
    if number <= 0:
        raise ModelError.at(where, "a number > 0", number, "give a positive one")
    return number


def _costs(cost: Any) -> tuple[Any, ...]:
    return tuple(cost) if isinstance(cost, tuple | list) else (cost,)


def _float(value: Any, i: int, where: Callable[[int], str]) -> float:
    if isinstance(value, float | np.floating):
        number = float(value)
    else:
        try:
            number = float(value if isinstance(value, Fraction) else rational(value, where(i)))
        except OverflowError:
            number = math.inf
    if not math.isfinite(number):
        raise ModelError.at(where(i), "a finite number", number, "give a number that is finite")
    return number


def _distinct(state: str, row: Sequence[Choice]) -> None:
    seen: set[str] = set()
    for choice in row:
        if choice.name in seen:
            raise ModelError.at(
                f"state {state!r}", "distinct choice names", f"{choice.name!r} twice",
                "rename one, or join their branches",
            )  # fmt: skip
        if not choice.branches:
            raise ModelError.at(
                f"state {state!r} choice {choice.name!r}", "at least one successor", "none",
                "say where the choice leads",
            )  # fmt: skip
        seen.add(choice.name)


def _at(names: Sequence[str], state: int, choice: Choice) -> str:
    return f"state {names[state]!r} choice {choice.name!r}"
