"""The constrained MDP of the blocks: the worst case over each block, or what is naively typical.

*Robust*: an action is offered where every member of a block has it (an action that some member
lacks could not be played there, so in the worst case it costs infinitely much: the intersection is
what the union with a worst case comes to). It may lead to every block that it leads to from any
member, at the largest cost of the members from which it leads there. What such a model can keep,
the real one can (THEORY T2.sound).

*Naive*: an action is offered where any member has it, costs what it costs on average, and leads
where it leads from most members. That is what a critic fitted to means believes; it is no bound.

A step's cost depends on where it leads, so it is *due on arrival*: a state of the latent model is
a block with what is still to be paid for the step into it, and each of its choices costs just
that. Its minimal budget is ``E(x, c) = c + gamma D(x)``, hence ``D(x) = E(x, 0) / gamma``, with one
step more to go.

Costs are whole units in both. Rewards and probabilities are weighted means, for values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ig_theory.cmdp import ConstrainedMDP
from llm_bridge.abstraction.grouping import Groups
from llm_bridge.abstraction.partition import Partition
from llm_bridge.abstraction.pooling import Pooled, Pooling, pool

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LatentModel:
    """A model of the blocks of a partition.

    Attributes
    ----------
    cost : int
        Which cost of the real model it keeps; `mdp` has that one only.
    mdp : ConstrainedMDP
        State m < M is block m with nothing due; the others are blocks with something due.
        Actions are those of the real model, ascending in each state.
    block, due : int64[mdp.S]
        What each state of `mdp` is; the amount due in units.
    lost : bool[M]
        Blocks from which no action surely leads on among blocks that have a common action:
        they are ends in `mdp`, no choice leads to them, and their robust demand is infinite.
    """

    model: ConstrainedMDP
    partition: Partition
    pooling: Pooling
    cost: int
    mdp: ConstrainedMDP
    block: Ints
    due: Ints
    lost: Bools

    @cached_property
    def _keys(self) -> Ints:
        first = slice(int(self.mdp.choice_ptr[len(self.partition)]))
        return self.mdp.choice_state[first] * self._width + self.mdp.choice_action[first]

    @property
    def _width(self) -> int:
        return int(self.model.choice_action.max()) + 1

    def choices(self, block: Ints, action: Ints) -> Ints:
        """The choice of `mdp` that each (block, action) is, -1 if none; of any equal shapes."""
        key = block * self._width + action
        at = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        there = (self._keys[at] == key) & (action >= 0) & ~self.mdp.terminal[block]
        return np.where(there, at, -1)


def latent_model(
    model: ConstrainedMDP,
    partition: Partition,
    pooling: Pooling | str = Pooling.ROBUST,
    weight: Floats | None = None,
    cost: int | str = 0,
) -> LatentModel:
    """The model of the blocks.

    Parameters
    ----------
    weight : float64[S], optional
        How much each state counts in means of rewards and probabilities (its probability of being
        met, say); all alike by default. Never enters what is safe.
    cost
        Which cost of the model.

    Raises
    ------
    ModelError
        See `Groups.of`; or if weights are no finite numbers >= 0.

    Examples
    --------
    >>> from simulators.latent import aliased
    >>> made = latent_model(aliased(), Partition.of(np.array([0, 0, 1])))
    >>> made.block.tolist(), made.due.tolist()  # a and b each may cost 1, due at the end
    ([0, 1, 1], [0, 0, 1])
    """
    groups, row = Groups.of(model, partition), model.cost_index(cost)
    pooled = pool(groups, Pooling(pooling), model.cost[row], weight)
    blocks = len(partition)
    live = np.flatnonzero(pooled.kept[pooled.group])
    arrival = np.column_stack([pooled.block, pooled.cost])[live]
    extra, place = np.unique(arrival[arrival[:, 1] != 0], axis=0, return_inverse=True)
    to = arrival[:, 0].copy()
    to[arrival[:, 1] != 0] = blocks + place.ravel()
    block = np.concatenate([np.arange(blocks), extra[:, 0]])
    due = np.concatenate([np.zeros(blocks, dtype=np.int64), extra[:, 1]])
    mdp = _assemble(groups, pooled, row, block, due, (pooled.group[live], to, live))
    return LatentModel(model, partition, Pooling(pooling), row, mdp, block, due, pooled.lost)


def _assemble(
    groups: Groups, pooled: Pooled, row: int, block: Ints, due: Ints, edges: tuple[Ints, Ints, Ints]
) -> ConstrainedMDP:
    """States are given; `edges` are (group, state, place in `pooled`), sorted by group."""
    model, blocks = groups.model, len(groups.partition)
    over = groups.ended | pooled.lost
    offered = np.flatnonzero(pooled.kept)
    first = np.searchsorted(groups.block[offered], np.arange(blocks + 1))
    count = np.where(over, 1, np.diff(first))[block]
    owner = np.repeat(np.arange(len(block)), count)
    idle = over[block[owner]]
    group = np.zeros(len(owner), dtype=np.int64)
    inside = np.flatnonzero(~idle)
    group[inside] = offered[_runs(first[block], count)[inside]]
    begin = np.searchsorted(edges[0], group)
    width = np.where(idle, 1, np.searchsorted(edges[0], group, side="right") - begin)
    at = _runs(begin, width)
    stay = np.repeat(idle, width)
    at[stay] = 0
    follow, chance = np.repeat(block[owner], width), np.ones(len(at))
    follow[~stay] = edges[1][at[~stay]]
    chance[~stay] = pooled.probability[edges[2][at[~stay]]]
    halt = model.choice_action[model.choice_ptr[_firsts(groups)]][block[owner]]
    reward, base = np.zeros(len(owner)), np.ones(len(owner))
    action = halt.copy()
    for out, values in ((reward, pooled.reward), (base, pooled.base), (action, groups.action)):
        out[inside] = values[group[inside]]
    initial = np.zeros(len(block))
    np.add.at(initial, groups.partition.block, model.initial.astype(np.float64))
    return ConstrainedMDP(
        choice_ptr=np.concatenate([[0], np.cumsum(count)]),
        branch_ptr=np.concatenate([[0], np.cumsum(width)]),
        branch_state=follow, branch_prob=chance, reward=reward, cost=due[owner][None, :],
        initial=initial / initial.sum(),
        terminal=np.concatenate([over, np.zeros(len(block) - blocks, dtype=np.bool_)]),
        cost_unit=model.cost_unit, reward_discount=model.reward_discount,
        base=_scaled(base, owner, len(block)), action=action,
        state_names=_names(groups, block, due),
        cost_names=None if model.cost_names is None else (model.cost_names[row],),
    )  # fmt: skip


def _runs(begin: Ints, count: Ints) -> Ints:
    """begin[i], begin[i] + 1, …, count[i] numbers for each i, one after the other."""
    ends = np.cumsum(count)
    return np.asarray(np.arange(int(ends[-1])) + np.repeat(begin - (ends - count), count))


def _scaled(weight: Floats, owner: Ints, states: int) -> Floats:
    """Weights scaled to total 1 in each state; uniform where there is none."""
    total = np.bincount(owner, weights=weight, minlength=states)
    count = np.bincount(owner, minlength=states)
    blank = total[owner] <= 0
    return np.where(blank, 1 / count[owner], weight / np.where(blank, 1.0, total[owner]))


def _firsts(groups: Groups) -> Ints:
    """The first member of each block."""
    return np.unique(groups.partition.block, return_index=True)[1]


def _names(groups: Groups, block: Ints, due: Ints) -> tuple[str, ...]:
    of = [
        groups.model.state_name(first) + (f" and {count - 1} more" if count > 1 else "")
        for first, count in zip(_firsts(groups).tolist(), groups.size.tolist(), strict=True)
    ]
    unit = groups.model.cost_unit
    return tuple(
        of[x] + (f", {c * unit} due" if c else "")
        for x, c in zip(block.tolist(), due.tolist(), strict=True)
    )
