"""Which states count as one: partitions of the states of a model by their latents.

`cells` keep apart what must not be merged. States in which the run is over are always a cell of
their own: nothing is chosen there. With a finite horizon the time belongs to the state too: what
may still follow, and hence the minimal budget, depends on how many tokens are left, and a latent
need not say so. Merging times stays sound, but then neither safety nor reward is kept exactly, and
a run of the latent model may be longer than any real one.

Nothing that is proved rests on distances: they decide which states are merged, no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Metric = Literal["euclidean", "maximum", "angle"]
"""Of latents: the 2-norm, the largest entry, or the angle (in radians) between them."""

ENDED = -1
"""The cell of the states in which the run is over."""


@dataclass(frozen=True, eq=False)
class Partition:
    """Blocks of states, numbered by their first members.

    Attributes
    ----------
    block : int64[S]
        The block of each state, 0 .. M-1.
    centre : float64[M, D]
        The latent that stands for each block.
    radius : float64[M]
        Largest distance of a member from the centre, as measured.
    metric : str
    how : str
        What was merged, in words.
    """

    block: Ints
    centre: Floats
    radius: Floats
    metric: Metric = "euclidean"
    how: str = "given"

    def __post_init__(self) -> None:
        for value in (self.block, self.centre, self.radius):
            value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.centre)

    @classmethod
    def of(cls, block: NDArray[Any], how: str = "given") -> Partition:
        """A partition from any labels of the states, without latents.

        >>> Partition.of(np.array([7, 3, 7])).block
        array([0, 1, 0])
        """
        numbers = _numbered(np.asarray(block))
        size = int(numbers.max()) + 1
        return cls(numbers, np.zeros((size, 0)), np.zeros(size), how=how)

    def members(self, block: int) -> Ints:
        """The states of a block, ascending."""
        return np.flatnonzero(self.block == block)


def cells_of(model: ConstrainedMDP, depth: NDArray[Any] | None = None) -> Ints:
    """Cells that keep apart ended from running states and, if `depth` is given, times; int64[S].

    Parameters
    ----------
    depth : int[S], optional
        The time at which each state is met; >= 0. Ended states are one cell whatever their time:
        nothing more is paid or earned there.
    """
    time = np.zeros(model.S, dtype=np.int64) if depth is None else np.asarray(depth)
    if time.shape != (model.S,) or time.min(initial=0) < 0:
        raise ModelError.at(
            "depth", f"{model.S} times >= 0", f"shape {time.shape}", "give one for each state"
        )
    return np.where(model.terminal, ENDED, time).astype(np.int64)


def by_equality(latent: Floats, cells: Ints) -> Partition:
    """States whose latents are equal to the bit (and of one cell).

    Examples
    --------
    >>> found = by_equality(np.array([[1.0], [2.0], [1.0]]), np.zeros(3, dtype=np.int64))
    >>> found.block, found.radius
    (array([0, 1, 0]), array([0., 0.]))
    """
    latent, cells = _checked(latent, cells)
    block, first = _equal(latent, cells)
    return Partition(block, latent[first], np.zeros(len(first)), how="equal latents")


def by_radius(
    latent: Floats, radius: float, cells: Ints, metric: Metric = "euclidean"
) -> Partition:
    """Balls around leaders: each state joins the first leader of its cell within `radius`.

    Greedy, in the order of the states, and deterministic; a state without such a leader becomes
    one. Two members may be 2 radii apart. O(S M D) for M blocks.

    Examples
    --------
    >>> line = np.array([[0.0], [1.0], [2.0], [2.5]])
    >>> by_radius(line, 1.0, np.zeros(4, dtype=np.int64)).block
    array([0, 0, 1, 1])
    """
    latent, cells = _checked(latent, cells)
    if metric not in get_args(Metric):
        raise ModelError.at("metric", " or ".join(get_args(Metric)), repr(metric), "pick one")
    if not radius >= 0:
        raise ModelError.at("radius", "a number >= 0", radius, "0 merges equal latents only")
    same, first = _equal(latent, cells)
    leader_of: Ints = np.full(len(first), -1, dtype=np.int64)
    for cell in np.unique(cells[first]).tolist():
        left = np.flatnonzero(cells[first] == cell)
        while len(left):
            leader = int(left[0])
            near = _distance(latent[first[left]], latent[first[leader]], metric) <= radius
            near[0] = True
            leader_of[left[near]] = leader
            left = left[~near]
    return _around(latent, first[leader_of[same]], metric, f"{metric} balls of radius {radius:.4g}")


def by_kmeans(
    latent: Floats, count: int, cells: Ints, generator: np.random.Generator, rounds: int = 50
) -> Partition:
    """K-means (k-means++ starts) into at most `count` blocks in each cell.

    Fewer where a cell has fewer distinct latents. The same generator state gives the same blocks.
    """
    latent, cells = _checked(latent, cells)
    if count < 1:
        raise ModelError.at("count", "at least 1", count, "ask for one block or more")
    same, first = _equal(latent, cells)
    label: Ints = np.zeros(len(first), dtype=np.int64)
    used = 0
    for cell in np.unique(cells[first]).tolist():
        rows = np.flatnonzero(cells[first] == cell)
        wanted = min(count, len(rows))
        if wanted == len(rows):
            label[rows] = used + np.arange(wanted)
        else:
            label[rows] = used + _lloyd(latent[first[rows]], wanted, generator, rounds)
        used += wanted
    block = _numbered(label[same])
    centre = _means(latent, block)
    return Partition(
        block, centre, _radius(latent, centre, block, "euclidean"), how=f"{count}-means"
    )


def _lloyd(points: Floats, count: int, generator: np.random.Generator, rounds: int) -> Ints:
    """K-means of distinct points, int64[N]; a centre that loses all its points stays."""
    centre = points[[int(generator.integers(len(points)))]]
    while len(centre) < count:  # k-means++: far points are likelier
        near = np.min([((points - c) ** 2).sum(axis=1) for c in centre], axis=0)
        chance = near / near.sum() if near.sum() > 0 else None
        centre = np.append(centre, points[[int(generator.choice(len(points), p=chance))]], axis=0)
    label: Ints = np.full(len(points), -1, dtype=np.int64)
    for _ in range(rounds):
        squares = (points**2).sum(axis=1)[:, None] - 2 * points @ centre.T
        moved = np.argmin(squares + (centre**2).sum(axis=1), axis=1).astype(np.int64)
        if (moved == label).all():
            break
        label = moved
        for k in np.unique(label).tolist():
            centre[k] = points[label == k].mean(axis=0)
    return label


def _checked(latent: Floats, cells: Ints) -> tuple[Floats, Ints]:
    latent = np.asarray(latent, dtype=np.float64)
    cells = np.asarray(cells, dtype=np.int64)
    if latent.ndim != 2 or not len(latent) or not np.isfinite(latent).all():
        raise ModelError.at(
            "latent",
            "finite numbers [S, D]",
            f"shape {latent.shape}",
            "give one row for each state",
        )
    if cells.shape != (len(latent),):
        raise ModelError.at(
            "cells", f"{len(latent)} numbers", f"shape {cells.shape}", "give one for each state"
        )
    return latent + 0.0, cells  # + 0.0: -0.0 equals 0.0


def _equal(latent: Floats, cells: Ints) -> tuple[Ints, Ints]:
    """Classes of equal (cell, latent), and the first state of each, ascending."""
    row = np.ascontiguousarray(np.column_stack([cells.astype(np.float64), latent]))
    bits = row.view(np.dtype((np.void, row.dtype.itemsize * row.shape[1]))).ravel()
    _, first, inverse = np.unique(bits, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse.ravel()], first[order].astype(np.int64)


def _numbered(label: NDArray[Any]) -> Ints:
    """Labels as 0, 1, … in the order in which they first occur."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.ravel()]


def _around(latent: Floats, leader: Ints, metric: Metric, how: str) -> Partition:
    """The partition in which each state belongs to a leading state."""
    block = _numbered(leader)
    first = np.unique(block, return_index=True)[1]
    centre = latent[leader[first]]
    return Partition(block, centre, _radius(latent, centre, block, metric), metric, how)


def _means(latent: Floats, block: Ints) -> Floats:
    size = int(block.max()) + 1
    total = np.zeros((size, latent.shape[1]))
    np.add.at(total, block, latent)
    return np.asarray(total / np.bincount(block, minlength=size)[:, None])


def _radius(latent: Floats, centre: Floats, block: Ints, metric: Metric) -> Floats:
    found = np.zeros(len(centre))
    np.maximum.at(found, block, _distance(latent, centre[block], metric))
    return found


def _distance(latent: Floats, centre: Floats, metric: Metric) -> Floats:
    """Of rows [N, D] from one row [D] or from as many, float64[N]."""
    if metric == "maximum":
        return np.asarray(np.abs(latent - centre).max(axis=-1, initial=0.0))
    if metric == "euclidean":
        return np.asarray(np.sqrt(((latent - centre) ** 2).sum(axis=-1)))
    one, two = np.linalg.norm(latent, axis=-1), np.linalg.norm(centre, axis=-1)
    dot = (latent * centre).sum(axis=-1)
    length = one * two
    cosine = np.divide(dot, length, out=np.zeros_like(dot), where=length > 0)
    cosine = np.where(length > 0, cosine, (one == two).astype(np.float64))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    return np.asarray(np.where((latent == centre).all(axis=-1), 0.0, angle))
