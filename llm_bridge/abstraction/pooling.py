"""What stands for the members of a block: the worst of them, or what is typical."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import ModelError
from llm_bridge.abstraction.grouping import Groups

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_SHARE = 1e-12
"""Least weight of a member relative to its block: what can happen keeps a probability."""


class Pooling(Enum):
    """What stands for the members of a block."""

    ROBUST = "robust"
    NAIVE = "naive"


@dataclass(frozen=True, eq=False)
class Pooled:
    """What the groups lead to and earn; E edges, sorted by group and block.

    Attributes
    ----------
    group, block : int64[E]
        An edge from a group of choices to a block.
    cost : int64[E]
        What that step costs, in units.
    probability : float64[E]
    reward, base : float64[G]
        Weighted means over the members.
    kept : bool[G]
        Groups that are offered.
    lost : bool[M]
        Running blocks that offer nothing.
    """

    group: Ints
    block: Ints
    cost: Ints
    probability: Floats
    reward: Floats
    base: Floats
    kept: Bools
    lost: Bools


def pool(groups: Groups, pooling: Pooling, cost: Ints, weight: Floats | None) -> Pooled:
    """Pool the members of each block.

    Parameters
    ----------
    cost : int64[C]
        Of the model's choices.
    weight : float64[S], optional
        See `latent_model`.
    """
    share = _shares(groups, weight)
    robust = pooling is Pooling.ROBUST
    edges = _worst(groups, cost, share) if robust else _typical(groups, cost)
    kept = groups.common.copy() if robust else np.ones(len(groups), dtype=np.bool_)
    lost = _prune(groups, edges[0], edges[1], kept)
    total = np.bincount(groups.of_choice, weights=share, minlength=len(groups))
    reward, base = (
        np.bincount(
            groups.of_choice, weights=values[groups.choice].astype(np.float64) * share,
            minlength=len(groups),
        ) / total
        for values in (groups.model.reward, groups.model.base_policy)
    )  # fmt: skip
    return Pooled(*edges, reward, base, kept, lost)


_Edges = tuple[Ints, Ints, Ints, Floats]
"""Group, block, cost, probability."""


def _shares(groups: Groups, weight: Floats | None) -> Floats:
    """The weight of each choice's state, relative to the largest of its block; float64[C']."""
    states = groups.model.S
    given = np.ones(states) if weight is None else np.asarray(weight, dtype=np.float64)
    if given.shape != (states,) or not np.isfinite(given).all() or (given < 0).any():
        raise ModelError.at(
            "weight", f"{states} finite numbers >= 0", f"shape {given.shape}",
            "give one for each state",
        )  # fmt: skip
    most = np.zeros(len(groups.partition))
    np.maximum.at(most, groups.partition.block, given)
    top = most[groups.partition.block]
    share = np.divide(given, top, out=np.ones(states), where=top > 0)
    return np.asarray(np.maximum(share, LEAST_SHARE)[groups.model.choice_state[groups.choice]])


def _worst(groups: Groups, cost: Ints, share: Floats) -> _Edges:
    """Everywhere that some member can lead, at the largest cost of the members that can."""
    place, block, probability = groups.moves
    blocks = len(groups.partition)
    key, edge = np.unique(groups.of_choice[place] * blocks + block, return_inverse=True)
    group = key // blocks
    most = np.full(len(key), np.iinfo(np.int64).min)
    np.maximum.at(most, edge, cost[groups.choice[place]])
    mass = np.bincount(edge, weights=probability * share[place], minlength=len(key))
    total = np.bincount(group, weights=mass, minlength=len(groups))
    return group, key % blocks, most, mass / total[group]


def _typical(groups: Groups, cost: Ints) -> _Edges:
    """Where most members can lead, at their mean cost to the nearest unit; halves go down."""
    place, block, _ = groups.moves
    blocks, count = len(groups.partition), np.diff(groups.ptr)
    key, votes = np.unique(groups.of_choice[place] * blocks + block, return_counts=True)
    group = key // blocks
    order = np.lexsort((key, -votes, group))
    first = order[np.unique(group[order], return_index=True)[1]]
    total = np.zeros(len(groups), dtype=np.int64)
    np.add.at(total, groups.of_choice, cost[groups.choice])
    mean = -((count - 2 * total) // (2 * count))
    return group[first], key[first] % blocks, mean[group[first]], np.ones(len(first))


def _prune(groups: Groups, group: Ints, block: Ints, kept: Bools) -> Bools:
    """Drop, in `kept`, what may lead to a block that offers nothing; those blocks, bool[M]."""
    while True:
        lost = ~groups.ended
        lost[groups.block[kept]] = False
        doomed = group[lost[block]]
        if not kept[doomed].any():
            return np.asarray(lost)
        kept[doomed] = False
