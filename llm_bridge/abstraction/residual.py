"""The aliasing residual: how far states of one block are from being interchangeable.

Measured exactly against the hypotheses of THEORY T2.exact (actions, costs, ends, sets of successor
blocks) and T2.optimum (rewards and lumped probabilities too), on every block and action. Ends
agree by construction: `Groups` refuses blocks in which only some states end the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ig_theory.cmdp import ConstrainedMDP
from llm_bridge.abstraction.grouping import Groups
from llm_bridge.abstraction.latent_model import LatentModel
from llm_bridge.abstraction.partition import Partition

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Probabilities closer than this are taken as equal: they are sums of floats."""


@dataclass(frozen=True)
class Offence:
    """Two states of one block that differ most in one respect.

    Attributes
    ----------
    kind : {"actions", "cost", "successors", "probability", "reward"}
    states : (int, int)
    action : int
    amount : Fraction or float
        By how much; 1 where they simply differ.
    text : str
        For people, with names.
    """

    kind: str
    states: tuple[int, int]
    action: int
    amount: Fraction | float
    text: str


@dataclass(frozen=True)
class Residual:
    """How far a partition is from losing nothing.

    Attributes
    ----------
    states, blocks : int
        Of running states.
    actions : int
        Blocks whose members do not have the same actions.
    cost : Fraction
        The largest difference of costs of one action within a block, in cost units: the epsilon
        of THEORY T2.error.
    successors : int
        Pairs (block, action) that can lead to different sets of blocks.
    probability : float
        The largest total variation between the lumped successors of two members.
    reward : float
        The largest difference of rewards of one action within a block.
    worst : tuple of Offence
        The worst offender of each kind that there is.
    """

    states: int
    blocks: int
    actions: int
    cost: Fraction
    successors: int
    probability: float
    reward: float
    worst: tuple[Offence, ...]

    @property
    def lumps(self) -> bool:
        """Whether actions and sets of successors agree: the supports lump."""
        return self.actions == 0 and self.successors == 0

    @property
    def exact(self) -> bool:
        """Whether the hypotheses of THEORY T2.exact hold: no safety is lost."""
        return self.lumps and self.cost == 0

    @property
    def optimum(self) -> bool:
        """Whether those of THEORY T2.optimum hold too (probabilities up to rounding)."""
        return self.exact and self.reward == 0 and self.probability <= ROUNDING

    @property
    def text(self) -> str:
        """All of it, for people."""
        head = f"{self.states} running states in {self.blocks} blocks: "
        if self.optimum:
            return head + "nothing is lost, neither safety nor reward"
        verdict = "no safety is lost" if self.exact else "safety may be lost"
        return "\n".join([head + verdict, *(f"  {each.text}" for each in self.worst)])


def residual(model: ConstrainedMDP, partition: Partition, cost: int | str = 0) -> Residual:
    """Measure a partition.

    Time about O(C log C); where choices have several branches, quadratic in the number of
    distinct distributions of a block and action.

    Examples
    --------
    >>> from simulators.latent import aliased
    >>> found = residual(aliased(), Partition.of(np.array([0, 0, 1])))
    >>> found.exact, found.cost, found.lumps
    (False, Fraction(1, 1), True)
    >>> print(found.worst[0].text)
    cost of 'a': 0 in 'left 0', 1 in 'right 0'
    """
    groups = Groups.of(model, partition)
    row = model.cost_index(cost)
    offences = [
        _actions(groups),
        _spread(groups, model.cost[row], "cost", model.cost_unit),
        _successors(groups),
        _probability(groups),
        _spread(groups, model.reward, "reward", None),
    ]
    counts = [count for count, _ in offences]
    running = ~model.terminal
    return Residual(
        states=int(running.sum()), blocks=len(np.unique(partition.block[running])),
        actions=int(counts[0]), cost=Fraction(counts[1]), successors=int(counts[2]),
        probability=float(counts[3]), reward=float(counts[4]),
        worst=tuple(offence for _, offence in offences if offence is not None),
    )  # fmt: skip


_Found = tuple[Fraction | float, Offence | None]


def _actions(groups: Groups) -> _Found:
    short = np.flatnonzero(~groups.common)
    blocks = np.unique(groups.block[short])
    if not len(blocks):
        return 0, None
    group = int(short[0])
    having = groups.model.choice_state[groups.choice[groups.ptr[group] : groups.ptr[group + 1]]]
    lacking = np.setdiff1d(groups.partition.members(int(groups.block[group])), having)
    pair = int(having[0]), int(lacking[0])
    name, one, two = _named(groups, group, pair)
    text = f"{len(blocks)} blocks differ in actions: {one} has {name}, {two} has not"
    return len(blocks), Offence("actions", pair, int(groups.action[group]), 1.0, text)


def _spread(
    groups: Groups, values: NDArray[np.generic], kind: str, unit: Fraction | None
) -> _Found:
    """The largest difference of numbers within a group."""
    if not len(groups):
        return 0, None
    held = values[groups.choice]
    start = groups.ptr[:-1]
    gap = np.maximum.reduceat(held, start) - np.minimum.reduceat(held, start)
    group = int(np.argmax(gap))
    amount = float(gap[group]) if unit is None else int(gap[group]) * unit
    if amount == 0:
        return amount, None
    part = held[groups.ptr[group] : groups.ptr[group + 1]]
    at = [int(np.argmin(part)), int(np.argmax(part))]
    low, high = (groups.choice[groups.ptr[group] + i] for i in at)
    pair = int(groups.model.choice_state[low]), int(groups.model.choice_state[high])
    name, one, two = _named(groups, group, pair)
    shown = [
        f"{float(values[c]):.6g}" if unit is None else str(int(values[c]) * unit)
        for c in (low, high)
    ]
    text = f"{kind} of {name}: {shown[0]} in {one}, {shown[1]} in {two}"
    return amount, Offence(kind, pair, int(groups.action[group]), amount, text)


def _successors(groups: Groups) -> _Found:
    differing = _differing(groups)
    if not len(differing):
        return 0, None
    group, target = differing[0]
    pair = _has_and_lacks(groups, group, target)
    name, one, two = _named(groups, group, pair)
    into = groups.model.state_name(int(groups.partition.members(target)[0]))
    count = len(np.unique(differing[:, 0]))
    text = (
        f"{count} pairs of block and action differ in where they lead: {name} can lead from {one} "
        f"to the block of {into!r}, from {two} it cannot"
    )
    return count, Offence("successors", pair, int(groups.action[group]), 1.0, text)


def _differing(groups: Groups) -> Ints:
    """Pairs (group, block) where some choices of the group can lead to the block and some not."""
    place, block, _ = groups.moves
    blocks = len(groups.partition)
    key, votes = np.unique(groups.of_choice[place] * blocks + block, return_counts=True)
    group = key // blocks
    partial = votes < np.diff(groups.ptr)[group]
    return np.column_stack([group[partial], key[partial] % blocks])


def _has_and_lacks(groups: Groups, group: int, target: int) -> tuple[int, int]:
    """A member whose choice can lead to a block, and one whose choice cannot."""
    place, block, _ = groups.moves
    inside = np.arange(groups.ptr[group], groups.ptr[group + 1])
    leads = np.isin(inside, place[block == target])
    state = groups.model.choice_state[groups.choice[inside]]
    return int(state[leads][0]), int(state[~leads][0])


def _probability(groups: Groups) -> _Found:
    place, _, probability = groups.moves
    if len(place) == len(groups.choice):  # every choice is certain of its block
        differing = _differing(groups)
        if not len(differing):
            return 0.0, None
        group, target = (int(n) for n in differing[0])
        return _variation(groups, group, _has_and_lacks(groups, group, target), 1.0)
    most, found = 0.0, (0, (0, 0))
    for group, rows in _tables(groups, probability):
        distinct, first = np.unique(rows, axis=0, return_index=True)
        for i in range(len(distinct) - 1):
            far = np.abs(distinct[i + 1 :] - distinct[i]).sum(axis=1) / 2
            j = int(np.argmax(far))
            if far[j] > most:
                most, found = float(far[j]), (group, (int(first[i]), int(first[i + 1 + j])))
    if most <= ROUNDING:
        return most, None
    group, at = found
    one, two = (groups.model.choice_state[groups.choice[groups.ptr[group] + i]] for i in at)
    return _variation(groups, group, (int(one), int(two)), most)


def _variation(groups: Groups, group: int, pair: tuple[int, int], most: float) -> _Found:
    name, one, two = _named(groups, group, pair)
    text = f"successors of {name}: total variation {most:.4g} between {one} and {two}"
    return most, Offence("probability", pair, int(groups.action[group]), most, text)


def _tables(groups: Groups, probability: Floats) -> Iterator[tuple[int, Floats]]:
    """For each group of several choices, where each leads: rows [choices, blocks met]."""
    place, block, _ = groups.moves
    bounds = np.searchsorted(place, groups.ptr)
    for group in np.flatnonzero(np.diff(groups.ptr) > 1).tolist():
        part = slice(int(bounds[group]), int(bounds[group + 1]))
        met, column = np.unique(block[part], return_inverse=True)
        rows = np.zeros((int(groups.ptr[group + 1] - groups.ptr[group]), len(met)))
        rows[place[part] - groups.ptr[group], column] = probability[part]
        yield group, rows


def _named(groups: Groups, group: int, pair: tuple[int, int]) -> tuple[str, str, str]:
    model = groups.model
    name = model.choice_name(int(groups.choice[groups.ptr[group]]))
    return repr(name), repr(model.state_name(pair[0])), repr(model.state_name(pair[1]))


@dataclass(frozen=True)
class Simulation:
    """Whether a latent model may stand for the real one: the hypotheses of THEORY T2.sound.

    Attributes
    ----------
    missing : int
        Pairs (running state, action of its block) that the state does not have.
    underpriced : Fraction
        The most by which the latent model's cost of a branch is below the real one.
    uncovered : int
        Branches of the real model that the latent one does not have.
    """

    missing: int
    underpriced: Fraction
    uncovered: int

    @property
    def holds(self) -> bool:
        """Whether what the latent model can keep, the real one can."""
        return self.missing == 0 and self.underpriced == 0 and self.uncovered == 0


def simulation(latent: LatentModel) -> Simulation:
    """Check it, directly on the finished latent model; O(B log B).

    Lost blocks offer nothing, so that nothing is asked of them.
    """
    model, mdp, blocks = latent.model, latent.mdp, len(latent.partition)
    block, cost = latent.partition.block, model.cost[latent.cost]
    of = latent.choices(block[model.choice_state], model.choice_action)
    have = np.bincount(of[of >= 0], minlength=mdp.C)
    members = np.bincount(block[~model.terminal], minlength=mdp.S)
    nothing_due = (mdp.choice_state < blocks) & ~mdp.terminal[mdp.choice_state]
    missing = (members[mdp.choice_state] - have)[nothing_due]
    into, most = np.unique(
        mdp.branch_choice * blocks + latent.block[mdp.branch_state], return_inverse=True
    )
    priced = np.full(len(into), np.iinfo(np.int64).min)
    np.maximum.at(priced, most.ravel(), latent.due[mdp.branch_state])
    branch = np.flatnonzero(of[model.branch_choice] >= 0)
    choice = model.branch_choice[branch]
    wanted = of[choice] * blocks + block[model.branch_state[branch]]
    at = np.minimum(np.searchsorted(into, wanted), len(into) - 1)
    covered = into[at] == wanted
    below = (cost[choice] - priced[at])[covered].max(initial=0)
    return Simulation(
        int(missing.sum()), int(max(below, 0)) * model.cost_unit, int((~covered).sum())
    )
