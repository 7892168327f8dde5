"""The least-intrusive safe guard and its limit W (THEORY T5).

Among all almost surely safe policies it minimises the expected KL divergence to the base
policy, summed over the steps:
``W(s,z) = -log sum_{a allowed} base(a|s) exp(-sum_s' P(s'|s,a) W(s',z'))``, and the guard plays
``a`` in proportion to the terms of the sum. With deterministic dynamics W is ``-log`` of the
base model's probability never to violate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT, RUNNING, Product
from ig_theory.chain import MOST_SWEEPS, ROUNDING, evaluate
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.kernels import compiled
from ig_theory.solvers.end_components import almost_sure
from ig_theory.solvers.safe_product import SafeProduct, brackets, safe_product
from ig_theory.verdict import Bounds

GAP = 1e-9


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
    several = as_constraints(constraint)
    if len(several) > 1:
        joint = safe_product(model, several, limit=limit)
        pairs = [(joint, joint)]
    else:
        pairs = brackets(model, several[0], limit)
    best: LeastIntrusive | None = None
    for down, up in pairs:
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
    """W inside one safe product: from below by iteration, from above by the guard's own KL."""
    product, base = safe.product, safe.product.base
    usable = safe.alive & (base > 0)
    finite, free = _finite(safe, base, usable)
    usable &= finite[product.choice_node]
    from ig_theory import kernels

    order, start = kernels.components(
        product.edge_ptr, product.branch_node, np.repeat(usable, np.diff(product.branch_ptr))
    )
    limit = np.where(finite, 0.0, np.inf)
    term = np.where(free[product.choice_node] & usable, base, 0.0)
    _soft(
        order, start, product.choice_ptr, usable, base, product.branch_ptr, product.branch_node,
        product.first_prob, product.prob, (product.outcome == RUNNING) & finite & ~free, limit, term,
        MOST_SWEEPS,
    )  # fmt: skip
    total = np.bincount(product.choice_node, weights=term, minlength=len(product))
    weight = term / np.where(total > 0, total, 1.0)[product.choice_node]
    return LeastIntrusive(safe, limit, weight, _initial(safe, finite, limit, weight))


def divergence(product: Product, weight: Floats) -> Floats:
    """KL(policy || base) in nats at each node, float64[N]; ``inf`` where the base has no mass.

    A policy that equals the base up to rounding diverges by exactly 0: otherwise a run that
    goes on for ever would add the rounding up to infinity.
    """
    base = product.base
    with np.errstate(divide="ignore", invalid="ignore"):
        term = np.where(weight > 0, weight * (np.log(weight) - np.log(base)), 0.0)
    nodes = len(product)
    total = np.maximum(np.bincount(product.choice_node, weights=term, minlength=nodes), 0.0)
    return np.where(differs(product, weight), total, 0.0)


def differs(product: Product, weight: Floats) -> Bools:
    """Nodes at which a policy is not the base policy, beyond rounding, bool[N]."""
    base, nodes = product.base, len(product)
    off = np.abs(weight - base) > 1e-12 * base
    changed = np.bincount(product.choice_node[off], minlength=nodes) > 0
    listed = np.bincount(product.choice_node, weights=base, minlength=nodes)
    return np.asarray(changed | ((product.outcome == RUNNING) & (np.abs(listed - 1) > 1e-9)))


def _finite(safe: SafeProduct, base: Floats, usable: Bools) -> tuple[Bools, Bools]:
    """Where W is finite, and where it is 0.

    It is 0 where the base model is safe by itself for ever, and finite where some usable policy
    surely comes to such a place or to an end.
    """
    from ig_theory import kernels

    product = safe.product
    running = (product.outcome == RUNNING) & safe.kept
    intervenes = ~safe.kept
    played = np.bincount(
        product.choice_node[usable], weights=base[usable], minlength=len(product)
    )
    whole = _base_choices(safe) == np.bincount(
        product.choice_node[usable], minlength=len(product)
    )
    intervenes |= running & (~whole | (played == 0))
    flat = (product.choice_ptr, product.branch_ptr, product.branch_node)
    free = ~kernels.backward(*flat, usable, intervenes)
    target = free | ((product.outcome != RUNNING) & safe.kept)
    return almost_sure(product, usable, target)[0] & safe.kept, free & safe.kept


def _base_choices(safe: SafeProduct) -> Floats:
    """How many choices the base model has at each node."""
    model = safe.product.model
    positive = (model.base_policy > 0).astype(np.int64)
    return np.asarray(np.add.reduceat(positive, model.choice_ptr[:-1])[safe.product.state])


def _initial(safe: SafeProduct, finite: Bools, limit: Floats, weight: Floats) -> Bounds:
    product = safe.product
    first, prob = product.initial, product.initial_prob.astype(np.float64)
    if not finite[first].all():
        return Bounds(float("inf"), float("inf"))
    cost = divergence(product, weight)
    cost[~finite] = 0.0
    totals = evaluate(product, cost[:, None], 1.0, weight=weight)
    lower = float(prob @ limit[first]) * (1 - 1e-12)
    upper = float(prob @ totals.upper[first, 0]) + 4 * ROUNDING
    return Bounds(min(lower, upper), upper)


@compiled
def _soft(order, start, choice_ptr, usable, base, branch_ptr, branch_node, first_prob, prob,
          open_, limit, term, most):  # type: ignore[no-untyped-def]  # fmt: skip
    """Iterate W upwards from 0, component by component; `term` gets the unscaled policy."""
    for part in range(len(start) - 1):
        for _ in range(most):
            moving = False
            for place in range(start[part], start[part + 1]):
                n = order[place]
                if not open_[n]:
                    continue
                least = np.inf
                for j in range(choice_ptr[n], choice_ptr[n + 1]):
                    if not usable[j]:
                        continue
                    ahead = 0.0
                    shift = first_prob[j] - branch_ptr[j]
                    for b in range(branch_ptr[j], branch_ptr[j + 1]):
                        ahead += prob[b + shift] * limit[branch_node[b]]
                    term[j] = ahead
                    least = min(least, ahead)
                total = 0.0
                for j in range(choice_ptr[n], choice_ptr[n + 1]):
                    if usable[j]:
                        term[j] = base[j] * np.exp(least - term[j])  # no underflow of all terms
                        total += term[j]
                value = max(least - np.log(total), 0.0)
                if value > limit[n]:
                    moving = moving or value - limit[n] > 1e-14 * value
                    limit[n] = value
            if not moving:
                break
