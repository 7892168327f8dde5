"""Planted faults: every broken guard with a case on which verification must catch it.

A verdict SAFE on any of these is a bug of the verifier: the correct `TableShield`, of which
each breaks one method, is safe on the same case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import GuardFactory
from ig_theory.testing import broken_guards as bad
from ig_theory.testing.assembly import Part, assemble, shares
from ig_theory.testing.hand_written import CORRECT
from ig_theory.verdict import Outcome

__all__ = ["CORRECT", "PLANTED", "Planted", "toll"]

HALF = Fraction(1, 2)
TENTH = Fraction(1, 10)


def _step(cost: int, to: int, reward: int = 0) -> Part:
    return ((cost,), reward, ((1, to),))


def _model(*states: list[Part], end: int | None = None, **others: Any) -> ConstrainedMDP:
    """A model that starts in state 0; `end` is its terminal state."""
    return assemble(
        states,
        terminal=[s == end for s in range(len(states))],
        initial=shares([1] + [0] * (len(states) - 1)),
        **others,
    )


def toll(cost: int = 1, unit: Fraction = Fraction(1), **others: Any) -> ConstrainedMDP:
    """One state: pay `cost` for a reward of 1, or pass for free.

    >>> toll().cost
    array([[1, 0]])
    """
    return _model([_step(cost, 0, 1), _step(0, 0)], cost_unit=unit, **others)


def _stairs() -> ConstrainedMDP:
    """Pay 1, then pay 1 more or not."""
    return _model([_step(1, 1)], [_step(1, 2, 1), _step(0, 2)], [_step(0, 2)], end=2)


def _corridor() -> ConstrainedMDP:
    """Three costs of one tenth, no choice."""
    return _model([_step(1, 1)], [_step(1, 2)], [_step(1, 3)], [_step(0, 3)], end=3,
                  cost_unit=Fraction(1, 10))  # fmt: skip


def _fork(likely: int, rare: int) -> ConstrainedMDP:
    """A risk that may (last branch) lead to a cost of 3, or the safe end."""
    risk: Part = ((0,), 1, ((likely, 1), (rare, 2)))
    return _model([risk, _step(0, 1)], [_step(0, 1)], [_step(3, 1)], end=1)


def _debt() -> ConstrainedMDP:
    """Stop, or earn a reward of 1 and pay 1 for ever (THEORY T1.no-threshold)."""
    return _model([_step(0, 1), _step(0, 2, 1)], [_step(0, 1)], [_step(1, 2)], end=1)


def _upkeep() -> ConstrainedMDP:
    """Pay 1 or 3 at every step, for ever."""
    return _model([_step(1, 0), _step(3, 0, 1)])


def _two_rooms() -> ConstrainedMDP:
    """A free room and one with a toll, in turn."""
    return _model([_step(0, 1)], [_step(1, 0, 1), _step(0, 0)])


def _credit() -> ConstrainedMDP:
    """Borrow 2 and get it back, or nothing."""
    return _model([_step(2, 1, 1), _step(0, 2)], [_step(-2, 2)], [_step(0, 2)], end=2)


def _second_cost() -> ConstrainedMDP:
    """A toll in the second cost, free in the first."""
    pay: Part = ((0, 1), 1, ((1, 0),))
    return _model([pay, ((0, 0), 0, ((1, 0),))])


@dataclass(frozen=True)
class Planted:
    """A broken guard, and a case on which verification must catch it.

    Attributes
    ----------
    factory : GuardFactory
    model : callable -> ConstrainedMDP
    constraint : BudgetConstraint
    outcome : Outcome
        VIOLATED, or ERROR where the guard's output is no policy.
    """

    factory: GuardFactory
    model: Callable[[], ConstrainedMDP]
    constraint: BudgetConstraint
    outcome: Outcome = Outcome.VIOLATED


PLANTED: dict[str, Planted] = {
    "overdraws-by-a-unit": Planted(bad.OverdrawsByAUnit, toll, BudgetConstraint(1, horizon=3)),
    "judges-before-paying": Planted(bad.JudgesBeforePaying, toll, BudgetConstraint(1)),
    "takes-open-for-closed": Planted(bad.TakesOpenForClosed, toll, BudgetConstraint(2, 1, "open")),
    "tolerates": Planted(bad.Tolerates, toll, BudgetConstraint("0.999999999999")),
    "leaves-the-last-step-unpriced": Planted(
        bad.LeavesTheLastStepUnpriced, toll, BudgetConstraint(0, horizon=3)
    ),
    "lags-one-cost": Planted(bad.LagsOneCost, _stairs, BudgetConstraint(1)),
    "forgets-to-rescale": Planted(bad.ForgetsToRescale, _upkeep, BudgetConstraint(2, HALF)),
    "discounts-twice": Planted(bad.DiscountsTwice, _debt, BudgetConstraint("3/4", HALF)),
    "mixes-raw-and-rescaled": Planted(
        bad.MixesRawAndRescaled, toll, BudgetConstraint("1/4", HALF, horizon=3)
    ),
    "counts-units-as-costs": Planted(
        bad.CountsUnitsAsCosts, lambda: toll(2, TENTH), BudgetConstraint(TENTH)
    ),
    "rounds-up": Planted(bad.RoundsUp, toll, BudgetConstraint(HALF)),
    "resets-early": Planted(bad.ResetsEarly, toll, BudgetConstraint(1, horizon=4)),
    "never-spends": Planted(bad.NeverSpends, toll, BudgetConstraint(1)),
    "ignores-a-successor": Planted(
        bad.IgnoresASuccessor, lambda: _fork(1, 1), BudgetConstraint(1, horizon=3)
    ),
    "ignores-rare-successors": Planted(
        bad.IgnoresRareSuccessors, lambda: _fork(999, 1), BudgetConstraint(2)
    ),
    "averages": Planted(bad.Averages, lambda: _fork(9, 1), BudgetConstraint(1)),
    "lives-for-the-day": Planted(bad.LivesForTheDay, _debt, BudgetConstraint(2, horizon=4)),
    "looks-twenty-steps-ahead": Planted(
        bad.LooksTwentyStepsAhead, _debt, BudgetConstraint("8.99", "9/10")
    ),
    "tires": Planted(bad.Tires, toll, BudgetConstraint(0, horizon=14)),
    "cheats-outside-the-test": Planted(bad.CheatsOutsideTheTest, _two_rooms, BudgetConstraint(2)),
    "spends-credit-in-advance": Planted(
        bad.SpendsCreditInAdvance, _credit, BudgetConstraint(1, horizon=2)
    ),
    "watches-the-wrong-cost": Planted(
        bad.WatchesTheWrongCost, _second_cost, BudgetConstraint(1, cost=1, horizon=3)
    ),
    "leaks-a-trace": Planted(bad.LeaksATrace, toll, BudgetConstraint(0, horizon=2)),
    "penalises-softly": Planted(bad.PenalisesSoftly, toll, BudgetConstraint(0)),
    "divides-by-nothing": Planted(
        bad.DividesByNothing,
        lambda: toll(base=[Fraction(1), Fraction(0)]),
        BudgetConstraint(1),
        Outcome.ERROR,
    ),
    "tracks-in-floats": Planted(
        bad.TracksInFloats, _corridor, BudgetConstraint("3/10"), Outcome.ERROR
    ),
    "knows-some-budgets": Planted(
        bad.KnowsSomeBudgets, toll, BudgetConstraint(1, HALF, horizon=3), Outcome.ERROR
    ),
    "forgets-the-total": Planted(
        bad.ForgetsTheTotal, toll, BudgetConstraint(0, horizon=2), Outcome.ERROR
    ),
    "cuts-a-column": Planted(bad.CutsAColumn, toll, BudgetConstraint(1), Outcome.ERROR),
    "smooths-the-padding": Planted(
        bad.SmoothsThePadding, _stairs, BudgetConstraint(1), Outcome.ERROR
    ),
    "over-corrects": Planted(bad.OverCorrects, toll, BudgetConstraint(0), Outcome.ERROR),
}
"""Name -> broken guard with the case on which it must not come out SAFE."""
