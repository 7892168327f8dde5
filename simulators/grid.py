"""slippery-grid: a walk on a wet floor with holes that cost; the door out is always open."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.validation import LARGEST_COST
from simulators.parameters import Rational, proportion, whole, yes_no

Ints = npt.NDArray[np.int64]

PIECES = 1024
"""Rewards and the share of hazards are multiples of ``1 / PIECES``."""

HEADINGS = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns of a move north, east, south and west."""


def slippery_grid(
    width: int = 8,
    height: int = 8,
    *,
    slip: Rational = "1/4",
    hazards: Rational = "1/4",
    largest_cost: int = 3,
    seed: int = 0,
    reward_discount: Rational = "19/20",
    exact: bool = False,
) -> ConstrainedMDP:
    """A grid of cells, some hazardous; walk and earn, or leave.

    In every cell there are the choices ``north``, ``east``, ``south``, ``west`` and ``leave``.
    A walk goes where it is aimed with probability ``1 - slip`` and to either side with ``slip /
    2``; a wall keeps one where one is. It earns the cell's reward, drawn from [0, 1]. In a
    hazardous cell every choice costs the cell's toll, drawn from 1..`largest_cost`; elsewhere
    all is free. ``leave`` ends the run and earns nothing. Runs start in the first cell, the
    north-western one, which is never hazardous.

    Parameters
    ----------
    width, height : int
        At least 1.
    slip : rational in (0, 1)
    hazards : rational in [0, 1]
        The share of hazardous cells, rounded down to a multiple of 1/1024.
    largest_cost : int
        At least 1.
    seed : int
        The same seed gives the same grid, exact or not.
    reward_discount : rational in (0, 1]
        Below 1 if values are wanted: one can walk among free cells for ever.
    exact : bool
        Fractions instead of floats. Floats are the same numbers if `slip` is a dyadic rational.

    Returns
    -------
    ConstrainedMDP
        S = width height + 1, C = 5 S - 4, B = 13 S - 12; label ``hazard``. Cells are numbered
        row by row; the last state, outside, is terminal.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Notes
    -----
    For any gamma the minimal budget D of a cell is its toll, 0 where there is none: it is
    enough to leave. A walk needs ``c + gamma max D`` over the cells where it may end.

    Examples
    --------
    >>> model = slippery_grid(3, 2)
    >>> model.S, model.C, [round(float(p), 3) for p in model.branch_prob[:3]]
    (7, 31, [0.75, 0.125, 0.125])
    """
    cells = whole("width", width, low=1) * whole("height", height, low=1)
    chance = proportion("slip", slip)
    share = int(proportion("hazards", hazards, zero=True, one=True) * PIECES)
    whole("largest_cost", largest_cost, low=1, high=LARGEST_COST)
    rng = np.random.default_rng(whole("seed", seed, low=0))
    hazard = rng.integers(0, PIECES, cells) < share
    hazard[0] = False
    toll = np.where(hazard, rng.integers(1, largest_cost + 1, cells), 0)
    pay = rng.integers(0, PIECES + 1, cells)
    exact = yes_no("exact", exact)
    successor = np.concatenate([_walks(width, height), np.full((cells, 1), cells)], axis=1)
    start = np.zeros(cells + 1, dtype=np.int64)
    start[0] = 1
    outside = np.arange(cells + 1) == cells
    walk = (1 - chance, chance / 2, chance / 2)
    earned = np.append(np.repeat(pay, 5).reshape(cells, 5) * [1, 1, 1, 1, 0], 0)
    return ConstrainedMDP(
        choice_ptr=np.append(5 * np.arange(cells + 1), 5 * cells + 1),
        branch_ptr=np.append((13 * np.arange(cells)[:, None] + [0, 3, 6, 9, 12]).ravel(),
                             [13 * cells, 13 * cells + 1]),
        branch_state=np.append(successor.ravel(), cells),
        branch_prob=_numbers([*walk, *walk, *walk, *walk, Fraction(1)], cells, exact),
        reward=_pieces(earned, exact),
        cost=np.append(np.repeat(toll, 5), 0)[None, :],
        initial=_pieces(start * PIECES, exact),
        terminal=outside,
        reward_discount=proportion("reward_discount", reward_discount, one=True),
        choice_names=("north", "east", "south", "west", "leave") * cells + ("stay",),
        labels={"hazard": np.append(hazard, False)},
    )  # fmt: skip


def _walks(width: int, height: int) -> Ints:
    """Where each walk of each cell may end: aim, left of it and right of it; int64[cells, 12]."""
    row, column = np.divmod(np.arange(width * height), width)
    near = np.stack(
        [
            np.clip(row + down, 0, height - 1) * width + np.clip(column + right, 0, width - 1)
            for down, right in HEADINGS
        ],
        axis=1,
    )
    aimed = [near[:, [h, (h - 1) % 4, (h + 1) % 4]] for h in range(4)]
    return np.concatenate(aimed, axis=1)


def _numbers(once: list[Fraction], times: int, exact: bool) -> npt.NDArray[Any]:
    kind = object if exact else np.float64
    return np.append(np.tile(np.array(once, dtype=kind), times), np.array(once[-1:], dtype=kind))


def _pieces(numbers: Ints, exact: bool) -> npt.NDArray[Any]:
    """``numbers / PIECES``, without rounding either way."""
    if exact:
        return np.array([Fraction(int(n), PIECES) for n in numbers], dtype=object)
    return np.asarray(numbers / PIECES)
