"""Latents of many responses at once: the last token's, and the sum over the response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ig_theory.errors import ModelError
from llm_bridge.language_model import LanguageModel

TOKENS_AT_ONCE = 1024
"""Padded tokens in a batch: enough for full matrix products, little memory."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents of N responses, each cut after some numbers of tokens.

    Attributes
    ----------
    lengths : int64[N, K]
        Tokens of the response that were read, at each of K cuts.
    last : float32[N, K, D]
        The last layer's state after the last of them.
    summed : float32[N, K, D]
        The sum of the states after each of them.
    """

    lengths: NDArray[np.int64]
    last: NDArray[np.float32]
    summed: NDArray[np.float32]


def response_latents(
    model: LanguageModel,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    cuts: Sequence[int],
    progress: Progress | None = None,
) -> Latents:
    """Latents of (prompt, response) token pairs, as decoding would see them.

    Sequences of similar length are read together, padded on the right: a causal model's states
    of real tokens do not see what follows, so no mask is needed.

    Parameters
    ----------
    cuts : K ints
        A response longer than a cut is taken up to it; nothing after the longest is read.
    progress
        Called with (sequences done, of how many).

    Raises
    ------
    ModelError
        If a prompt or response is empty.
    """
    for i, (prompt, response) in enumerate(pairs):
        if not len(prompt) or not len(response):
            raise ModelError.at(
                f"pair {i}", "a prompt and a response of at least one token",
                f"{len(prompt)} and {len(response)}", "leave empty texts out",
            )  # fmt: skip
    most, size = max(cuts), model.setting.hidden_size
    lengths = np.array([[min(len(r), cut) for cut in cuts] for _, r in pairs], dtype=np.int64)
    last = np.zeros((len(pairs), len(cuts), size), dtype=np.float32)
    summed = np.zeros_like(last)
    rows = [list(p) + list(r)[:most] for p, r in pairs]
    done = 0
    for batch in _batches([len(row) for row in rows]):
        states = _states(model, [rows[i] for i in batch])
        for i, of_row in zip(batch, states, strict=True):
            start = len(pairs[i][0])
            totals = of_row[start:].cumsum(0)
            at = lengths[i] - 1
            last[i], summed[i] = of_row[start + at], totals[at]
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))
    return Latents(lengths, last, summed)


def _batches(sizes: Sequence[int]) -> list[list[int]]:
    """Rows by length, as many as stay below TOKENS_AT_ONCE when padded; the longest first."""
    out: list[list[int]] = []
    width = 0
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if not out or (len(out[-1]) + 1) * width > TOKENS_AT_ONCE:
            out.append([])
            width = sizes[i]
        out[-1].append(i)
    return out


def _states(model: LanguageModel, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    width = max(map(len, rows))
    tokens = torch.zeros((len(rows), width), dtype=torch.int64)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.as_tensor(row)
    with torch.inference_mode():
        out = model.network.base_model(tokens.to(model.network.device), use_cache=False)
    states: NDArray[np.float32] = out.last_hidden_state.float().cpu().numpy()
    return states
