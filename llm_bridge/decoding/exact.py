"""The exact law of a decoder's response, by going through all that it could draw.

The probabilities are floats (a total of 1 within 1e-12, which is checked) or Fractions where
the tree's world has them. Nothing is sampled: a probability of violation that is 0 here comes
from no outcome that violates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ig_theory.constraint import Scope
from ig_theory.errors import SolverError
from llm_bridge.decoding.decoder import Blocks, Decoder, Drawn, Pick, State, ending
from llm_bridge.decoding.problem import Beam, DecodingFault
from llm_bridge.decoding.selection import joint, selections, too_many
from llm_bridge.decoding.tree_world import TreeWorld

LIMIT = 2_000_000
"""Outcomes of a round, and states after it, that are gone through unless more are allowed."""

TOTAL_TOLERANCE = 1e-12


@dataclass(frozen=True)
class ResponseLaw:
    """Every response with its probability, the likeliest first.

    Attributes
    ----------
    beams : tuple of Beam
    endings : tuple of str
        Why each ends (`Response.why`).
    kept : tuple of bool
        Whether each keeps the budget.
    probabilities : tuple of float or Fraction
    earned : tuple of float
        Discounted reward of the steps of each whose next budget is kept, as in a verdict.
    states : int
        States that were visited.
    """

    beams: tuple[Beam, ...]
    endings: tuple[str, ...]
    kept: tuple[bool, ...]
    probabilities: tuple[Any, ...]
    earned: tuple[float, ...]
    states: int

    @property
    def violation(self) -> Any:
        """P(violate)."""
        return sum(p for p, kept in zip(self.probabilities, self.kept, strict=True) if not kept)

    @property
    def reward(self) -> float:
        """Expected discounted reward of the responses, whether they keep the budget or not."""
        return self._mean([beam.reward for beam in self.beams])

    @property
    def kept_reward(self) -> float:
        """Expected reward as a verdict has it: the step that violates, and all after it, earn
        nothing (docs/notation.md)."""
        return self._mean(list(self.earned))

    @property
    def cost(self) -> float:
        """Expected discounted cost."""
        return self._mean([float(beam.spent) for beam in self.beams])

    def ends(self, why: str) -> Any:
        """The probability to end so."""
        return sum(p for p, end in zip(self.probabilities, self.endings, strict=True) if end == why)

    def of(self, tokens: tuple[int, ...]) -> Any:
        """The probability of a response."""
        pairs = zip(self.beams, self.probabilities, strict=True)
        return sum(p for beam, p in pairs if beam.tokens == tokens)

    def _mean(self, values: list[float]) -> float:
        weights = [float(p) for p in self.probabilities]
        return math.fsum(v * p for v, p in zip(values, weights, strict=True))


def exact_law(decoder: Decoder, world: TreeWorld, limit: int = LIMIT) -> ResponseLaw:
    """The law of the response that `decode` would give.

    Blocks of one beam are independent and alike, so draws are gone through as multisets with
    their multinomial weights; where a decoder only looks at the best of what is drawn
    (`selects`), only at the best. Equal states are merged after each round.

    Raises
    ------
    SolverError
        If a round has more than `limit` outcomes in all, or states after it.
    DecodingFault
        If something fails for which the decoder has no fallback.
    """
    one: Any = Fraction(1) if world.exact else 1.0
    frontier: dict[State, Any] = {decoder.start(world): one}
    ends: dict[tuple[Beam, str], Any] = {}
    visited = 0
    while frontier:
        visited += len(frontier)
        following: dict[State, Any] = {}
        left = limit
        for state, mass in frontier.items():
            if decoder.done(state):
                beam = decoder.answer(state)
                key = (beam, ending(state, beam, world.problem))
                ends[key] = ends.get(key, 0) + mass
                continue
            left = _spread(decoder, state, mass, world, following, left)
            if left < 0:
                raise too_many(limit + 1)
        frontier = following
    return _collected(ends, world, visited)


def _spread(
    decoder: Decoder, state: State, mass: Any, world: TreeWorld, into: dict[State, Any], left: int
) -> int:
    """Add what a state may become; the number of outcomes that may still follow."""
    try:
        wish = decoder.ask(state, world)
        for drawn, part in outcomes(decoder, state, wish, world, left):
            try:
                after = decoder.settle(state, drawn, world)
            except DecodingFault as fault:
                after = decoder.failed(state, fault)
            into[after] = into.get(after, 0) + mass * part
            left -= 1
            if left < 0:
                break
    except DecodingFault as fault:
        after = decoder.failed(state, fault)
        into[after] = into.get(after, 0) + mass
    return left


def outcomes(
    decoder: Decoder, state: State, wish: Blocks | Pick, world: TreeWorld, limit: int = LIMIT
) -> Iterator[tuple[Drawn, Any]]:
    """All that a wish can give, with probabilities in total 1."""
    if isinstance(wish, Pick):
        weights = [Fraction(w) if world.exact else float(w) for w in wish.weights]
        total = sum(weights)
        for option, weight in zip(wish.options, weights, strict=True):
            if weight:
                yield ((option,),), weight / total
        return
    laws = [world.law(beam, wish.width, wish.twist) for beam in wish.beams]
    chosen = None
    with suppress(DecodingFault):  # only what is drawn may fail: go through all of it
        chosen = decoder.selects(state, laws, world) if hasattr(decoder, "selects") else None
    if chosen is None:
        yield from joint(laws, wish.count, limit)
    else:
        yield from selections(laws, wish.count, chosen, limit)


def _collected(ends: dict[tuple[Beam, str], Any], world: TreeWorld, visited: int) -> ResponseLaw:
    rows = sorted(ends.items(), key=lambda item: (-item[1], item[0][0].tokens, item[0][1]))
    total = sum(mass for _, mass in rows) if world.exact else math.fsum(m for _, m in rows)
    if not abs(total - 1) <= (0 if world.exact else TOTAL_TOLERANCE):  # also where NaN
        raise SolverError.at(
            "law of the response", "a total of 1", total, "use exact=True; rounding has added up"
        )
    return ResponseLaw(
        tuple(beam for (beam, _), _ in rows),
        tuple(why for (_, why), _ in rows),
        tuple(world.problem.keeps(beam) for (beam, _), _ in rows),
        tuple(mass for _, mass in rows),
        tuple(_earned(beam, world) for (beam, _), _ in rows),
        visited,
    )


def _earned(beam: Beam, world: TreeWorld) -> float:
    """The reward of the steps before the one that violates."""
    if world.problem.keeps(beam):
        return beam.reward
    for length in range(len(beam) - 1, -1, -1):
        before = world.grow([Beam(())], [beam.tokens[:length]])[0]
        if before.unbroken or world.problem.constraint.scope is Scope.TERMINAL:
            return before.reward
    return 0.0
