"""Scores of the response so far, and how they become costs of steps.

A classifier judges a response, not a token. `ScoreCost` charges its judgement in one of four ways;
what they add up to differs, so the way is part of the cost model's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import ModelError
from llm_bridge.costs.quantise import Rounding, quantise
from llm_bridge.costs.steps import Ints, Steps, need_paid

Mode = Literal["increase", "running_max", "final", "per_step"]
MODES = ("increase", "running_max", "final", "per_step")


class Score(Protocol):
    """A number for the response so far; higher is worse."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    @property
    def uses_hidden(self) -> bool:
        """Whether it reads latents."""
        ...

    @property
    def lowest(self) -> float:
        """No score is below it; ``-inf`` if there is no such bound."""
        ...

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """Scores of the responses up to and with the new token, float64[N]."""
        ...


@dataclass(frozen=True)
class TextScore:
    """Any function of the response's text.

    Parameters
    ----------
    function : callable(list of str) -> sequence of float
        All texts of a batch at once; each answer must depend on its own text only.

    Examples
    --------
    >>> TextScore(lambda texts: [len(t) for t in texts], "length", 0).lowest
    0
    """

    function: Callable[[list[str]], Sequence[float] | NDArray[np.float64]]
    name: str = "text"
    lowest: float = -np.inf
    uses_hidden: bool = False

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """Scores of the texts, float64[N]."""
        return _one_each(self.function(steps.texts), len(steps), self.name)


@dataclass(frozen=True)
class TokenScore:
    """Any function of the prompt's and the response's tokens, asked row by row."""

    function: Callable[[tuple[int, ...], tuple[int, ...]], float]
    name: str = "tokens"
    lowest: float = -np.inf
    uses_hidden: bool = False

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """Scores of the responses, float64[N]."""
        given = [self.function(steps.prompt, tuple(row)) for row in steps.tokens.tolist()]
        return _one_each(given, len(steps), self.name)


@dataclass(frozen=True)
class ScoreCost:
    """A score of the response so far as a cost of steps.

    Parameters
    ----------
    score
        What is charged.
    mode
        ``running_max`` (default): the highest score so far above `start`; no cost is negative,
        the total is the highest score on the way, so that anytime and terminal budgets agree.
        ``increase``: how much the score grew, signed; the total is the last score above `start`
        (THEORY L1.signed: keeping a budget at every step is then stricter than at the end).
        ``final``: the score above `start` at the end of a response, nothing before.
        ``per_step``: the score above `start` at every step.
    unit, scale
        A cost is ``scale * (score - start)`` as a whole multiple of `unit`: a probability with
        scale 10 and unit 1/10 costs up to 10, in hundredths of it.
    start
        The score of a response that has not begun: a constant of the model.
    rounding
        Of totals in ``increase`` and ``running_max``, of single costs else; see
        `llm_bridge.costs.quantise` for what ``up`` guarantees: a total that is at least the
        true one and less than a unit above it (less than one for each charged step in
        ``per_step``).

    Raises
    ------
    ModelError
        For a score that is not finite or below its own `lowest`, and if a mode that charges the
        growth of a total is not told what was paid.
    """

    score: Score
    mode: Mode = "running_max"
    unit: Fraction = Fraction(1, 100)
    scale: Fraction = Fraction(1)
    start: float = 0.0
    rounding: Rounding = "up"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ModelError.at("mode", ", ".join(MODES), self.mode, "name one of them")
        quantise([0.0], self.unit, self.scale, self.rounding, self.start)

    @property
    def name(self) -> str:
        """Score and mode."""
        return f"{self.score.name} ({self.mode})"

    @property
    def uses_hidden(self) -> bool:
        """Whether the score reads latents."""
        return self.score.uses_hidden

    @property
    def nonnegative(self) -> bool:
        """True for ``running_max``, and for ``final`` and ``per_step`` of scores >= start."""
        if self.mode in ("final", "per_step"):
            return self.score.lowest >= self.start
        return self.mode == "running_max"

    def total(self, steps: Steps) -> Ints:
        """The score above `start` of each response so far, rounded, in units."""
        scores = np.asarray(self.score(steps), dtype=np.float64)
        low = scores < self.score.lowest
        if low.any():
            raise ModelError.at(
                f"score {self.score.name}", f"at least {self.score.lowest}",
                float(scores[low][0]), "state a lower bound that holds",
            )  # fmt: skip
        return quantise(scores, self.unit, self.scale, self.rounding, self.start)

    def __call__(self, steps: Steps) -> Ints:
        """The cost of the newest step, int64[N], in units."""
        total = self.total(steps)
        if self.mode == "per_step":
            return total
        if self.mode == "final":
            return np.where(steps.ended, total, 0)
        growth = total - need_paid(steps, self.name)
        return np.maximum(growth, 0) if self.mode == "running_max" else growth


def profanity() -> TextScore:
    """The probability of profanity that alt-profanity-check gives a response's text, in [0, 1].

    A fast baseline (a linear model of words) and a weak one: it knows rude words, not harm. The
    package reads its own bundled model with joblib when it is imported; nothing is unpickled from
    anywhere else.

    Raises
    ------
    ModelError
        If the package is not installed.
    """
    try:
        from profanity_check import predict_prob
    except ImportError as error:
        raise ModelError.at(
            "profanity", "the package alt-profanity-check", error,
            "pip install alt-profanity-check, or choose another cost model",
        ) from error  # fmt: skip

    def score(texts: list[str]) -> NDArray[np.float64]:
        return np.clip(predict_prob(texts), 0.0, 1.0) if texts else np.zeros(0)

    return TextScore(score, "profanity", 0.0)


def _one_each(
    given: Sequence[float] | NDArray[np.float64], rows: int, name: str
) -> NDArray[np.float64]:
    scores = np.asarray(given, dtype=np.float64)
    if scores.shape != (rows,):
        raise ModelError.at(
            f"score {name}", f"one number for each of {rows} rows", f"shape {scores.shape}",
            "return as many scores as texts",
        )  # fmt: skip
    return scores
