"""Optimal totals over the states of a small model: policy iteration by elimination, no compiler.

The same code runs in floats and, exactly, in Fractions. Undiscounted totals are made well posed
first: where a run can stay for ever among rewards of 0 it may also stop, so such end components
are merged; where it can collect reward for ever the value is infinite; where it can neither
stay so nor end, reward is lost for ever. From a policy that surely ends, policy iteration then
meets only such policies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.chain import ROUNDING
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.errors import SolverError
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.totals.discounted_states import macqueen
from ig_theory.solvers.totals.small_graphs import (
    Choices,
    almost_surely,
    as_lists,
    components,
    gainful_members,
    standing_policy,
    toward,
)

STOP = -1
"""The option of a group that may stay for ever at no reward, and of terminal states."""

MOST_IMPROVEMENTS = 10_000
NEAR = 1e-7
"""Choices this close to the best (relatively) count when times are bounded (beta = 1)."""


@dataclass(frozen=True)
class Groups:
    """What policy iteration works on: finite groups of states and their options."""

    group: list[int]
    options: list[list[int]]
    first: list[int]
    """The option of each group in a policy that surely ends."""
    infinite: dict[int, float]
    """States worth an infinity."""
    policy: list[int]
    """Choices of a good policy where `options` do not say: inside groups, at infinities."""
    internal: set[int]


def solve_small(model: ConstrainedMDP, gain: Any, beta: Fraction, exact: bool) -> Solution:
    """The optimum over states; EXACT Fractions, or checked float bounds.

    Parameters
    ----------
    gain : [C]
        Fractions if `exact`, else floats; 0 at terminal states.
    """
    game = as_lists(model, gain, exact)
    groups = _groups(game, beta)
    factor = beta if exact else float(beta)
    value, picked, rounds = _improve(game, groups, game.gain, factor, list(groups.first))
    policy = _whole_policy(game, groups, picked)
    policy[model.terminal] = -1
    if exact:
        answer = np.empty(game.states, dtype=object)
        answer[:] = [groups.infinite.get(s, value[groups.group[s]]) for s in range(game.states)]
        return Solution(answer, answer, policy, Status.EXACT, 0.0, rounds)
    if beta < 1:
        bounds = _discounted_bounds(game, model, np.array(value), beta)
    else:
        bounds = _total_bounds(game, groups, value, picked)
    lower, upper, residual = bounds
    for s, infinity in groups.infinite.items():
        lower[s] = upper[s] = infinity
    fine = np.isfinite(residual)
    status = Status.CERTIFIED if fine else Status.UNCERTIFIED
    return Solution(lower, upper, policy, status, residual, rounds)


def _groups(game: Choices, beta: Fraction) -> Groups:
    """Merge what may stay for ever at no reward, and set the infinities apart (beta = 1)."""
    states, choices = range(game.states), range(len(game.owner))
    ends = {s for s in states if game.terminal[s]}
    if beta < 1:
        options = [[STOP] if s in ends else [] for s in states]
        for c in choices:
            if game.owner[c] not in ends:
                options[game.owner[c]].append(c)
        return Groups(list(states), options, [o[0] for o in options], {}, [-1] * len(states), set())
    free, internal = components(game, {c for c in choices if game.gain[c] == 0})
    gainful = gainful_members(game, *components(game, set(choices)))
    reaching, alive = almost_surely(game, ends | set(free) | gainful)
    rich = gainful | set(toward(game, alive, gainful))
    infinite = {s: math.inf if s in rich else -math.inf for s in rich | (set(states) - reaching)}
    policy = standing_policy(game, gainful, alive, internal)
    merged: dict[Any, int] = {}
    group = []
    for s in states:
        key = ("infinite",) if s in infinite else ("part", free[s]) if s in free else s
        group.append(merged.setdefault(key, len(merged)))
    options = [[] for _ in merged]
    for s in set(free) | ends:
        if s not in infinite and STOP not in options[group[s]]:
            options[group[s]].append(STOP)
    for c in sorted(alive - internal):
        if game.owner[c] not in infinite and game.owner[c] not in ends:
            options[group[game.owner[c]]].append(c)
    step = toward(game, alive - internal, {s for s in states if s in free or s in ends})
    first = [o[0] if o else STOP for o in options]
    for s, c in step.items():
        if s not in infinite and options[group[s]][0] != STOP:
            first[group[s]] = c
    return Groups(group, options, first, infinite, policy, internal)


def _whole_policy(game: Choices, groups: Groups, picked: list[int]) -> Ints:
    """Every state's choice: inside a group that leaves, towards the member that does."""
    policy = list(groups.policy)
    members: dict[int, list[int]] = {}
    for s, g in enumerate(groups.group):
        if s not in groups.infinite:
            members.setdefault(g, []).append(s)
    for g, states in members.items():
        if picked[g] == STOP:
            continue
        exit_ = game.owner[picked[g]]
        if len(states) > 1:
            inner = [c for c in groups.internal if groups.group[game.owner[c]] == g]
            for s, c in toward(game, inner, [exit_]).items():
                policy[s] = c
        policy[exit_] = picked[g]
    return np.array(policy, dtype=np.int64)


# -- policy iteration ---------------------------------------------------------------------------


def _worth(game: Choices, groups: Groups, gain: list[Any], beta: Any, c: int, value: Any) -> Any:
    if c == STOP:
        return 0
    total = sum(p * value[groups.group[t]] for p, t in game.branches[c])
    return gain[c] + beta * total


def _improve(
    game: Choices, groups: Groups, gain: list[Any], beta: Any, picked: list[int]
) -> tuple[list[Any], list[int], int]:
    """Howard's policy iteration: values of the groups, their options, and the rounds."""
    exact = not isinstance(beta, float)
    rounds, changed = 0, True
    while changed and rounds < MOST_IMPROVEMENTS:
        rounds += 1
        value = _values(game, groups, gain, beta, picked)
        size = 0 if exact else max(map(abs, value), default=0) + max(map(abs, gain), default=0)
        changed = False
        for g, options in enumerate(groups.options):
            best = value[g] + (0 if exact else 1e-13 * size)
            for c in options:
                worth = _worth(game, groups, gain, beta, c, value)
                if worth > best:
                    best, picked[g], changed = worth, c, True
    return value, picked, rounds


def _values(
    game: Choices, groups: Groups, gain: list[Any], beta: Any, picked: list[int]
) -> list[Any]:
    """The totals of a policy over groups, by elimination."""
    exact = not isinstance(beta, float)
    size = len(groups.options)
    rows: list[dict[int, Any]] = [{g: Fraction(1) if exact else 1.0} for g in range(size)]
    right: list[Any] = [Fraction(0) if exact else 0.0] * size
    for g, c in enumerate(picked):
        if c == STOP:
            continue
        right[g] = gain[c]
        for p, t in game.branches[c]:
            column = groups.group[t]
            rows[g][column] = rows[g].get(column, 0) - beta * p
    if exact:
        return eliminate(rows, right)
    matrix = np.zeros((size, size))
    for g, row in enumerate(rows):
        matrix[g, list(row)] = list(row.values())
    try:
        solved: list[Any] = np.linalg.solve(matrix, np.array(right)).tolist()
    except np.linalg.LinAlgError:
        raise SolverError.at(
            "policy evaluation", "a chain that ends within what floats can tell", "a singular one",
            "use an exact model and exact=True, or a reward_discount below 1",
        ) from None  # fmt: skip
    return solved


def eliminate(rows: list[dict[int, Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Solve a square system with diagonal pivots (that of a chain that surely ends)."""
    users: list[set[int]] = [set() for _ in rows]
    for i, row in enumerate(rows):
        for k in row:
            users[k].add(i)
    for i in range(len(rows)):
        pivot = rows[i].pop(i)
        rows[i] = {k: v / pivot for k, v in rows[i].items() if v}
        right[i] = right[i] / pivot
        for other in users[i] - {i}:
            factor = rows[other].pop(i, None)
            if not factor:
                continue
            right[other] -= factor * right[i]
            for k, v in rows[i].items():
                rows[other][k] = rows[other].get(k, Fraction(0)) - factor * v
                users[k].add(other)
    return right


# -- float bounds -------------------------------------------------------------------------------


def _rounding(game: Choices, groups: Groups, value: list[float]) -> float:
    size = max(map(abs, value), default=0.0) + max(map(abs, game.gain), default=0.0)
    return 2 * ROUNDING * (max(map(len, game.branches)) + 4) * size


def _discounted_bounds(
    game: Choices, model: ConstrainedMDP, x: Floats, beta: Fraction
) -> tuple[Floats, Floats, float]:
    groups = Groups(list(range(game.states)), [], [], {}, [], set())
    value, factor = x.tolist(), float(beta)
    backups = [_worth(game, groups, game.gain, factor, c, value) for c in range(len(game.owner))]
    y = np.maximum.reduceat(np.array(backups), model.choice_ptr[:-1])
    move = y - x
    moves, error = (float(move.min()), float(move.max())), _rounding(game, groups, value)
    series = float(beta / (1 - beta))
    lower, upper = macqueen(y, moves, error, series, model.terminal)
    return lower, upper, moves[1] - moves[0] + error


def _total_bounds(
    game: Choices, groups: Groups, value: list[float], picked: list[int]
) -> tuple[Floats, Floats, float]:
    """``value -+ e w`` with w an expected time that is checked (beta = 1); see `total_reward`."""
    error = _rounding(game, groups, value)
    ones = [1.0] * len(game.owner)
    chosen = {c for c in picked if c != STOP}
    size = 1 + max(map(abs, value), default=0.0)
    worth = {
        c: _worth(game, groups, game.gain, 1.0, c, value)
        for options in groups.options for c in options if c != STOP
    }  # fmt: skip
    owner = {c: g for g, options in enumerate(groups.options) for c in options if c != STOP}
    error = 2 * (error + max((abs(worth[c] - value[owner[c]]) for c in chosen), default=0.0))
    error = max([error, *(2 * (w - value[owner[c]]) for c, w in worth.items())])
    near = [
        [c for c in options if c == STOP or worth[c] > value[g] - NEAR * size]
        for g, options in enumerate(groups.options)
    ]
    middle = np.array([value[g] for g in groups.group])
    kept = {c for options in near for c in options if c != STOP}
    if components(_merged(game, groups), kept)[0]:
        nothing = np.full(game.states, math.inf)
        return -nothing, nothing, math.inf
    wide = Groups(groups.group, near, groups.first, {}, [], set())
    time, _, _ = _improve(game, wide, ones, 1.0, list(picked))
    time = [t * (1 + 1e-9) + 1 for t in time]
    step = {c: _worth(game, groups, ones, 1.0, c, time) for c in worth}
    slack = _rounding(game, groups, value)
    fine = all(time[owner[c]] >= step[c] - 0.5 for c in chosen) and all(
        w + error * (step[c] - 1) + slack <= value[owner[c]] + error * time[owner[c]]
        for c, w in worth.items()
    )
    if not fine:
        nothing = np.full(game.states, math.inf)
        return -nothing, nothing, math.inf
    margin = np.array([2 * error * time[g] for g in groups.group])
    for s, ended in enumerate(game.terminal):
        margin[s] = 0.0 if ended else margin[s]
    return middle - margin, middle + margin, error


def _merged(game: Choices, groups: Groups) -> Choices:
    """The same choices between groups."""
    return Choices(
        [groups.group[s] for s in game.owner], game.gain,
        [[(p, groups.group[t]) for p, t in row] for row in game.branches], game.terminal, game.name,
    )  # fmt: skip
