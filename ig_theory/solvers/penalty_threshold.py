"""Which penalty is large enough: the computable threshold of THEORY T1.gap.

With an infinite horizon and ``beta < 1`` let some action be *unsafe*: it leaves a pair from which
the budget can be kept surely, and may lead to one from which it cannot. Whatever is done
afterwards, let tau be the time of the first violation (infinite if there is none) and kappa the
least ``E beta^tau`` over all unsafe actions and all policies after them. Rewards in [0, R] earn
at most ``R (1 - E beta^tau) / (1 - beta)`` before tau, and M_n charges ``n E beta^tau / (1 -
beta)`` from tau on, while a safe policy earns at least 0. So for ``n > R / kappa - R`` no greedy
policy of M_n takes an unsafe action where a safe one exists.

The cruder form needs no policies: if every unsafe pair is short of its minimal budget by at least
delta, the shortage grows by ``1 / gamma`` a step along some branch, exceeds ``D_max`` after
``k = floor(ln(D_max / delta) / ln(1 / gamma)) + 1`` steps, and is a violation by then, so that
``kappa >= (p beta)^(k+1)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import BROKEN, DEFAULT_LIMIT, RUNNING, Product
from ig_theory.chain import ROUNDING
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.minimal_budget import SafeSet
from ig_theory.solvers.penalty import every_pair, largest_reward, least_probability
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.branches import over_branches
from ig_theory.solvers.totals.end_components import inductive
from ig_theory.solvers.totals.safe_product import minimal_budget_or_none
from ig_theory.solvers.totals.total_reward import best_total
from ig_theory.tracker import GridTracker
from ig_theory.verdict import Bounds


@dataclass(frozen=True)
class PenaltyThreshold:
    """Two sound thresholds: for every larger n, greedy policies of M_n are almost surely safe.

    They speak of the runs from the initial states that can be kept safe with the constraint's
    budget.

    Attributes
    ----------
    reward, probability : Fraction
        R and p.
    gap : Fraction or None
        delta, in cost units: the least shortage ``D(s') - z'`` of the unsafe pairs that an unsafe
        action can lead to. None if there is none, or no minimal budget is known.
    steps : int or None
        k.
    by_gap : Fraction or None
        ``R ((p beta)^-(k+1) - 1)``, exact; None where it does not apply: ``gamma = 1``,
        signed costs, or a gap of 0 (open boundary).
    kappa : Bounds
        The least ``E beta^tau``; infinite if no action is unsafe.
    by_kappa : Bounds
        ``R / kappa - R``, at least 0; its upper end is sound.
    status : Status
        CERTIFIED, or UNCERTIFIED if kappa's lower bound is trivial (then the threshold is
        infinite).
    """

    reward: Fraction
    probability: Fraction
    gap: Fraction | None
    steps: int | None
    by_gap: Fraction | None
    kappa: Bounds
    by_kappa: Bounds
    status: Status

    @property
    def n(self) -> float:
        """The smaller of the two sound thresholds, rounded up."""
        crude = math.inf if self.by_gap is None else _up(self.by_gap)
        return min(crude, float(self.by_kappa.upper))


def penalty_threshold(
    model: ConstrainedMDP, constraint: BudgetConstraint, *, limit: int = DEFAULT_LIMIT
) -> PenaltyThreshold:
    """A penalty that makes every greedy policy safe, for an infinite horizon.

    What is assumed: rewards in [0, R], ``beta < 1``, and that finitely many exact budgets are
    reachable, so that all of them were looked at. THEORY T1.no-threshold shows that no n
    works for all budgets at once. The delta form also wants costs >= 0 and ``gamma < 1``.

    Raises
    ------
    SolverError
        If the horizon is finite (see `finite_threshold`), ``beta = 1``, a reward is negative, or
        the exact budgets are too many.

    Examples
    --------
    Spending pays 1, once, and surely violates at time 1: ``1 / (1/2) - 1``.

    >>> from ig_theory.builders import from_dict
    >>> moves = {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}
    >>> model = from_dict({"s": moves}, initial="s", reward_discount="1/2")
    >>> answer = penalty_threshold(model, BudgetConstraint(0, discount="1/2"))
    >>> answer.by_gap, round(answer.by_kappa.upper, 9)
    (Fraction(1, 1), 1.0)
    """
    _check(model, constraint)
    reward, least = largest_reward(model), least_probability(model)
    product = every_pair(model, constraint, limit)
    if isinstance(product.store.trackers[0], GridTracker):
        raise SolverError.at(
            "budgets", "few enough to be all looked at exactly", "too many",
            "use gamma = 1 or a finite horizon; a rounded budget hides how close it is (T1 iv)",
        )  # fmt: skip
    lost = product.outcome == BROKEN
    kept, alive = inductive(product, product.broken == 0, lost)
    unsafe = _unsafe_actions(product, kept, alive)
    if not unsafe.any():
        nothing = Bounds(math.inf, math.inf)
        return PenaltyThreshold(
            reward, least, None, None, Fraction(0), nothing, Bounds(0.0, 0.0), Status.CERTIFIED
        )
    gap, steps = _gap(product, kept, unsafe)
    by_gap = None
    if steps is not None:
        by_gap = reward * (1 / (least * model.reward_discount) ** (steps + 1) - 1)
    kappa, certified = _kappa(product, unsafe)
    status = Status.CERTIFIED if certified and kappa.lower > 0 else Status.UNCERTIFIED
    by_kappa = _thresholds(reward, kappa)
    return PenaltyThreshold(reward, least, gap, steps, by_gap, kappa, by_kappa, status)


def _check(model: ConstrainedMDP, constraint: BudgetConstraint) -> None:
    if constraint.horizon is not None:
        raise SolverError.at(
            "horizon", "none", constraint.horizon, "use finite_threshold for a finite one"
        )
    if model.reward_discount == 1:
        raise SolverError.at("reward_discount", "below 1", 1, "discount rewards, or set a horizon")


def _unsafe_actions(product: Product, kept: Bools, alive: Bools) -> Bools:
    """The actions that leave the safe pairs that safe actions reach, bool[M]."""
    inside = alive & kept[product.choice_node]
    reached = np.zeros(len(product), dtype=bool)
    reached[product.initial] = kept[product.initial]
    while True:
        step = inside & reached[product.choice_node]
        target = _targets(product, step)
        more = target[~reached[target]]
        if not len(more):
            return np.asarray(
                reached[product.choice_node]
                & ~inside
                & (product.outcome == RUNNING)[product.choice_node]
            )
        reached[more] = True


def _targets(product: Product, choices: Bools) -> Ints:
    chosen = np.repeat(choices, np.diff(product.branch_ptr))
    return np.asarray(product.branch_node[chosen])


def _gap(product: Product, kept: Bools, unsafe: Bools) -> tuple[Fraction | None, int | None]:
    """delta and k, exactly; k = 0 if every unsafe action violates at once."""
    (constraint,) = product.constraints
    safe_set = minimal_budget_or_none(product.model, constraint)
    if safe_set is None or constraint.discount == 1:
        return None, None
    target = np.unique(_targets(product, unsafe))
    short = target[~kept[target]].tolist()
    if not short:
        return None, 0
    shortage = [_demand(safe_set, product, n) - product.budgets(n)[0] for n in short]
    delta = min(shortage)
    if delta <= 0:
        return None, None
    most = max(_demand(safe_set, product, n) for n in _states(product))
    steps, grown = 0, delta
    while grown <= most:
        grown /= constraint.discount
        steps += 1
    return delta, steps


def _states(product: Product) -> list[int]:
    """One node of every state."""
    return list(map(int, np.unique(product.state, return_index=True)[1]))


def _demand(safe_set: SafeSet, product: Product, node: int) -> Any:
    return safe_set.budget_of(int(product.state[node]))


def _kappa(product: Product, unsafe: Bools) -> tuple[Bounds, bool]:
    """The least ``E beta^tau`` over unsafe actions: a discounted reachability, minimised."""
    beta = float(product.model.reward_discount)
    gain = np.where(product.broken > 0, -beta, 0.0)
    leaf = np.where(product.outcome == BROKEN, -1.0, 0.0)
    everything = np.ones(len(gain), dtype=bool)
    solved = best_total(product, gain, leaf, product.model.reward_discount, everything)
    lower = _after(product, unsafe, -solved.upper, gain, beta)
    upper = _after(product, unsafe, -solved.lower, gain, beta)
    # Relative slack for the last sum, and the float beta.
    slack = ROUNDING * (8 + int(np.diff(product.branch_ptr).max(initial=0)))
    bounds = Bounds(max(lower * (1 - slack), 0.0), min(upper * (1 + slack), 1.0))
    return bounds, solved.status is Status.CERTIFIED


def _after(product: Product, unsafe: Bools, value: Floats, gain: Floats, beta: float) -> float:
    """The least over the unsafe actions of what they and the best continuation come to."""
    total = -gain + beta * over_branches(product, np.maximum(value, 0))
    return float(total[unsafe].min())


def _thresholds(reward: Fraction, kappa: Bounds) -> Bounds:
    """``R / kappa - R`` from both sides, computed exactly and rounded outwards."""
    low = reward / Fraction(kappa.upper) - reward
    if kappa.lower <= 0:
        return Bounds(max(-_up(-low), 0.0), math.inf if reward else 0.0)
    high = reward / Fraction(kappa.lower) - reward
    return Bounds(max(-_up(-low), 0.0), max(_up(high), 0.0))


def _up(number: Fraction) -> float:
    """The number as a float that is not smaller."""
    try:
        near = float(number)
    except OverflowError:
        return math.inf
    return near if Fraction(near) >= number else math.nextafter(near, math.inf)
