"""The finite classes: all models with at most 2 states and 2 choices, up to symmetry.

A choice has a cost, a reward, a base weight and a support, any nonempty set of states; two
successors are equally probable. A class is closed under three changes that alter no statement
that is checked, so that one member of each orbit is enough:

* the order of a state's choices: every statement treats them alike;
* a choice listed twice: minima, maxima and "some choice" do not see it, and for the base policy
  the two copies have the same future, so that W is that of the single choice;
* the names of the states: the class is closed under swapping them, so that every statement is
  checked from state 0 only, on all members, instead of from both states.

Terminal states need no treatment of their own: such a state is a member's state whose only
choice is a free loop that pays nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from typing import Any

import numpy as np

from ig_theory.cmdp import Bools, ConstrainedMDP, Ints

Type = tuple[int, int, int, tuple[int, ...]]
"""A choice: cost, reward, base weight, support."""


@dataclass(frozen=True, eq=False)
class Members:
    """M models in rectangles over 2 states, 2 choices, 2 branches; what is absent is 0.

    Attributes
    ----------
    cost, reward, weight : int64[M, 2, 2]
        Per state and choice; `weight` is the base policy's, not scaled.
    successor : int64[M, 2, 2, 2]
        Per state, choice and branch.
    choices : int64[M, 2]
        How many choices each state has, 0 for an absent state.
    branches : int64[M, 2, 2]
        How many successors each choice has, 0 for an absent choice.
    """

    cost: Ints
    reward: Ints
    weight: Ints
    successor: Ints
    choices: Ints
    branches: Ints

    def __len__(self) -> int:
        return len(self.choices)

    def take(self, which: Any) -> Members:
        """Some of the members: a mask, indices or a slice.

        >>> len(members().take(slice(None, None, 100)))
        61
        """
        return Members(
            self.cost[which], self.reward[which], self.weight[which], self.successor[which],
            self.choices[which], self.branches[which],
        )  # fmt: skip


def members(
    costs: Sequence[int] = (0, 1, 2, 3),
    rewards: Sequence[int] = (0,),
    weights: Sequence[int] = (1,),
    deterministic: bool = False,
) -> Members:
    """All members of a class: those with one state, then those with two.

    Parameters
    ----------
    costs, rewards, weights
        What a choice may have.
    deterministic
        Whether supports have one state only.

    Examples
    --------
    12 kinds of choices, 12 + 66 kinds of states, 78^2 models of two states, and 4 + 6 of one:

    >>> len(members())
    6094
    """
    models: list[tuple[tuple[Type, ...], ...]] = []
    for states in (1, 2):
        supports: list[tuple[int, ...]] = [(s,) for s in range(states)]
        if states == 2 and not deterministic:
            supports.append((0, 1))
        types = list(product(costs, rewards, weights, supports))
        kinds = [*combinations(types, 1), *combinations(types, 2)]
        models += product(kinds, repeat=states)
    return _arrays(models)


def ordered_count(types: int, types_of_one_state: int) -> int:
    """How many models there are before symmetries are used: choices in order, repeats allowed.

    >>> ordered_count(12, 4)
    24356
    """
    return (types + types**2) ** 2 + types_of_one_state + types_of_one_state**2


def _arrays(models: Sequence[tuple[tuple[Type, ...], ...]]) -> Members:
    shape = (len(models), 2, 2)
    numbers = {name: np.zeros(shape, np.int64) for name in ("cost", "reward", "weight", "branches")}
    successor = np.zeros((*shape, 2), np.int64)
    choices = np.zeros(shape[:2], np.int64)
    for m, states in enumerate(models):
        for s, row in enumerate(states):
            choices[m, s] = len(row)
            for a, (cost, reward, weight, support) in enumerate(row):
                numbers["cost"][m, s, a] = cost
                numbers["reward"][m, s, a] = reward
                numbers["weight"][m, s, a] = weight
                numbers["branches"][m, s, a] = len(support)
                successor[m, s, a, : len(support)] = support
    return Members(
        numbers["cost"], numbers["reward"], numbers["weight"], successor, choices,
        numbers["branches"],
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Union:
    """All members side by side as one model, which starts in state 0 of each alike.

    Attributes
    ----------
    model : ConstrainedMDP
    state : int64[M, 2]
        The number of each member's state; -1 where it has none.
    choice : int64[M, 2, 2]
        The number of each member's choice; -1 where it has none.
    """

    model: ConstrainedMDP
    state: Ints
    choice: Ints


def union(group: Members, reward_discount: Fraction = Fraction(1)) -> Union:
    """The members as parts of one model; no part can reach another.

    >>> side_by_side = union(members().take(slice(0, 3)))
    >>> side_by_side.model.S, side_by_side.state.tolist()
    (3, [[0, -1], [1, -1], [2, -1]])
    """
    has_state = group.choices > 0
    has_choice = np.arange(2) < group.choices[:, :, None]
    has_branch = np.arange(2) < group.branches[:, :, :, None]
    state, choice = _numbered(has_state), _numbered(has_choice)
    owner = np.broadcast_to(np.arange(len(group))[:, None, None, None], has_branch.shape)
    count = group.branches[has_choice]
    weight = group.weight.astype(np.float64)
    base = weight / np.maximum(weight.sum(axis=2, keepdims=True), 1)
    first = np.zeros(int(has_state.sum()))
    first[state[:, 0]] = 1 / len(group)
    model = ConstrainedMDP(
        choice_ptr=_pointers(group.choices[has_state]),
        branch_ptr=_pointers(count),
        branch_state=state[owner[has_branch], group.successor[has_branch]],
        branch_prob=np.repeat(1.0 / count, count),
        reward=group.reward[has_choice].astype(np.float64),
        cost=group.cost[has_choice][None, :],
        initial=first,
        terminal=np.zeros(len(first), dtype=bool),
        reward_discount=reward_discount,
        base=base[has_choice],
    )
    return Union(model, state, choice)


def _numbered(present: Bools) -> Ints:
    return np.where(present, np.cumsum(present).reshape(present.shape) - 1, -1)


def _pointers(count: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
