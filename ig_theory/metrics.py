"""The exact quantities of a verdict, from the chain that a guard induces (docs/notation.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ig_theory.augmentation import BROKEN, OPEN, RUNNING, Product
from ig_theory.augmentation import KEPT as ENDED
from ig_theory.chain import (
    ROUNDING,
    Parts,
    components,
    evaluate,
    evaluate_exact,
    exact_weights,
    reward_bounds_after,
)
from ig_theory.cmdp import Bools, Floats
from ig_theory.errors import SolverError
from ig_theory.solvers.least_intrusive import differs, divergence
from ig_theory.verdict import Bounds

PLOTTED_STEPS = 200


@dataclass(frozen=True, eq=False)
class ChainMetrics:
    """Two-sided expectations over the runs of one guard.

    `reaches` is whether a violation is possible at all: a fact about the support graph.
    """

    reaches: bool
    violation: Bounds
    reward: Bounds | None
    kl: Bounds | None
    urup: Bounds | None
    arsp: Bounds | None
    violation_by_time: tuple[float, ...]


def measure(
    product: Product, unsafe_prompt: Bools, exact: bool, price: bool = True
) -> ChainMetrics:
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
    price
        Whether to evaluate reward, divergence and abstentions too.
    """
    model, beta = product.model, float(product.model.reward_discount)
    weight = product.weight / product.at_nodes(product.weight)[product.choice_node]
    unsettled = product.outcome == OPEN
    reaches = can_violate(product)
    gain = product.at_nodes(
        weight * model.reward.astype(np.float64)[product.choice] * product.kept_share
    )
    columns: dict[str, Floats] = {}
    if reaches or unsettled.any():
        breaking = product.at_nodes(np.where(product.broken > 0, weight, 0.0))
        _add(
            columns,
            "violation",
            np.where(product.outcome == BROKEN, 1.0, breaking),
            unsettled,
            0,
            1,
        )
    if price and "refusal" in model.labels:
        refused = (product.outcome == ENDED) & model.labels["refusal"][product.state]
        _add(columns, "refusal", refused.astype(float), unsettled, 0, 1)
    if price:
        _add(columns, "kl", divergence(product, weight), unsettled, 0, math.inf)
        if beta == 1:
            _add(columns, "reward", gain, unsettled, *reward_bounds_after(product, beta))
    parts = components(product, weight) if columns or price else None
    found = _totals(product, columns, 1.0, weight, parts)
    if price and beta < 1:
        columns = {}
        _add(columns, "reward", gain, unsettled, *reward_bounds_after(product, beta))
        found |= _totals(product, columns, beta, weight, parts)
    start, unsafe = _Start(product), unsafe_prompt[product.state[product.initial]]
    zero = np.zeros(len(product))
    lower, upper = found.get("violation", (zero, zero))
    violation = _probability(start.lower(lower), start.upper(upper))
    reward = _over_start(start, found, "reward")
    if exact and model.exact and not unsettled.any():
        violation, reward = _exact(product, violation, reward)
    kl = _over_start(start, found, "kl")
    return ChainMetrics(
        reaches, violation, reward,
        None if kl is None else Bounds(max(kl.lower, 0.0), max(kl.upper, 0.0)),
        _given(product, unsafe, lower, upper),
        _given(product, ~unsafe, *found["refusal"]) if "refusal" in found else None,
        _by_time(product, weight) if reaches else (0.0,) * 2,
    )  # fmt: skip


def _add(
    columns: dict[str, Floats], name: str, value: Floats, unsettled: Bools, low: float, high: float
) -> None:
    """One column for a quantity, or two where unexplored nodes leave its value open."""
    if not unsettled.any():
        columns[name] = value
        return
    columns[f"{name}<"] = np.where(unsettled, low, value)
    columns[f"{name}>"] = np.where(unsettled, high, value)


def _totals(
    product: Product, columns: dict[str, Floats], beta: float, weight: Floats, parts: Parts | None
) -> dict[str, tuple[Floats, Floats]]:
    """Lower and upper totals of each quantity, [N] each."""
    if not columns:
        return {}
    totals = evaluate(product, np.stack(list(columns.values()), axis=1), beta, weight, parts=parts)
    found: dict[str, tuple[Floats, Floats]] = {}
    for i, name in enumerate(columns):
        lower, upper = totals.lower[:, i], totals.upper[:, i]
        plain = name.rstrip("<>")
        if plain in found:
            lower = found[plain][0]
        found[plain] = lower, upper
    return found


def _over_start(start: _Start, found: dict[str, tuple[Floats, Floats]], name: str) -> Bounds | None:
    if name not in found:
        return None
    lower, upper = found[name]
    return Bounds(start.lower(lower), start.upper(upper))


def kept_without_intervention(product: Product) -> Bounds:
    """P(the base model's run is accepted at every step by the guard, and kept).

    The sampled choice ``a`` is accepted with probability ``min(1, guard(a) / base(a))``.
    """
    base = product.base
    total = product.at_nodes(product.weight)
    weight = product.weight / total[product.choice_node]
    changed = differs(product, weight)
    accepted = np.where(changed[product.choice_node], np.minimum(base, weight), base)
    killed = np.where(changed & (product.outcome == RUNNING), 1 - product.at_nodes(accepted), 0.0)
    killed = np.maximum(killed, 0.0)
    if not (killed.any() or (product.broken > 0).any() or (product.outcome > ENDED).any()):
        return Bounds(1.0, 1.0)
    lost = killed + product.at_nodes(np.where(product.broken > 0, accepted, 0.0))
    ended = product.outcome == BROKEN
    unsettled = product.outcome == OPEN
    both = np.stack([np.where(ended, 1.0, lost), np.where(ended | unsettled, 1.0, lost)], axis=1)
    totals = evaluate(product, both, 1.0, accepted, killed)
    start = _Start(product)
    return _probability(
        1 - start.upper(totals.upper[:, 1]) - ROUNDING,
        1 - start.lower(totals.lower[:, 0]) + ROUNDING,
    )


def can_violate(product: Product) -> bool:
    """Whether some run of positive probability violates: reachability, no arithmetic.

    All pairs of an exploration are reachable, so any breaking choice or BROKEN node will do.
    """
    return bool((product.broken > 0).any() or (product.outcome == BROKEN).any())


class _Start:
    """Expectation over the initial distribution, or the part `which`; rounded outwards."""

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


def _given(product: Product, which: Bools, lower: Floats, upper: Floats) -> Bounds | None:
    """A probability given that the initial state is one of `which`; None if it never is."""
    if not which.any():
        return None
    start = _Start(product, which)
    return _probability(start.lower(lower), start.upper(upper))


def _probability(lower: float, upper: float) -> Bounds:
    return Bounds(min(max(lower, 0.0), 1.0), min(max(upper, 0.0), 1.0))


def _exact(
    product: Product, violation: Bounds, reward: Bounds | None
) -> tuple[Bounds, Bounds | None]:
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
    first = list(zip(product.initial.tolist(), product.initial_prob, strict=True))
    one = sum(p * chance[n] for n, p in first)
    two = sum(p * total[n] for n, p in first)
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

    steps = min(PLOTTED_STEPS, max(8, int(2e8 // max(len(product.branch_node), 1))))
    mass = np.zeros(len(product))
    mass[product.initial] = _Start(product).prob
    breaking = product.at_nodes(np.where(product.broken > 0, weight, 0.0))
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
