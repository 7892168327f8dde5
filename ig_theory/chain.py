"""The Markov chain that a policy induces on a product: expected totals, with certified bounds.

A total solves ``x = constant + beta * P x``. It is computed in floats and then enclosed: if
``w >= 0`` has ``w - beta P w >= 1/2`` on every row that counts, then ``I - beta P`` is a
nonsingular M-matrix there and an approximation with residual at most ``e`` is off by at most
``2 e w``. The residual is bounded with the rounding error of computing it. In exact mode the
same system is solved by elimination over the rationals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import RUNNING, Product
from ig_theory.cmdp import Bools, Floats, Ints
from ig_theory.errors import SolverError

ROUNDING = 2.0**-52
"""Bound on the relative error of one float64 operation, doubled to be generous."""

TOLERANCE = 2e-14
MOST_SWEEPS = 50_000
LARGEST_EXACT_COMPONENT = 400


@dataclass(frozen=True, eq=False)
class Totals:
    """Expected totals of every node: ``lower <= total <= upper``, [N, R]."""

    lower: npt.NDArray[Any]
    upper: npt.NDArray[Any]
    certified: bool
    residual: float


Parts = tuple[Ints, Ints, npt.NDArray[np.int32]]


def components(product: Product, weight: Floats) -> Parts:
    """The chain's strongly connected components: nodes in order, successors first; where each
    component starts in that order; and the component of each node."""
    from ig_theory import kernels

    alive = np.empty(0, dtype=np.bool_)
    if (weight == 0).any():
        alive = np.repeat(weight > 0, np.diff(product.branch_ptr))
    order, start = kernels.components(product.edge_ptr, product.branch_node, alive)
    part = np.empty(len(product), dtype=np.int32)
    part[order] = np.repeat(np.arange(len(start) - 1, dtype=np.int32), np.diff(start))
    return order, start, part


def evaluate(
    product: Product,
    constant: Floats,
    beta: float,
    weight: Floats | None = None,
    killed: Floats | None = None,
    parts: Parts | None = None,
) -> Totals:
    """Expected totals under a policy, with two-sided bounds.

    Parameters
    ----------
    product
        Its choices with positive weight are the chain.
    constant : float64[N, R]
        What each node earns at once: expected rewards, or the value of a leaf.
    beta
        Discount in (0, 1]. With 1, a node in a class that is never left is worth 0 if nothing
        is earned there, otherwise infinitely much.
    weight : float64[M], optional
        Other weights than the product's own; rows may total less than 1.
    killed : float64[N], optional
        The probability that the run stops at a node; positive where rows total less than 1.
    parts : optional
        What `components` gives for these weights, where it is known already.

    Returns
    -------
    Totals
        Not certified (infinite bounds) where the iteration did not settle.
    """
    from ig_theory import kernels

    weight = product.weight if weight is None else weight
    order, start, part = components(product, weight) if parts is None else parts
    fixed, x = _fixed(product, constant, beta, weight, killed, part, len(start) - 1)
    flat = _flat(product, weight)
    columns = constant.shape[1]
    steps = np.where(fixed | (product.outcome != RUNNING), 0.0, 1.0)[:, None]
    both = np.ascontiguousarray(np.hstack([constant, steps]))
    x = np.ascontiguousarray(np.hstack([x, np.zeros_like(steps)]))
    kernels.linear(order, start, *flat, both, fixed, beta, x, TOLERANCE, MOST_SWEEPS)
    again = np.empty_like(x)
    kernels.apply_linear(*flat, both, beta, x, again)
    value, time = x[:, :columns], x[:, columns]
    free = ~fixed & (product.outcome == RUNNING)
    # w - beta P w >= 1/2 where again = 1 + beta P w
    sound = bool(np.isfinite(time).all() and (time[free] - again[free, columns] + 1 >= 0.5).all())
    known = np.isfinite(value)
    with np.errstate(invalid="ignore"):
        off = np.where(known, np.abs(value - again[:, :columns]), 0.0)[free]
    size = np.where(known, np.abs(value), 0.0).max(axis=0, initial=0.0)
    size += np.where(np.isfinite(constant), np.abs(constant), 0.0).max(axis=0, initial=0.0)
    residual = off.max(axis=0, initial=0.0) + ROUNDING * (_longest_row(product) + 4) * size
    worst = float(residual.max(initial=0.0))
    if not sound:
        wide = np.where(free[:, None] & known, np.inf, 0.0)
        return Totals(value - wide, value + wide, False, worst)
    with np.errstate(over="ignore"):
        margin = 2 * residual * np.where(free, time * (1 + 1e-9), 0.0)[:, None]
    sound = bool(np.isfinite(margin).all())
    unknown = np.isnan(value)
    lower = np.where(unknown, -np.inf, value - margin)
    return Totals(lower, np.where(unknown, np.inf, value + margin), sound, worst)


def evaluate_exact(
    product: Product, constant: list[Fraction], beta: Fraction, weight: npt.NDArray[np.object_]
) -> list[Any]:
    """Expected totals over the rationals, by elimination within each component.

    Parameters
    ----------
    constant : Fractions [N]
    weight : Fractions [M]

    Returns
    -------
    list
        Fractions, or ``+-math.inf``.

    Raises
    ------
    SolverError
        If a component is too large for elimination over the rationals.
    """
    order, start, part = components(product, weight.astype(np.float64))
    floats = np.array([[float(c)] for c in constant])
    fixed, x = _fixed(
        product, floats, float(beta), weight.astype(np.float64), None, part, len(start) - 1
    )
    value: list[Any] = [Fraction(0)] * len(product)
    for low, high in zip(start[:-1].tolist(), start[1:].tolist(), strict=True):
        members = order[low:high].tolist()
        if fixed[members[0]]:
            for n in members:
                value[n] = Fraction(0) if x[n, 0] == 0 else float(x[n, 0])
            continue
        if len(members) > LARGEST_EXACT_COMPONENT:
            raise SolverError.at(
                "exact evaluation", f"components of at most {LARGEST_EXACT_COMPONENT} pairs",
                len(members), "use the float bounds instead",
            )  # fmt: skip
        _eliminate(product, members, constant, beta, weight, value)
    return value


def exact_weights(product: Product) -> npt.NDArray[np.object_]:
    """The policy's weights as the rationals their floats are, each node's scaled to total 1."""
    weight = np.array([Fraction(w) for w in product.weight.tolist()], dtype=object)
    total: list[Fraction] = [Fraction(0)] * len(product)
    for node, w in zip(product.choice_node.tolist(), weight, strict=True):
        total[node] += w
    scaled = [w / total[n] for n, w in zip(product.choice_node.tolist(), weight, strict=True)]
    out = np.empty(len(weight), dtype=object)
    out[:] = scaled
    return out


def reward_bounds_after(product: Product, beta: float) -> tuple[float, float]:
    """Bounds on what any run can still earn from a node that was not explored."""
    reward = product.model.reward.astype(np.float64)
    low, high = min(0.0, float(reward.min())), max(0.0, float(reward.max()))
    horizon = product.constraints[0].horizon
    if horizon is not None:
        steps: float = float(horizon)
    else:
        steps = 1 / (1 - beta) if beta < 1 else math.inf
    return (low * steps if low else 0.0), (high * steps if high else 0.0)


def _fixed(
    product: Product, constant: Floats, beta: float, weight: Floats, killed: Floats | None,
    part: npt.NDArray[np.int32], parts: int,
) -> tuple[Bools, Floats]:  # fmt: skip
    """Nodes whose value needs no equation: those in classes that are never left (beta = 1)."""
    from ig_theory import kernels

    value = np.zeros(constant.shape)
    if beta < 1:
        return np.zeros(len(product), dtype=bool), value
    leaves = np.zeros(parts, dtype=bool)
    kernels.leaving(
        part, product.choice_ptr, weight, product.broken, product.branch_ptr, product.branch_node,
        leaves,
    )  # fmt: skip
    if killed is not None:
        leaves[part[killed > 0]] = True
    leaves[part[product.outcome != RUNNING]] = True
    fixed = ~leaves[part]
    for k in range(constant.shape[1]):
        gains, pays = np.zeros(parts, dtype=bool), np.zeros(parts, dtype=bool)
        gains[part[constant[:, k] > 0]] = True
        pays[part[constant[:, k] < 0]] = True
        worth = np.select([gains & pays, gains, pays], [np.nan, np.inf, -np.inf], default=0.0)
        value[fixed, k] = worth[part[fixed]]
    return fixed, value


def _flat(product: Product, weight: Floats) -> tuple[Any, ...]:
    return (
        product.choice_ptr, weight, product.branch_ptr, product.branch_node, product.first_prob,
        product.prob,
    )  # fmt: skip


def _longest_row(product: Product) -> int:
    return int(np.diff(product.edge_ptr).max(initial=0))


def _eliminate(
    product: Product, members: list[int], constant: list[Fraction], beta: Fraction,
    weight: npt.NDArray[np.object_], value: list[Any],
) -> None:  # fmt: skip
    """Solve one component by Gauss-Jordan elimination; earlier components have their values."""
    model, place = product.model, {n: i for i, n in enumerate(members)}
    rows: list[dict[int, Fraction]] = []
    right: list[Any] = []
    for n in members:
        row: dict[int, Fraction] = {place[n]: Fraction(1)}
        known: Any = constant[n]
        for j in range(product.choice_ptr[n], product.choice_ptr[n + 1]):
            for i, b in enumerate(range(product.branch_ptr[j], product.branch_ptr[j + 1])):
                prob = Fraction(model.branch_prob[product.first_prob[j] + i])
                mass = beta * weight[j] * prob
                target = int(product.branch_node[b])
                if not mass:
                    continue
                if target in place:
                    row[place[target]] = row.get(place[target], Fraction(0)) - mass
                else:
                    known += mass * value[target]
        rows.append(row)
        right.append(known)
    for i in range(len(rows)):
        pivot = rows[i].pop(i)
        rows[i] = {k: v / pivot for k, v in rows[i].items() if v}
        right[i] = right[i] / pivot
        for other in range(len(rows)):
            factor = rows[other].pop(i, None) if other != i else None
            if factor is None:
                continue
            right[other] -= factor * right[i]
            for k, v in rows[i].items():
                rows[other][k] = rows[other].get(k, Fraction(0)) - factor * v
    for n, solved in zip(members, right, strict=True):
        value[n] = solved
