"""Other laws of the next token: steering the last latent by a value net, and a safe expert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm_bridge.decoding.block_search import BlockSearch
from llm_bridge.decoding.problem import DecodingFault
from llm_bridge.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class Steered:
    """Gradient steps on the last latent, through a value net (RE-Control, arXiv 2406.05954).

    Parameters
    ----------
    model
        Its output layer reads the steered latent.
    value
        A torch module from latents [N, D] to values [N] or [N, 1], or anything that has
        ``gradient(hidden) -> [N, D]``.
    steps, rate
        ``h <- h + rate * grad V(h)``, so many times.
    """

    model: LanguageModel
    value: Any
    steps: int = 30
    rate: float = 0.5

    def __call__(self, log_probs: Tensor, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Log-probabilities that the steered latents give.

        Raises
        ------
        DecodingFault
            If the value net raises, or its gradient has another shape or is not finite.
        """
        with torch.inference_mode(False):
            latent = hidden.detach().clone()
            for _ in range(self.steps):
                latent = latent + self.rate * self._gradient(latent).to(latent)
        return self.model.log_probs(latent)

    def _gradient(self, latent: Tensor) -> Tensor:
        try:
            if hasattr(self.value, "gradient"):
                slope = torch.as_tensor(np.asarray(self.value.gradient(latent.cpu().numpy())))
            else:
                slope = self._differentiated(latent)
        except Exception as error:  # foreign code: whatever it raises is a fault
            raise DecodingFault.at(
                "value net", "values of latents", f"{type(error).__name__}: {error}", "repair it"
            ) from error
        if slope.shape != latent.shape or not bool(torch.isfinite(slope).all()):
            raise DecodingFault.at(
                "value net", f"finite gradients of shape {tuple(latent.shape)}",
                f"shape {tuple(slope.shape)}, or numbers that are not finite", "repair it",
            )  # fmt: skip
        return slope

    def _differentiated(self, latent: Tensor) -> Tensor:
        first = next(iter(self.value.parameters()), latent)
        with torch.enable_grad():
            given = latent.detach().to(first).requires_grad_()
            (slope,) = torch.autograd.grad(self.value(given).sum(), given)
        return slope


def re_control(model: LanguageModel, value: Any, steps: int = 30, rate: float = 0.5) -> BlockSearch:
    """RE-Control: sampling from steered latents, one response.

    The variants of the paper's table train the value net on ``reward - price * cost``.
    """
    return BlockSearch("re-control", blocks=1, twist=Steered(model, value, steps, rate))


@dataclass(frozen=True, eq=False)
class Expert:
    """The law of SafeDecoding (arXiv 2402.08983): at first, what an expert prefers counts more.

    For the first `tokens` tokens, among the tokens that both models rank highest,
    ``p = p_base + weight * (p_expert - p_base)``, at least 0 and renormalised; then the base.

    Parameters
    ----------
    expert, prompt
        Another model of the same vocabulary, which reads the same prompt.
    tokens, weight
        m and alpha.
    space
        How many tokens both rank highest, at least (the sample space of the publication).
    """

    expert: LanguageModel
    prompt: tuple[int, ...]
    tokens: int = 2
    weight: float = 3.0
    space: int = 5

    def __call__(self, log_probs: Tensor, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Log-probabilities of the mixture."""
        if tokens.shape[1] >= self.tokens:
            return log_probs
        said = [[*self.prompt, *row] for row in tokens.tolist()]
        other = self.expert.start(said).log_probs().to(log_probs)
        mixed = torch.full_like(log_probs, -torch.inf)
        for row in range(len(log_probs)):
            both = self._shared(log_probs[row], other[row])
            base, safe = log_probs[row, both].exp(), other[row, both].exp()
            mass = (base + self.weight * (safe - base)).clamp(min=0)
            if float(mass.sum()) == 0:
                mass = safe
            mixed[row, both] = mass.log()
        return mixed

    def _shared(self, one: Tensor, two: Tensor) -> Tensor:
        """Tokens among the k likeliest of both, for the least k that gives `space` of them."""
        ranks = [torch.argsort(torch.argsort(-row, stable=True)) for row in (one, two)]
        worst = torch.maximum(*ranks)
        bound = torch.sort(worst).values[min(self.space, len(one)) - 1]
        return torch.nonzero(worst <= bound)[:, 0]


def safe_decoding(
    expert: LanguageModel,
    prompt: tuple[int, ...],
    tokens: int = 2,
    weight: float = 3.0,
    space: int = 5,
) -> BlockSearch:
    """SafeDecoding: sampling from the mixture with an expert, one response."""
    twist = Expert(expert, tuple(prompt), tokens, weight, space)
    return BlockSearch("safe decoding", blocks=1, twist=twist)
