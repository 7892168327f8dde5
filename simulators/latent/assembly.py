"""From a table of moves between named states to the arrays of a LatentMDP."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import LatentMDP

STAY = "stay"
"""The one choice of a terminal state, a loop that costs and pays nothing."""


@dataclass(frozen=True)
class Move:
    """One choice of a state: what it means, costs (in units), pays, and where it leads."""

    action: str
    cost: int
    reward: Fraction
    to: Mapping[str, Fraction]


def move(action: str, to: str, cost: int = 0, reward: Fraction | int = 0) -> Move:
    """A choice with one certain successor.

    >>> move("go", "home", reward=2).to
    {'home': Fraction(1, 1)}
    """
    return Move(action, cost, Fraction(reward), {to: Fraction(1)})


@dataclass(frozen=True)
class Table:
    """A small latent MDP as a person would write it down.

    Attributes
    ----------
    moves : state name to its moves
        A state without moves is terminal. The order is that of the state numbers.
    latent : state name to its latent
    readout : action to its row of the readout
    initial : state name to its probability, not all states
    labels : label to the names of its states
    """

    moves: Mapping[str, Sequence[Move]]
    latent: Mapping[str, Sequence[float]]
    readout: Mapping[str, Sequence[float]]
    initial: Mapping[str, Fraction]
    cost_unit: Fraction = Fraction(1)
    reward_discount: Fraction = Fraction(1)
    labels: Mapping[str, Collection[str]] = field(default_factory=dict)


def assemble(table: Table, exact: bool) -> LatentMDP:
    """The table as a LatentMDP; probabilities and rewards are Fractions if `exact`.

    Raises
    ------
    ModelError
        If the table is no constrained MDP.

    Examples
    --------
    >>> table = Table({"s": [move("go", "end", cost=1)], "end": []}, {"s": [0], "end": [1]},
    ...               {"go": [1]}, {"s": Fraction(1)})
    >>> model = assemble(table, exact=True)
    >>> model.terminal.tolist(), model.cost.tolist(), model.base_policy.tolist()
    ([False, True], [[1, 0]], [Fraction(1, 1), Fraction(1, 1)])
    """
    number = {name: i for i, name in enumerate(table.moves)}
    rows = [list(moves) or [move(STAY, name)] for name, moves in table.moves.items()]
    choices = [choice for row in rows for choice in row]
    width = len(next(iter(table.latent.values())))
    readout = {**table.readout, STAY: [0.0] * width}
    action = {name: i for i, name in enumerate(readout)}
    branches = [branch for choice in choices for branch in choice.to.items()]
    return LatentMDP(
        choice_ptr=_pointers(rows),
        branch_ptr=_pointers([choice.to for choice in choices]),
        branch_state=np.array([number[name] for name, _ in branches], dtype=np.int64),
        branch_prob=_numbers([probability for _, probability in branches], exact),
        reward=_numbers([choice.reward for choice in choices], exact),
        cost=np.array([[choice.cost for choice in choices]], dtype=np.int64),
        initial=_numbers([table.initial.get(name, Fraction(0)) for name in number], exact),
        terminal=np.array([not moves for moves in table.moves.values()]),
        cost_unit=table.cost_unit,
        reward_discount=table.reward_discount,
        action=np.array([action[choice.action] for choice in choices], dtype=np.int64),
        state_names=tuple(number),
        choice_names=tuple(choice.action for choice in choices),
        labels={
            label: np.array([name in members for name in number])
            for label, members in table.labels.items()
        },
        latent=np.array([table.latent[name] for name in number], dtype=np.float64),
        readout=np.array(list(readout.values()), dtype=np.float64),
    )


def _pointers(rows: Sequence[Collection[Any]]) -> npt.NDArray[np.int64]:
    return np.array([0, *accumulate(len(row) for row in rows)], dtype=np.int64)


def _numbers(values: Sequence[Fraction], exact: bool) -> npt.NDArray[Any]:
    return np.array(values, dtype=object if exact else np.float64)
