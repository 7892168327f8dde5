"""Costs and rewards of every step of a token tree, asked level by level in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import ModelError
from llm_bridge.costs.steps import CostModel, Reward, Steps
from llm_bridge.language_model import LanguageModel
from llm_bridge.tree.tree import Floats, Ints, TokenTree

BATCH = 65_536
"""Rows that are asked about at a time."""


def step_costs(tree: TokenTree, model: LanguageModel, cost: CostModel) -> Ints:
    """What the token into each node costs, int64[N] in ``cost.unit``; 0 for the root.

    Raises
    ------
    ModelError
        If the costs read latents that the tree lacks, or are no whole numbers, one for each row.
    """
    return np.asarray(_walked(tree, model, cost, np.int64, "paid"))


def step_rewards(tree: TokenTree, model: LanguageModel, reward: Reward) -> Floats:
    """What the token into each node is worth, float64[N]; 0 for the root.

    Raises
    ------
    ModelError
        If the rewards read latents that the tree lacks, or are not finite, one for each row.
    """
    return np.asarray(_walked(tree, model, reward, np.float64, "gained"))


def _walked(
    tree: TokenTree, model: LanguageModel, ask: CostModel | Reward, kind: type, total: str
) -> NDArray[Any]:
    found: NDArray[Any] = np.zeros(len(tree), dtype=kind)
    so_far: NDArray[Any] = np.zeros(len(tree), dtype=kind)
    for low, high, steps in _steps(tree, model, ask, so_far, total):
        answer = np.asarray(ask(steps))
        if answer.shape != (high - low,) or not np.can_cast(answer.dtype, kind, "safe"):
            raise ModelError.at(
                ask.name, f"{np.dtype(kind)}[{high - low}]", f"{answer.dtype}{list(answer.shape)}",
                "return one number for each row",
            )  # fmt: skip
        if not np.isfinite(answer).all():
            raise ModelError.at(ask.name, "finite numbers", "NaN or infinity", "repair it")
        found[low:high] = answer
        so_far[low:high] = so_far[tree.parent[low:high]] + answer
    return found


def _steps(
    tree: TokenTree, model: LanguageModel, ask: CostModel | Reward, so_far: NDArray[Any], total: str
) -> Iterator[tuple[int, int, Steps]]:
    """Every step of the tree, with what the earlier ones were found to be."""
    if ask.uses_hidden and (tree.hidden is None or not tree.known.all()):
        raise ModelError.at(
            "tree", f"latents of all nodes, which {ask.name} reads", "none of leaves",
            "expand with leaf_hidden=True",
        )  # fmt: skip
    tokens = np.zeros((1, 0), dtype=np.int64)
    hidden = tree.hidden if ask.uses_hidden else None
    above = None if hidden is None else np.zeros_like(hidden[:1])
    first = 0
    for start, stop in tree.levels():
        parent = tree.parent[start:stop]
        tokens = np.concatenate([tokens[parent - first], tree.token[start:stop, None]], axis=1)
        if hidden is not None and above is not None:
            above = above[parent - first] + hidden[start:stop]
        for low in range(start, stop, BATCH):
            part = slice(low, min(low + BATCH, stop))
            rows = slice(part.start - start, part.stop - start)
            said = tokens[rows]
            yield part.start, part.stop, Steps(
                prompt=tree.prompt, tokens=said,
                hidden=None if hidden is None else hidden[part],
                summed=None if above is None else above[rows],
                ended=tree.leaf[part], text=_text(model, said),
                **{total: so_far[tree.parent[part]]}, log_prob=tree.log_prob[part],
            )  # fmt: skip
        first = start


def _text(model: LanguageModel, tokens: Ints) -> Any:
    return lambda row: model.text(tokens[row].tolist())
