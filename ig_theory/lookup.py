"""Finding the nodes of a product that a view is about."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import Product
from ig_theory.cmdp import Floats, Ints
from ig_theory.guard import GuardView


class Lookup:
    """Finds the nodes of a product that a view is about.

    With one constraint, a budget that the product does not hold is answered by the largest
    smaller one of the same state (and time), or else by the smallest; with several, only by
    itself.
    """

    def __init__(self, product: Product) -> None:
        store, several = product.store, len(product.constraints) > 1
        shown = store.shown(np.arange(len(store)))
        vectors = [tuple(b.value(i) for b in shown) for i in range(len(store))]
        self._known = sorted(set(vectors))
        self._rank = {v: i for i, v in enumerate(self._known)}
        self._exact = several
        self._states = product.model.S
        rank = np.array([self._rank[v] for v in vectors], dtype=np.int64)
        when = product.time.astype(np.int64) if product.timed else np.int64(0)
        place = (when * self._states + product.state) * len(self._known) + rank[product.budget]
        self._nodes = np.argsort(place, kind="stable")
        self._places = place[self._nodes]

    def __call__(self, view: GuardView) -> Ints:
        """The node of each row, or -1 if its state (at its time) was never met."""
        width = len(self._known)
        rank = self._ranks(view)
        assert view.state is not None
        when = view.time if view.time is not None else np.int64(0)
        first = (when * self._states + view.state) * width
        at = np.searchsorted(self._places, first + rank, side="right") - 1
        below = (at >= 0) & (self._places[at] >= first)
        if self._exact:
            found = below & (self._places[at] == first + rank) & (rank >= 0)
            return np.where(found, self._nodes[at], -1)
        above = np.minimum(at + 1, len(self._places) - 1)
        lowest = (self._places[above] >= first) & (self._places[above] < first + width)
        return np.where(below, self._nodes[at], np.where(lowest, self._nodes[above], -1))

    def _ranks(self, view: GuardView) -> Ints:
        """The place of each row's budgets among the known ones (of the largest not above)."""
        seen: dict[tuple[Any, ...], int] = {}
        keys = list(zip(*(b.numerator.tolist() for b in view.budgets), strict=True))
        out = np.empty(len(keys), dtype=np.int64)
        for row, key in enumerate(keys):
            if key not in seen:
                vector = tuple(b.value(row) for b in view.budgets)
                seen[key] = (
                    self._rank.get(vector, -1)
                    if self._exact
                    else bisect.bisect_right(self._known, vector) - 1
                )
            out[row] = seen[key]
        return out


def rows_of(product: Product, nodes: Ints, value: npt.NDArray[Any], width: int) -> Floats:
    """A value per product choice laid out like a view, float64[N, width]; 0 where there is none."""
    count = np.diff(product.choice_ptr)[nodes]
    first = np.repeat(product.choice_ptr[nodes] - (np.cumsum(count) - count), count)
    index = np.arange(int(count.sum())) + first
    out = np.zeros((len(nodes), width))
    out[np.repeat(np.arange(len(nodes)), count), product.place[index]] = value[index]
    return out
