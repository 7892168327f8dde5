"""Products by their branches: expectations over them, and breaking choices made visible."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import BROKEN, Product


def over_branches(product: Product, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``sum P value`` over each choice's branches, [M]; Fractions where `value` is."""
    sizes = np.diff(product.branch_ptr)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    ahead = value[product.branch_node]
    if value.dtype != object:
        mass = product.prob[product.branch] * ahead
        return np.bincount(owner, weights=mass, minlength=len(sizes)).astype(np.float64)
    total = np.full(len(sizes), Fraction(0), dtype=object)
    prob = product.model.branch_prob[product.branch]
    for b in np.flatnonzero(ahead != 0).tolist():
        total[owner[b]] += prob[b] * ahead[b]
    return total


def with_sink(product: Product) -> Product:
    """The same product where breaking choices lead to one more node at the end, a BROKEN leaf.

    Nodes and choices keep their numbers; violating is then the same as reaching a BROKEN leaf.
    """
    model, sink = product.model, len(product)
    sizes = np.diff(product.branch_ptr)
    breaks = product.broken > 0
    widths = np.diff(model.branch_ptr)[product.choice]
    branch_ptr = np.concatenate([[0], np.cumsum(np.where(breaks, widths, sizes))]).astype(np.int64)
    branch_node = np.full(int(branch_ptr[-1]), sink, dtype=np.int32)
    kept = np.repeat(~breaks, np.diff(branch_ptr))
    branch_node[kept] = product.branch_node
    layer_ptr = product.layer_ptr.copy()
    layer_ptr[-1] += 1
    return replace(
        product,
        state=np.append(product.state, np.int32(0)),
        budget=np.append(product.budget, np.int32(0)),
        outcome=np.append(product.outcome, np.int8(BROKEN)),
        layer_ptr=layer_ptr,
        choice_ptr=np.append(product.choice_ptr, product.choice_ptr[-1]),
        broken=np.zeros_like(product.broken),
        branch_ptr=branch_ptr,
        branch_node=branch_node,
        parent=np.append(product.parent, -1),
    )
