"""One step of N responses to a prompt, and what costs and rewards of it are.

Trees and decoders both describe their steps as `Steps` and ask the same cost models, so that a
cost is a function of prompt and response whoever asks. A row is one response that has just grown
by one token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import ModelError

if TYPE_CHECKING:
    from llm_bridge.language_model import Prefixes

Ints = NDArray[np.int64]
Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Steps:
    """N responses to one prompt, each after its newest token.

    Attributes
    ----------
    prompt : tuple of int
        The prompt's tokens, the same for all rows.
    tokens : int64[N, n]
        The responses so far, n >= 1; the new token stands last.
    hidden : float[N, D] or None
        The last layer's state after the new token.
    summed : float[N, D] or None
        The sum of `hidden` over the n tokens of the response.
    ended : bool[N]
        Whether nothing follows: the new token ends the response, or the length is used up.
    text : callable
        The response of a row as text, without special tokens.
    paid : int64[N] or None
        What the model that is asked has charged for the *earlier* steps of each row: the plain
        sum of its costs, undiscounted, in its units; zeros at the first step. Models that charge
        the growth of a total need it. Each cost model has its own.
    gained : float64[N] or None
        The same for a reward.
    log_prob : float64[N] or None
        Log-probability of the new token under the base model.

    Raises
    ------
    ModelError
        If there are no tokens, or something does not have one entry for each row.
    """

    prompt: tuple[int, ...]
    tokens: Ints
    hidden: Floats | None
    summed: Floats | None
    ended: NDArray[np.bool_]
    text: Callable[[int], str]
    paid: Ints | None = None
    gained: NDArray[np.float64] | None = None
    log_prob: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.tokens.ndim != 2 or self.tokens.shape[1] < 1:
            raise ModelError.at(
                "steps.tokens", "an array [N, n] with n >= 1", f"shape {self.tokens.shape}",
                "a step adds a token to each response",
            )  # fmt: skip
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray) and len(value) != len(self.tokens):
                raise ModelError.at(
                    f"steps.{field.name}", f"one entry for each of {len(self.tokens)} rows",
                    len(value), "give what belongs to the same rows",
                )  # fmt: skip

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def new(self) -> Ints:
        """The new token of each row, int64[N]."""
        return self.tokens[:, -1]

    @property
    def texts(self) -> list[str]:
        """Every response as text."""
        return [self.text(row) for row in range(len(self))]

    @classmethod
    def of(
        cls,
        prefixes: Prefixes,
        ended: NDArray[np.bool_] | None = None,
        paid: Ints | None = None,
        gained: NDArray[np.float64] | None = None,
        log_prob: NDArray[np.float64] | None = None,
    ) -> Steps:
        """The newest step of prefixes that share a prompt.

        Parameters
        ----------
        prefixes
            At least one token after the prompt, which is that of the first row.
        ended
            By default: where the new token is the one that ends a response.

        Raises
        ------
        ModelError
            If no token was generated, or the prompts differ.
        """
        width = prefixes.tokens.shape[1] - prefixes.generated
        real = slice(0, width)
        if prefixes.mask is not None:
            real = slice(int((~prefixes.mask[0, :width]).sum()), width)
        prompts = prefixes.tokens[:, :width]
        if not bool((prompts == prompts[:1]).all()):
            raise ModelError.at(
                "prefixes", "one prompt for all rows", "several", "ask for each prompt by itself"
            )
        tokens = prefixes.response.cpu().numpy()
        if ended is None and tokens.shape[1]:
            ended = tokens[:, -1] == (-1 if prefixes.model.end is None else prefixes.model.end)
        return cls(
            prompt=tuple(prefixes.tokens[0, real].tolist()) if len(prefixes) else (),
            tokens=tokens,
            hidden=prefixes.hidden.float().cpu().numpy(),
            summed=prefixes.summed.float().cpu().numpy(),
            ended=np.zeros(len(tokens), dtype=np.bool_) if ended is None else ended,
            text=lambda row: prefixes.model.text(tokens[row]),
            paid=paid,
            gained=gained,
            log_prob=log_prob,
        )


class CostModel(Protocol):
    """What the newest token of a response costs.

    Notes
    -----
    If a step can cost less than nothing, a budget that is never exceeded on the way (anytime) is
    a stricter demand than one that is kept at the end (terminal): `nonnegative` says so.

    The same prompt and response must always cost the same, whatever stands in the other rows.
    Models of text and tokens do so to the bit. What reads latents inherits their drift: floats
    of a transformer change in the last digits with the batch, which can move a score that lies
    on the edge of two units; see `llm_bridge.costs.quantise.at_edge`.
    """

    @property
    def name(self) -> str:
        """For reports."""
        ...

    @property
    def unit(self) -> Fraction:
        """Costs are whole multiples of it."""
        ...

    @property
    def uses_hidden(self) -> bool:
        """Whether it reads `Steps.hidden` or `Steps.summed`."""
        ...

    @property
    def nonnegative(self) -> bool:
        """Whether no step can cost less than nothing."""
        ...

    def __call__(self, steps: Steps) -> Ints:
        """The cost of the step that led to each row, int64[N], in units.

        Raises
        ------
        ModelError
            If a cost cannot be found; whoever guards must take that as not safe.
        """
        ...


class Reward(Protocol):
    """What the newest token of a response is worth."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    @property
    def uses_hidden(self) -> bool:
        """Whether it reads `Steps.hidden` or `Steps.summed`."""
        ...

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """The reward of the step that led to each row, float64[N].

        Raises
        ------
        ModelError
            If it cannot be found.
        """
        ...


def need_paid(steps: Steps, name: str) -> Ints:
    """`Steps.paid`, or an error that says what is missing."""
    if steps.paid is None:
        raise ModelError.at(
            "steps.paid", f"what {name} charged for the earlier steps of each row", "nothing",
            "add up its costs along the response (zeros at the first step)",
        )  # fmt: skip
    return steps.paid


def need_gained(steps: Steps, name: str) -> NDArray[np.float64]:
    """`Steps.gained`, or an error that says what is missing."""
    if steps.gained is None:
        raise ModelError.at(
            "steps.gained", f"what {name} gave for the earlier steps of each row", "nothing",
            "add up its rewards along the response (zeros at the first step)",
        )  # fmt: skip
    return steps.gained
