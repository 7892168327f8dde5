"""Certificates of kind ``reward`` as words; see `proofs_check.translation`.

Probabilities are whole weights over their total (floats are the rationals that they are). Which
pair follows a branch is found here and written down as a hint, which the program checks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from proofs_check.translation_kinds import Place, place_of, places_of, vectors_of
from proofs_check.translation_reading import (
    Game,
    Limit,
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

Vector = tuple[Fraction, ...]
_MOST_STEPS = 2**400


@dataclass(frozen=True)
class _Rows:
    """The pairs and their columns, one entry each; `at` finds a pair."""

    clips: list[Fraction | None]
    vectors: list[Vector]
    keys: list[tuple[Place, int]]
    at: dict[tuple[Place, Vector], int]
    dead: list[int | None]
    upper: list[int | None]
    lower: list[int | None]
    choice: list[int | None]
    steps: list[int | None] | None


# reward: bounds with clip, beta, denominator, flags (steps bound the upper, the lower ones),
# places each with the stakes of its choices, rows, starts with hints
def reward(certificate: Mapping[str, Any], game: Game) -> Translated:
    """Kind ``reward``; the steps to go of a horizon bound themselves."""
    beta = rational(certificate["reward_discount"])
    need(0 < beta <= 1, "a reward discount in (0, 1]")
    scale = positive(certificate["denominator"])
    rows = _read(certificate, game)
    counted = beta == 1
    up_steps, low_steps = _steps(rows, beta, game)
    time = None if game.horizon is None else 0
    starts: list[Place] = [(s, time) for s in game.starts]
    stood = [place for place, _ in rows.keys]
    ahead = [after for place in stood for after in _following(place, game)]
    number, places = places_of([*stood, *ahead, *starts], game)
    defined = list(dict.fromkeys([*stood, *ahead, *starts]))
    stakes = [_stakes(place, game) for place in defined]
    memo: dict[tuple[int, int], Vector] = {}
    first = _clipped(tuple(limit.budget for limit in game.limits), rows.clips)
    entries = [
        f"{number(place)} {' '.join(map(ratio, rows.vectors[vector]))} {_or_dash(rows.dead[n])} "
        f"{integer(rows.upper[n] or 0)} {_named(rows, n)} {_or_dash(up_steps[n])} "
        f"{_or_dash(low_steps[n])} {_hints(place, vector, rows, game, memo)}"
        for n, (place, vector) in enumerate(rows.keys)
    ]
    bounds = [
        f"{limit.words()} {'-' if clip is None else ratio(clip)}"
        for limit, clip in zip(game.limits, rows.clips, strict=True)
    ]
    words = [
        "reward", *many(bounds), ratio(beta), integer(scale), f"{int(counted)} {int(counted)}",
        *many([f"{p} {s}" for p, s in zip(places, stakes, strict=True)]), *many(entries),
        *many([f"{number(place)} {_id(rows.at.get((place, first)))}" for place in starts]),
    ]  # fmt: skip
    low, high = _totals(rows, starts, first, scale, game)
    return Translated(
        "reward",
        f"the best expected reward (discount {beta}) of the policies that keep {sentence(game)} "
        f"almost surely is at least {_decimal(low, math.floor)} and at most "
        f"{_decimal(high, math.ceil)}",
        words,
        (low, high),
    )


def _read(certificate: Mapping[str, Any], game: Game) -> _Rows:
    width = len(game.limits)
    clips = [None if c is None else rational(c) for c in listed(certificate["clip"], width)]
    for clip, limit in zip(clips, game.limits, strict=True):
        need(clip is None or _harmless(clip, limit), "a clip that takes away no budget")
    need(all(g is None for g in listed(certificate["grid"], width)), "exact budgets")
    vectors = vectors_of(certificate, width)
    keys: list[tuple[Place, int]] = []
    for entry in listed(certificate["pairs"]):
        state, budget, time = listed(entry, 3)
        place = place_of(state, time, game)
        need(place[1] is None or place[1] <= (game.horizon or 0), "times up to the horizon")
        keys.append((place, natural(budget, len(vectors))))
    need(len(set(keys)) == len(keys), "each pair once")
    size = len(keys)
    dead = [None if v is None else natural(v) for v in listed(certificate["dead"], size)]
    upper, lower, choice = (
        [None if v is None else whole(v) for v in listed(certificate[name], size)]
        for name in ("upper", "lower", "choice")
    )
    steps = None
    if certificate["steps"] is not None:
        given = listed(certificate["steps"], size)
        steps = [None if v is None else natural(v, _MOST_STEPS) for v in given]
    for n, (place, _) in enumerate(keys):
        if dead[n] is not None:
            columns = (upper, lower, choice, steps)
            need(all(c is None or c[n] is None for c in columns), "no bounds at dead pairs")
            continue
        need(upper[n] is not None, "an upper bound")
        need((lower[n] is None) == (choice[n] is None), "a choice with each lower bound")
        if choice[n] is not None:
            natural(choice[n], game.count(place[0]))
    at = {(place, vectors[vector]): n for n, (place, vector) in enumerate(keys)}
    return _Rows(clips, vectors, keys, at, dead, upper, lower, choice, steps)


def _harmless(clip: Fraction, limit: Limit) -> bool:
    kept = clip > 0 or (clip == 0 and limit.closed)
    return kept and limit.discount < 1 and clip * (1 - limit.discount) >= max(0, *limit.cost)


def _steps(rows: _Rows, beta: Fraction, game: Game) -> tuple[list[int | None], list[int | None]]:
    """The two columns of steps: given, those of the horizon, or 0 where nothing needs them."""
    endless = beta == 1 and game.horizon is None
    need(rows.steps is None or endless, "no steps where a discount or a horizon ends the sum")
    nothing: list[int | None] = [0] * len(rows.keys)
    if game.horizon is not None:
        to_go: list[int | None] = [game.horizon - (place[1] or 0) for place, _ in rows.keys]
        return to_go, to_go
    if not endless:
        return nothing, nothing
    losses = any(v is not None and v < 0 for v in rows.upper)
    gains = any(v is not None and v > 0 for v in rows.lower)
    need(rows.steps is not None or not (losses or gains), "a bound on the steps")
    if rows.steps is None:
        return nothing, nothing
    return rows.steps if losses else nothing, rows.steps


def _following(place: Place, game: Game) -> Iterable[Place]:
    state, time = place
    if game.over(state, time):
        return
    later = None if time is None else time + 1
    for choice in range(game.choice_ptr[state], game.choice_ptr[state + 1]):
        for after in game.after(choice):
            yield after, later


def _stakes(place: Place, game: Game) -> str:
    state, time = place
    if game.over(state, time):
        return "0"
    words = [str(game.count(state))]
    for choice in range(game.choice_ptr[state], game.choice_ptr[state + 1]):
        low, high = game.branch_ptr[choice], game.branch_ptr[choice + 1]
        weights = _weights(game.model.branch_prob[low:high])
        words += [ratio(Fraction(game.model.reward[choice])), integer(sum(weights))]
        words += [str(len(weights)), *map(integer, weights)]
    return " ".join(words)


def _weights(numbers: Iterable[Any]) -> list[int]:
    exact = [Fraction(number) for number in numbers]
    common = math.lcm(*(number.denominator for number in exact))
    return [number.numerator * (common // number.denominator) for number in exact]


def _clipped(vector: Vector, clips: list[Fraction | None]) -> Vector:
    return tuple(
        z if clip is None or z <= clip else clip for z, clip in zip(vector, clips, strict=True)
    )


def _hints(
    place: Place, vector: int, rows: _Rows, game: Game, memo: dict[tuple[int, int], Vector]
) -> str:
    state, time = place
    if game.over(state, time):
        return "0"
    later = None if time is None else time + 1
    words = [str(game.count(state))]
    for choice in range(game.choice_ptr[state], game.choice_ptr[state + 1]):
        if (vector, choice) not in memo:
            paid = tuple(
                (z - limit.cost[choice]) / limit.discount
                for z, limit in zip(rows.vectors[vector], game.limits, strict=True)
            )
            memo[vector, choice] = _clipped(paid, rows.clips)
        ahead, moved = game.after(choice), memo[vector, choice]
        words.append(str(len(ahead)))
        words += [_id(rows.at.get(((after, later), moved))) for after in ahead]
    return " ".join(words)


def _id(n: int | None) -> str:
    return "-" if n is None else str(n + 1)


def _or_dash(number: int | None) -> str:
    return "-" if number is None else integer(number)


def _named(rows: _Rows, n: int) -> str:
    lower = rows.lower[n]
    return "-" if lower is None else f"{rows.choice[n]} {integer(lower)}"


def _totals(
    rows: _Rows, starts: list[Place], first: Vector, scale: int, game: Game
) -> tuple[Fraction, Fraction]:
    """The bounds of the starts, weighed; the program refuses a start that has none."""
    weights = _weights(game.model.initial)
    low = high = 0
    for place in starts:
        n = rows.at.get((place, first))
        if n is not None:
            low += weights[place[0]] * (rows.lower[n] or 0)
            high += weights[place[0]] * (rows.upper[n] or 0)
    whole_scale = sum(weights) * scale
    return Fraction(low, whole_scale), Fraction(high, whole_scale)


def _decimal(number: Fraction, towards: Any) -> str:
    if len(str(number)) <= 20:
        return str(number)
    return f"{float(Fraction(towards(number * 10**12), 10**12)):.12g}"
