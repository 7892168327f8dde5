"""The best mixture of a few policies whose rewards and costs are known: the master problem.

A mixture draws one policy before the run, so its reward and its costs are averages. Shares are
rationals that total exactly 1, and that the budgets are kept is checked in rationals, with the
upper ends of the costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.cmdp import Floats, Ints
from ig_theory.verdict import Bounds

PARTS = 2**40
"""Shares are multiples of one over this."""


@dataclass(frozen=True, eq=False)
class Column:
    """A deterministic policy, int64[S] or [T, S], with its expected reward and costs."""

    policy: Ints
    reward: Bounds
    costs: tuple[Bounds, ...]


def highs(objective: Any, **arguments: Any) -> Any:
    """`scipy.optimize.linprog`, imported when it is needed."""
    from scipy.optimize import linprog

    call: Any = linprog
    return call(objective, **arguments)


def best_mixture(
    columns: Sequence[Column], budgets: Sequence[Fraction]
) -> tuple[list[Fraction], Floats] | None:
    """Shares of the best mixture within the budgets, and the prices of the budgets.

    Returns
    -------
    list of Fractions and float64[K], or None
        None if no mixture is within the budgets, rounding included.
    """
    if len(budgets) == 1:
        return _best_pair(columns, budgets[0])
    tight = np.zeros(len(budgets))
    for _ in range(8):
        solved = _master(columns, budgets, tight)
        if solved is None:
            return None
        weights, prices = solved
        shares = _rounded(weights)
        over = [_paid(columns, shares, k) - budget for k, budget in enumerate(budgets)]
        if all(excess <= 0 for excess in over):
            return shares, prices
        # The LP stops within its own tolerance: ask for more each time.
        tight = 4 * tight + np.maximum([2 * float(excess) for excess in over], 0.0)
    return None


def least_excess(columns: Sequence[Column], budgets: Sequence[Fraction]) -> tuple[float, Floats]:
    """How far the best mixture is over the budgets, relative to their sizes, and prices for it.

    Not above 0 only if a mixture is found that keeps the budgets, rounding included.
    """
    size = np.array([1 + float(budget) for budget in budgets])
    if len(budgets) == 1:
        least = min(Fraction(c.costs[0].upper) for c in columns)
        return float(least - budgets[0]) / size[0], 1 / size
    if best_mixture(columns, budgets) is not None:
        return 0.0, np.zeros(len(budgets))
    over = (_costs(columns) - np.array([float(b) for b in budgets])[:, None]) / size[:, None]
    count = len(columns)
    found = highs(
        np.append(np.zeros(count), 1.0),
        A_ub=np.hstack([over, -np.ones((len(budgets), 1))]), b_ub=np.zeros(len(budgets)),
        A_eq=np.append(np.ones(count), 0.0)[None, :], b_eq=[1.0],
        bounds=[(0, None)] * count + [(None, None)], method="highs",
    )  # fmt: skip
    prices = np.maximum(-found.ineqlin.marginals, 0.0) / size
    return max(float(found.fun), 1e-300), prices


def _best_pair(columns: Sequence[Column], budget: Fraction) -> tuple[list[Fraction], Floats] | None:
    """One budget: the point of the upper hull above it mixes two policies at most."""
    cost = [Fraction(c.costs[0].upper) for c in columns]
    reward = [Fraction(c.reward.lower) for c in columns]
    under = [i for i in range(len(columns)) if cost[i] <= budget]
    over = [i for i in range(len(columns)) if cost[i] > budget]
    if not under:
        return None
    best = max(under, key=lambda i: reward[i])
    value, pair, price = reward[best], (best, best, Fraction(0)), Fraction(0)
    for i in under:
        for j in over:
            share = (budget - cost[i]) / (cost[j] - cost[i])
            mixed = reward[i] + share * (reward[j] - reward[i])
            slope = (reward[j] - reward[i]) / (cost[j] - cost[i])
            # At a corner of the hull the steepest price keeps all columns below the line.
            if mixed > value or (mixed == value and slope > price):
                value, pair, price = mixed, (i, j, share), slope
    i, j, share = pair
    shares = [Fraction(0)] * len(columns)
    part = Fraction(int(share * PARTS), PARTS)  # rounded down: towards the cheaper policy
    shares[i] += 1 - part
    shares[j] += part
    return shares, np.array([float(price)])


def _master(
    columns: Sequence[Column], budgets: Sequence[Fraction], tight: Floats
) -> tuple[Floats, Floats] | None:
    reward = np.array([float(c.reward.lower) for c in columns])
    limit = np.array([float(b) for b in budgets]) - tight
    found = highs(
        -reward, A_ub=_costs(columns), b_ub=limit, A_eq=np.ones((1, len(columns))), b_eq=[1.0],
        method="highs", options={"primal_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    if found.status != 0:
        return None
    return np.maximum(found.x, 0.0), np.maximum(-found.ineqlin.marginals, 0.0)


def _rounded(weights: Floats) -> list[Fraction]:
    """Shares close to the weights that total exactly 1."""
    parts = [int(w * PARTS) for w in weights.tolist()]
    parts[int(np.argmax(weights))] += PARTS - sum(parts)
    return [Fraction(part, PARTS) for part in parts]


def _paid(columns: Sequence[Column], shares: Sequence[Fraction], k: int) -> Fraction:
    pairs = zip(columns, shares, strict=True)
    return sum((s * Fraction(c.costs[k].upper) for c, s in pairs), Fraction(0))


def _costs(columns: Sequence[Column]) -> Floats:
    return np.array([[float(b.upper) for b in c.costs] for c in columns]).T
