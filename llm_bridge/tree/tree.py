"""A token tree: every response that a language model can give, up to a length, in flat arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import ModelError
from llm_bridge.tree.files import read_npz, write_npz

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Latents = NDArray[np.floating[Any]]

FORMAT = "ig-theory token tree"
_ARRAYS = ("parent", "token", "depth", "log_prob", "ended", "child_ptr", "truncated")


@dataclass(frozen=True, eq=False)
class TokenTree:
    """N nodes in breadth-first order; node 0 is the prompt, every other node adds a token.

    Attributes
    ----------
    prompt : tuple of int
    horizon : int
        Nothing is longer than so many tokens after the prompt.
    vocabulary : int
        Size V of the model's vocabulary.
    parent : int64[N]
        -1 for the root.
    token : int64[N]
        The token that leads to the node; -1 for the root.
    depth : int32[N]
    log_prob : float64[N]
        Of the token after its parent; 0 for the root.
    ended : bool[N]
        The token is the one that ends a response.
    child_ptr : int64[N+1]
        The children of node n are the nodes ``child_ptr[n] .. child_ptr[n+1]-1``.
    truncated : float64[N]
        Probability of the tokens that are no child of an inner node: the branch "other".
    hidden : float[N, D] or None
        The latent of each node that has one, else 0: the last layer's state after its token.
    known : bool[N]
        Which nodes have a latent: all inner ones, and leaves if they were asked for.
    """

    prompt: tuple[int, ...]
    horizon: int
    vocabulary: int
    parent: Ints
    token: Ints
    depth: NDArray[np.int32]
    log_prob: Floats
    ended: Bools
    child_ptr: Ints
    truncated: Floats
    hidden: Latents | None
    known: Bools

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.parent)

    @cached_property
    def leaf(self) -> Bools:
        """Nodes after which nothing follows, bool[N]: ended, or at the horizon."""
        return np.asarray(self.child_ptr[1:] == self.child_ptr[:-1])

    @cached_property
    def level_ptr(self) -> Ints:
        """Nodes at depth d are ``level_ptr[d] .. level_ptr[d+1]-1``; int64[depths + 1]."""
        places = np.arange(int(self.depth[-1]) + 2)
        return np.searchsorted(self.depth, places).astype(np.int64)

    @cached_property
    def log_mass(self) -> Floats:
        """Log-probability that the model's response begins with the node's tokens, float64[N]."""
        total = self.log_prob.copy()
        for low, high in self.levels():
            total[low:high] += total[self.parent[low:high]]
        return total

    def levels(self) -> Iterator[tuple[int, int]]:
        """The nodes of each depth from 1 on, as (first, behind the last)."""
        bounds = self.level_ptr.tolist()
        yield from pairwise(bounds[1:])

    def children(self, node: int) -> range:
        """The nodes one token longer."""
        return range(int(self.child_ptr[node]), int(self.child_ptr[node + 1]))

    def path(self, node: int) -> tuple[int, ...]:
        """The tokens from the prompt to a node."""
        found = []
        while node > 0:
            found.append(int(self.token[node]))
            node = int(self.parent[node])
        return tuple(reversed(found))

    def find(self, tokens: tuple[int, ...]) -> int | None:
        """The node of a response, or None if the tree does not hold it."""
        node = 0
        for token in tokens:
            below = self.children(node)
            at = np.flatnonzero(self.token[below.start : below.stop] == token)
            if not len(at):
                return None
            node = below.start + int(at[0])
        return node

    def total(self) -> float:
        """Probability of all leaves and all that was truncated: 1 but for rounding."""
        mass = np.exp(self.log_mass)
        return float(mass[self.leaf].sum() + (mass * self.truncated).sum())

    def save(self, path: str | Path) -> None:
        """Write an npz archive (no pickle); it appears whole or not at all."""

        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays["known"] = self.known
        if self.hidden is not None:
            arrays["hidden"] = self.hidden[self.known]
        header = {"prompt": self.prompt, "horizon": self.horizon, "vocabulary": self.vocabulary}
        write_npz(Path(path), FORMAT, header, arrays)

    @classmethod
    def load(cls, path: str | Path) -> TokenTree:
        """Read what `save` wrote.

        Raises
        ------
        ModelError
            If there is no such file or it holds no token tree.
        """

        header, arrays = read_npz(Path(path), FORMAT)
        try:
            known, hidden = arrays["known"], arrays.get("hidden")
            return cls(
                prompt=tuple(int(token) for token in header["prompt"]),
                horizon=int(header["horizon"]), vocabulary=int(header["vocabulary"]), known=known,
                hidden=None if hidden is None else spread(hidden, known),
                **{name: arrays[name] for name in _ARRAYS},
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError.at(
                str(path), "a whole token tree", f"{type(error).__name__}: {error}", "save it again"
            ) from error


def spread(rows: Latents, known: Bools) -> Latents:
    """Latents at the nodes that have one, 0 elsewhere, from those rows alone."""
    hidden = np.zeros((len(known), rows.shape[1]), dtype=rows.dtype)
    hidden[known] = rows
    return hidden
