"""The soft family over the shield: reward less a price on changing the base model.

THEORY T5.temperature. Among the almost surely safe policies it maximises, for a temperature
``lam > 0``,

    ``E[sum_t beta^t (r_t - lam KL(policy || base at step t))]``,

with the model's reward discount beta on *both* sums. Over the choices a that the shield allows,

    ``V(s,z) = lam log sum_a base(a|s) exp((r + beta sum_s' P(s'|s,a) V(s',z')) / lam)``,

attained by playing in proportion to the terms. ``lam -> 0`` is the optimal safe policy (among the
choices that the base model has); ``lam -> infinity`` the safe policy of least divergence. That
divergence is discounted by beta: only for ``beta = 1`` is it the limit W of T5, undiscounted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.chain import ROUNDING, evaluate
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import SolverError
from ig_theory.solvers.least_intrusive import divergence
from ig_theory.solvers.soft_equation import (
    SoftProblem,
    improve,
    rounding_error,
    soft_problem,
    upper_bound,
)
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.safe_product import SafeProduct, brackets
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.totals.total_reward import best_total
from ig_theory.verdict import Bounds

GAP = 1e-6
"""Width of the bounds at which grids are refined no more."""


@dataclass(frozen=True)
class SoftPoint:
    """One policy of the family on the plane of reward and divergence.

    Attributes
    ----------
    temperature : float
        0 for the optimal safe policy, infinite for the least-intrusive one.
    reward, kl : Bounds
        Expected reward, and expected divergence from the base model in nats, both from the
        initial distribution and both discounted by beta. ``-inf`` and ``inf`` where no safe
        policy has a finite divergence.
    """

    temperature: float
    reward: Bounds
    kl: Bounds


@dataclass(frozen=True, eq=False)
class Soft(SoftPoint):
    """The solution at one temperature.

    Attributes
    ----------
    safe : SafeProduct
        The one that rounds budgets down, so that the policy is safe.
    lower, upper : float64[N]
        Bounds on V at its nodes: the certified value of the policy, and a checked function U
        with ``U >= T U``. ``-inf`` where no safe policy has a finite divergence.
    weight : float64[M]
        The policy.
    value : Bounds
        V from the initial distribution.
    status : Status
        CERTIFIED, UNCERTIFIED, or INFEASIBLE if some initial state is worth ``-inf``.
    """

    safe: SafeProduct
    lower: Floats
    upper: Floats
    weight: Floats
    value: Bounds
    status: Status


@dataclass(frozen=True, eq=False)
class SoftFamily:
    """The trade-off between reward and intervention.

    Attributes
    ----------
    least_intrusive, optimal : SoftPoint
        The ends of the frontier. The optimal one is deterministic: where several choices are
        optimal, low temperatures spread over them and diverge less (its own divergence may even be
        infinite).
    points : tuple of Soft
        From the highest temperature to the lowest.
    """

    least_intrusive: SoftPoint
    points: tuple[Soft, ...]
    optimal: SoftPoint

    @property
    def frontier(self) -> tuple[SoftPoint, ...]:
        """All points, reward and divergence rising."""
        return (self.least_intrusive, *self.points, self.optimal)


def soft(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    temperature: float,
    *,
    limit: int = DEFAULT_LIMIT,
) -> Soft:
    """Solve the soft equation at one temperature; see `soft_family`.

    Examples
    --------
    Spending and saving are both safe, and spending pays 1: ``log(e/2 + 1/2)``.

    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> round(soft(model, BudgetConstraint(1), temperature=1.0).value.middle, 6)
    0.620115
    """
    return soft_family(model, constraint, [temperature], limit=limit).points[0]


def soft_family(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    temperatures: Iterable[float],
    *,
    limit: int = DEFAULT_LIMIT,
) -> SoftFamily:
    """The frontier from the least-intrusive to the optimal safe policy.

    Policy iteration (each step is Newton's method on V) on the safe product: a few sweeps over
    its branches per step.

    Raises
    ------
    SolverError
        If a temperature is not a positive number, too many pairs are reachable, or ``beta = 1``
        without a horizon and reward can be collected for ever.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> family = soft_family(model, BudgetConstraint(1), [1.0, 0.1])
    >>> [round(point.reward.middle, 3) for point in family.frontier]
    [0.5, 0.731, 1.0, 1.0]
    """
    wanted = sorted((float(t) for t in temperatures), reverse=True)
    for t in wanted:
        if not 0 < t < math.inf:
            raise SolverError.at(
                "temperature", "a finite number above 0", t,
                "use budgeted_value for 0 and least_intrusive for infinity",
            )  # fmt: skip
    family: SoftFamily | None = None
    for down, up in brackets(model, as_constraints(constraint), limit):
        family = _family(down, wanted)
        if up is not down:
            # Rounding up allows more, so its values are upper bounds.
            above = soft_problem(up)
            points = [_enclosed(p, _solve(above, p.temperature)) for p in family.points]
            family = replace(family, points=tuple(points))
        if all(p.value.width <= GAP for p in family.points):
            break
    assert family is not None
    return family


def _family(safe: SafeProduct, temperatures: list[float]) -> SoftFamily:
    problem = soft_problem(safe)
    points = tuple(_solve(problem, t) for t in temperatures)
    # Without rewards every temperature has the same policy: that of least divergence.
    calm = improve(problem, np.zeros_like(problem.gain), 1.0)[1]
    leaf = np.where(safe.kept, 0.0, -np.inf)
    beta = safe.product.model.reward_discount
    best = best_total(safe.product, problem.gain, leaf, beta, problem.usable).policy
    assert best is not None
    greedy = np.where(problem.idle, safe.product.base, 0.0)
    chosen = best[problem.solving]
    greedy[chosen[chosen >= 0]] = 1.0
    return SoftFamily(_point(problem, math.inf, calm), points, _point(problem, 0.0, greedy))


def _solve(problem: SoftProblem, temperature: float) -> Soft:
    """V and its policy at one temperature."""
    product = problem.safe.product
    value, weight, earned, settled = improve(problem, problem.gain, temperature)
    rounding = rounding_error(problem, value, temperature)
    totals = problem.total(earned - rounding, weight)
    lower = np.where(problem.finite, totals.lower[:, 0], -np.inf)
    upper = upper_bound(problem, temperature, value, weight, rounding)
    upper = np.where(problem.finite, np.maximum(upper, lower), -np.inf)
    bounds = over_start(product, lower, upper)
    sound = settled and totals.certified and bool(np.isfinite(upper[problem.finite]).all())
    status = Status.CERTIFIED if sound else Status.UNCERTIFIED
    if bounds.upper == -math.inf:
        status = Status.INFEASIBLE
    point = _point(problem, temperature, weight)
    return Soft(
        temperature, point.reward, point.kl, problem.safe, lower, upper, weight, bounds, status
    )


def _point(problem: SoftProblem, temperature: float, weight: Floats) -> SoftPoint:
    """The policy's reward and divergence, evaluated apart."""
    product = problem.safe.product
    if not problem.finite[product.initial].all():
        lost, endless = Bounds(-math.inf, -math.inf), Bounds(math.inf, math.inf)
        return SoftPoint(temperature, lost, endless)
    reward = product.at_nodes(weight * problem.gain)
    changed = divergence(product, weight)
    rounding = ROUNDING * (8 + int(np.diff(product.choice_ptr).max(initial=0)))
    with np.errstate(divide="ignore"):
        logs = np.where(weight > 0, np.abs(np.log(weight)) + np.abs(np.log(product.base)), 0.0)
    off = rounding * product.at_nodes(weight * np.abs(problem.gain))
    moved = np.where(changed > 0, rounding * product.at_nodes(weight * logs), 0.0)
    columns = np.stack([reward - off, reward + off, changed - moved, changed + moved], axis=1)
    columns[~problem.solving] = 0.0
    totals = evaluate(product, columns, problem.beta, weight)
    reward_total, kl = (
        over_start(product, totals.lower[:, i], totals.upper[:, i + 1]) for i in (0, 2)
    )
    return SoftPoint(temperature, reward_total, Bounds(max(kl.lower, 0.0), kl.upper))


def _enclosed(point: Soft, above: Soft) -> Soft:
    """A point whose value is bounded from above on another product."""
    value = Bounds(point.value.lower, max(point.value.lower, above.value.upper))
    status = Status.UNCERTIFIED if above.status is Status.UNCERTIFIED else point.status
    return replace(point, value=value, status=status)
