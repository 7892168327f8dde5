"""Brute force: trees of histories, over all members at once, in exact integers.

A budget is a numerator over `unit`; the discount is ``1/q``, so that ``z' = q (z - c)`` stays an
integer. Nothing is remembered from one history to another, so that each history may choose for
itself, whatever it has in common with others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ig_theory.cmdp import Bools, Ints
from proofs_check.exhaustive.members import Members

DISCOUNTS = (1, 2)
"""q for gamma = 1/q."""


def budgets(group: Members, largest: int, unit: int) -> Ints:
    """The budgets 0, 1/unit, .., largest for each member, int64[M, Z]."""
    return np.tile(np.arange(largest * unit + 1, dtype=np.int64), (len(group), 1))


def start(group: Members) -> Ints:
    """State 0 of each member."""
    return np.zeros(len(group), dtype=np.int64)


def options(
    group: Members, state: Ints, z: Ints, q: int, unit: int
) -> Iterator[tuple[int, Bools, Ints, list[tuple[Ints, Bools]]]]:
    """The choices of each member in its own state.

    Yields
    ------
    place : int
    present : bool[M]
        Which members have the choice.
    paid : int64[M, Z]
        The budgets after it.
    successors : list of (state int64[M], present bool[M])
    """
    rows = np.arange(len(group))
    for a in range(2):
        present = group.choices[rows, state] > a
        paid = (z - unit * group.cost[rows, state, a][:, None]) * q
        count = group.branches[rows, state, a]
        yield a, present, paid, [(group.successor[rows, state, a, b], count > b) for b in range(2)]


def can_keep(group: Members, state: Ints, z: Ints, left: int, q: int, unit: int) -> Bools:
    """Whether some policy keeps the budget surely for `left` steps, bool[M, Z].

    Every history chooses for itself, and every branch must be kept: z is tested at each time,
    the last included. Policies that randomise keep it surely only if all they may do does.
    """
    ok = z >= 0
    if left == 0:
        return np.asarray(ok)
    chosen = options(group, state, z, q, unit)
    some = np.zeros(z.shape, dtype=bool)
    for _, present, paid, successors in chosen:
        every = np.tile(present[:, None], (1, z.shape[1]))
        for after, there in successors:
            every &= can_keep(group, after, paid, left - 1, q, unit) | ~there[:, None]
        some |= every
    return np.asarray(ok & some)


def can_keep_after(
    group: Members, state: Ints, z: Ints, left: int, q: int, unit: int
) -> list[Bools]:
    """For each choice, whether the budget can still be kept wherever it leads, 2 of bool[M, Z]."""
    found = []
    for _, present, paid, successors in options(group, state, z, q, unit):
        every = np.tile(present[:, None], (1, z.shape[1]))
        for after, there in successors:
            every &= can_keep(group, after, paid, left - 1, q, unit) | ~there[:, None]
        found.append(every)
    return found


def demand_rows(group: Members, horizon: int, q: int) -> list[Ints]:
    """The claim's recursion: ``D_n q^n`` for n = 0 .. T, each int64[M, 2].

    ``D_n(s) = min_a max(0, max_{s'} [c + gamma D_{n-1}(s')])``.
    """
    rows = [np.zeros((len(group), 2), dtype=np.int64)]
    for n in range(1, horizon + 1):
        need = choice_demand(group, rows[-1], n, q)
        least = np.where(np.arange(2) < group.choices[:, :, None], need, np.iinfo(np.int64).max)
        rows.append(np.where(group.choices > 0, np.maximum(least.min(axis=2), 0), 0))
    return rows


def choice_demand(group: Members, before: Ints, n: int, q: int) -> Ints:
    """``q^n max_{s'} [c + gamma D(s')]`` of each choice, from ``D q^(n-1)``, int64[M, 2, 2]."""
    rows = np.arange(len(group))[:, None, None, None]
    ahead = before[rows, group.successor]
    there = np.arange(2) < group.branches[:, :, :, None]
    return np.asarray(group.cost * q**n + np.where(there, ahead, 0).max(axis=3))
