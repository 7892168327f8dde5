"""A token tree as a world: every block with its exact probability."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError
from llm_bridge.decoding.decoder import Blocks, Drawn, Pick, Twist
from llm_bridge.decoding.foreign import no_law, twisted
from llm_bridge.decoding.problem import Beam, Problem
from llm_bridge.tree.latent_mdp import TreeModel

Law = tuple[tuple[Beam, Any], ...]
"""Beams and their probabilities, float or Fraction, in total 1."""


class TreeWorld:
    """The responses of a token tree, with the costs and rewards of its `LatentMDP`.

    Parameters
    ----------
    found
        What `latent_mdp` makes of a tree; truncated mass must be cut (``other="cut"``), so that
        laws are those of the model restricted to the tree.
    constraint
    end
        The token that ends a response.
    generator
        For `draw`; not needed for exact laws.
    exact
        Probabilities as Fractions: each row of floats taken as the rationals they are and
        scaled to total exactly 1.

    Raises
    ------
    GuardError
        If the tree has a branch that leaves it, or its responses do not end with `end`.
    """

    def __init__(
        self,
        found: TreeModel,
        constraint: BudgetConstraint,
        end: int | None,
        generator: np.random.Generator | None = None,
        exact: bool = False,
    ) -> None:
        self.found, self.tree, self.mdp = found, found.tree, found.mdp
        if len(self.tree) < self.mdp.S:
            raise GuardError.at(
                "tree", "one that no branch leaves", "truncated mass as a choice",
                "make its model with other='cut'",
            )  # fmt: skip
        over = (self.tree.token == end) | (self.tree.depth >= self.tree.horizon)
        if not np.array_equal(self.tree.leaf[1:], over[1:]):
            raise GuardError.at("end", "the token that ends responses of the tree", end, "name it")
        row = self.mdp.cost_index(constraint.cost)
        self.problem = Problem(
            constraint, self.mdp.cost_unit, self.tree.horizon, end, self.mdp.reward_discount
        )
        self.exact = exact
        self._generator = generator
        self._cost = self.mdp.cost[row]
        self._reward = np.asarray(self.mdp.reward, dtype=np.float64)
        self._base = np.asarray(self.mdp.base_policy, dtype=np.float64)
        self._beams: dict[int, Beam] = {0: self.problem.root}
        self._nodes: dict[tuple[int, ...], int] = {(): 0}
        self._laws: dict[tuple[int, Twist | None], tuple[Any, ...]] = {}
        self._blocks: dict[tuple[int, int, Twist | None], dict[int, Any]] = {}

    def node(self, beam: Beam) -> int:
        """The tree's node of a beam.

        Raises
        ------
        GuardError
            If the tree does not hold it.
        """
        found = self._nodes.get(beam.tokens)
        if found is None:
            found = self.tree.find(beam.tokens)
            if found is None:
                raise GuardError.at(
                    "beam", "a response that the tree holds", beam.tokens,
                    "expand with every token that the decoder forces",
                )  # fmt: skip
            self._nodes[beam.tokens] = found
        return found

    def beam(self, node: int) -> Beam:
        """The beam of a node."""
        if node not in self._beams:
            edge = int(self.found.edge[node])
            above = self.beam(int(self.tree.parent[node]))
            made = self.problem.extend(
                above, (int(self.tree.token[node]),), (int(self._cost[edge]),),
                (float(self._reward[edge]),), (float(np.log(self._base[edge])),),
            )  # fmt: skip
            self._beams[node] = made
            self._nodes[made.tokens] = node
        return self._beams[node]

    def grow(self, beams: Sequence[Beam], blocks: Sequence[Sequence[int]]) -> list[Beam]:
        """Each beam followed by the given tokens."""
        return [
            self.beam(self.node(Beam(beam.tokens + tuple(block))))
            for beam, block in zip(beams, blocks, strict=True)
        ]

    def top(self, beam: Beam, count: int | None) -> list[tuple[Beam, float]]:
        """The likeliest next tokens."""
        children = self.tree.children(self.node(beam))
        base = self._base[self.found.edge[children.start : children.stop]]
        order = sorted(range(len(base)), key=lambda k: (-base[k], self.tree.token[children[k]]))
        return [(self.beam(children[k]), float(np.log(base[k]))) for k in order[:count]]

    def hidden(self, beams: Sequence[Beam]) -> NDArray[np.floating[Any]]:
        """The latent after each beam, float[N, D]."""
        nodes = [self.node(beam) for beam in beams]
        if self.tree.hidden is None or not self.tree.known[nodes].all():
            raise GuardError.at(
                "tree", "a latent for every beam", "none", "expand with leaf_hidden=True"
            )
        return self.tree.hidden[nodes]

    def law(self, beam: Beam, width: int, twist: Twist | None = None) -> Law:
        """Every block of up to `width` tokens after a beam, with its probability."""
        found = self._block(self.node(beam), width, twist)
        return tuple((self.beam(node), mass) for node, mass in found.items())

    def draw(self, wish: Blocks | Pick) -> Drawn:
        """What is wished for, at random.

        Raises
        ------
        GuardError
            If the world was made without a generator.
        """
        if self._generator is None:
            raise GuardError.at("TreeWorld", "a generator to draw with", "none", "give one")
        if isinstance(wish, Pick):
            weights = np.asarray(wish.weights, dtype=np.float64)
            row = int(self._generator.choice(len(weights), p=weights / weights.sum()))
            return ((wish.options[row],),)
        drawn = []
        for beam in wish.beams:
            law = self.law(beam, wish.width, wish.twist)
            mass = np.array([float(p) for _, p in law])
            rows = self._generator.choice(len(law), size=wish.count, p=mass / mass.sum())
            drawn.append(tuple(law[int(row)][0] for row in rows))
        return tuple(drawn)

    def effort(self) -> tuple[int, float]:
        """Nothing is read, and costs are known."""
        return 0, 0.0

    def text(self, beam: Beam) -> str:
        """The name of the beam's state."""
        return self.mdp.state_name(self.node(beam))

    def _block(self, node: int, width: int, twist: Twist | None) -> dict[int, Any]:
        key = (node, width, twist)
        if key not in self._blocks:
            found: dict[int, Any] = {}
            for child, mass in zip(self.tree.children(node), self._next(node, twist), strict=True):
                if not mass:
                    continue
                if width == 1 or self.tree.leaf[child]:
                    found[child] = mass
                else:
                    for below, part in self._block(child, width - 1, twist).items():
                        found[below] = mass * part
            self._blocks[key] = found
        return self._blocks[key]

    def _next(self, node: int, twist: Twist | None) -> tuple[Any, ...]:
        """Probabilities of the children of a node."""
        key = (node, twist)
        if key not in self._laws:
            children = self.tree.children(node)
            base = self._base[self.found.edge[children.start : children.stop]]
            if twist is not None:
                base = self._twisted(node, np.log(base), twist)
            if self.exact:
                rationals = [Fraction(float(p)) for p in base]
                total = sum(rationals)
                self._laws[key] = tuple(p / total for p in rationals)
            else:
                self._laws[key] = tuple((base / base.sum()).tolist())
        return self._laws[key]

    def _twisted(self, node: int, base: NDArray[np.float64], twist: Twist) -> Any:
        children = self.tree.children(node)
        tokens = self.tree.token[children.start : children.stop]
        row = torch.full((1, self.tree.vocabulary), -torch.inf, dtype=torch.float64)
        row[0, torch.as_tensor(tokens.copy())] = torch.as_tensor(base)
        hidden = torch.as_tensor(self.hidden([self.beam(node)]).copy())
        said = torch.as_tensor([list(self.beam(node).tokens)], dtype=torch.int64)
        score = twisted(twist, row, hidden, said).numpy()[0][tokens]
        if not np.isfinite(score.max()):
            raise no_law()
        return np.exp(score - score.max())
