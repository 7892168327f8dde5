"""A token tree with costs and rewards as a `LatentMDP`: the theory on a real transformer.

A state is a node, a choice is a token, what follows is certain. The base policy is the
transformer's own: its last layer is a linear readout of the latent followed by a softmax, which
is what a `LatentMDP` is. Tokens that a truncated tree leaves out are one more choice, "other".
Its score is no linear function of the latent, so the latent gets one more entry that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any, Literal

import numpy as np

from ig_theory.cmdp import LatentMDP
from ig_theory.errors import ModelError
from ig_theory.exact import rational
from llm_bridge.costs.quantise import LARGEST
from llm_bridge.costs.steps import CostModel, Reward
from llm_bridge.language_model import LanguageModel
from llm_bridge.tree.naming import HALT, OTHER, distinct, named_states, named_tokens, state_labels
from llm_bridge.tree.tree import Bools, Floats, Ints, TokenTree
from llm_bridge.tree.walk import step_costs, step_rewards

READOUT_TOLERANCE = 1e-3
"""How far the readout's probabilities may be from those that the model gave (relative)."""


@dataclass(frozen=True, eq=False)
class TreeModel:
    """A token tree as a constrained MDP, and what that rests on.

    Attributes
    ----------
    mdp : LatentMDP
        State n is node n of the tree; one more, the last, is "outside" if mass is truncated.
    tree : TokenTree
    tokens : int64[A]
        The token that each action means; `OTHER` and `HALT` for what is no token.
    edge : int64[N]
        The choice that leads to each node; -1 for the root.
    drift : float
        Largest relative difference between the base policy and the probabilities that the
        model gave while it was expanded: the readout is computed in float64.
    assumptions : tuple of str
    """

    mdp: LatentMDP
    tree: TokenTree
    tokens: Ints
    edge: Ints
    drift: float
    assumptions: tuple[str, ...]


def latent_mdp(
    tree: TokenTree,
    model: LanguageModel,
    costs: CostModel | Sequence[CostModel],
    reward: Reward | None = None,
    *,
    other: int | str | Fraction | Literal["cut"] | None = None,
    reward_discount: Fraction = Fraction(1),
    labels: Mapping[str, Bools] | None = None,
    token_names: Sequence[str] | None = None,
) -> TreeModel:
    """The constrained MDP of a token tree.

    Parameters
    ----------
    model
        The one that the tree was expanded with: its output layer is the readout.
    costs
        Several cost models give several costs; their units may differ.
    reward
        None for no rewards.
    other
        What becomes of the truncated mass, to be said if there is any. A cost, in the units of
        the costs: all that follows outside the tree costs at most so much at once, and earns
        nothing. Or ``"cut"``: such tokens are never played, and the rest is renormalised.
    labels
        Named sets of nodes, bool[N]; one that is called ``outside`` is added for truncated mass.
    token_names
        Names of all tokens; by default the tokenizer's text, or numbers.

    Raises
    ------
    ModelError
        If `other` is missing, a cost is no multiple of the unit, latents that are needed are
        missing, or the model's output is no linear readout of its latents.
    """
    models = (costs,) if not isinstance(costs, Sequence) else tuple(costs)
    outside = _leaving(tree, other)
    unit, charged = _charged(tree, model, models, None if other == "cut" else other, outside)
    worth = np.zeros(len(tree)) if reward is None else step_rewards(tree, model, reward)
    layout = _Layout(tree, outside)
    tokens, action = _actions(tree, layout)
    latent, readout, bias = _readout(tree, model, layout, tokens)
    cost = np.zeros((len(models), layout.choices), dtype=np.int64)
    cost[:, layout.edge[1:]] = charged[:, 1:-1]
    cost[:, layout.leaving] = charged[:, -1:]
    gain = np.zeros(layout.choices)
    gain[layout.edge[1:]] = worth[1:]
    names = named_tokens(tree, model, tokens, token_names)
    mdp = LatentMDP(
        choice_ptr=layout.choice_ptr,
        branch_ptr=np.arange(layout.choices + 1),
        branch_state=layout.follow,
        branch_prob=np.ones(layout.choices),
        reward=gain, cost=cost, initial=np.eye(1, layout.states)[0], terminal=layout.terminal,
        cost_unit=unit, reward_discount=reward_discount, action=action,
        state_names=named_states(tree, names, tokens, layout.states),
        choice_names=tuple(names[a] for a in action.tolist()),
        cost_names=distinct([m.name for m in models]),
        labels=state_labels(tree, layout.states, labels or {}),
        latent=latent, readout=readout, readout_bias=bias,
    )  # fmt: skip
    drift = _drift(tree, mdp, layout)
    return TreeModel(
        mdp, tree, tokens, layout.edge, drift, _assumptions(tree, models, other, outside, drift)
    )


class _Layout:
    """Where states and choices of the MDP stand."""

    def __init__(self, tree: TokenTree, outside: Bools) -> None:
        nodes, left = len(tree), int(outside.any())
        below = np.diff(tree.child_ptr)
        self.states = nodes + left
        self.terminal = np.ones(self.states, dtype=np.bool_)
        self.terminal[:nodes] = tree.leaf
        owned = np.ones(self.states, dtype=np.int64)
        owned[:nodes] = np.where(tree.leaf, 1, below + outside)
        self.choice_ptr = np.concatenate([[0], np.cumsum(owned)]).astype(np.int64)
        self.choices = int(self.choice_ptr[-1])
        parent = tree.parent[1:]
        place = np.arange(1, nodes) - tree.child_ptr[parent]
        self.edge = np.concatenate([[-1], self.choice_ptr[parent] + place]).astype(np.int64)
        self.leaving = self.choice_ptr[1 : nodes + 1][outside] - 1
        """The choice "other" of each state that has it."""
        self.left = np.flatnonzero(outside)
        self.follow = np.repeat(np.arange(self.states), owned)
        self.follow[self.edge[1:]] = np.arange(1, nodes)
        self.follow[self.leaving] = self.states - 1


def _leaving(tree: TokenTree, other: object) -> Bools:
    """Nodes from which the tree can be left."""
    outside = (tree.truncated > 0) & ~tree.leaf
    if outside.any() and other is None:
        raise ModelError.at(
            "other", f"what the truncated mass costs (up to {tree.truncated.max():.3g} at a node)",
            "nothing", "give a worst-case cost, or 'cut' to renormalise without it",
        )  # fmt: skip
    return outside & (other != "cut")


def _charged(
    tree: TokenTree, model: LanguageModel, models: Sequence[CostModel], other: Any, outside: Bools
) -> tuple[Fraction, Ints]:
    """The common unit, and costs [K, N + 1] in it; the last column is that of leaving."""
    if not models:
        raise ModelError.at("costs", "a cost model", "none", "give at least one")
    bound = rational(other, "other") if outside.any() else Fraction(0)
    units = [rational(m.unit, f"unit of {m.name}") for m in models]
    if min(units) <= 0:
        raise ModelError.at("units of the costs", "above 0", min(units), "name the exact unit")
    parts = units + ([abs(bound)] if bound else [])
    below = lcm(*(part.denominator for part in parts))
    unit = Fraction(gcd(*(int(part * below) for part in parts)), below)
    charged = np.empty((len(models), len(tree) + 1), dtype=np.int64)
    for k, each in enumerate(models):
        found, times = step_costs(tree, model, each), int(each.unit / unit)
        leaving = int(bound / unit)
        most = max(abs(int(found.min())), abs(int(found.max()))) * times
        if max(most, abs(leaving)) > LARGEST:  # int64 would wrap around
            raise ModelError.at(
                "costs", f"at most {LARGEST} multiples of the common unit {unit}",
                max(most, abs(leaving)), "choose units, and a cost of leaving, that fit together",
            )  # fmt: skip
        charged[k, :-1], charged[k, -1] = found * times, leaving
    return unit, charged


def _actions(tree: TokenTree, layout: _Layout) -> tuple[Ints, Ints]:
    """The token of each action, and the action of each choice."""
    full = not (tree.truncated > 0).any()
    used = np.arange(tree.vocabulary) if full else np.unique(tree.token[1:])
    tokens = np.concatenate([used, [OTHER] if len(layout.leaving) else [], [HALT]])
    action = np.full(layout.choices, len(tokens) - 1, dtype=np.int64)
    action[layout.edge[1:]] = np.searchsorted(used, tree.token[1:])
    action[layout.leaving] = len(used)
    return tokens.astype(np.int64), action


def _readout(
    tree: TokenTree, model: LanguageModel, layout: _Layout, tokens: Ints
) -> tuple[Floats, Floats, Floats | None]:
    """Latents [S, D(+1)], readout [A, D(+1)] and bias [A] of the base policy."""
    if tree.hidden is None:
        raise ModelError.at("tree", "latents of inner nodes", "none", "expand it anew")
    layer, extra = model.network.get_output_embeddings(), int(len(layout.leaving) > 0)
    real = tokens >= 0
    width = tree.hidden.shape[1]
    latent = np.zeros((layout.states, width + extra))
    readout = np.zeros((len(tokens), width + extra))
    inner = np.flatnonzero(~tree.leaf)
    latent[inner, :width] = tree.hidden[inner]
    weight = layer.weight.detach()[tokens[real].tolist()].double().cpu().numpy()
    readout[: len(weight), :width] = weight
    bias = None
    if getattr(layer, "bias", None) is not None:
        bias = np.zeros(len(tokens))
        bias[real] = layer.bias.detach()[tokens[real].tolist()].double().cpu().numpy()
    if extra:
        readout[len(weight), width] = 1.0
        score = _child_scores(tree, latent, readout, bias, tokens)
        kept = _log_total(tree, score)[layout.left]
        mass = tree.truncated[layout.left]
        latent[layout.left, width] = kept + np.log(mass) - np.log1p(-mass)
    return latent, readout, bias


def _child_scores(
    tree: TokenTree, latent: Floats, readout: Floats, bias: Floats | None, tokens: Ints
) -> Floats:
    """The readout's score of the token into each node but the root, float64[N-1]."""
    row = np.searchsorted(tokens[tokens >= 0], tree.token[1:])
    score = np.einsum("nd,nd->n", latent[tree.parent[1:]], readout[row])
    return np.asarray(score if bias is None else score + bias[row])


def _log_total(tree: TokenTree, score: Floats) -> Floats:
    """log sum exp over the children of each node, float64[N]; -inf for leaves."""
    inner = np.flatnonzero(~tree.leaf)
    start = tree.child_ptr[inner] - 1
    top = np.maximum.reduceat(score, start)
    scaled = np.exp(score - np.repeat(top, np.diff(tree.child_ptr)[inner]))
    total = np.full(len(tree), -np.inf)
    total[inner] = top + np.log(np.add.reduceat(scaled, start))
    return total


def _drift(tree: TokenTree, mdp: LatentMDP, layout: _Layout) -> float:
    """How far the base policy is from what the model said; refuses what is no linear readout."""
    said = np.exp(tree.log_prob[1:])
    if not len(layout.leaving):
        said /= 1 - tree.truncated[tree.parent[1:]]
    off = np.abs(mdp.base_policy[layout.edge[1:]] - said)
    drift = float((off / np.maximum(said, 1e-200)).max())  # what underflows is off by nothing
    if not drift <= READOUT_TOLERANCE:
        raise ModelError.at(
            "model", "an output layer that is a linear readout of the tree's latents",
            f"probabilities that differ by {drift:.2g} (relative)",
            "use the model that the tree was expanded with; scaled or capped scores do not work",
        )  # fmt: skip
    return drift


def _assumptions(
    tree: TokenTree, models: Sequence[CostModel], other: object, outside: Bools, drift: float
) -> tuple[str, ...]:
    notes = [
        f"responses have at most {tree.horizon} tokens: what would follow is not judged",
        "the safety of a text is what the cost model says: " + ", ".join(m.name for m in models),
        f"the base policy is the readout in float64, within {drift:.2g} (relative) of the model's",
    ]
    if outside.any():
        mass = float((np.exp(tree.log_mass) * tree.truncated).sum())
        notes.append(
            f"tokens outside the tree (probability {mass:.6g} in all) lead to an end that costs at "
            f"most {other} and earns nothing"
        )
    elif (tree.truncated > 0).any():
        notes.append(
            f"tokens outside the tree are never played; the others are scaled to total 1 (up to "
            f"{tree.truncated.max():.6g} of the mass at a node is cut)"
        )
    return tuple(notes)
