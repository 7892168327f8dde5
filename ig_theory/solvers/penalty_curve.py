"""What a penalty buys: value, violation and reward of n-optimal policies (THEORY T1.limit)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ig_theory.augmentation import (
    BROKEN,
    DEFAULT_LIMIT,
    OPEN,
    Policy,
    Product,
    every_choice,
    explore,
)
from ig_theory.chain import evaluate, reward_bounds_after
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView
from ig_theory.lookup import Lookup, rows_of
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.penalty import every_pair, solve_penalty
from ig_theory.solvers.policy_violation import chain_violation
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.start import over_start
from ig_theory.tracker import BracketTracker, GridTracker
from ig_theory.verdict import Bounds


@dataclass(frozen=True)
class PenaltyPoint:
    """What one n buys.

    Attributes
    ----------
    n : float
    value : Bounds
        V_n from the initial distribution; decreases in n.
    violation : Bounds
        P(some z_t is not kept) under the n-optimal policy.
    reward : Bounds
        Its expected reward until the end or the first violation; the step that violates earns
        nothing (as in a verdict).
    safe : bool or None
        Whether it violates with probability 0: a fact about the support graph, not about floats.
        None where a grid leaves it open.
    first_violation : int or None
        The earliest t at which z_t may be violated.
    status : Status
        CERTIFIED, or UNCERTIFIED where a bound is trivial.
    """

    n: float
    value: Bounds
    violation: Bounds
    reward: Bounds
    safe: bool | None
    first_violation: int | None
    status: Status


@dataclass(frozen=True)
class PenaltyCurve:
    """Points for a plot, in the order asked for.

    Attributes
    ----------
    points : tuple of PenaltyPoint
    safe_value : Bounds
        The best almost surely safe value, which V_n falls to (T1 i); ``-inf`` if there is none.
    """

    points: tuple[PenaltyPoint, ...]
    safe_value: Bounds


def penalty_curve(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    ns: Iterable[float],
    *,
    limit: int = DEFAULT_LIMIT,
) -> PenaltyCurve:
    """What the n-optimal policy of each n is worth, and how often it violates.

    Violation is decided with the true budget even where the policy was found on a grid. Ties
    between choices go to the first that attains the computed maximum.

    Raises
    ------
    SolverError
        If more than `limit` pairs are reachable, or some n is not a number >= 0.

    Examples
    --------
    Spending pays 1 and violates for sure: only n > 1 deters it.

    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> curve = penalty_curve(model, BudgetConstraint(0, horizon=1), [0.5, 2])
    >>> [(point.n, point.violation.upper, point.safe) for point in curve.points]
    [(0.5, 1.0, False), (2.0, 0.0, True)]
    """
    wanted = [float(n) for n in ns]
    for n in wanted:
        if not 0 <= n < np.inf:
            raise SolverError.at("n", "a finite number >= 0", n, "give a penalty")
    product = every_pair(model, constraint, limit)
    above = product
    (tracker,) = product.store.trackers
    if isinstance(tracker, GridTracker):
        up = GridTracker(model, constraint, tracker.per_unit, up=True)
        above = explore(model, constraint, every_choice, trackers=[up], limit=limit)
    find = Lookup(product)
    points = tuple(_point(product, above, find, n, limit) for n in wanted)
    return PenaltyCurve(points, budgeted_value(model, constraint, limit=limit).initial)


def _point(product: Product, above: Product, find: Lookup, n: float, limit: int) -> PenaltyPoint:
    """Solve M_n, then follow its policy with the exact budget, or enclosed by both roundings."""
    solved = solve_penalty(product, n)
    over = solved if above is product else solve_penalty(above, n)
    value = Bounds(
        over_start(product, solved.lower, solved.lower).lower,
        over_start(above, over.upper, over.upper).upper,
    )
    if above is not product and float(product.model.reward.min()) < 0:
        # With negative rewards a smaller budget may be worth more in M_n: violating ends them.
        value = Bounds(-np.inf, np.inf)
    assert solved.policy is not None
    chain = _chain(product, solved.policy, find, limit)
    violation, certified = chain_violation(chain)
    safe, first = _first_violation(chain)
    if safe:
        violation = Bounds(0.0, 0.0)
    reward = _reward(chain)
    sound = certified and solved.status is over.status is Status.CERTIFIED
    known = sound and math.isfinite(value.lower) and math.isfinite(value.upper)
    status = Status.CERTIFIED if known and safe is not None else Status.UNCERTIFIED
    return PenaltyPoint(n, value, violation, reward, safe, first, status)


def _chain(product: Product, policy: Ints, find: Lookup, limit: int) -> Product:
    """The chain of a deterministic policy of the product."""
    weight = product.deterministic(policy)

    def follow(view: GuardView) -> Floats:
        return rows_of(product, find(view), weight, view.enabled.shape[1])

    (tracker,) = product.store.trackers
    trackers = None
    if isinstance(tracker, GridTracker):
        # Its lower end is the grid budget that the policy was solved for.
        trackers = [BracketTracker(product.model, tracker.constraint, tracker.per_unit)]
    policy_of: Policy = follow
    return explore(product.model, product.constraints, policy_of, trackers=trackers, limit=limit)


def _first_violation(chain: Product) -> tuple[bool | None, int | None]:
    """Whether no violation is reachable, and the earliest time of one."""
    breaking = chain.choice_node[chain.broken > 0]
    times = np.append(chain.time[breaking] + 1, chain.time[chain.outcome == BROKEN])
    if len(times):
        return False, int(times.min())
    return (None if (chain.outcome == OPEN).any() else True), None


def _reward(chain: Product) -> Bounds:
    model = chain.model
    beta = float(model.reward_discount)
    earned = model.reward.astype(np.float64)[chain.choice] * chain.kept_share * chain.weight
    gain = chain.at_nodes(earned)
    low, high = reward_bounds_after(chain, beta)
    open_ = chain.outcome == OPEN
    columns = np.stack([np.where(open_, low, gain), np.where(open_, high, gain)], axis=1)
    totals = evaluate(chain, columns, beta)
    return over_start(chain, totals.lower[:, 0], totals.upper[:, 1])
