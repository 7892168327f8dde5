"""The least-intrusive safe guard and its limit W (THEORY T5.bellman, T5.limit).

Among all almost surely safe policies it minimises the expected KL divergence to the base
policy, summed over the steps:
``W(s,z) = -log sum_{a allowed} base(a|s) exp(-sum_s' P(s'|s,a) W(s',z'))``, and the guard plays
``a`` in proportion to the terms of the sum. With deterministic dynamics W is ``-log`` of the
base model's probability never to violate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT, RUNNING, Product
from ig_theory.chain import ROUNDING, components, evaluate
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.solvers.totals.end_components import almost_sure
from ig_theory.solvers.totals.safe_product import SafeProduct, brackets
from ig_theory.solvers.totals.start import over_start
from ig_theory.verdict import Bounds

GAP = 1e-9

MOST_IMPROVEMENTS = 100


@dataclass(frozen=True, eq=False)
class LeastIntrusive:
    """The solution on a safe product.

    Attributes
    ----------
    safe : SafeProduct
        The one that rounds budgets down, so that the guard is safe.
    limit : float64[N]
        W of each node (from below).
    weight : float64[M]
        The guard's policy.
    initial : Bounds
        W from the initial distribution, in nats; infinite if no safe policy has finite KL.
    """

    safe: SafeProduct
    limit: Floats
    weight: Floats
    initial: Bounds


def least_intrusive(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | tuple[BudgetConstraint, ...],
    *,
    limit: int = DEFAULT_LIMIT,
) -> LeastIntrusive:
    """Solve for W and the guard that attains it.

    Raises
    ------
    SolverError
        If too many pairs are reachable.

    Examples
    --------
    Half of the base model's choices would violate:

    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> round(least_intrusive(model, BudgetConstraint(0)).initial.middle, 6)  # log 2
    0.693147
    """
    best: LeastIntrusive | None = None
    for down, up in brackets(model, as_constraints(constraint), limit):
        best = solve_intrusion(down)
        if up is not down:
            # Rounding up allows more, so its W is the lower bound.
            best = replace(
                best, initial=Bounds(solve_intrusion(up).initial.lower, best.initial.upper)
            )
        if best.initial.width <= GAP:
            break
    assert best is not None
    return best


def solve_intrusion(safe: SafeProduct) -> LeastIntrusive:
    """W inside one safe product, by policy iteration.

    Playing in proportion to the terms of W's equation improves on any policy (it is Newton's
    method), so that the divergences of the policies fall to W; the last one is an upper bound.
    The lower bound is a function L with ``L <= T L`` for the operator T of the equation.
    """
    from ig_theory.solvers.kernels.intrusion import respond

    product, base = safe.product, safe.product.base
    usable = safe.alive & (base > 0)
    finite, free, usable = finite_divergence(safe, usable)
    solving = (product.outcome == RUNNING) & finite & ~free
    ahead = np.zeros(len(product))
    weight = np.where(free[product.choice_node] & usable, base, 0.0)
    flat = (
        product.choice_ptr, usable, base, product.branch_ptr, product.branch_node,
        product.first_prob, product.prob, solving,
    )  # fmt: skip
    after = np.zeros_like(ahead)
    respond(*flat, ahead, weight, after)
    parts = components(product, weight)
    for improvement in range(MOST_IMPROVEMENTS):
        cost = divergence(product, weight)
        cost[~finite] = 0.0
        totals = evaluate(product, cost[:, None], 1.0, weight, parts=parts)
        above = np.where(finite, totals.upper[:, 0], 0.0)
        fell = float((ahead - above).max(initial=0.0))
        ahead = above
        settled = improvement > 0 and fell <= 1e-12 * (1 + float(above.max(initial=0.0)))
        if settled or not totals.certified:
            break
        respond(*flat, ahead, weight, after)
    time = evaluate(product, solving.astype(np.float64)[:, None], 1.0, weight, parts=parts)
    below = _below(flat, ahead, time.upper[:, 0], after)
    limit = np.where(finite, below, np.inf)
    return LeastIntrusive(safe, limit, weight, _initial(safe, finite, limit, ahead))


def _below(flat: tuple[Any, ...], ahead: Floats, time: Floats, after: Floats) -> Floats:
    """A checked lower bound: ``W - e w``, w the expected time of the policy; 0 at worst."""
    from ig_theory.solvers.kernels.intrusion import respond

    solving = flat[-1]
    scratch = np.zeros(len(flat[1]))
    respond(*flat, ahead, scratch, after)
    error = 2 * float((ahead - after)[solving].max(initial=0.0)) + 1e-13
    while error < 1:
        candidate = np.where(solving, np.maximum(ahead - error * time, 0.0), 0.0)
        respond(*flat, candidate, scratch, after)
        rounding = 64 * ROUNDING * (1 + candidate)
        if ((candidate == 0) | (candidate + rounding <= after))[solving].all():
            return candidate
        error *= 8
    return np.zeros_like(ahead)


def divergence(product: Product, weight: Floats) -> Floats:
    """KL(policy || base) in nats at each node, float64[N]; ``inf`` where the base has no mass.

    A policy that equals the base up to rounding diverges by exactly 0: otherwise a run that
    goes on for ever would add the rounding up to infinity.
    """
    base = product.base
    with np.errstate(divide="ignore", invalid="ignore"):
        term = np.where(weight > 0, weight * (np.log(weight) - np.log(base)), 0.0)
    total = np.maximum(product.at_nodes(term), 0.0)
    return np.where(differs(product, weight), total, 0.0)


def differs(product: Product, weight: Floats) -> Bools:
    """Nodes at which a policy is not the base policy, beyond rounding, bool[N]."""
    base, nodes = product.base, len(product)
    off = np.abs(weight - base) > 1e-12 * base
    changed = np.bincount(product.choice_node[off], minlength=nodes) > 0
    listed = product.at_nodes(base)
    return np.asarray(changed | ((product.outcome == RUNNING) & (np.abs(listed - 1) > 1e-9)))


def finite_divergence(
    safe: SafeProduct, usable: Bools, earning: Bools | None = None
) -> tuple[Bools, Bools, Bools]:
    """Where some policy diverges finitely from the base, and where the base itself is enough.

    Parameters
    ----------
    usable : bool[M]
        The choices that a policy may take: safe, and with mass under the base.
    earning : bool[M], optional
        Choices that make a node count as not settled although the base is safe there.

    Returns
    -------
    finite : bool[N]
        Some usable policy surely comes to a free node or to an end.
    free : bool[N]
        The base model is safe by itself for ever, and earns nothing.
    usable : bool[M]
        The usable choices that stay among finite nodes.
    """
    from ig_theory import kernels

    product, base = safe.product, safe.product.base
    running = (product.outcome == RUNNING) & safe.kept
    intervenes = ~safe.kept
    played = product.at_nodes(np.where(usable, base, 0.0))
    intervenes |= running & (~whole(safe, usable) | (played == 0))
    if earning is not None:
        intervenes[product.choice_node[usable & earning]] = True
    flat = (product.choice_ptr, product.branch_ptr, product.branch_node)
    free = ~kernels.backward(*flat, usable, intervenes)
    target = free | ((product.outcome != RUNNING) & safe.kept)
    reaching, staying = almost_sure(product, usable, target)
    finite = reaching & safe.kept
    return finite, free & safe.kept, staying & finite[product.choice_node]


def whole(safe: SafeProduct, usable: Bools) -> Bools:
    """The nodes at which every choice of the base model is usable, bool[N]."""
    product = safe.product
    offered = np.bincount(product.choice_node[usable], minlength=len(product))
    return np.asarray(_base_choices(safe) == offered)


def _base_choices(safe: SafeProduct) -> Floats:
    """How many choices the base model has at each node."""
    model = safe.product.model
    positive = (model.base_policy > 0).astype(np.int64)
    return np.asarray(np.add.reduceat(positive, model.choice_ptr[:-1])[safe.product.state])


def _initial(safe: SafeProduct, finite: Bools, below: Floats, above: Floats) -> Bounds:
    lower, upper = (np.where(finite, side, np.inf) for side in (below, above))
    found = over_start(safe.product, lower, upper)
    return Bounds(found.lower * (1 - 8 * ROUNDING), found.upper * (1 + 8 * ROUNDING) + 8 * ROUNDING)
