"""The levels of a token tree while it grows, and the tree that they become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.tree.tree import TokenTree, spread

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Array = NDArray[Any]

ADDED = ("parent", "token", "log_prob", "ended")
"""Of every node of a level; `parent` is a place in the level above."""
NOTED = ("node", "hidden", "count", "truncated")
"""Of every node that the model has read; `node` is its place, `count` its children."""


class Levels:
    """Nodes by depth; places are counted within a level."""

    def __init__(self, horizon: int) -> None:
        self._parts: list[dict[str, list[Array]]] = [
            {name: [] for name in (*ADDED, *NOTED)} for _ in range(horizon + 1)
        ]
        self._sizes = [0] * (horizon + 1)

    def add(
        self, depth: int, parent: Ints, token: Ints, log_prob: NDArray[np.float64], ended: Bools
    ) -> None:
        """Append nodes to a level."""
        for name, value in zip(ADDED, (parent, token, log_prob, ended), strict=True):
            self._parts[depth][name].append(value)
        self._sizes[depth] += len(token)

    def note(
        self, depth: int, node: Ints, hidden: Array, count: Ints, truncated: NDArray[np.float64]
    ) -> None:
        """Append what the model said of nodes, in the order of their places."""
        for name, value in zip(NOTED, (node, hidden, count, truncated), strict=True):
            self._parts[depth][name].append(value)

    def size(self, depth: int) -> int:
        """Nodes at a depth."""
        return self._sizes[depth]

    def count(self) -> int:
        """Nodes in all."""
        return sum(self._sizes)

    def ended(self, depth: int, node: Ints) -> Bools:
        """Whether nodes of the chunk that was added last to a level are ended."""
        last: Bools = self._parts[depth]["ended"][-1]
        return last[node - (self._sizes[depth] - len(last))]

    def last(self, depth: int, size: int) -> tuple[Ints, Ints, Bools]:
        """Parent, token and ended of the last nodes of a level."""
        start = self._sizes[depth] - size
        parent, token, ended = (self.array(depth, n)[start:] for n in ("parent", "token", "ended"))
        return parent, token, ended

    def root_hidden(self) -> Array:
        """The latent of the prompt."""
        return self.array(0, "hidden")

    def array(self, depth: int, name: str) -> Array:
        """One of `ADDED` or `NOTED`, joined."""
        parts = self._parts[depth][name]
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        return parts[0] if parts else np.zeros(0, dtype=np.int64)

    def arrays(self) -> dict[str, Array]:
        """Everything, by names that `restored` reads."""
        return {
            f"{name}_{depth}": self.array(depth, name)
            for depth, level in enumerate(self._parts)
            for name in (*ADDED, *NOTED)
            if level[name]
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], horizon: int) -> Levels:
        """The levels that gave these arrays."""
        levels = cls(horizon)
        for depth in range(horizon + 1):
            for name in (*ADDED, *NOTED):
                if f"{name}_{depth}" in arrays:
                    levels._parts[depth][name].append(arrays[f"{name}_{depth}"])
            levels._sizes[depth] = len(levels.array(depth, "token"))
        return levels

    def tree(self, prompt: tuple[int, ...], horizon: int, vocabulary: int) -> TokenTree:
        """The tree, when every node that shall be read has been."""
        used = [depth for depth, size in enumerate(self._sizes) if size]
        first = np.concatenate([[0], np.cumsum([self._sizes[d] for d in used])])
        joined = {
            name: np.concatenate([self.array(d, name) for d in used])
            for name in ("token", "log_prob", "ended")
        }
        nodes = int(first[-1])
        parent, known = np.full(nodes, -1, dtype=np.int64), np.zeros(nodes, dtype=np.bool_)
        count, truncated = np.zeros(nodes, dtype=np.int64), np.zeros(nodes)
        for d in used:
            if d:
                parent[first[d] : first[d + 1]] = self.array(d, "parent") + first[d - 1]
            read = self.array(d, "node") + first[d]
            known[read] = True
            count[read] = self.array(d, "count")
            truncated[read] = self.array(d, "truncated")
        rows = [self.array(d, "hidden") for d in used if len(self.array(d, "node"))]
        return TokenTree(
            prompt, horizon, vocabulary, parent=parent, token=joined["token"],
            depth=np.repeat(np.array(used, dtype=np.int32), np.diff(first)),
            log_prob=joined["log_prob"], ended=joined["ended"],
            child_ptr=1 + np.concatenate([[0], np.cumsum(count)]),
            truncated=truncated, hidden=spread(np.concatenate(rows), known), known=known,
        )  # fmt: skip
