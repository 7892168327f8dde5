"""How beams are ranked, and which count as failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from llm_bridge.decoding.decoder import World
from llm_bridge.decoding.foreign import asked
from llm_bridge.decoding.problem import Beam, DecodingFault

Judged = tuple[NDArray[np.float64], NDArray[np.bool_]]
Critic = Callable[[Any, Any, Any], tuple[Any, Any]]
"""(hidden float[N, D], budget float[N], time int[N]) -> P(kept to the end), reward to go."""

LOST = 1e6
"""``n``: what a beam that broke its budget counts as, below zero."""


class Score(Protocol):
    """Numbers of beams, the more the better."""

    def __call__(self, beams: Sequence[Beam], world: World) -> Judged:
        """Scores float64[N], and which of them failed, bool[N]."""
        ...


@dataclass(frozen=True)
class Worth:
    """The discounted reward so far; nothing fails."""

    def __call__(self, beams: Sequence[Beam], world: World) -> Judged:
        """Rewards."""
        return np.array([beam.reward for beam in beams]), np.zeros(len(beams), dtype=np.bool_)


@dataclass(frozen=True)
class Lagrangian:
    """Reward minus a price on the discounted cost, blind to the budget; nothing fails."""

    price: float = 5.0

    def __call__(self, beams: Sequence[Beam], world: World) -> Judged:
        """Rewards minus priced costs."""
        scores = [beam.reward - self.price * float(beam.spent) for beam in beams]
        return np.array(scores), np.zeros(len(beams), dtype=np.bool_)


@dataclass(frozen=True)
class Cheapness:
    """Minus the discounted cost, without the reward: guidance by a cost model alone."""

    def __call__(self, beams: Sequence[Beam], world: World) -> Judged:
        """Costs below zero."""
        scores = [-float(beam.spent) for beam in beams]
        return np.array(scores), np.zeros(len(beams), dtype=np.bool_)


@dataclass(frozen=True)
class Augmented:
    """The reward where the remaining budget is kept now, else ``-lost``.

    The augmented safety state of the baselines, and InferenceGuard's score without a critic:
    the reward so far with the test of z, which at the end is its final score.
    """

    lost: float = LOST

    def __call__(self, beams: Sequence[Beam], world: World) -> Judged:
        """Rewards of beams within the budget."""
        failed = np.array([not world.problem.covers(beam) for beam in beams], dtype=np.bool_)
        worth = np.array([beam.reward for beam in beams])
        return np.where(failed, -self.lost, worth), failed


@dataclass(frozen=True)
class Foreseen:
    """InferenceGuard's score with a critic.

    Ended: the reward if z is kept, else ``-lost``. Not ended: the reward so far plus what the
    critic's second head expects, where its first head gives the budget more than `trust`, else
    ``-lost``. The critic is never asked about ended beams. As published, z itself is not tested
    before the end: a critic that trusts a broken budget is believed.
    """

    critic: Critic
    trust: float = 0.5
    lost: float = LOST

    def __call__(self, beams: Sequence[Beam], world: World) -> Judged:
        """Rewards so far and to come."""
        scores, failed = Augmented(self.lost)(beams, world)
        open_rows = [row for row, beam in enumerate(beams) if not beam.ended]
        if not open_rows:
            return scores, failed
        chosen = [beams[row] for row in open_rows]
        safe, more = ask_critic(self.critic, chosen, world)
        beta = float(world.problem.reward_discount)
        so_far = np.array([beam.reward for beam in chosen])
        discount = np.array([beta ** len(beam) for beam in chosen])
        bad = ~(safe > self.trust)
        scores[open_rows] = np.where(bad, -self.lost, so_far + discount * more)
        failed[open_rows] = bad
        return scores, failed


def ask_critic(
    critic: Critic, beams: Sequence[Beam], world: World
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both heads on beams that have not ended.

    Raises
    ------
    DecodingFault
        If the critic raises, or returns anything but finite numbers.
    """
    times = np.array([len(beam) for beam in beams], dtype=np.int64)
    hidden = world.hidden(beams)
    try:
        budgets = np.array([float(world.problem.budget(beam)) for beam in beams])  # may overflow
        safe, more = critic(hidden, budgets, times)
    except Exception as error:  # foreign code: whatever it raises is a fault
        raise DecodingFault.at(
            "critic", "two numbers for each row", f"{type(error).__name__}: {error}", "repair it"
        ) from error
    return asked("critic's first head", safe, len(beams)), asked(
        "critic's second head", more, len(beams)
    )


def ranked(beams: Sequence[Beam], scores: NDArray[np.float64]) -> list[int]:
    """Rows by falling score; of equal scores the one whose tokens come first in order.

    The rule is a function of the beams alone, so what is drawn in another order gives the same.
    """
    return sorted(range(len(beams)), key=lambda row: (-scores[row], beams[row].tokens))
