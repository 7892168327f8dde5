"""Which latent predicts which token: the contract, and a check that an off-by-one fails.

The latent of a token sequence is the state after its *last* token; it predicts the token that
follows. Shifting either by one is the classic mistake: a critic or probe trained on shifted
pairs learns to look into the future, and is useless when decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ig_theory.errors import ModelError
from llm_bridge.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class Aligned:
    """Prefixes of one sequence, their latents, and the token that follows each.

    Attributes
    ----------
    tokens : tuple of int, length L
    hidden : float[L - 1, D]
        Row i is the state after ``tokens[: i + 1]``.
    """

    tokens: tuple[int, ...]
    hidden: Tensor

    def __post_init__(self) -> None:
        if len(self.hidden) != len(self.tokens) - 1:
            raise ModelError.at(
                "hidden", f"one state for each of the {len(self.tokens) - 1} prefixes",
                len(self.hidden), "the last token predicts nothing: leave its state out",
            )  # fmt: skip

    def __len__(self) -> int:
        return len(self.hidden)

    def __getitem__(self, i: int) -> tuple[tuple[int, ...], Tensor, int]:
        """(prefix, hidden, next token)."""
        return self.tokens[: i + 1], self.hidden[i], self.tokens[i + 1]


def align(model: LanguageModel, tokens: Sequence[int]) -> Aligned:
    """All prefixes of a sequence with their latents and next tokens."""
    return Aligned(tuple(tokens), model.states(tokens)[:-1])


def verify_alignment(
    model: LanguageModel, aligned: Aligned, tolerance: float = 1e-3, most: int = 16
) -> float:
    """Recompute latents of prefixes, each from its tokens alone; the largest relative distance.

    Raises
    ------
    ModelError
        If a latent is not that of its prefix: most likely it is shifted.
    """
    worst = 0.0
    for i in torch.linspace(0, len(aligned) - 1, min(most, len(aligned))).long().tolist():
        prefix, hidden, _ = aligned[i]
        again = model.start([prefix]).hidden[0]
        far = float((again - hidden).norm() / again.norm())
        worst = max(worst, far)
        if not far <= tolerance:
            raise ModelError.at(
                f"hidden[{i}]", f"the state after the first {i + 1} tokens",
                f"another, {far:.2g} away", "align the latents: row i has read token i",
            )  # fmt: skip
    return worst


def batch_drift(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> float:
    """How much a prefix's log-probabilities depend on its batch neighbours, at most.

    The largest absolute difference over tokens of probability at least 1e-6 between reading the
    prompts together and each alone.
    """
    together, worst = model.start(prompts).log_probs(), 0.0
    for row, prompt in zip(together, prompts, strict=True):
        alone = model.start([prompt]).log_probs()[0]
        likely = alone > -13.8
        worst = max(worst, float((row - alone)[likely].abs().max()))
    return worst
