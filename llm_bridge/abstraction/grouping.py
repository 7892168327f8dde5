"""What the members of each block can do: choices of a model, grouped by block and action."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from llm_bridge.abstraction.partition import Partition

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Groups:
    """Choices of running states, sorted by (block, action); G groups.

    Attributes
    ----------
    choice : int64[C']
        The model's choices in that order.
    ptr : int64[G+1]
        Choices of group g are ``choice[ptr[g] .. ptr[g+1]-1]``, one for each member that has it.
    block, action : int64[G]
    """

    model: ConstrainedMDP
    partition: Partition
    choice: Ints
    ptr: Ints
    block: Ints
    action: Ints

    @classmethod
    def of(cls, model: ConstrainedMDP, partition: Partition) -> Groups:
        """Group the choices; O(C log C).

        Raises
        ------
        ModelError
            If the partition is of another model, merges ended with running states, or a state
            has two choices of one action, which no guard that sees actions can tell apart.
        """
        _check(model, partition)
        running = np.flatnonzero(~model.terminal[model.choice_state])
        state, action = model.choice_state[running], model.choice_action[running]
        order = np.lexsort((state, action, partition.block[state]))
        choice, state, action = running[order], state[order], action[order]
        block = partition.block[state]
        new = np.ones(len(choice), dtype=np.bool_)
        new[1:] = (block[1:] != block[:-1]) | (action[1:] != action[:-1])
        twice = np.flatnonzero(~new[1:] & (state[1:] == state[:-1]))
        if len(twice):
            at = int(state[twice[0]])
            raise ModelError.at(
                f"state {model.state_name(at)!r}", "one choice for each action",
                f"two with action {int(action[twice[0]])}", "give each choice an action of its own",
            )  # fmt: skip
        start = np.flatnonzero(new)
        return cls(
            model, partition, choice, np.append(start, len(choice)), block[start], action[start]
        )

    def __len__(self) -> int:
        return len(self.block)

    @cached_property
    def size(self) -> Ints:
        """How many members each block has, int64[M]."""
        return np.bincount(self.partition.block, minlength=len(self.partition))

    @cached_property
    def ended(self) -> Bools:
        """Blocks in which the run is over, bool[M]."""
        found = np.zeros(len(self.partition), dtype=np.bool_)
        found[self.partition.block[self.model.terminal]] = True
        return found

    @cached_property
    def common(self) -> Bools:
        """Groups whose action every member of the block has, bool[G]."""
        return np.asarray(np.diff(self.ptr) == self.size[self.block])

    @cached_property
    def of_choice(self) -> Ints:
        """The group of each entry of `choice`, int64[C']."""
        return np.repeat(np.arange(len(self)), np.diff(self.ptr))

    @cached_property
    def moves(self) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """Where each choice leads: its place in `choice`, a block, the probability.

        Sorted by place and block; one entry for each block that the choice can lead to.
        """
        model, blocks = self.model, len(self.partition)
        place = np.full(model.C, -1, dtype=np.int64)
        place[self.choice] = np.arange(len(self.choice))
        branch = np.flatnonzero(place[model.branch_choice] >= 0)
        key = place[model.branch_choice[branch]] * blocks
        key += self.partition.block[model.branch_state[branch]]
        found, inverse = np.unique(key, return_inverse=True)
        probability = np.zeros(len(found))
        np.add.at(probability, inverse, model.branch_prob[branch].astype(np.float64))
        return found // blocks, found % blocks, probability


def _check(model: ConstrainedMDP, partition: Partition) -> None:
    block = partition.block
    if block.shape != (model.S,):
        raise ModelError.at(
            "partition", f"blocks of {model.S} states", f"{len(block)}", "partition this model"
        )
    both = np.intersect1d(block[model.terminal], block[~model.terminal])
    if len(both):
        first = model.state_name(int(np.flatnonzero(block == both[0])[0]))
        raise ModelError.at(
            f"the block of {first!r}", "states that all end the run, or none",
            "some of both", "keep them apart by cells_of",
        )  # fmt: skip
