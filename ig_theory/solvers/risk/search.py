"""Climbing the hull of (P(violate), reward) to where it meets delta."""

from __future__ import annotations

from fractions import Fraction

from ig_theory.budget import float_up
from ig_theory.solvers.risk.points import Point, best_at_price, linear_program, point_of
from ig_theory.solvers.risk.problem import ChanceProblem
from ig_theory.verdict import Number

ROUNDS = 60
"""How many prices are tried; the bounds tell what is left."""

Found = tuple[tuple[Point, ...], Number, Number, int]
"""One or two points (the second above delta), an upper bound, its price, rounds."""


def search(problem: ChanceProblem, delta: Fraction, method: str, gap: float) -> Found | None:
    """Climb the hull; None if no policy is known to keep delta."""
    safest = point_of(problem, problem.safest)
    if safest.violation.upper > delta:
        return None
    high, bound, _ = best_at_price(problem, Fraction(0))
    if high.violation.upper <= delta:
        return (high,), bound, Fraction(0), 1
    if method == "lp":
        return _by_program(problem, delta, safest, bound)
    low, price, rounds = safest, Fraction(0), 1
    while rounds < ROUNDS:
        run = high.violation_rate - low.violation_rate
        if run <= 0:
            break
        lam = max(Fraction(0), (high.reward_rate - low.reward_rate) / run)
        new, dual, lam = best_at_price(problem, lam)
        rounds += 1
        ceiling = _outwards(Fraction(dual) + lam * delta, new.exact)
        if ceiling < bound:
            bound, price = ceiling, lam
        better = new.worth(lam) - low.worth(lam)
        line = low.reward_rate + lam * (delta - low.violation_rate)
        if better <= 0 or (not new.exact and bound - line <= gap / 10):
            price = lam if ceiling <= bound else price
            break
        if new.violation.upper <= delta:
            low = new
        else:
            high = new
    return (low, high), bound, price, rounds


def _by_program(problem: ChanceProblem, delta: Fraction, safest: Point, bound: Number) -> Found:
    """The linear program's policy and price, evaluated and bounded like any other."""
    point, lam = linear_program(problem, delta)
    _, dual, exact = best_at_price(problem, Fraction(lam))
    ceiling = min(bound, _outwards(Fraction(dual) + exact * delta, False))
    points = (point,) if point.violation.upper <= delta else (safest, point)
    return points, ceiling, lam, 1


def bound_only(problem: ChanceProblem, delta: Fraction) -> Number:
    """An upper bound where no policy is known to keep delta: the best of a few prices."""
    best = best_at_price(problem, Fraction(0))[1]
    lam = Fraction(1, 16)
    for _ in range(16):
        _, dual, lam = best_at_price(problem, 4 * lam)
        best = min(best, _outwards(Fraction(dual) + lam * delta, False))
    return best


def _outwards(total: Fraction, exact: bool) -> Number:
    return total if exact else float_up(total)
