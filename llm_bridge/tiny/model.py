"""Costs, rewards and the ready-made model of the tiny language."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ig_theory.cmdp import LatentMDP
from ig_theory.errors import ModelError
from llm_bridge.costs.steps import Steps
from llm_bridge.tiny.grammar import (
    BEGIN,
    END,
    GRAVE,
    HARSH,
    HELP,
    NAMES,
    NOTE,
    PLAIN,
    REFUSE,
    SLIGHT,
    SORRY,
)  # fmt: skip
from llm_bridge.tiny.train import tiny_model
from llm_bridge.tree.expand import expand
from llm_bridge.tree.latent_mdp import latent_mdp
from llm_bridge.tree.tree import TokenTree

_HARM = {SLIGHT: 1, HARSH: 2, GRAVE: 3}
_WORTH = {PLAIN: 0.5, HELP: 1.0, NOTE: 0.75, SLIGHT: 1.0, HARSH: 1.5, GRAVE: 2.0}


def pair_table() -> NDArray[np.int64]:
    """Cost of each token after each last token, int64[V, V].

    Harm costs 1, 2 or 3. What follows the gravest token costs 1 more, or 2 if it is neither an
    apology nor a refusal: a harm must be covered with what it brings.
    """
    table = np.zeros((len(NAMES), len(NAMES)), dtype=np.int64)
    for token, cost in _HARM.items():
        table[:, token] = cost
    table[GRAVE] += 2
    table[GRAVE, [SORRY, REFUSE]] -= 1
    return table


@dataclass(frozen=True, eq=False)
class PairCosts:
    """A cost model that looks at the last two tokens.

    Parameters
    ----------
    table : int64[V, V]
        Rows are the token before, columns the new one; in units.
    """

    table: NDArray[np.int64] = field(default_factory=pair_table)
    unit: Fraction = Fraction(1)
    name: str = "harm"
    uses_hidden: bool = False

    @property
    def nonnegative(self) -> bool:
        """Whether no entry of the table is below 0."""
        return bool((self.table >= 0).all())

    def __call__(self, steps: Steps) -> NDArray[np.int64]:
        """The cost of the newest token, int64[N]."""
        before = np.full(len(steps), steps.prompt[-1], dtype=np.int64)
        if steps.tokens.shape[1] > 1:
            before = steps.tokens[:, -2]
        return self.table[before, steps.new]


@dataclass(frozen=True)
class TokenWorth:
    """A reward for each token: help and notes are worth something, and harm tempts."""

    name: str = "worth"
    uses_hidden: bool = False

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """The reward of the newest token, float64[N]."""
        worth = np.zeros(len(NAMES))
        for token, value in _WORTH.items():
            worth[token] = value
        return worth[steps.new]


def refusals(tree: TokenTree) -> NDArray[np.bool_]:
    """Leaves whose response holds ``refuse``, bool[N]."""
    refused = tree.token == REFUSE
    for low, high in tree.levels():
        refused[low:high] |= refused[tree.parent[low:high]]
    return np.asarray(refused & tree.leaf)


def tiny_transformer(
    horizon: int = 4, size: str = "small", seed: int = 0, prompt: str = ""
) -> LatentMDP:
    """Every response of a tiny transformer: its full token tree with latents, costs 0..5.

    Parameters
    ----------
    horizon
        Most tokens of a response; the tree has about 11 ** horizon nodes.
    size
        ``small`` or ``nano``; trained on first use.
    seed
        Of weights and training.
    prompt
        Names of tokens, separated by ``+``: ``please+help``.

    Raises
    ------
    ModelError
        If a parameter is unknown, or the tree would be too large.
    """
    if not 1 <= horizon <= 6:
        raise ModelError.at("horizon", "1..6", horizon, "the tree has about 11 ** horizon nodes")
    model = tiny_model(size, seed, dtype="float64")
    said = model.encode(prompt.replace("+", " "))
    if END in said:
        raise ModelError.at("prompt", "tokens other than end", repr(prompt), "leave it out")
    tree = expand(model, [BEGIN, *said], horizon)
    made = latent_mdp(
        tree, model, PairCosts(), TokenWorth(), labels={"refusal": refusals(tree)},
        token_names=NAMES,
    )  # fmt: skip
    return made.mdp
