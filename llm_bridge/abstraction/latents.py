"""What of a transformer is its latent, for the states of a token tree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import ModelError
from llm_bridge.abstraction.partition import Ints, cells_of
from llm_bridge.tree.latent_mdp import TreeModel

Floats = NDArray[np.float64]


def last_layer(made: TreeModel) -> Floats:
    """The last layer's state after the newest token, float64[S, D]; 0 where the run is over."""
    tree = made.tree
    if tree.hidden is None:
        raise ModelError.at("tree", "latents of inner nodes", "none", "expand it anew")
    found = np.zeros((made.mdp.S, tree.hidden.shape[1]))
    inner = np.flatnonzero(~tree.leaf)
    found[inner] = tree.hidden[inner]
    return found


def full_cache(made: TreeModel) -> Floats:
    """The last layer's states after the prompt and every token since, float64[S, H * D].

    Zeros stand where no token is yet and where the run is over. It is a part of what the cache of
    keys and values holds (one layer, from the prompt's last token on), so what it tells apart the
    cache tells apart too.
    """
    tree = made.tree
    own = last_layer(made)
    width, deep = own.shape[1], int(tree.depth[~tree.leaf].max(initial=0)) + 1
    found = np.zeros((len(own), deep * width))
    found[0, :width] = own[0]
    for low, high in tree.levels():
        at = int(tree.depth[low])
        inner = low + np.flatnonzero(~tree.leaf[low:high])
        if not len(inner):
            break
        found[inner] = found[tree.parent[inner]]
        found[inner, at * width : (at + 1) * width] = own[inner]
    return found


def tree_cells(made: TreeModel, timed: bool = True) -> Ints:
    """Cells of a tree's states: ended apart, and unless told otherwise every length apart."""
    depth = np.zeros(made.mdp.S, dtype=np.int64)
    depth[: len(made.tree)] = made.tree.depth
    return cells_of(made.mdp, depth if timed else None)


def node_weight(made: TreeModel) -> Floats:
    """How likely the model's response begins with each node's tokens, float64[S]."""
    found = np.zeros(made.mdp.S)
    found[: len(made.tree)] = np.exp(made.tree.log_mass)
    if len(found) > len(made.tree):
        found[-1] = float((np.exp(made.tree.log_mass) * made.tree.truncated).sum())
    return found
