"""Garnet: seeded random constrained MDPs, plain and sheltered.

Both families exist because each shows what the other cannot. In a *plain* Garnet a state keeps
a budget for ever only if it can stay among zero-cost choices, or reach the goal, whatever the
branches do; with a few random branches per choice that almost never holds, so for gamma = 1
the minimal budget D is infinite almost everywhere but at the goal: the right test for "nothing
is safe here", useless as a test of anything about safe policies. A *sheltered* Garnet has one
choice per state that retreats, level by level, to a zone where staying is free: D is finite
everywhere and bounded by construction, and safe values are worth computing.

Probabilities and rewards are multiples of 1/1024, so that the float model is exactly the exact
one: a distribution is the gaps between distinct random cuts of a ruler of 1024 marks.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from ig_theory.validation import LARGEST_COST
from simulators.parameters import Rational, proportion, whole, yes_no

Ints = npt.NDArray[np.int64]

MARKS = 1024
"""Probabilities and rewards are multiples of ``1 / MARKS``."""


def garnet(
    states: int = 100,
    *,
    choices: int = 4,
    branches: int = 4,
    largest_cost: int = 3,
    seed: int = 0,
    reward_discount: Rational = 1,
    exact: bool = False,
) -> ConstrainedMDP:
    """A random constrained MDP; the last state is the goal (terminal), the first the start.

    Every state but the goal has `choices` choices; each has `branches` distinct successors,
    drawn uniformly from all states, a cost drawn uniformly from 0..`largest_cost` and a reward
    from [0, 1]. The base policy is uniform.

    Parameters
    ----------
    states : int
        At least 2.
    choices, branches : int
        Per state and per choice; at least 1, and no more branches than states or 1024.
    largest_cost : int
    seed : int
        The same seed gives the same model, exact or not.
    reward_discount : rational in (0, 1]
    exact : bool
        Fractions instead of floats; meant for small models.

    Returns
    -------
    ConstrainedMDP
        Label ``goal``. C = (states - 1) choices + 1, B = (states - 1) choices branches + 1;
        time and memory O(B branches) and O(B): a few seconds for 10^6 states.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Notes
    -----
    D = 0 at the goal and, for gamma = 1, infinite at almost every other state; for gamma < 1
    ``D <= largest_cost / (1 - gamma)``. `sheltered_garnet` has D finite everywhere.

    Examples
    --------
    >>> model = garnet(50, seed=7)
    >>> model.S, model.C, model.B, int(model.cost.max())
    (50, 197, 785, 3)
    """
    whole("states", states, low=2)
    _check_shape(choices, branches, largest_cost, states)
    rng = np.random.default_rng(whole("seed", seed, low=0))
    rows = (states - 1) * choices
    return _with_goal(
        successor=_distinct(rng, np.full(rows, states), branches),
        cost=rng.integers(0, largest_cost + 1, rows),
        choices=choices,
        rng=rng,
        labels={},
        reward_discount=proportion("reward_discount", reward_discount, one=True),
        exact=yes_no("exact", exact),
    )


def sheltered_garnet(
    states: int = 100,
    *,
    levels: int = 3,
    choices: int = 4,
    branches: int = 4,
    largest_cost: int = 3,
    seed: int = 0,
    reward_discount: Rational = 1,
    exact: bool = False,
) -> ConstrainedMDP:
    """A Garnet in which choice 0 of every state retreats to where staying is free.

    As `garnet`, but the states are cut into bands of equal size (up to one), numbered from
    level `levels` (the first states, the start among them) down to level 0, the shelter; the
    goal, the last state, is part of the shelter. Choice 0 of a state of level k >= 1 has all
    its branches in level k - 1; choice 0 of a shelter state costs 0 and stays in the shelter.
    All other costs and all other choices are as in `garnet`.

    Parameters
    ----------
    states : int
        At least ``(levels + 1) branches`` and 2, so that every band has enough successors.
    levels : int
        At least 1.
    choices, branches, largest_cost, seed, reward_discount, exact
        As for `garnet`.

    Returns
    -------
    ConstrainedMDP
        Labels ``goal`` and ``shelter``.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Notes
    -----
    ``D(s) = 0`` in the shelter, and ``D(s) <= largest_cost (1 + gamma + ... + gamma^(k-1))`` at
    level k (see `shelter_levels`), attained by retreating: ``levels largest_cost`` is a safe
    budget for every state. Rewards are earned in the shelter too, so values over an infinite
    horizon need ``reward_discount < 1``.

    Examples
    --------
    >>> model = sheltered_garnet(40, levels=3)
    >>> int(model.labels["shelter"].sum()), int(model.cost[0, -5])
    (10, 0)
    """
    whole("levels", levels, low=1)
    whole("states", states, low=2)
    _check_shape(choices, branches, largest_cost, states // (levels + 1))
    rng = np.random.default_rng(whole("seed", seed, low=0))
    level = shelter_levels(states, levels)[:-1]
    first = np.searchsorted(-level, -np.arange(levels + 1))
    size = np.bincount(level, minlength=levels + 1)
    size[0] += 1  # the goal
    target = np.maximum(level - 1, 0)
    rows = (states - 1) * choices
    retreat = np.arange(0, rows, choices)
    population, offset = np.full(rows, states), np.zeros(rows, dtype=np.int64)
    population[retreat], offset[retreat] = size[target], first[target]
    successor = _distinct(rng, population, branches) + offset[:, None]
    cost = rng.integers(0, largest_cost + 1, rows)
    cost[retreat[level == 0]] = 0
    return _with_goal(
        successor=successor,
        cost=cost,
        choices=choices,
        rng=rng,
        labels={"shelter": np.append(level == 0, True)},
        reward_discount=proportion("reward_discount", reward_discount, one=True),
        exact=yes_no("exact", exact),
    )


def shelter_levels(states: int, levels: int) -> Ints:
    """The level of every state of `sheltered_garnet`, int64[S], from `levels` down to 0.

    Examples
    --------
    >>> shelter_levels(6, 2).tolist()
    [2, 2, 1, 1, 0, 0]
    """
    return levels - np.arange(states, dtype=np.int64) * (levels + 1) // states


def _check_shape(choices: object, branches: object, largest_cost: object, room: int) -> None:
    """Refuse what cannot be drawn; `room` is the size of the smallest set of successors."""
    whole("choices", choices, low=1)
    whole("largest_cost", largest_cost, low=0, high=LARGEST_COST)
    most = min(room, MARKS)
    if whole("branches", branches, low=1) > most:
        raise ModelError.at(
            "branches", f"at most {most}, the distinct successors there are", branches,
            "take fewer branches, or more states",
        )  # fmt: skip


def _distinct(rng: np.random.Generator, population: Ints, size: int) -> Ints:
    """For each row a uniform `size`-subset of 0..population-1, sorted; int64[rows, size].

    Floyd's method: the j-th draw is from the first population - size + j + 1 numbers, and a
    repetition is replaced by the last of these, which cannot have been drawn before.
    """
    drawn = np.empty((len(population), size), dtype=np.int64)
    for j in range(size):
        last = population - size + j
        fresh = rng.integers(0, last + 1)
        repeated = (drawn[:, :j] == fresh[:, None]).any(axis=1)
        drawn[:, j] = np.where(repeated, last, fresh)
    drawn.sort(axis=1)
    return drawn


def _with_goal(
    successor: Ints,
    cost: Ints,
    choices: int,
    rng: np.random.Generator,
    labels: dict[str, npt.NDArray[np.bool_]],
    reward_discount: Fraction,
    exact: bool,
) -> ConstrainedMDP:
    """Draw probabilities and rewards, add the goal as the last state, and build the model."""
    rows, branches = successor.shape
    states = rows // choices + 1
    cuts = _distinct(rng, np.full(rows, MARKS - 1), branches - 1) + 1
    gaps = np.diff(cuts, axis=1, prepend=0, append=MARKS)
    reward = rng.integers(0, MARKS + 1, rows)
    goal = np.arange(states) == states - 1
    initial = np.zeros(states, dtype=np.int64)
    initial[0] = MARKS
    return ConstrainedMDP(
        choice_ptr=np.append(np.arange(states, dtype=np.int64) * choices, rows + 1),
        branch_ptr=np.append(np.arange(rows + 1, dtype=np.int64) * branches, rows * branches + 1),
        branch_state=np.append(successor.ravel(), states - 1),
        branch_prob=_marks(np.append(gaps.ravel(), MARKS), exact),
        reward=_marks(np.append(reward, 0), exact),
        cost=np.append(cost, 0)[None, :],
        initial=_marks(initial, exact),
        terminal=goal,
        reward_discount=reward_discount,
        labels={"goal": goal, **labels},
    )


def _marks(numbers: Ints, exact: bool) -> npt.NDArray[Any]:
    """``numbers / MARKS``, without rounding either way."""
    if exact:
        ruler = np.array([Fraction(i, MARKS) for i in range(MARKS + 1)], dtype=object)
        return np.asarray(ruler[numbers])
    return np.asarray(numbers / MARKS)
