"""An endless product by time: what optima that depend on time need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import KEPT, RUNNING, Product
from ig_theory.cmdp import Ints


def unroll(product: Product, steps: int) -> tuple[Product, Ints, Ints]:
    """The pairs of an endless run by time, for `steps` steps; running ones then end as KEPT.

    Returns
    -------
    product : Product
        Timed; its layers are times.
    node : int64[N], choice : int64[M]
        Which node and choice of the given product each one is.
    """
    here = product.initial.astype(np.int64)
    layers, counts, choices, sizes, targets = [here], [], [], [], []
    offset = len(here)
    for _ in range(steps):
        running = product.outcome[here] == RUNNING
        count = np.where(running, np.diff(product.choice_ptr)[here], 0)
        taken = _ranges(product.choice_ptr[here], count)
        size = np.diff(product.branch_ptr)[taken]
        ahead = product.branch_node[_ranges(product.branch_ptr[taken], size)]
        here, place = np.unique(ahead, return_inverse=True)
        here = here.astype(np.int64)
        counts.append(count)
        choices.append(taken)
        sizes.append(size)
        targets.append(place.reshape(-1) + offset)
        layers.append(here)
        offset += len(here)
    counts.append(np.zeros(len(here), dtype=np.int64))
    node, choice = np.concatenate(layers), np.concatenate(choices)
    outcome = product.outcome[node].copy()
    last = len(node) - len(here)
    outcome[last:][outcome[last:] == RUNNING] = KEPT
    horizon = tuple(replace(c, horizon=steps) for c in product.constraints)
    long = replace(
        product, constraints=horizon, state=product.state[node], budget=product.budget[node],
        outcome=outcome, layer_ptr=np.concatenate([[0], np.cumsum([len(x) for x in layers])]),
        initial=np.arange(len(layers[0])),
        choice_ptr=np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
        choice=product.choice[choice], weight=product.weight[choice],
        broken=product.broken[choice],
        branch_ptr=np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64),
        branch_node=np.concatenate(targets).astype(np.int32),
        parent=np.full(len(node), -1),
    )  # fmt: skip
    return long, node, choice


def _ranges(first: npt.NDArray[Any], count: npt.NDArray[Any]) -> Ints:
    """``first[i] .. first[i] + count[i] - 1`` for all i in turn."""
    shift = np.repeat(first - (np.cumsum(count) - count), count)
    return np.asarray(np.arange(int(count.sum())) + shift, dtype=np.int64)
