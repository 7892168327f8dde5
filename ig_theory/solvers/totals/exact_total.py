"""The largest expected total reward over the rationals, from one that floats enclose."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import RUNNING, Product
from ig_theory.chain import evaluate_exact
from ig_theory.cmdp import Bools, Objects
from ig_theory.errors import SolverError
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.totals.branches import over_branches


def best_total_exact(
    product: Product, gain: npt.NDArray[np.object_], beta: Fraction, start: Solution, alive: Bools
) -> Solution:
    """Make a solution exact over the rationals by policy improvement.

    Leaves are worth 0. Nodes worth an infinity in `start` keep it.

    Raises
    ------
    SolverError
        If the product is too large for elimination over the rationals.
    """
    assert start.policy is not None
    policy = start.policy.copy()
    while True:
        weight = np.array([Fraction(0)] * len(product.choice), dtype=object)
        chosen = policy[policy >= 0]
        weight[chosen] = Fraction(1)
        earned = [gain[j] if j >= 0 else Fraction(0) for j in policy.tolist()]
        value = evaluate_exact(product, earned, beta, weight)
        for n in np.flatnonzero(~np.isfinite(start.lower) & (start.lower == start.upper)).tolist():
            value[n] = float(start.lower[n])
        improved = False
        for n in np.flatnonzero(policy >= 0).tolist():
            for j in range(product.choice_ptr[n], product.choice_ptr[n + 1]):
                if alive[j] and _exact_backup(product, j, gain, beta, value) > value[n]:
                    policy[n], improved = j, True
                    break
        if not improved:
            _within(value, start, beta)
            out = np.empty(len(product), dtype=object)
            out[:] = value
            return Solution(out, out, policy, Status.EXACT, 0.0)


def _within(value: list[Any], start: Solution, beta: Fraction) -> None:
    """Policy improvement can rest on a policy that is not optimal only if beta = 1; say so."""
    if start.status is not Status.CERTIFIED:
        if beta < 1:
            return
        raise SolverError.at(
            "undiscounted optimum", "certified bounds to start from", start.status.value,
            "use the float bounds instead",
        )  # fmt: skip
    for n, exact in enumerate(value):
        if not start.lower[n] <= exact <= start.upper[n]:
            raise SolverError.at(
                f"exact value of pair {n}", f"within {start.lower[n]}..{start.upper[n]}", exact,
                "use the float bounds instead",
            )  # fmt: skip


def _exact_backup(
    product: Product, j: int, gain: npt.NDArray[np.object_], beta: Fraction, value: list[Any]
) -> Any:
    total = gain[j]
    first = product.first_prob[j] - product.branch_ptr[j]
    for b in range(product.branch_ptr[j], product.branch_ptr[j + 1]):
        total += beta * product.model.branch_prob[b + first] * value[product.branch_node[b]]
    return total


def exact_total(
    product: Product, gain: Objects, leaf: Objects, beta: Fraction, start: Solution, alive: Bools
) -> Solution:
    """`best_total_exact` for leaves that are worth something; their worth is moved into gains.

    Parameters
    ----------
    gain : Fractions [M]
    leaf : Fractions [N]
        0 at running nodes.
    start
        What `best_total` gave for the same problem.
    """
    inner = product.outcome == RUNNING
    zeroed = replace(
        start, lower=np.where(inner, start.lower, 0.0), upper=np.where(inner, start.upper, 0.0)
    )
    moved = gain + beta * over_branches(product, leaf)
    found = best_total_exact(product, moved, beta, zeroed, alive)
    value = np.where(inner, found.lower, leaf)
    return replace(found, lower=value, upper=value)


def as_fractions(values: npt.NDArray[Any]) -> Objects:
    """The rationals that these numbers are."""
    out = np.empty(len(values), dtype=object)
    out[:] = [Fraction(v) for v in values.tolist()]
    return out
