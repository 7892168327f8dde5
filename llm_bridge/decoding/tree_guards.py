"""Guards of the theory as decoders: token by token, on a tree that they were solved for.

The shield, the least-intrusive guard, the value filter and every other guard of `ig_theory`
play on the tree's `LatentMDP`; here the same guard decodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError
from ig_theory.guard import Guard, probabilities, view_of
from ig_theory.guards import open_guard
from ig_theory.tracker import ExactTracker
from llm_bridge.decoding.decoder import Drawn, Pick, Plain, State, World
from llm_bridge.decoding.problem import Beam
from llm_bridge.tree.latent_mdp import TreeModel


@dataclass(frozen=True, eq=False)
class StepGuard:
    """A guard of a tree's model, asked about one response at a time.

    Parameters
    ----------
    found
        What `latent_mdp` makes of a tree.
    constraint
        The one that the guard was made for.
    guard
    """

    found: TreeModel
    constraint: BudgetConstraint
    guard: Guard

    def law(self, tokens: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Next tokens and their probabilities under the guard.

        Raises
        ------
        GuardError
            If the tree does not hold the response, it has ended, or the guard's answer is no
            policy.
        """
        tree, mdp = self.found.tree, self.found.mdp
        node = tree.find(tokens)
        if node is None or tree.leaf[node]:
            raise GuardError.at(
                "response", "one that the tree holds, and that has not ended", tokens,
                "expand the tree further; a step guard knows nothing else",
            )  # fmt: skip
        row = mdp.cost_index(self.constraint.cost)
        tracker = ExactTracker(mdp, self.constraint)
        value = tracker.start
        for depth in range(1, len(tokens) + 1):
            edge = self.found.edge[tree.find(tokens[:depth])]
            value = tracker.step(value, int(mdp.cost[row, edge]))
        time = None if self.constraint.horizon is None else np.array([len(tokens)])
        view = view_of(mdp, (row,), np.array([node]), (tracker.remaining([value]),), time)
        mass = probabilities(self.guard, view)[0]
        meant = self.found.tokens[view.action[0][view.enabled[0]]]
        chosen = mass[view.enabled[0]]
        if (meant[chosen > 0] < 0).any():
            raise GuardError.at(
                "guard", "tokens that the tree holds", "mass on leaving it",
                "make the tree's model with other='cut'",
            )  # fmt: skip
        return meant[meant >= 0], chosen[meant >= 0]


@dataclass(frozen=True, eq=False)
class TreeGuard(Plain):
    """Decoding with a step guard."""

    name: str
    step: StepGuard

    def ask(self, state: State, world: World) -> Pick:
        """The guard's next token."""
        (beam,) = state.beams
        tokens, mass = self.step.law(beam.tokens)
        played = np.flatnonzero(mass > 0)
        blocks = [[int(tokens[k])] for k in played]
        options = world.grow([beam] * len(blocks), blocks)
        return Pick(tuple(options), tuple(mass[played].tolist()))

    def settle(self, state: State, drawn: Drawn, world: World) -> State:
        """The response with the token."""
        beams: tuple[Beam, ...] = drawn[0]
        return State(beams)


def tree_guard(spec: str, found: TreeModel, constraint: BudgetConstraint) -> TreeGuard:
    """A guard by name: ``shield``, ``least-intrusive``, ``value-filter:threshold=0.9`` and all
    others that `ig_theory.guards.open_guard` knows.

    Raises
    ------
    GuardError
        If there is no such guard.
    """
    name, guard = open_guard(spec, found.mdp, constraint)
    return TreeGuard(name, StepGuard(found, constraint, guard))
