"""What a critic should say: f1 and f2 of every pair of node and budget, by backward recursion.

    f1(s, z) = sum_a pi(a|s) sum_s' P(s'|s,a) f1(s', z')
    g(s, z)  = sum_a pi(a|s) sum_s' P(s'|s,a) (r(s,a) f1(s', z') + beta g(s', z')),   f2 = g / f1

with f1 = 1 at an end that keeps the budget, 0 where it is broken, and the base policy pi. Costs
and budgets are exact; probabilities are float64, or Fractions on request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ig_theory.augmentation import (
    BROKEN,
    DEFAULT_LIMIT,
    KEPT,
    RUNNING,
    Product,
    base_choices,
    explore,
)
from ig_theory.augmentation import OPEN as UNEXPLORED
from ig_theory.cmdp import LatentMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ModelError
from llm_bridge.critic.network import Meaning

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Numbers = NDArray[Any]

EXACT_LIMIT = 20_000
"""Nodes up to which Fractions are computed; their sizes grow with the depth."""


@dataclass(frozen=True, eq=False)
class ExactCritic:
    """The true f1 and f2 of M pairs of node and budget at which the base model goes on.

    Attributes
    ----------
    product : Product
        Under the base policy.
    node, state : int64[M]
        In the product and in the model.
    hidden : float64[M, D]
    budget : float64[M]
        Remaining z, rounded down, in the units of the cost.
    time : int64[M]
    f1 : float64[M]
    f2 : float64[M]
        NaN where f1 is 0: no response keeps the budget.
    mass : float64[M]
        The probability that the base model comes by with its budget unbroken.
    exact : tuple of (Fraction[M], Fraction[M]), or None
        f1, and f1 * f2, if they were asked for.
    """

    product: Product
    constraint: BudgetConstraint
    meaning: Meaning
    node: Ints
    state: Ints
    hidden: Floats
    budget: Floats
    time: Ints
    f1: Floats
    f2: Floats
    mass: Floats
    exact: tuple[Numbers, Numbers] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.node)


def exact_critic(
    mdp: LatentMDP,
    constraint: BudgetConstraint,
    *,
    latent_size: int | None = None,
    model: str = "tree",
    fractions: bool = False,
    limit: int = DEFAULT_LIMIT,
) -> ExactCritic:
    """The exact f1 and f2 under the base policy, in time in proportion to the product's edges.

    Parameters
    ----------
    mdp
        Of a token tree, or any in which no situation comes back.
    latent_size
        How many entries of a latent are the model's; a truncated tree's MDP has one more.
    model
        Name of the language model, for what is trained on these numbers.
    fractions
        Also in Fractions: base probabilities are the floats that they are, scaled to total 1.

    Raises
    ------
    ModelError
        If situations come back, there are too many, or a discounted cost has no horizon.
    """
    if constraint.horizon is None and constraint.discount < 1:
        raise ModelError.at(
            "constraint", "a horizon with a discount below 1", "none",
            "set horizon to the most tokens of a response: else large budgets are clipped",
        )  # fmt: skip
    product = explore(mdp, constraint, base_choices, limit=limit)
    _refuse(product, limit)
    weight = _base(product, False)
    f1, gain = backward(product, weight)
    node = np.flatnonzero(product.outcome == RUNNING)
    state = product.state[node].astype(np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        f2 = np.where(f1 > 0, gain / f1, np.nan)
    exact = None
    if fractions:
        if len(product) > EXACT_LIMIT:
            raise ModelError.at(
                "fractions", f"at most {EXACT_LIMIT} pairs", len(product), "take a smaller tree"
            )
        both = backward(product, _base(product, True))
        exact = both[0][node], both[1][node]
    size = latent_size or mdp.latent.shape[1]
    k = mdp.cost_index(constraint.cost)
    meaning = Meaning(
        model, mdp.cost_names[k] if mdp.cost_names else "cost", "reward", str(mdp.cost_unit),
        (str(constraint.budget),), str(constraint.discount), constraint.boundary.value,
        constraint.scope.value, int(product.time.max()), str(mdp.reward_discount),
    )  # fmt: skip
    return ExactCritic(
        product, constraint, meaning, node, state, mdp.latent[state, :size],
        product.view(node).budget, product.time[node].astype(np.int64), f1[node], f2[node],
        reached(product, weight)[node], exact,
    )  # fmt: skip


def backward(product: Product, weight: Numbers) -> tuple[Numbers, Numbers]:
    """P(kept) and E[discounted reward to go, kept] of each node, [N] each.

    A P(kept) of floats that rounding puts above 1 is 1.

    Parameters
    ----------
    weight : float64[M] or Fraction[M]
        Probability of each choice of the product at its node; exact numbers give exact ones.
    """
    model, kind = product.model, weight.dtype
    exact = kind.kind == "O"
    prob = _prob(product, exact)
    reward = _as(model.reward, kind)[product.choice]
    beta = model.reward_discount if exact else float(model.reward_discount)
    zero: Any = Fraction(0) if exact else 0.0
    one: Any = Fraction(1) if exact else 1.0
    kept, gain = np.full(len(product), zero, dtype=kind), np.full(len(product), zero, dtype=kind)
    kept[product.outcome == KEPT] = one
    bounds = product.layer_ptr.tolist()
    for low, high in zip(bounds[-2::-1], bounds[:0:-1], strict=True):
        first, last = int(product.choice_ptr[low]), int(product.choice_ptr[high])
        if first == last:
            continue
        choices = slice(first, last)
        edges = slice(int(product.branch_ptr[first]), int(product.branch_ptr[last]))
        ahead, size = product.branch_node[edges], np.diff(product.branch_ptr[first : last + 1])
        share = _sums(prob[edges] * kept[ahead], size, zero)
        worth = _sums(prob[edges] * gain[ahead], size, zero)
        owned = np.diff(product.choice_ptr[low : high + 1])
        running = owned > 0
        value = _sums(weight[choices] * share, owned, zero)
        total = _sums(weight[choices] * (reward[choices] * share + beta * worth), owned, zero)
        kept[low:high][running], gain[low:high][running] = value[running], total[running]
    return np.where(kept > one, one, kept), gain


def reached(product: Product, weight: Floats) -> Floats:
    """The probability of coming to each node, float64[N]; broken choices lead nowhere."""
    mass = np.zeros(len(product))
    np.add.at(mass, product.initial, product.initial_prob.astype(np.float64))
    owner = np.repeat(np.arange(len(product.choice)), np.diff(product.branch_ptr))
    share = weight[owner] * _prob(product, False)
    edge_ptr = product.edge_ptr
    for low, high in zip(product.layer_ptr[:-1], product.layer_ptr[1:], strict=True):
        edges = slice(int(edge_ptr[low]), int(edge_ptr[high]))
        flow = share[edges] * mass[product.choice_node[owner[edges]]]
        np.add.at(mass, product.branch_node[edges], flow)
    return mass


def violation(product: Product, weight: Floats) -> float:
    """P(violate) when each node's choices have these probabilities; 0.0 only if nothing can."""
    mass = reached(product, weight)
    breaks = product.broken > 0
    at_once = float((mass[product.choice_node[breaks]] * weight[breaks]).sum())
    return at_once + float(mass[product.outcome == BROKEN].sum())


def _sums(values: Numbers, sizes: Ints, zero: Any) -> Numbers:
    """Sums of consecutive groups of these sizes; `zero` for empty ones."""
    out = np.full(len(sizes), zero, dtype=values.dtype)
    full = np.flatnonzero(sizes > 0)
    if len(full):
        out[full] = np.add.reduceat(values, (np.cumsum(sizes) - sizes)[full])
    return out


def _prob(product: Product, exact: bool) -> Numbers:
    """The probability of each edge, given its choice."""
    if not exact:
        return np.asarray(product.prob[product.branch])
    model = product.model
    prob = _as(model.branch_prob, np.dtype(object))
    return (
        prob[product.branch] / _totals(prob, model.branch_ptr)[model.branch_choice][product.branch]
    )


def _base(product: Product, exact: bool) -> Numbers:
    """The base probability of each choice of the product."""
    if not exact:
        return product.base
    model = product.model
    base = _as(model.base_policy, np.dtype(object))
    return (base / _totals(base, model.choice_ptr)[model.choice_state])[product.choice]


def _totals(values: Numbers, ptr: Ints) -> Numbers:
    return np.asarray(np.add.reduceat(values, ptr[:-1]))


def _as(values: Numbers, kind: Any) -> Numbers:
    """As floats, or as the Fractions that they are."""
    if np.dtype(kind).kind == "O" and values.dtype != object:
        return np.array([Fraction(v) for v in values.tolist()], dtype=object)
    return values.astype(kind)


def _refuse(product: Product, limit: int) -> None:
    if not product.complete or (product.outcome == UNEXPLORED).any():
        raise ModelError.at(
            "tree", f"at most {limit} pairs of node and budget", "more", "raise the limit"
        )
    owner = np.repeat(product.choice_node, np.diff(product.branch_ptr))
    back = product.time[product.branch_node] <= product.time[owner]
    if (back & (product.outcome[product.branch_node] == RUNNING)).any():
        raise ModelError.at(
            "model", "situations that do not come back, as in a tree", "a cycle, or paths of "
            "several lengths to one state", "set a horizon in the constraint",
        )  # fmt: skip
