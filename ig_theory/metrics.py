"""The exact quantities of a verdict, from the chain that a guard induces (docs/notation.md)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import BROKEN, OPEN, RUNNING, Product
from ig_theory.chain import (
    ROUNDING,
    evaluate,
    evaluate_exact,
    exact_weights,
    reward_bounds_after,
)
from ig_theory.cmdp import Bools, Floats
from ig_theory.errors import SolverError
from ig_theory.solvers.least_intrusive import differs, divergence
from ig_theory.verdict import Bounds

PLOTTED_STEPS = 400


@dataclass(frozen=True, eq=False)
class ChainMetrics:
    """Two-sided expectations over the runs of one guard.

    `reaches` is whether a violation is possible at all: a fact about the support graph.
    """

    reaches: bool
    violation: Bounds
    reward: Bounds
    kl: Bounds
    urup: Bounds | None
    arsp: Bounds | None
    violation_by_time: tuple[float, ...]


def measure(product: Product, unsafe_prompt: Bools, exact: bool) -> ChainMetrics:
    """Evaluate a guard's chain.

    Parameters
    ----------
    product
        Explored under the guard.
    unsafe_prompt : bool[S]
        Which initial states are unsafe prompts.
    exact
        Give violation and reward as Fractions where elimination is feasible (the model must be
        in exact mode).
    """
    model, beta = product.model, float(product.model.reward_discount)
    weight = product.weight / np.bincount(
        product.choice_node, weights=product.weight, minlength=len(product)
    )[product.choice_node]
    unsettled = product.outcome == OPEN
    broken = product.outcome == BROKEN
    breaking = _at_nodes(product, np.where(product.broken > 0, weight, 0.0))
    refusal = model.labels.get("refusal", np.zeros(model.S, dtype=bool))
    refused = (product.outcome != RUNNING) & ~broken & ~unsettled & refusal[product.state]
    plain = np.stack(
        [
            np.where(broken, 1.0, breaking), np.where(broken | unsettled, 1.0, breaking),
            refused.astype(float), (refused | unsettled).astype(float),
        ], axis=1,
    )  # fmt: skip
    chance = evaluate(product, plain, 1.0, weight)
    kl_node = divergence(product, weight)
    kl = evaluate(
        product, np.stack([kl_node, np.where(unsettled, math.inf, kl_node)], axis=1), 1.0, weight
    )
    gain = model.reward.astype(np.float64)[product.choice]
    earned = _at_nodes(product, weight * gain * product.kept_share)
    low, high = reward_bounds_after(product, beta)
    rewards = np.stack([np.where(unsettled, low, earned), np.where(unsettled, high, earned)], axis=1)
    reward = evaluate(product, rewards, beta, weight)
    start = _Start(product)
    reaches = can_violate(product)
    violation = _probability(start.lower(chance.lower[:, 0]), start.upper(chance.upper[:, 1]))
    if not reaches and not unsettled.any():
        violation = Bounds(0.0, 0.0)
    reward_bounds = Bounds(start.lower(reward.lower[:, 0]), start.upper(reward.upper[:, 1]))
    if exact and model.exact and not unsettled.any():
        violation, reward_bounds = _exact(product, violation, reward_bounds)
    unsafe = unsafe_prompt[product.state[product.initial]]
    return ChainMetrics(
        reaches, violation, reward_bounds,
        _nonnegative(start.lower(kl.lower[:, 0]), start.upper(kl.upper[:, 1])),
        _given(product, unsafe, chance.lower[:, 0], chance.upper[:, 1]),
        _given(product, ~unsafe, chance.lower[:, 2], chance.upper[:, 3])
        if "refusal" in model.labels else None,
        _by_time(product, weight),
    )  # fmt: skip


def kept_without_intervention(product: Product) -> Bounds:
    """P(the base model's run is accepted at every step by the guard, and kept).

    The sampled choice ``a`` is accepted with probability ``min(1, guard(a) / base(a))``.
    """
    base = product.base
    total = _at_nodes(product, product.weight)
    weight = product.weight / total[product.choice_node]
    changed = differs(product, weight)
    accepted = np.where(changed[product.choice_node], np.minimum(base, weight), base)
    killed = np.where(changed & (product.outcome == RUNNING), 1 - _at_nodes(product, accepted), 0.0)
    killed = np.maximum(killed, 0.0)
    lost = killed + _at_nodes(product, np.where(product.broken > 0, accepted, 0.0))
    ended = product.outcome == BROKEN
    unsettled = product.outcome == OPEN
    both = np.stack([np.where(ended, 1.0, lost), np.where(ended | unsettled, 1.0, lost)], axis=1)
    totals = evaluate(product, both, 1.0, accepted, killed)
    start = _Start(product)
    return _probability(
        1 - start.upper(totals.upper[:, 1]) - ROUNDING, 1 - start.lower(totals.lower[:, 0]) + ROUNDING
    )


def can_violate(product: Product) -> bool:
    """Whether some run of positive probability violates: reachability, no arithmetic.

    All pairs of an exploration are reachable, so any breaking choice or BROKEN node will do.
    """
    return bool((product.broken > 0).any() or (product.outcome == BROKEN).any())


class _Start:
    """Expectation over the initial distribution (or the part of it in `which`), rounded outwards."""

    def __init__(self, product: Product, which: Bools | None = None) -> None:
        chosen = slice(None) if which is None else which
        self.nodes = product.initial[chosen]
        self.prob = product.initial_prob[chosen].astype(np.float64)
        self.prob = self.prob / self.prob.sum()

    def lower(self, value: Floats) -> float:
        """A lower bound of the expectation."""
        middle, margin = self._both(value)
        return middle - margin

    def upper(self, value: Floats) -> float:
        """An upper bound of the expectation."""
        middle, margin = self._both(value)
        return middle + margin

    def _both(self, value: Floats) -> tuple[float, float]:
        terms = self.prob * value[self.nodes]
        size = float(np.abs(terms).sum())
        margin = ROUNDING * (len(terms) + 4) * size if math.isfinite(size) else 0.0
        return float(terms.sum()), margin


def _at_nodes(product: Product, per_choice: Floats) -> Floats:
    return np.bincount(product.choice_node, weights=per_choice, minlength=len(product))


def _given(product: Product, which: Bools, lower: Floats, upper: Floats) -> Bounds | None:
    """A probability given that the initial state is one of `which`; None if it never is."""
    if not which.any():
        return None
    start = _Start(product, which)
    return _probability(start.lower(lower), start.upper(upper))


def _probability(lower: float, upper: float) -> Bounds:
    return Bounds(min(max(lower, 0.0), 1.0), min(max(upper, 0.0), 1.0))


def _nonnegative(lower: float, upper: float) -> Bounds:
    return Bounds(max(lower, 0.0), max(upper, 0.0))


def _exact(product: Product, violation: Bounds, reward: Bounds) -> tuple[Bounds, Bounds]:
    weight = exact_weights(product)
    ones = [Fraction(int(o == BROKEN)) for o in product.outcome]
    earned = [Fraction(0)] * len(product)
    for j, node in enumerate(product.choice_node.tolist()):
        if product.broken[j]:
            ones[node] += weight[j]
        share = _exact_share(product, j)
        earned[node] += weight[j] * share * product.model.reward[product.choice[j]]
    try:
        chance = evaluate_exact(product, ones, Fraction(1), weight)
        total = evaluate_exact(product, earned, product.model.reward_discount, weight)
    except SolverError:  # too large for elimination; the certified floats stand
        return violation, reward
    start: Callable[[list[Any]], Any] = lambda value: sum(  # noqa: E731
        p * value[n] for n, p in zip(product.initial.tolist(), product.initial_prob, strict=True)
    )
    one, two = start(chance), start(total)
    return Bounds(one, one), Bounds(two, two)


def _exact_share(product: Product, j: int) -> Fraction:
    """`Product.kept_share` of one choice as a rational."""
    first = product.first_prob[j] - product.branch_ptr[j]
    return sum(
        (
            product.model.branch_prob[b + first]
            for b in range(product.branch_ptr[j], product.branch_ptr[j + 1])
            if product.outcome[product.branch_node[b]] != BROKEN
        ),
        Fraction(0),
    )


def _by_time(product: Product, weight: Floats) -> tuple[float, ...]:
    """P(violated by step t) for the first steps, by pushing the distribution forward."""
    from ig_theory import kernels

    steps = min(PLOTTED_STEPS, max(8, int(4e8 // max(len(product.branch_node), 1))))
    mass = np.zeros(len(product))
    mass[product.initial] = _Start(product).prob
    breaking = _at_nodes(product, np.where(product.broken > 0, weight, 0.0))
    ended = product.outcome == BROKEN
    after, seen = np.empty_like(mass), [float(mass[ended].sum())]
    for _ in range(steps):
        lost = float(mass @ breaking)
        kernels.push(
            product.choice_ptr, weight, product.branch_ptr, product.branch_node,
            product.first_prob, product.prob, mass, after,
        )  # fmt: skip
        mass, after = after, mass
        seen.append(min(seen[-1] + lost + float(mass[ended].sum()), 1.0))
        if not mass.any():
            break
    return tuple(seen)
