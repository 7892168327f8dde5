"""What foreign code answers, checked: whatever is wrong with it is a `DecodingFault`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.decoding.problem import DecodingFault

if TYPE_CHECKING:
    from llm_bridge.decoding.decoder import Twist


def asked(name: str, answer: Any, count: int) -> NDArray[np.float64]:
    """Numbers from foreign code, one for each of `count` rows.

    Raises
    ------
    DecodingFault
        If the shape is wrong, or a number is not finite.
    """
    try:
        found = np.asarray(answer, dtype=np.float64)
    except Exception as error:  # a tensor with a gradient raises RuntimeError, and so on
        raise DecodingFault.at(name, f"{count} numbers", str(error), "repair it") from error
    if found.shape != (count,):
        raise DecodingFault.at(
            name, f"one number for each of {count} rows", f"shape {found.shape}", "repair it"
        )
    bad = ~np.isfinite(found)
    if bad.any():
        raise DecodingFault.at(name, "finite numbers", float(found[bad][0]), "repair it")
    return found


def twisted(twist: Twist, log_probs: Any, hidden: Any, tokens: Any) -> Any:
    """What a twist answers, Tensor float64[N, V].

    Raises
    ------
    DecodingFault
        If it raises, or the shape is wrong.
    """
    try:
        score = twist(log_probs, hidden, tokens).double()
    except DecodingFault:
        raise
    except Exception as error:  # foreign code: whatever it raises is a fault
        raise DecodingFault.at(
            "twist", "scores of tokens", f"{type(error).__name__}: {error}", "repair it"
        ) from error
    if score.shape != log_probs.shape:
        raise DecodingFault.at(
            "twist", f"scores of shape {tuple(log_probs.shape)}", f"shape {tuple(score.shape)}",
            "repair it",
        )  # fmt: skip
    return score


def no_law() -> DecodingFault:
    """The error of scores from which nothing can be drawn."""
    fault = DecodingFault.at(
        "law of the next token", "probabilities", "numbers that are not finite",
        "repair the twist, or take a dtype in which the model does not overflow",
    )  # fmt: skip
    assert isinstance(fault, DecodingFault)
    return fault
