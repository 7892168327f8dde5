"""The law of what is spent, its value at risk and conditional value at risk."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ig_theory.budget import float_down, float_up
from ig_theory.constraint import Rational, rational
from ig_theory.errors import SolverError
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds, Number


@dataclass(frozen=True, eq=False)
class SpentDistribution:
    """The distribution of what is spent.

    Attributes
    ----------
    value : tuple of Fractions
        What can be spent, ascending, in cost units.
    probability : tuple of Bounds
        Of each value.
    tail : Bounds
        P(more is spent than was followed).
    tail_cost : Bounds
        ``E[S; more was spent]``.
    beyond : Fraction
        The least that is spent then.
    status : Status
        EXACT: all are Fractions and the tail is empty or exact.
    """

    value: tuple[Fraction, ...]
    probability: tuple[Bounds, ...]
    tail: Bounds
    tail_cost: Bounds
    beyond: Fraction
    status: Status

    @property
    def expectation(self) -> Bounds:
        """``E S``."""
        return self.cvar(0)

    def value_at_risk(self, alpha: Rational) -> Bounds:
        """The least s with ``P(S <= s) >= alpha``; alpha in (0, 1)."""
        level = level_of(alpha)
        low, high = self._distribution()
        first = next((v for v, f in zip(self.value, high, strict=True) if f >= level), self.beyond)
        last: Number = math.inf
        last = next((v for v, f in zip(self.value, low, strict=True) if f >= level), last)
        return Bounds(first, last)

    def cvar(self, alpha: Rational) -> Bounds:
        """``min_eta eta + E[(S - eta)+] / (1 - alpha)``, the mean of the worst ``1 - alpha``.

        alpha = 0 is the expectation.
        """
        level = level_of(alpha)
        low, high = self._distribution()
        exact = self.status is Status.EXACT
        reached = high[-1] if high else Fraction(0)
        least = _above(self.value, high, level) + self.beyond * (1 - max(reached, level))
        if exact and level <= reached:
            # All of the tail is among the worst: its cost is known, not only its least.
            least = _above(self.value, high, level) + Fraction(self.tail_cost.lower)
        share = 1 - level
        if math.isinf(self.tail_cost.upper):
            return Bounds(_side(least / share, float_down, exact), math.inf)
        covered = low[-1] if low else Fraction(0)
        unsure = max(Fraction(0), 1 - covered - Fraction(self.tail.lower))
        highest = max(self.value, default=Fraction(0), key=lambda v: v)
        most = _above(self.value, low, level) + Fraction(self.tail_cost.upper)
        most += max(highest, Fraction(0)) * unsure
        return Bounds(_side(least / share, float_down, exact), _side(most / share, float_up, exact))

    def _distribution(self) -> tuple[list[Fraction], list[Fraction]]:
        """Lower and upper bounds of ``P(S <= s)`` at every value."""
        lower = [Fraction(p.lower) for p in self.probability]
        upper = [Fraction(p.upper) for p in self.probability]
        low, high, below = [], [], (Fraction(0), Fraction(0))
        above = (
            sum(lower, Fraction(self.tail.lower)),
            sum(upper, Fraction(self.tail.upper)),
        )
        for a, b in zip(lower, upper, strict=True):
            below = below[0] + a, below[1] + b
            above = above[0] - a, above[1] - b
            low.append(max(below[0], 1 - above[1]))
            high.append(min(below[1], 1 - above[0]))
        return low, high


def level_of(alpha: Rational) -> Fraction:
    """alpha as an exact number in [0, 1), or a `SolverError`."""
    exact = rational(alpha, "alpha")
    if not 0 <= exact < 1:
        raise SolverError.at("alpha", "a level in [0, 1)", exact, "0 is the expectation")
    return exact


def _above(value: tuple[Fraction, ...], distribution: list[Fraction], level: Fraction) -> Fraction:
    """The integral of the quantile function from `level` to where `distribution` ends."""
    total, before = Fraction(0), Fraction(0)
    for s, f in zip(value, distribution, strict=True):
        total += s * max(Fraction(0), f - max(before, level))
        before = max(before, f)
    return total


def _side(total: Fraction, outwards: Callable[[Fraction], float], exact: bool) -> Number:
    return total if exact else outwards(total)
