"""InferenceGuard as published (arXiv 2502.01208).

Blocks are drawn for each beam; beams are scored by what they earn where the remaining budget is
kept, or where a critic trusts it to be; if every beam fails, tokens of the failed blocks are
penalised and the round is drawn again.
"""

from __future__ import annotations

from llm_bridge.decoding.block_search import BlockSearch
from llm_bridge.decoding.scores import LOST, Augmented, Critic, Foreseen


def inference_guard(
    blocks: int = 128,
    width: int = 32,
    keep: int | None = None,
    retries: int = 2,
    critic: Critic | None = None,
    *,
    lost: float = LOST,
    strength: float = 5.0,
    stops: bool = False,
    shared: bool = True,
) -> BlockSearch:
    """InferenceGuard as published.

    Parameters
    ----------
    blocks, width, keep, retries
        N, w, K (N/4 by default) and M.
    critic
        None: beams are scored by the test of z so far.
    lost
        ``n``.
    strength
        Of the penalty; not known from the publication.
    stops
        What happens after M failures, which the publication leaves open: see `BlockSearch`. In
        neither case is the response certain to keep its budget.
    shared
        N blocks in all (so that N/K of them follow each beam), rather than N for each beam.
    """
    score = Augmented(lost) if critic is None else Foreseen(critic, lost=lost)
    return BlockSearch(
        "inference guard" if critic is None else "inference guard with critic",
        blocks, width, max(1, blocks // 4) if keep is None else keep, score, retries, strength,
        stops, shared,
    )  # fmt: skip
