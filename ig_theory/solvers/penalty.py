"""The penalty MDP M_n of InferenceGuard (THEORY T1.limit): reward while safe, ``-n`` from the first
violation on.

The successor's budget is priced, the last one ``z_T`` included (THEORY T1.last-step). Rewards
should be shifted so that ``0 <= r <= R``. Which n makes greedy policies safe is asked in
`penalty_threshold`, what each n buys in `penalty_curve`; with an infinite horizon no n may be
enough (THEORY T1.no-threshold).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ig_theory.augmentation import BROKEN, DEFAULT_LIMIT, OPEN, Product, every_choice
from ig_theory.chain import ROUNDING
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, Scope
from ig_theory.errors import SolverError
from ig_theory.solvers.base_safety import explore_all
from ig_theory.solvers.solution import Solution
from ig_theory.solvers.totals.total_reward import best_total


@dataclass(frozen=True, eq=False)
class PenaltyValue:
    """V_n on the whole product, and an n-optimal policy.

    With an infinite horizon and gamma < 1 the product may be a grid that rounds budgets down:
    then `solution` bounds V_n from below only, and the policy is optimal for the grid.
    """

    product: Product
    solution: Solution


def penalty_value(
    model: ConstrainedMDP, constraint: BudgetConstraint, n: float, *, limit: int = DEFAULT_LIMIT
) -> PenaltyValue:
    """Solve M_n; once violated, ``-n`` is charged at every remaining time, the last included.

    With an infinite horizon and ``beta = 1`` the charge is made once.

    Raises
    ------
    SolverError
        If more than `limit` pairs are reachable.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> round(float(penalty_value(model, BudgetConstraint(0), n=3).solution.upper[0]), 6)
    0.0
    """
    product = every_pair(model, constraint, limit)
    return PenaltyValue(product, solve_penalty(product, n))


def finite_threshold(model: ConstrainedMDP, horizon: int) -> Fraction:
    """``n* = R (1 + beta + .. + beta^(T-1)) / (p beta)^T`` of THEORY T1.threshold.

    Every greedy policy of M_n with ``n > n*`` is almost surely safe wherever a safe one exists,
    for rewards in [0, R]; p is the least positive transition probability.

    Raises
    ------
    SolverError
        If some reward is negative.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 2, {"s": 1})}}, initial="s")
    >>> finite_threshold(model, 3)
    Fraction(6, 1)
    """
    reward, beta = largest_reward(model), model.reward_discount
    total = sum((beta**k for k in range(horizon)), Fraction(0))
    return reward * total / (least_probability(model) * beta) ** horizon


def largest_reward(model: ConstrainedMDP) -> Fraction:
    """R, where no reward is negative.

    Raises
    ------
    SolverError
    """
    choice = int(np.argmin(model.reward))
    if model.reward[choice] < 0:
        raise SolverError.at(
            f"reward of choice {choice}", "rewards >= 0 for a penalty threshold",
            model.reward[choice], "shift all rewards by their least one",
        )  # fmt: skip
    return Fraction(model.reward.max())


def least_probability(model: ConstrainedMDP) -> Fraction:
    """p: the least transition probability; in floats, a number just below it."""
    if model.exact:
        return Fraction(model.branch_prob.min())
    total = np.add.reduceat(model.branch_prob, model.branch_ptr[:-1])
    least = float((model.branch_prob / total[model.branch_choice]).min())
    longest = int(np.diff(model.branch_ptr).max())
    return Fraction(least if least == 1 else least * (1 - (longest + 4) * ROUNDING))


def every_pair(model: ConstrainedMDP, constraint: BudgetConstraint, limit: int) -> Product:
    """All reachable pairs, safe or not.

    Raises
    ------
    SolverError
        If there are more than `limit`.
    """
    product = explore_all(model, (constraint,), every_choice, limit)
    if not product.complete:
        raise SolverError.at(
            "pairs", f"at most {limit}", f"{len(product)} and more", "raise the state limit"
        )
    return product


def solve_penalty(product: Product, n: float) -> Solution:
    """M_n on pairs that are explored already."""
    model = product.model
    beta = float(model.reward_discount)
    gain = model.reward.astype(np.float64)[product.choice]
    gain = gain - beta * np.where(product.broken > 0, _charge(product, n, beta), 0.0)
    leaf = np.where(_broken_leaf(product), -_leaf_charge(product, n, beta), 0.0)
    alive = np.ones(len(gain), dtype=bool)
    return best_total(product, gain, leaf, model.reward_discount, alive)


def _charge(product: Product, n: float, beta: float) -> Floats:
    """What a violation at the next time costs, seen from then, float64[M]."""
    horizon = product.constraints[0].horizon
    if horizon is None:
        return np.full(len(product.choice), n / (1 - beta) if beta < 1 else n)
    left = horizon - product.time[product.choice_node] - 1
    total = np.cumsum(beta ** np.arange(horizon + 1))
    return np.asarray(n * total[left])


def _leaf_charge(product: Product, n: float, beta: float) -> Floats:
    """What a node that is broken itself costs: a final budget, or that of the very start."""
    (constraint,) = product.constraints
    if constraint.scope is Scope.TERMINAL:
        return np.full(len(product), n)
    if constraint.horizon is None:
        return np.full(len(product), n / (1 - beta) if beta < 1 else n)
    total = np.cumsum(beta ** np.arange(constraint.horizon + 1))
    return np.asarray(n * total[constraint.horizon - product.time])


def _broken_leaf(product: Product) -> Bools:
    return np.asarray((product.outcome == BROKEN) | (product.outcome == OPEN))
