"""A small model as lists, and its graph questions, without a compiler.

The answers are those of `end_components`, whose compiled loops a small problem does not wait for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.errors import IGTheoryError, SolverError
from ig_theory.solvers.totals.states import branch_probabilities, exact_branches


@dataclass(frozen=True)
class Choices:
    """A model as lists; numbers are all floats or all Fractions."""

    owner: list[int]
    gain: list[Any]
    branches: list[list[tuple[Any, int]]]
    terminal: list[bool]
    name: list[str]

    @property
    def states(self) -> int:
        """How many states there are."""
        return len(self.terminal)


def both_signs(state: str) -> IGTheoryError:
    """The error for undiscounted rewards whose total need not exist."""
    return SolverError.at(
        f"undiscounted reward around state {state}",
        "rewards of one sign wherever a run can stay for ever", "both signs",
        "set a discount below 1, or a horizon",
    )  # fmt: skip


def endless_policy(model: ConstrainedMDP, gain: Floats, alive: list[int], gainful: Bools) -> Ints:
    """Choices that collect reward for ever from every state that can, by `alive` choices."""
    game = as_lists(model, gain, False)
    members = set(np.flatnonzero(gainful).tolist())
    return np.array(standing_policy(game, members, set(alive), set()), dtype=np.int64)


def as_lists(model: ConstrainedMDP, gain: Any, exact: bool) -> Choices:
    """The model with the given gains, in floats or exact; probabilities total 1."""
    branches: list[list[tuple[Any, int]]] = []
    if exact:
        branches.extend(list(row) for row in exact_branches(model))
    else:
        prob = branch_probabilities(model).tolist()
        pairs = list(zip(prob, model.branch_state.tolist(), strict=True))
        pointers = model.branch_ptr.tolist()
        branches.extend(pairs[i:j] for i, j in pairwise(pointers))
    names = [model.state_name(s) for s in range(model.S)]
    return Choices(
        model.choice_state.tolist(), list(gain), branches, model.terminal.tolist(), names
    )


def components(game: Choices, alive: set[int]) -> tuple[dict[int, int], set[int]]:
    """Maximal end components: the component of each member, and the choices that stay inside."""
    alive = set(alive)
    while True:
        edges = [(game.owner[c], t) for c in alive for _, t in game.branches[c]]
        rows, columns = zip(*edges, strict=True) if edges else ((), ())
        shape = (game.states, game.states)
        graph = coo_array((np.ones(len(edges)), (np.array(rows, int), np.array(columns, int))),
                          shape=shape).tocsr()  # fmt: skip
        part = connected_components(graph, connection="strong")[1].tolist()
        leaving = {
            c for c in alive if any(part[t] != part[game.owner[c]] for _, t in game.branches[c])
        }
        if not leaving:
            return {game.owner[c]: part[game.owner[c]] for c in alive}, alive
        alive -= leaving


def toward(game: Choices, alive: Iterable[int], target: Iterable[int]) -> dict[int, int]:
    """A choice of `alive` that may lead closer to `target`, for each state that can reach it."""
    before: dict[int, list[int]] = {}
    for c in sorted(alive):
        for _, t in game.branches[c]:
            before.setdefault(t, []).append(c)
    queue = sorted(set(target))
    seen, step = set(queue), {}
    for state in queue:
        for c in before.get(state, ()):
            if game.owner[c] not in seen:
                seen.add(game.owner[c])
                step[game.owner[c]] = c
                queue.append(game.owner[c])
    return step


def almost_surely(game: Choices, target: set[int]) -> tuple[set[int], set[int]]:
    """States that can reach `target` with probability 1, and the choices that keep them so."""
    alive = set(range(len(game.owner)))
    while True:
        reaching = target | set(toward(game, alive, target))
        losing = {
            c for c in alive
            if game.owner[c] not in reaching or any(t not in reaching for _, t in game.branches[c])
        }  # fmt: skip
        if not losing:
            return reaching, alive
        alive -= losing


def gainful_members(game: Choices, component: dict[int, int], internal: set[int]) -> set[int]:
    """The members of end components in which reward can be collected for ever."""
    gains = {component[game.owner[c]] for c in internal if game.gain[c] > 0}
    pays = {component[game.owner[c]] for c in internal if game.gain[c] < 0}
    if gains & pays:
        state = next(s for s in component if component[s] in gains & pays)
        raise both_signs(game.name[state])
    return {s for s in component if component[s] in gains}


def standing_policy(
    game: Choices, gainful: set[int], alive: set[int], internal: set[int]
) -> list[int]:
    """Collect reward for ever where that is possible, else stay at no reward, else anything."""
    policy = [-1] * game.states
    for c in reversed(range(len(game.owner))):
        policy[game.owner[c]] = c
    for c in sorted(internal, reverse=True):
        policy[game.owner[c]] = c
    inside = components(game, set(range(len(game.owner))))[1]
    paying = {game.owner[c]: c for c in inside if game.owner[c] in gainful and game.gain[c] > 0}
    for step in (
        toward(game, alive, gainful),
        toward(game, {c for c in inside if game.owner[c] in gainful}, paying),
        paying,
    ):
        for s, c in step.items():
            policy[s] = c
    return policy
