"""Decoding token by token with a bonus for what each next token would be worth: ARGS, and
controlled decoding."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ig_theory.errors import GuardError
from llm_bridge.decoding.decoder import Drawn, Pick, Plain, State, World
from llm_bridge.decoding.scores import Score, Worth, ranked


@dataclass(frozen=True)
class Args(Plain):
    """Among the likeliest next tokens, by ``log p + omega * score`` (ARGS, arXiv 2402.01694).

    Parameters
    ----------
    count
        Tokens that are considered; None for all.
    omega
        Weight of the score.
    score
        Of the response with the token: `Worth` for ARGS, `Cheapness` for ARGS with a cost
        model, `Lagrangian` for both.
    temperature
        0 takes the best (of equals the smaller token), so that nothing is random; else tokens
        are drawn with probabilities in proportion to ``exp(total / temperature)``.

    Raises
    ------
    GuardError
        If a parameter means nothing.
    """

    name: str = "args"
    count: int | None = 20
    omega: float = 2.5
    score: Score = field(default_factory=Worth)
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise GuardError.at("count", "at least 1 token, or None", self.count, "allow one")
        if not (self.temperature >= 0 and np.isfinite(self.omega)):
            raise GuardError.at(
                "temperature and omega", "0 or more, and finite",
                (self.temperature, self.omega), "choose others",
            )  # fmt: skip

    def ask(self, state: State, world: World) -> Pick:
        """One of the next tokens."""
        (beam,) = state.beams
        found = world.top(beam, self.count)
        options = [option for option, _ in found]
        scores, _ = self.score(options, world)
        total = np.array([score for _, score in found]) + self.omega * scores
        if self.temperature == 0:
            return Pick((options[ranked(options, total)[0]],), (1.0,))
        weight = np.exp((total - total.max()) / self.temperature)
        return Pick(tuple(options), tuple(weight.tolist()))

    def settle(self, state: State, drawn: Drawn, world: World) -> State:
        """The response with the token."""
        return State(drawn[0])


def controlled(score: Score | None = None, strength: float = 1.0, count: int | None = None) -> Args:
    """Controlled decoding: ``p proportional to p_base exp(strength * V)``.

    Parameters
    ----------
    score
        V of the response with each next token: `Worth`, or `Foreseen` with a critic.
    count
        Tokens that are considered, of which each costs a step of the cost model; None for all.
    """
    return Args("controlled decoding", count, strength, score or Worth(), 1.0)
