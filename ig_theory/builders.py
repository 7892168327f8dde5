"""Ways to write a constrained MDP down: arrays, a dict, a successor function, a graph."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from ig_theory.arrays import from_arrays
from ig_theory.assembly import END, Choice, assemble, lookup
from ig_theory.cmdp import ConstrainedMDP, Ints, LatentMDP, Numbers
from ig_theory.errors import ModelError
from ig_theory.exact import rational
from ig_theory.graphs import from_networkx, to_networkx

__all__ = [
    "from_arrays",
    "from_dict",
    "from_networkx",
    "from_successors",
    "rationalised",
    "to_networkx",
]

Model = TypeVar("Model", bound=ConstrainedMDP)


def from_dict(
    states: Mapping[Hashable, Mapping[str, tuple[Any, Any, Any]]],
    initial: Any,
    *,
    base: Mapping[Hashable, Mapping[str, Any]] | None = None,
    labels: Mapping[str, Iterable[Hashable]] | None = None,
    exact: bool = False,
    reward_discount: int | str | Fraction = 1,
    **rest: Any,
) -> ConstrainedMDP:
    """Build a model from ``{state: {choice: (cost, reward, {successor: probability})}}``.

    Parameters
    ----------
    states
        The cost is exact: a whole number, a Fraction or text like ``"0.1"``; a tuple of them
        when there are several costs. A sure successor may be given as its bare name.
        A successor that is no key, and a key without choices, is a terminal state: it gets the
        one choice ``end``, a free self-loop.
    initial
        The first state, or ``{state: probability}``.
    base : optional
        ``{state: {choice: probability}}``; states that are not named choose uniformly.
    labels : optional
        ``{label: [states]}``.
    exact : bool
        Probabilities and rewards become Fractions; floats are then refused. Text like ``"1/3"``
        is read in either mode.
    **rest
        ``cost_unit`` (else 1 for whole costs, the coarsest exact unit for others), ``cost_names``.

    Raises
    ------
    ModelError
        Naming the state, the choice, the value and the repair.

    Examples
    --------
    >>> model = from_dict(
    ...     {"s": {"wait": ("0.1", 0, "s"), "go": ("0.5", 1, {"s": "1/3", "goal": "2/3"})}},
    ...     initial="s",
    ...     exact=True,
    ... )
    >>> model.cost_unit, model.cost.tolist(), model.state_names
    (Fraction(1, 10), [[1, 5, 0]], ('s', 'goal'))
    >>> model.branch_prob[1]
    Fraction(1, 3)
    """
    index: dict[Hashable, int] = {name: i for i, name in enumerate(states)}
    rows = [
        [_choice(state, name, value, index) for name, value in _choices(state, choices).items()]
        for state, choices in states.items()
    ]
    rows += [[] for _ in range(len(index) - len(rows))]
    starts = _starts(initial)
    return assemble(
        [str(name) for name in index],
        rows,
        {lookup(name, index, "initial"): p for name, p in starts.items()},
        exactly=exact,
        base=None if base is None else _base_rows(base, index, rows),
        labels={
            label: [
                lookup(s, index, f"label {label!r}")
                for s in ([members] if isinstance(members, str) else members)
            ]
            for label, members in (labels or {}).items()
        },
        reward_discount=_discount(reward_discount),
        **rest,
    )


def from_successors(
    successors: Callable[[Any], Iterable[tuple[str, Any, Any, Iterable[tuple[Any, Any]]]]],
    initial: Any,
    *,
    limit: int = 1_000_000,
    base: Callable[[Any, str], Any] | None = None,
    labels: Mapping[str, Callable[[Any], bool]] | None = None,
    exact: bool = False,
    name: Callable[[Any], str] = str,
    reward_discount: int | str | Fraction = 1,
    **rest: Any,
) -> ConstrainedMDP:
    """Build a model by exploring a successor function breadth-first from the initial states.

    Parameters
    ----------
    successors
        Maps a state (any hashable) to its choices ``(name, cost, reward, [(prob, state)])``;
        a state without choices is terminal. Called once for each state.
    initial
        The first state, or ``{state: probability}``.
    limit : int
        The most states that are explored.
    base : optional
        Base probability of a choice, by its state and its name; uniform if None.
    labels : optional
        ``{label: predicate of a state}``.
    exact : bool
        As in `from_dict`.
    name
        How a state is called for people.

    Raises
    ------
    ModelError
        If there are more than `limit` states, or a choice is malformed.

    Examples
    --------
    >>> def walk(n):
    ...     return [("step", 1, 1, [(0.5, n + 1), (0.5, max(n - 1, 0))])] if n < 3 else []
    >>> model = from_successors(walk, initial=0)
    >>> model.S, model.terminal.tolist()
    (4, [False, False, False, True])
    """
    starts = _starts(initial)
    index: dict[Any, int] = {state: i for i, state in enumerate(starts)}
    order = list(index)
    rows: list[list[Choice]] = []

    def place(state: Any) -> int:
        if state not in index:
            if len(order) >= limit:
                raise ModelError.at(
                    "from_successors", f"at most {limit} states",
                    f"more: {limit} found, {len(rows)} of them explored",
                    f"raise it with limit={2 * limit}, or bound the states",
                )  # fmt: skip
            index[state] = len(order)
            order.append(state)
        return index[state]

    for state in order:  # grows while it is read: breadth-first
        rows.append([_explored(state, choice, place) for choice in successors(state)])
    return assemble(
        [name(state) for state in order],
        rows,
        {index[state]: p for state, p in starts.items()},
        exactly=exact,
        base=None
        if base is None
        else [base(s, c.name) for s, row in zip(order, rows, strict=True) for c in row],
        labels={
            label: [i for i, state in enumerate(order) if test(state)]
            for label, test in (labels or {}).items()
        },
        reward_discount=_discount(reward_discount),
        **rest,
    )


def rationalised(model: Model, max_denominator: int | None = None) -> Model:
    """The exact-mode copy of a float model.

    Every float is taken as the rational it is, or, with `max_denominator`, as the nearest
    rational with at most that denominator (``0.333...`` becomes 1/3). Each row of
    probabilities is then scaled to total exactly 1; which branches there are never changes.
    A model that is exact already is returned as it is. A `LatentMDP` recomputes its base policy
    from its latents, which stay floats. Time O(B) rational operations.

    Raises
    ------
    ModelError
        If `max_denominator` would round a positive probability to 0.

    Examples
    --------
    >>> model = from_dict({"s": {"go": (0, 0, {"s": 1 / 3, "t": 2 / 3})}}, initial="s")
    >>> rationalised(model, 100).branch_prob[:2].tolist()
    [Fraction(1, 3), Fraction(2, 3)]
    """
    if model.exact:
        return model
    if max_denominator is not None and max_denominator < 1:
        raise ModelError.at("max_denominator", "at least 1", max_denominator, "try 10**6")

    def near(value: float) -> Fraction:
        number = Fraction(float(value))
        return number if max_denominator is None else number.limit_denominator(max_denominator)

    def scaled(field: str, values: Numbers, start: Ints) -> Numbers:
        out = np.array([near(v) for v in values], dtype=object)
        lost = np.flatnonzero((out == 0).astype(bool) & (values > 0))
        if len(lost):
            raise ModelError.at(
                f"{field}[{lost[0]}]", f"a rational with denominator <= {max_denominator}",
                f"{values[lost[0]]}, which would round to 0", "raise max_denominator",
            )  # fmt: skip
        total = np.add.reduceat(out, start)
        return np.asarray(out / np.repeat(total, np.diff([*start, len(out)])), dtype=object)

    base = None if isinstance(model, LatentMDP) else model.base
    return replace(
        model,
        branch_prob=scaled("branch_prob", model.branch_prob, model.branch_ptr[:-1]),
        reward=np.array([near(v) for v in model.reward], dtype=object),
        initial=scaled("initial", model.initial, np.zeros(1, dtype=np.int64)),
        base=None if base is None else scaled("base", base, model.choice_ptr[:-1]),
    )


def _starts(initial: Any) -> Mapping[Any, Any]:
    """The distribution that `initial` means: its own, or all on one state."""
    starts = initial if isinstance(initial, Mapping) else {initial: 1} if _is_name(initial) else {}
    if not starts:
        raise ModelError.at(
            "initial", "a state or {state: probability}", repr(initial), "name the first state"
        )
    return starts


def _is_name(value: Any) -> bool:
    return isinstance(value, Hashable) and value is not None


def _discount(value: Any) -> Fraction:
    return rational(value, "reward_discount")


def _choices(state: Hashable, choices: Any) -> Mapping[str, Any]:
    if not isinstance(choices, Mapping):
        raise ModelError.at(
            f"state {state!r}", "{choice: (cost, reward, successors)}", repr(choices), "use a dict"
        )
    return choices


def _choice(state: Hashable, name: Any, value: Any, index: dict[Hashable, int]) -> Choice:
    where = f"state {state!r} choice {name!r}"
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise ModelError.at(
            where, "(cost, reward, {successor: probability})", repr(value), "give all three"
        )
    cost, reward, successors = value
    if not isinstance(successors, Mapping):
        if not _is_name(successors):
            raise ModelError.at(
                where, "{successor: probability} or one name", repr(successors), "use a dict"
            )
        successors = {successors: 1}
    branches = [(p, index.setdefault(s, len(index))) for s, p in successors.items()]
    return Choice(str(name), cost, reward, branches)


def _explored(state: Any, choice: Any, place: Callable[[Any], int]) -> Choice:
    try:
        name, cost, reward, branches = choice
        pairs = [(p, successor) for p, successor in branches]
    except (TypeError, ValueError):
        raise ModelError.at(
            f"a choice of state {state!r}", "(name, cost, reward, [(probability, successor)])",
            repr(choice), "return tuples of this form",
        ) from None  # fmt: skip
    for _, successor in pairs:
        if not isinstance(successor, Hashable):
            raise ModelError.at(
                f"state {state!r} choice {name!r}", "a hashable successor", repr(successor),
                "use a tuple or a frozen dataclass",
            )  # fmt: skip
    return Choice(str(name), cost, reward, [(p, place(successor)) for p, successor in pairs])


def _base_rows(
    base: Mapping[Hashable, Mapping[str, Any]],
    index: Mapping[Hashable, int],
    rows: Sequence[Sequence[Choice]],
) -> list[Any]:
    given = {lookup(state, index, "base"): (state, row) for state, row in base.items()}
    flat: list[Any] = []
    for s, row in enumerate(rows):
        if s not in given:
            flat += [Fraction(1, len(row)) for _ in row]
            continue
        state, probabilities = given[s]
        place = {choice.name: i for i, choice in enumerate(row)} or {END: 0}
        for name in probabilities:
            lookup(name, place, f"base of state {state!r}", "choice")
        flat += [probabilities.get(choice.name, 0) for choice in row]
    return flat
