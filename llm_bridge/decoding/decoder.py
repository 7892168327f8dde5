"""What a decoder is: a randomised algorithm in rounds, whose randomness is asked for.

A decoder is pure. In each round it says what it wants drawn (`ask`), and what it makes of what
was drawn (`settle`). A live world draws with a transformer; the exact engine goes through all
that could be drawn. So the samples and the law come from the same code.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import GuardError
from llm_bridge.decoding.problem import Beam, DecodingFault, Problem

Drawn = tuple[tuple[Beam, ...], ...]
"""For each beam that was asked about, the beam with each of its blocks."""


class Twist(Protocol):
    """Another law of the next token; hashable, and a function of its arguments alone."""

    def __call__(self, log_probs: Any, hidden: Any, tokens: Any) -> Any:
        """Log-weights, up to a constant for each row.

        Parameters
        ----------
        log_probs : Tensor float64[N, V]
            Of the base model.
        hidden : Tensor float[N, D]
            From which they were read.
        tokens : Tensor int64[N, n]
            The responses so far.
        """
        ...


@dataclass(frozen=True)
class Blocks:
    """A wish: `count` independent blocks of up to `width` tokens after each beam."""

    beams: tuple[Beam, ...]
    count: int
    width: int
    twist: Twist | None = None


@dataclass(frozen=True)
class Pick:
    """A wish: one of these beams, with probabilities in proportion to the weights."""

    options: tuple[Beam, ...]
    weights: tuple[Any, ...]


@dataclass(frozen=True)
class State:
    """Where a decoder stands between two rounds; equal states go on equally.

    Attributes
    ----------
    beams : tuple of Beam
        The best first.
    retries : int
        How often this round has failed.
    failed : tuple of (token, count)
        What the failed blocks of this round consisted of.
    fallback : Beam or None
        What to answer with when all else fails.
    outcome : str
        Why the decoder stopped before its beams ended, if it did.
    resampled : int
        Retries over all rounds; for the record only.
    fault : str
        What failed, if anything; for the record only.
    """

    beams: tuple[Beam, ...]
    retries: int = 0
    failed: tuple[tuple[int, int], ...] = ()
    fallback: Beam | None = None
    outcome: str = ""
    resampled: int = field(default=0, compare=False)
    fault: str = field(default="", compare=False)


class World(Protocol):
    """What a decoder may ask about, without randomness."""

    @property
    def problem(self) -> Problem:
        """The budget, and what a response is."""
        ...

    def grow(self, beams: Sequence[Beam], blocks: Sequence[Sequence[int]]) -> list[Beam]:
        """Each beam followed by the given tokens.

        Raises
        ------
        DecodingFault
            If the cost model or the reward fails.
        """
        ...

    def top(self, beam: Beam, count: int | None) -> list[tuple[Beam, float]]:
        """The beam with each of its `count` likeliest next tokens (None: of all), and their
        log-probabilities; the likeliest first, the smaller token first of equals."""
        ...

    def hidden(self, beams: Sequence[Beam]) -> NDArray[np.floating[Any]]:
        """The latent after the newest token of each beam, float[N, D]."""
        ...


class Drawing(World, Protocol):
    """A world that also draws."""

    def draw(self, wish: Blocks | Pick) -> Drawn:
        """What is wished for, at random."""
        ...

    def effort(self) -> tuple[int, float]:
        """Tokens that the model has read, and seconds in the cost model."""
        ...

    def text(self, beam: Beam) -> str:
        """The response as text."""
        ...


class Decoder(Protocol):
    """A decoding algorithm. It must treat what is drawn as a multiset: order means nothing."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    def start(self, world: World) -> State:
        """Where it begins."""
        ...

    def done(self, state: State) -> bool:
        """Whether nothing is left to do."""
        ...

    def ask(self, state: State, world: World) -> Blocks | Pick:
        """What it wants drawn next."""
        ...

    def settle(self, state: State, drawn: Drawn, world: World) -> State:
        """Where it stands after that."""
        ...

    def answer(self, state: State) -> Beam:
        """The response."""
        ...

    def failed(self, state: State, fault: DecodingFault) -> State:
        """Where it stands after something failed; by default the fault is raised again."""
        ...


class Plain:
    """What most decoders have in common."""

    def start(self, world: World) -> State:
        """One beam: the empty response."""
        return State((world.problem.root,))

    def done(self, state: State) -> bool:
        """Whether every beam has ended."""
        return bool(state.outcome) or all(beam.ended for beam in state.beams)

    def answer(self, state: State) -> Beam:
        """The first beam."""
        return state.beams[0]

    def failed(self, state: State, fault: DecodingFault) -> State:
        """Nothing is answered when something failed."""
        raise fault


@dataclass(frozen=True)
class Response:
    """What a decoder answered, and at what price.

    Attributes
    ----------
    tokens, text
    costs : tuple of Fraction
        Of each token.
    cost : Fraction
        Discounted, in the units of the budget.
    budgets : tuple of Fraction
        ``z_0, z_1, ...``, exact, one more than there are tokens.
    kept : bool
        Whether the budget is kept, in the constraint's scope.
    reward : float
        Discounted.
    why : str
        ``end``, ``length``, ``fallback`` (the safe continuation was played), ``abstained``
        (nothing was said), or what the decoder says.
    retries : int
    forwarded : int
        Tokens that the model has read, the prompt not counted.
    seconds, cost_seconds : float
        In all; in the cost model.
    fault : str
        What failed, where a decoder went on to a fallback.
    """

    tokens: tuple[int, ...]
    text: str
    costs: tuple[Fraction, ...]
    cost: Fraction
    budgets: tuple[Fraction, ...]
    kept: bool
    reward: float
    why: str
    retries: int
    forwarded: int
    seconds: float
    cost_seconds: float
    fault: str = ""


def decode(decoder: Decoder, world: Drawing) -> Response:
    """One response.

    Raises
    ------
    DecodingFault
        If the cost model, the reward or a critic failed and the decoder has no fallback.
    """
    began, (read, cost_began) = time.perf_counter(), world.effort()
    problem = world.problem
    state = decoder.start(world)
    while not decoder.done(state):
        state = advance(decoder, state, world, world.draw)
    beam = decoder.answer(state)
    if not beam.ended and not state.outcome:
        raise GuardError.at(
            decoder.name, "a response that has ended", f"{len(beam)} tokens", "repair the decoder"
        )
    forwarded, cost_seconds = world.effort()
    return Response(
        beam.tokens, world.text(beam), tuple(c * problem.unit for c in beam.costs), beam.spent,
        problem.budgets(beam), problem.keeps(beam), beam.reward, ending(state, beam, problem),
        state.resampled, forwarded - read, time.perf_counter() - began,
        cost_seconds - cost_began, state.fault,
    )  # fmt: skip


def advance(decoder: Decoder, state: State, world: World, draw: Any) -> State:
    """One round."""
    try:
        return decoder.settle(state, draw(decoder.ask(state, world)), world)
    except DecodingFault as fault:
        return decoder.failed(state, fault)


def ending(state: State, beam: Beam, problem: Problem) -> str:
    """Why the response ends where it does."""
    if state.outcome:
        return state.outcome
    return "end" if beam.tokens and beam.tokens[-1] == problem.end else "length"
