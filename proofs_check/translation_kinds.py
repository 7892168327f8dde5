"""The kinds of certificates without expectations, as words; see `proofs_check.translation`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from proofs_check.translation_reading import (
    Game,
    Translated,
    integer,
    listed,
    many,
    natural,
    need,
    positive,
    ratio,
    rational,
    sentence,
    whole,
)

_ANY = 2**4096  # a choice that its state does not have is refused by the program, not here
Place = tuple[int, int | None]
"""A state, and the time if there is a horizon."""


# demand: bound, denominator, rows (demand or -, strict, choice, place), starts
def demand(certificate: Mapping[str, Any], game: Game) -> Translated:
    """Kind ``demand``; with a horizon there is a place for each state and number of steps to go."""
    (limit,) = game.limits
    scale = positive(certificate["denominator"])
    count = 1 if game.horizon is None else game.horizon + 1
    table = _table(certificate["demand"], count, game.states)
    strict = _flags(certificate["strict"], count, game.states)
    action = _table(certificate["action"], count, game.states)
    rows = []
    for n in range(count):
        for s in range(game.states):
            over = _over(game, s, n)
            own, picked = table[n][s], 0
            if own is None:
                need(game.horizon is None or n > 0, "a demand where no step is left")
                rows.append(f"- 0 {_layered(game, s, n, over)}")
                continue
            if not over:
                picked = min(natural(action[n][s], _ANY), game.count(s))
            rows.append(
                f"{integer(whole(own))} {strict[n][s]} {picked} {_layered(game, s, n, over)}"
            )
    words = ["demand", limit.words(), integer(scale), *many(rows), *_last_starts(game, count)]
    return Translated(
        "demand",
        f"from every initial state the chosen actions, and every policy inside the shield of these "
        f"demands, keep {sentence(game)} almost surely",
        words,
    )


# impossibility: way, bound, denominator, rows (lower, strict, rank, place), starts
def impossibility(certificate: Mapping[str, Any], game: Game) -> Translated:
    """Kind ``impossibility``; with a horizon the rank is the number of steps to go."""
    (limit,) = game.limits
    scale = positive(certificate["denominator"])
    endless = game.horizon is None
    count = 1 if game.horizon is None else game.horizon + 1
    lower = _table(certificate["lower"], count, game.states)
    strict = _flags(certificate["strict"], count, game.states)
    given = certificate["rank"]
    need(given is None or endless, "no rank with a horizon")
    need(given is not None or not endless or limit.discount < 1, "a rank with discount 1")
    ranks = [[n] * game.states for n in range(count)]
    if given is not None:
        ranks = [[natural(rank) for rank in row] for row in _table(given, 1, game.states)]
    way = "counted" if not endless else "discounted" if limit.discount < 1 else "undiscounted"
    rows = [
        f"{integer(whole(lower[n][s]))} {strict[n][s]} {ranks[n][s]} "
        f"{_layered(game, s, n, _over(game, s, n))}"
        for n in range(count)
        for s in range(game.states)
    ]
    words = [
        "impossibility", way, limit.words(), integer(scale), *many(rows),
        *_last_starts(game, count),
    ]  # fmt: skip
    return Translated(
        "impossibility",
        f"no policy keeps {sentence(game)} almost surely: from some initial state the budget is "
        f"too small",
        words,
    )


# pairs: bounds with clip and grid, places, vectors, pairs (place, vector, choices), starts
def pairs(certificate: Mapping[str, Any], game: Game) -> Translated:
    """Kind ``pairs``; only the places on which a pair stands are written down."""
    width = len(game.limits)
    clips = [None if c is None else rational(c) for c in listed(certificate["clip"], width)]
    grids = [None if g is None else positive(g) for g in listed(certificate["grid"], width)]
    vectors = vectors_of(certificate, width)
    seen: set[tuple[Place, int]] = set()
    rows: list[tuple[Place, int, list[int]]] = []
    for entry in listed(certificate["pairs"]):
        state, budget, time, choices = listed(entry, 4)
        place, vector = place_of(state, time, game), natural(budget, len(vectors))
        need((place, vector) not in seen, "each pair once")
        seen.add((place, vector))
        taken = [min(natural(c, _ANY), game.count(place[0])) for c in listed(choices)]
        need(len(set(choices)) == len(choices), "each choice of a pair once")
        rows.append((place, vector, taken))
    number, places = places_of([place for place, _, _ in rows], game)
    bounds = [
        f"{limit.words()} {'-' if clip is None else ratio(clip)} "
        f"{'-' if grid is None else integer(grid)}"
        for limit, clip, grid in zip(game.limits, clips, grids, strict=True)
    ]
    listed_pairs = [
        f"{number(place)} {vector + 1} {len(taken)} {' '.join(map(str, taken))}"
        for place, vector, taken in rows
    ]
    starts = [str(number((s, None if game.horizon is None else 0))) for s in game.starts]
    words = [
        "pairs", *many(bounds), *many(places), *many([" ".join(map(ratio, v)) for v in vectors]),
        *many(listed_pairs), *many(starts),
    ]  # fmt: skip
    return Translated(
        "pairs",
        f"guard {certificate['guard']!r}, playing only the listed choices on the {len(rows)} "
        f"listed pairs, keeps {sentence(game)} almost surely",
        words,
    )


# violation: bounds, places, which is broken, start, steps (choice, next place, budgets after it)
def violation(certificate: Mapping[str, Any], game: Game) -> Translated:
    """Kind ``violation``; probabilities and printed costs are compared here."""
    broken = natural(certificate["broken"], len(game.limits))
    if "grid" in certificate:
        positive(certificate["grid"])
    steps = listed(certificate["steps"])
    state = natural(certificate["initial_state"], game.states)
    chance = _chance(certificate["initial_probability"], game)
    initial = game.model.initial[state]
    need(initial > 0 and _alike(chance, initial), "the probability of an initial state")
    time = None if game.horizon is None else 0
    first, visited, run = state, [(state, time)], []
    unit = game.model.cost_unit
    for step in steps:
        need(
            set(step) == {"state", "choice", "costs", "budgets", "next_state", "probability"},
            "the entries of a step",
        )
        need(whole(step["state"]) == state and not game.over(state, time), "a run that goes on")
        taken = natural(step["choice"], game.count(state))
        choice = game.choice_ptr[state] + taken
        costs = [str(limit.cost[choice] * unit) for limit in game.limits]
        need(step["costs"] == costs, "the costs of its choices")
        left = [rational(z) / unit for z in listed(step["budgets"], len(game.limits))]
        state, time = natural(step["next_state"], game.states), None if time is None else time + 1
        chance *= _onward(step["probability"], choice, state, game)
        run.append((taken, (state, time), left))
        visited.append((state, time))
    need(_alike(_chance(certificate["probability"], game), chance), "the probability of the run")
    number, places = places_of(visited, game)
    words = [
        "violation", *many([limit.words() for limit in game.limits]), *many(places), str(broken),
        str(number(visited[0])),
        *many([f"{c} {number(p)} {' '.join(map(ratio, left))}" for c, p, left in run]),
    ]  # fmt: skip
    guard = certificate["guard"]
    return Translated(
        "violation",
        f"the run of {len(run)} steps from state {game.model.state_name(first)} breaks constraint "
        f"{broken} of {sentence(game)} if guard {guard!r} gives its choices any probability",
        words,
    )


def _chance(value: Any, game: Game) -> Any:
    number = rational(value) if game.model.exact else value
    need(isinstance(number, Fraction | float) and 0 < number <= 1 + 1e-9, "a probability")
    return number


def _alike(got: Any, want: Any) -> bool:
    if isinstance(got, Fraction):
        return bool(got == want)
    return math.isclose(got, float(want), rel_tol=1e-9)


def _onward(value: Any, choice: int, state: int, game: Game) -> Any:
    """A step is at most as probable as its branches (a guard may take other choices too)."""
    low, high = game.branch_ptr[choice], game.branch_ptr[choice + 1]
    model, total = game.model, Fraction(0)
    for branch in range(low, high):
        if game.branch_state[branch] == state:
            total += Fraction(model.branch_prob[branch])
    chance = _chance(value, game)
    most = total if model.exact else float(total) + 1e-9
    need(total > 0 and chance <= most, "a step of the model")
    return chance


def _table(value: Any, count: int, width: int) -> list[list[Any]]:
    need(isinstance(value, list) and len(value) == count, f"{count} rows")
    return [listed(row, width) for row in value]


def _flags(value: Any, count: int, width: int) -> list[list[int]]:
    table = _table(value, count, width)
    for row in table:
        for flag in row:
            need(type(flag) is int and flag in (0, 1), "0 or 1")
    return table


def _over(game: Game, state: int, to_go: int) -> bool:
    return game.terminal[state] or (game.horizon is not None and to_go == 0)


def _layered(game: Game, state: int, to_go: int, over: bool) -> str:
    """A place of the game whose layers are the steps to go; without a horizon there is one."""
    shift = 1 if game.horizon is None else (to_go - 1) * game.states + 1
    return game.place(state, over, lambda after: [shift + s for s in after])


def _last_starts(game: Game, count: int) -> Iterable[str]:
    shift = (count - 1) * game.states + 1
    return many([str(shift + s) for s in game.starts])


def vectors_of(certificate: Mapping[str, Any], width: int) -> list[tuple[Fraction, ...]]:
    """Read ``budgets``: distinct vectors, one entry a constraint."""
    vectors = [
        tuple(rational(z) for z in listed(vector, width))
        for vector in listed(certificate["budgets"])
    ]
    need(len(set(vectors)) == len(vectors), "distinct budgets")
    return vectors


def place_of(state: Any, time: Any, game: Game) -> Place:
    """Read a state and a time; there are times with a horizon only."""
    need((time is None) == (game.horizon is None), "times with a horizon only")
    return natural(state, game.states), None if time is None else natural(time)


def places_of(stood: Iterable[Place], game: Game) -> tuple[Callable[[Place], int], list[str]]:
    """Number the places on which something stands, from 1, and write them down.

    The places that follow them are numbered too, after these; the program leaves them undefined.
    """
    numbers: dict[Place, int] = {}

    def number(place: Place) -> int:
        return numbers.setdefault(place, len(numbers) + 1)

    defined = list(dict.fromkeys(stood))
    for place in defined:
        number(place)

    def words(place: Place) -> str:
        state, time = place
        later = None if time is None else time + 1
        over = game.over(state, time)
        return game.place(state, over, lambda after: [number((s, later)) for s in after])

    return number, [words(place) for place in defined]
