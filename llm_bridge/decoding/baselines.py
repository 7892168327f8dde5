"""The unguarded model, best-of-N and beam search, each under any score."""

from __future__ import annotations

from llm_bridge.decoding.block_search import BlockSearch
from llm_bridge.decoding.scores import Score, Worth


def base() -> BlockSearch:
    """The model as it is: one sampled response."""
    return BlockSearch("base", blocks=1)


def best_of_n(blocks: int = 100, score: Score | None = None) -> BlockSearch:
    """The best of N whole responses.

    `Lagrangian` and `Augmented` as scores give the variants of the paper's table.
    """
    return BlockSearch(f"best of {blocks}", blocks=blocks, score=score or Worth())


def beam_search(
    blocks: int = 4,
    width: int = 32,
    keep: int = 32,
    score: Score | None = None,
    shared: bool = False,
) -> BlockSearch:
    """Search by blocks: N blocks of `width` tokens for each beam, the best K go on."""
    return BlockSearch(
        "beam search", blocks, width, keep, score=score or Worth(), shared=shared
    )  # fmt: skip
