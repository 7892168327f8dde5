"""Search by blocks: what best-of-N, beam search and InferenceGuard have in common.

Each round draws N blocks for each beam that has not ended, scores all of them together with
the beams that have, and keeps the best K.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import GuardError
from llm_bridge.decoding.decoder import Blocks, Drawn, Plain, State, Twist, World
from llm_bridge.decoding.problem import Beam
from llm_bridge.decoding.scores import Score, Worth, ranked
from llm_bridge.decoding.selection import Law, Selection


@dataclass(frozen=True)
class Penalty:
    """A twist: the score of a token falls in proportion to how often failed blocks held it.

    Parameters
    ----------
    counts : tuple of (token, count)
    strength
        What a token would lose that all failed blocks consist of, in nats.
    """

    counts: tuple[tuple[int, int], ...]
    strength: float

    def __call__(self, log_probs: Any, hidden: Any, tokens: Any) -> Any:
        """Log-probabilities less the penalties."""
        total = sum(count for _, count in self.counts)
        lowered = log_probs.clone()
        for token, count in self.counts:
            lowered[:, token] -= self.strength * count / total
        return lowered


@dataclass(frozen=True)
class BlockSearch(Plain):
    """Search by blocks.

    Parameters
    ----------
    blocks
        N: blocks for each beam; with `shared`, blocks in all, divided among the beams.
    width
        Most tokens of a block; None for whole responses.
    keep
        K: beams that are kept.
    score
        How they are ranked. Equal scores: the beam whose tokens come first in order.
    retries
        M: how often a round is drawn again if every beam in it failed.
    strength
        Of the penalty on tokens of failed blocks, in nats (see `Penalty`); counts of all failed
        draws of a round add up.
    stops
        After M failures: True ends the best beam of the round before with the end token, False
        goes on with the best K although they failed. Neither is safe; `Certified` is.
    twist
        Another law of the next token.
    """

    name: str = "block search"
    blocks: int = 4
    width: int | None = None
    keep: int = 1
    score: Score = field(default_factory=Worth)
    retries: int = 0
    strength: float = 5.0
    stops: bool = False
    shared: bool = False
    twist: Twist | None = None

    def __post_init__(self) -> None:
        whole = {"blocks": self.blocks, "keep": self.keep}
        if self.width is not None:
            whole["width"] = self.width
        for name, value in whole.items():
            if value < 1:
                raise GuardError.at(name, "at least 1", value, "search a little")
        if self.retries < 0:
            raise GuardError.at("retries", "0 or more", self.retries, "0 draws once")

    def ask(self, state: State, world: World) -> Blocks:
        """Blocks after every beam that has not ended."""
        beams = tuple(beam for beam in state.beams if not beam.ended)
        count = max(1, self.blocks // len(beams)) if self.shared else self.blocks
        return Blocks(beams, count, self.width or world.problem.horizon, self._law(state))

    def settle(self, state: State, drawn: Drawn, world: World) -> State:
        """The best K, or another try."""
        pool = pooled(state, drawn)
        scores, lost = self.score(pool, world)
        if lost.all() and self.retries:
            if state.retries < self.retries:
                return again(state, drawn)
            if self.stops:
                return self._stopped(state, world)
        order = ranked(pool, scores)[: self.keep]
        return State(tuple(pool[row] for row in order), resampled=state.resampled)

    def selects(self, state: State, laws: Sequence[Law], world: World) -> Selection | None:
        """What of all that could be drawn matters: the K best, and all of it if all fails.

        None where what fails does not rank last (``n`` too small): then all matters.
        """
        order, lost = candidates(self.score, laws, world)
        before = [beam for beam in state.beams if beam.ended]
        whole = self.retries > 0 and (not before or bool(self.score(before, world)[1].all()))
        good = int((~lost).sum())
        if whole and lost[:good].any():
            return None
        return Selection(order, self.keep, good if whole else len(order), True, whole)

    def _law(self, state: State) -> Twist | None:
        if not state.failed:
            return self.twist
        penalty = Penalty(state.failed, self.strength)
        return penalty if self.twist is None else Both(self.twist, penalty)

    def _stopped(self, state: State, world: World) -> State:
        first = state.beams[0]
        end = world.problem.end
        if not first.ended and end is not None:
            (first,) = world.grow([first], [[end]])
        return State((first,), outcome="stopped", resampled=state.resampled)


@dataclass(frozen=True)
class Both:
    """One twist after another."""

    first: Twist
    second: Twist

    def __call__(self, log_probs: Any, hidden: Any, tokens: Any) -> Any:
        """The second of the first."""
        return self.second(self.first(log_probs, hidden, tokens), hidden, tokens)


def candidates(
    score: Score, laws: Sequence[Law], world: World
) -> tuple[tuple[tuple[int, int], ...], NDArray[np.bool_]]:
    """All that could be drawn as (parent, row), the best first; and which of it fails."""
    places = [(parent, row) for parent, law in enumerate(laws) for row in range(len(law))]
    beams = [laws[parent][row][0] for parent, row in places]
    scores, lost = score(beams, world)
    order = ranked(beams, scores)
    return tuple(places[row] for row in order), lost[order]


def pooled(state: State, drawn: Drawn) -> list[Beam]:
    """All that compete in a round: beams that had ended, and what was drawn."""
    return [b for b in state.beams if b.ended] + [beam for blocks in drawn for beam in blocks]


def again(state: State, drawn: Drawn) -> State:
    """The same beams, with the tokens of the blocks that failed added to the count."""
    counts = Counter(dict(state.failed))
    parents: Sequence[Beam] = [beam for beam in state.beams if not beam.ended]
    for parent, blocks in zip(parents, drawn, strict=True):
        for beam in blocks:
            counts.update(beam.tokens[len(parent) :])
    return State(
        state.beams, state.retries + 1, tuple(sorted(counts.items())), state.fallback,
        resampled=state.resampled + 1,
    )  # fmt: skip
