"""Decoders inside Hugging Face's `generate`, and step guards as logits processors."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import EosTokenCriteria, LogitsProcessor, MaxLengthCriteria

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError
from llm_bridge.costs.steps import CostModel, Reward
from llm_bridge.decoding.decoder import Decoder, Response, decode
from llm_bridge.decoding.live import LiveWorld
from llm_bridge.decoding.tree_guards import StepGuard
from llm_bridge.language_model import LanguageModel


class Generation:
    """A decoder for ``network.generate(ids, custom_generate=...)``.

    Rows of the batch are decoded one after another, each with random numbers of its own, so
    what a row becomes does not depend on the others. Left padding is taken off where the
    attention mask says so. `responses` holds the records of the last call.

    Parameters
    ----------
    decoder, model, constraint, cost, reward
    seed
        Row k draws from ``SeedSequence(seed).spawn``'s k-th child.

    Raises
    ------
    GuardError
        By the call: if logits processors or stopping criteria are given that a decoder by blocks
        cannot follow, or there is no room for a token.
    """

    def __init__(
        self,
        decoder: Decoder,
        model: LanguageModel,
        constraint: BudgetConstraint,
        cost: CostModel,
        reward: Reward | None = None,
        seed: int = 0,
        *,
        reward_discount: Fraction = Fraction(1),
    ) -> None:
        self._decoder, self._model, self._constraint = decoder, model, constraint
        self._cost, self._reward, self._seed = cost, reward, seed
        self._discount = reward_discount
        self.responses: tuple[Response, ...] = ()

    def __call__(
        self,
        model: Any,
        input_ids: Tensor,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        generation_config: Any = None,
        **model_kwargs: Any,
    ) -> Tensor:
        """Prompts with their responses, int64[B, L], padded on the right."""
        if model is not self._model.network:
            raise GuardError.at(
                "generate", "the network that the decoder was made for", "another", "make it anew"
            )
        _refuse_others(logits_processor, stopping_criteria, self._model.end)
        horizon = _room(generation_config, input_ids.shape[1])
        mask = model_kwargs.get("attention_mask")
        seeds = np.random.SeedSequence(self._seed).spawn(len(input_ids))
        answers = []
        for row, seed in zip(range(len(input_ids)), seeds, strict=True):
            prompt = input_ids[row] if mask is None else input_ids[row][mask[row].bool()]
            world = LiveWorld(
                self._model, prompt.tolist(), self._constraint, horizon, self._cost, self._reward,
                np.random.default_rng(seed), reward_discount=self._discount,
            )  # fmt: skip
            answers.append(decode(self._decoder, world))
        self.responses = tuple(answers)
        longest = max(len(answer.tokens) for answer in answers)
        pad = _padding(generation_config, self._model)
        after = torch.full((len(answers), longest), pad, dtype=input_ids.dtype)
        for row, answer in enumerate(answers):
            after[row, : len(answer.tokens)] = torch.as_tensor(answer.tokens)
        return torch.cat([input_ids, after.to(input_ids.device)], dim=1)


class GuardProcessor(LogitsProcessor):
    """A step guard of a token tree as a logits processor; for sampling at temperature 1.

    Scores become the guard's log-probabilities; tokens that it does not play are -inf, so that
    greedy decoding stays inside what it allows. Let it come last: a processor after it that only
    adds to scores cannot bring a forbidden token back, but one that writes them anew can.

    Parameters
    ----------
    step
    end, pad
        Rows that have ended are only padded.

    Raises
    ------
    GuardError
        By the call: if a row's prompt is not the tree's, or the tree does not hold its response.
    """

    def __init__(self, step: StepGuard, end: int | None, pad: int | None = None) -> None:
        self._step, self._end, self._pad = step, end, end if pad is None else pad

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The guard's log-probabilities, [B, V]."""
        tree = self._step.found.tree
        guarded = torch.full_like(scores, -torch.inf)
        for row, ids in enumerate(input_ids.tolist()):
            said = tuple(ids[len(tree.prompt) :])
            if tuple(ids[: len(tree.prompt)]) != tree.prompt:
                raise GuardError.at(
                    f"row {row}", f"the prompt of the tree, {tree.prompt}",
                    tuple(ids[: len(tree.prompt)]), "give that prompt, without padding",
                )  # fmt: skip
            if self._end is not None and self._end in said:
                guarded[row, self._pad] = 0.0
                continue
            tokens, mass = self._step.law(said)
            played = mass > 0
            guarded[row, torch.as_tensor(tokens[played])] = torch.as_tensor(
                np.log(mass[played]), dtype=scores.dtype
            ).to(scores.device)
        return guarded


def custom_generate(generation: Generation) -> Callable[..., Tensor]:
    """The function that ``generate(custom_generate=...)`` takes."""

    def call(model: Any, input_ids: Tensor, *args: Any, **given: Any) -> Tensor:
        return generation(model, input_ids, *args, **given)

    return call


def _refuse_others(processors: Any, criteria: Any, end: int | None) -> None:
    """Refuse what would be left out silently: another guard may be among it."""
    extra = [type(one).__name__ for one in processors or ()]
    for one in criteria or ():
        ids = set(one.eos_token_id.flatten().tolist()) if type(one) is EosTokenCriteria else {end}
        if type(one) not in (MaxLengthCriteria, EosTokenCriteria) or end not in ids:
            extra.append(type(one).__name__)
    if extra:
        raise GuardError.at(
            "generate", "no logits processors, and no end but the model's and the length",
            ", ".join(extra),
            "leave them out, with do_sample=False: the decoder draws by itself, from all tokens",
        )  # fmt: skip


def _room(config: Any, prompt: int) -> int:
    """How many tokens may follow."""
    new = getattr(config, "max_new_tokens", None)
    longest = getattr(config, "max_length", None)
    room = int(new) if new else (int(longest) - prompt if longest else 0)
    if room < 1:
        raise GuardError.at(
            "generate", "room for at least one new token", room, "give max_new_tokens"
        )
    return room


def _padding(config: Any, model: LanguageModel) -> int:
    for found in (getattr(config, "pad_token_id", None), model.end):
        if found is not None:
            return int(found)
    return 0
