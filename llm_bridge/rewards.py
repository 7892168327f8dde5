"""What a response is worth, as rewards of steps that add up to it.

None of them reads what the response costs; guards weigh the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import ModelError
from llm_bridge.costs.scores import TextScore, TokenScore
from llm_bridge.costs.steps import Steps, need_gained


class Totals(Protocol):
    """Numbers of responses so far (a `Score`, read as the more the better)."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    @property
    def uses_hidden(self) -> bool:
        """Whether it reads latents."""
        ...

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """A number for each response up to and with the new token, float64[N]."""
        ...


@dataclass(frozen=True)
class LogLikelihood:
    """The log-probability of the response under the base model, token by token.

    Parameters
    ----------
    weight
        What a nat is worth.
    floor
        No token is worth less than this (before the weight); ``-inf`` keeps the exact sum.

    Examples
    --------
    >>> steps = Steps((1,), np.array([[5]]), None, None, np.zeros(1, bool), str,
    ...               log_prob=np.log([0.25]))
    >>> LogLikelihood()(steps).round(3).tolist()
    [-1.386]
    """

    weight: float = 1.0
    floor: float = -np.inf
    name: str = "log-likelihood"
    uses_hidden: bool = field(default=False, init=False)

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """Log-probability of each new token, float64[N]."""
        if steps.log_prob is None:
            raise ModelError.at(
                "steps.log_prob", "the log-probability of each new token", "nothing",
                "pass that of the base model along",
            )  # fmt: skip
        return self.weight * _finite(np.maximum(steps.log_prob, self.floor), self.name)


@dataclass(frozen=True)
class Growth:
    """How much a number of the response grew at each step: the rewards add up to the last number.

    Parameters
    ----------
    total
        A number for each response so far, such as a probe, a classifier or `attribute`; 0 before
        the first token.
    weight
        Negative to want less of it: a probe's score with weight −1 keeps away from its direction.
    """

    total: Totals
    weight: float = 1.0

    @property
    def name(self) -> str:
        """That of the number."""
        return self.total.name

    @property
    def uses_hidden(self) -> bool:
        """Whether the number reads latents."""
        return self.total.uses_hidden

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """Growth of the number at each new token, float64[N]."""
        gained = need_gained(steps, self.name)
        return self.weight * _finite(self.total(steps), self.name) - gained


@dataclass(frozen=True)
class AtEnd:
    """A number of the response when it ends, nothing before."""

    total: Totals
    weight: float = 1.0

    @property
    def name(self) -> str:
        """That of the number."""
        return f"{self.total.name} at the end"

    @property
    def uses_hidden(self) -> bool:
        """Whether the number reads latents."""
        return self.total.uses_hidden

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """The number where the response ends, else 0, float64[N]."""
        out = np.zeros(len(steps))
        if steps.ended.any():
            out[steps.ended] = _finite(self.total(steps), self.name)[steps.ended]
        return self.weight * out


def length(target: int) -> Growth:
    """Closeness to a length: minus the tokens that miss or exceed `target`, up to a constant.

    The number is ``target - |target - n|`` after n tokens, so each step is worth 1 up to the
    target and −1 beyond it.
    """
    return Growth(TokenScore(lambda _, row: target - abs(target - len(row)), f"length {target}"))


def attribute(
    count: Callable[[str], float], name: str = "attribute", weight: float = 1.0
) -> Growth:
    """A target attribute: any number of a text, such as how many wanted words it holds.

    Examples
    --------
    >>> wanted = attribute(lambda text: text.lower().count("please"))
    >>> texts = ["Please!", "please"]
    >>> tokens = np.array([[5, 1], [5, 2]])
    >>> steps = Steps((1,), tokens, None, None, np.zeros(2, bool), texts.__getitem__,
    ...               gained=np.array([1.0, 0.0]))
    >>> wanted(steps).tolist()
    [0.0, 1.0]
    """
    return Growth(TextScore(lambda texts: [count(text) for text in texts], name), weight)


@dataclass(frozen=True)
class StepFunction:
    """Any function of steps that returns float64[N]."""

    function: Callable[[Steps], NDArray[np.float64]]
    name: str = "function"
    uses_hidden: bool = False

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """What the function says of the newest steps, float64[N]."""
        given = np.asarray(self.function(steps), dtype=np.float64)
        if given.shape != (len(steps),):
            raise ModelError.at(
                f"reward {self.name}", f"one number for each of {len(steps)} rows",
                f"shape {given.shape}", "return as many rewards as rows",
            )  # fmt: skip
        return _finite(given, self.name)


def _finite(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    given = np.asarray(values, dtype=np.float64)
    bad = ~np.isfinite(given)
    if bad.any():
        raise ModelError.at(
            f"reward {name}", "finite numbers", float(given[bad][0]), "repair the function"
        )
    return given
