"""The best expected reward with P(ever violate) at most delta, over budget-aware policies.

Policies may randomise and remember. With one bound on a probability the optimum is a mixture of
two deterministic policies of the (state, budget, time) product, drawn at the start: a point on
the upper concave hull of all (P(violate), reward). The search climbs that hull: the slope ``lam``
between the two best points known is a price per violation, and the best policy at that price is
a better point or proves that there is none. For every ``lam >= 0``

    max_pi [E reward - lam P(violate)] + lam delta

is an upper bound, and each policy found is evaluated by itself, so that nothing rests on the
search having ended. In exact mode every step is exact and the search ends at the optimum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT, Product
from ig_theory.budget import float_down, float_up
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, Rational, as_constraints, rational
from ig_theory.errors import SolverError
from ig_theory.solvers.budgeted_value import GAP
from ig_theory.solvers.risk.points import Point, occupation
from ig_theory.solvers.risk.problem import After, ChanceProblem, chance_problem
from ig_theory.solvers.risk.search import bound_only, search
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.violation import (
    Violation,
    solve_violation,
    violation_products,
)
from ig_theory.verdict import Bounds, Number

NOTHING = Bounds(-float("inf"), -float("inf"))


@dataclass(frozen=True, eq=False)
class ChanceValue:
    """The best reward at one delta.

    Attributes
    ----------
    delta : Fraction
    value : Bounds
        Of the best reward; ``-inf`` if infeasible.
    violation : Bounds
        P(ever violate) of the policy found; its upper end is at most delta.
    least : Bounds
        The least P(ever violate) of any policy.
    price : Number
        The dual price: about how much reward one more unit of delta brings.
    mixture : tuple of (probability, float64[M])
        Deterministic policies of `product` as weights of its choices, one drawn at the start;
        empty if infeasible.
    status : Status
    rounds : int
        How many prices were tried.
    product : Product
        What the policies play on: timed, or unrolled when an endless run has discounted rewards;
        on a grid its budgets are rounded down. After its end they play ``safest``.
    """

    delta: Fraction
    value: Bounds
    violation: Bounds
    least: Bounds
    price: Number
    mixture: tuple[tuple[Number, Floats], ...]
    status: Status
    rounds: int
    product: Product

    def behaviour(self) -> Floats:
        """The mixture as one randomised policy of the product's nodes, float64[M].

        It has the same reward and violation probability (by its occupation measure) up to
        rounding; nodes that are never met play the first policy of the mixture.

        Raises
        ------
        SolverError
            If a policy can stay somewhere for ever: what follows may then need memory.
        """
        return occupation(self.product, [(float(q), w) for q, w in self.mixture])


def chance(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    delta: Rational,
    *,
    after: After,
    method: Literal["hull", "lp"] = "hull",
    limit: int = DEFAULT_LIMIT,
    gap: float = GAP,
) -> ChanceValue:
    """Maximise the expected reward subject to P(ever violate) <= delta.

    About twenty optimisations on the product, O(pairs * branches) per sweep each.

    Parameters
    ----------
    delta
        In [0, 1]; an exact rational, such as ``"1/10"``.
    after
        What follows a violation. ``stop``: the run ends, and the violating step earns nothing.
        ``free``: the run goes on without the constraint, at its best.
    method
        ``hull``: the search above. ``lp``: a linear program over occupation measures (HiGHS),
        whose answer is evaluated and bounded in the same way.
    gap
        Grids, the unrolling of endless runs, and the search end at bounds this close.

    Raises
    ------
    SolverError
        If too many pairs are reachable; if undiscounted reward can be collected for ever; if
        budgets need a grid, runs stop at violations and some reward is negative.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}},
    ...                   initial="s", exact=True)
    >>> answer = chance(model, BudgetConstraint(0), "1/3", after="free")
    >>> answer.value, answer.price
    (Bounds(lower=Fraction(1, 3), upper=Fraction(1, 3)), Fraction(1, 1))
    """
    return chance_curve(
        model, constraint, [delta], after=after, method=method, limit=limit, gap=gap
    )[0]


def chance_curve(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    deltas: Sequence[Rational],
    *,
    after: After,
    method: Literal["hull", "lp"] = "hull",
    limit: int = DEFAULT_LIMIT,
    gap: float = GAP,
) -> tuple[ChanceValue, ...]:
    """`chance` at several deltas on the same products: concave and non-decreasing in delta.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}},
    ...                   initial="s", exact=True)
    >>> curve = chance_curve(model, BudgetConstraint(0), [0, "1/2", 1], after="free")
    >>> [str(answer.value.lower) for answer in curve]
    ['0', '1/2', '1']
    """
    several = as_constraints(constraint)
    wanted = [_probability(delta) for delta in deltas]
    answers: list[ChanceValue] = []
    for low, high in _problems(model, several, after, limit, gap):
        answers = [_answer(low, high, delta, method, gap) for delta in wanted]
        if all(answer.value.width <= gap for answer in answers):
            break
    return tuple(answers)


def _probability(delta: Rational) -> Fraction:
    exact = rational(delta, "delta")
    if not 0 <= exact <= 1:
        raise SolverError.at("delta", "a probability in [0, 1]", exact, "P(violate) <= delta")
    return exact


def _problems(
    model: ConstrainedMDP, constraints: Sequence[BudgetConstraint], after: After, limit: int,
    gap: float,
) -> Iterator[tuple[ChanceProblem, ChanceProblem]]:  # fmt: skip
    """Problems whose optima enclose the exact one; one and the same without grids."""
    for down, up in violation_products(model, constraints, limit):
        if up is not down and after == "stop" and (model.reward < 0).any():
            # A run that is stopped too late could lose reward that the exact one does not.
            raise SolverError.at(
                "reward", "rewards >= 0 where budgets are rounded and after='stop'",
                float(model.reward.min()), "shift the rewards, set a horizon, or use after='free'",
            )  # fmt: skip
        low = chance_problem(solve_violation(down), after, gap)
        yield low, low if up is down else chance_problem(solve_violation(up), after, gap)


def _answer(
    low: ChanceProblem, high: ChanceProblem, delta: Fraction, method: str, gap: float
) -> ChanceValue:
    """Policies from one problem, the upper bound from the other."""
    least = _least(low.violation, high.violation)
    if delta < least.lower:
        return _without(low, delta, least, Status.INFEASIBLE, NOTHING)
    if delta == 0 and least.upper == 0:
        return _never(low, high, least)
    found = search(low, delta, method, gap)
    if found is None:
        bound = bound_only(high, delta)
        return _without(low, delta, least, Status.UNCERTIFIED, Bounds(-np.inf, bound))
    points, bound, price, rounds = found
    if high is not low:
        other = search(high, delta, "hull", gap)
        bound = other[1] if other is not None else bound_only(high, delta)
    mixture = _mixed(points, delta)
    value = _value(mixture, bound, points[0].exact)
    violation = Bounds(
        _total([(q, p.violation.lower) for q, p in mixture], float_down, points[0].exact),
        # Not rounded: it meets delta exactly.
        _total([(q, p.violation.upper) for q, p in mixture], float_up, True),
    )
    violation = Bounds(max(violation.lower, 0), min(violation.upper, 1))
    exact = points[0].exact and high is low and value.lower == value.upper
    status = Status.EXACT if exact else Status.CERTIFIED
    if not np.isfinite(float(value.lower)) or not np.isfinite(float(value.upper)):
        status = Status.UNCERTIFIED
    weights = tuple((q, p.weight) for q, p in mixture)
    return ChanceValue(delta, value, violation, least, price, weights, status, rounds, low.product)


def _never(low: ChanceProblem, high: ChanceProblem, least: Bounds) -> ChanceValue:
    """delta = 0: the best policy that never violates, which is a fact about the graph."""
    value = Bounds(
        over_start(low.violation.product, low.safest_value.lower, low.safest_value.upper).lower,
        over_start(high.violation.product, high.safest_value.lower, high.safest_value.upper).upper,
    )
    exact = high is low and low.safest_value.status is Status.EXACT
    statuses = {low.safest_value.status, high.safest_value.status}
    bad = Status.UNCERTIFIED in statuses
    status = Status.EXACT if exact else Status.UNCERTIFIED if bad else Status.CERTIFIED
    weight = np.zeros(len(low.product.choice))
    weight[low.safest[low.safest >= 0]] = 1.0
    one: Number = Fraction(1)
    return ChanceValue(
        Fraction(0), value, Bounds(Fraction(0), Fraction(0)), least, float("inf"),
        ((one, weight),), status, 0, low.product,
    )  # fmt: skip


def _without(
    low: ChanceProblem, delta: Fraction, least: Bounds, status: Status, value: Bounds
) -> ChanceValue:
    """No policy is known: none exists, or rounding leaves open whether one does."""
    return ChanceValue(
        delta, value, Bounds(least.lower, Fraction(1)), least, float("inf"), (), status, 0,
        low.product,
    )  # fmt: skip


def _least(low: Violation, high: Violation) -> Bounds:
    return Bounds(
        over_start(high.product, high.solution.lower, high.solution.upper).lower,
        over_start(low.product, low.solution.lower, low.solution.upper).upper,
    )


def _mixed(points: tuple[Point, ...], delta: Fraction) -> list[tuple[Fraction, Point]]:
    """The shares at which the upper ends of the points' violations meet delta."""
    if len(points) == 1:
        return [(Fraction(1), points[0])]
    low, high = points
    least, most = Fraction(low.violation.upper), Fraction(high.violation.upper)
    share = (delta - least) / (most - least)
    pairs = [(1 - share, low), (share, high)]
    return [(q, p) for q, p in pairs if q > 0]


def _value(mixture: list[tuple[Fraction, Point]], bound: Number, exact: bool) -> Bounds:
    lower = _total([(q, p.reward) for q, p in mixture], float_down, exact)
    return Bounds(lower, max(bound, lower))


def _total(parts: list[tuple[Fraction, Number]], outwards: object, exact: bool) -> Number:
    if any(abs(x) == float("inf") for _, x in parts):
        return min(float(x) for _, x in parts) if outwards is float_down else float("inf")
    total = sum((q * Fraction(x) for q, x in parts), Fraction(0))
    if exact:
        return total
    return float_down(total) if outwards is float_down else float_up(total)
