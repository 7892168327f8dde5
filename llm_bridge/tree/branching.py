"""Which tokens follow a prefix in a tree, and how many nodes that makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ig_theory.errors import ModelError

_FIRST_LOOK = 256
"""Tokens among which the likeliest `top_p` are looked for before all are sorted."""


@dataclass(frozen=True, eq=False)
class Branching:
    """The children of M prefixes.

    Attributes
    ----------
    row : int64[C]
        To which prefix a child belongs, ascending.
    token : int64[C]
        Ascending in a row with the full vocabulary, else by falling probability.
    log_prob : float64[C]
    truncated : float64[M]
        Probability of all other tokens.
    """

    row: NDArray[np.int64]
    token: NDArray[np.int64]
    log_prob: NDArray[np.float64]
    truncated: NDArray[np.float64]


def branch(
    log_probs: Tensor, top_k: int | None, top_p: float | None, end: int | None = None
) -> Branching:
    """The tokens of positive probability, or the likeliest `top_k`, or the fewest of mass `top_p`.

    Parameters
    ----------
    log_probs : float64[M, V]
    top_k, top_p
        With both, a token must be among both.
    end
        A token that is always among the `top_k`, in the place of the last.
    """
    if top_k is None and top_p is None:
        found = log_probs.cpu().numpy()
        row, token = np.nonzero(found > -np.inf)
        return Branching(row, token, found[row, token], np.zeros(len(found)))
    width = log_probs.shape[1]
    most = min(width, _FIRST_LOOK if top_k is None else top_k)
    value, token_table = likeliest(log_probs, most, None if top_k is None else end)
    if top_k is None and top_p is not None and most < width:
        short = value.exp().sum(dim=1) < top_p
        if bool(short.any()):
            value, token_table = likeliest(log_probs, width)
    kept = value > -torch.inf
    if top_p is not None:
        mass = value.exp()
        kept &= mass.cumsum(dim=1) - mass < top_p  # the likeliest one is always among them
    # What is left out is added up itself: 1 minus the rest would lose small masses to rounding.
    rest = log_probs.scatter(
        1, token_table, torch.where(kept, -torch.inf, value)
    ).exp().sum(dim=1)  # fmt: skip
    row_index, place = (index.cpu().numpy() for index in kept.nonzero(as_tuple=True))
    return Branching(
        row_index,
        token_table.cpu().numpy()[row_index, place],
        value.cpu().numpy()[row_index, place],
        rest.cpu().numpy(),
    )


def likeliest(log_probs: Tensor, most: int, end: int | None = None) -> tuple[Tensor, Tensor]:
    """The likeliest tokens by falling probability; of equal ones the smaller token first.

    `end` is always among them, in the place of the last: a response can end at any time.
    """
    ranked = log_probs
    if end is not None:
        ranked = log_probs.clone()
        ranked[:, end] = torch.inf
    token = ranked.topk(most, dim=1).indices.sort(dim=1).values
    value, again = log_probs.gather(1, token).sort(dim=1, descending=True, stable=True)
    return value, token.gather(1, again)


def check_options(
    vocabulary: int, horizon: int, top_k: int | None, top_p: float | None, limit: int
) -> None:
    """Refuse options that mean nothing.

    Raises
    ------
    ModelError
        Naming the option.
    """
    if horizon < 1:
        raise ModelError.at("horizon", "at least 1 token", horizon, "let responses be longer")
    if top_k is not None and not 1 <= top_k <= vocabulary:
        raise ModelError.at(
            "top_k", f"1..{vocabulary}, or None for every token", top_k, "choose how many tokens"
        )
    if top_p is not None and not 0 < top_p <= 1:
        raise ModelError.at("top_p", "above 0, at most 1", top_p, "choose a probability mass")
    if limit < 1:
        raise ModelError.at("limit", "at least 1 node", limit, "allow some nodes")


def least_nodes(vocabulary: int, end: int | None, horizon: int, top_k: int | None) -> int:
    """Nodes that a tree has at least; with the full vocabulary exactly so many.

    Every inner node has as many children, of which at most one ends. (With `top_p` a node may
    have one child only.)

    Examples
    --------
    >>> least_nodes(11, 1, 6, None)
    1222222
    >>> least_nodes(50000, None, 3, 2)
    15
    """
    width = vocabulary if top_k is None else top_k
    inner, nodes = 1, 1
    for _ in range(horizon):
        nodes += inner * width
        inner *= width if end is None else width - 1
    return nodes


def refuse_too_many(
    vocabulary: int, end: int | None, horizon: int, top_k: int | None, limit: int
) -> None:
    """Say before any work that a tree will not fit.

    Raises
    ------
    ModelError
        With the longest horizon that fits.
    """
    nodes = least_nodes(vocabulary, end, horizon, top_k)
    if nodes <= limit:
        return
    fits = next(h for h in range(horizon) if least_nodes(vocabulary, end, h + 1, top_k) > limit)
    longest = f"horizon {fits} at most, " if fits else ""
    raise ModelError.at(
        "tree", f"at most {limit:,} nodes", f"at least {nodes:,}",
        f"take {longest}a smaller top_k, or raise the limit",
    )  # fmt: skip
