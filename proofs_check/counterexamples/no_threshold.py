"""T1.no-threshold: with an infinite horizon no finite penalty is enough for all budgets.

In ``late-violation`` choice ``a`` leads to a sink and pays nothing; ``b`` pays 1, once, and every
later step costs 1, for ever. With gamma = beta = 9/10, ``b`` is safe iff ``z >= 9``. Just below 9
the violation comes so late that its discounted penalty is smaller than the reward of 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ig_theory.constraint import BudgetConstraint
from ig_theory.guards.penalty import penalty
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require
from simulators.latent import late_budget, late_violation

CLAIM = "T1.no-threshold"
COVERS = "late-violation, gamma = beta = 9/10: budgets that defeat n = 10, 10^3, 10^6, and repairs"
PENALTIES = (10, 10**3, 10**6)
GAMMA = Fraction(9, 10)


@dataclass(frozen=True)
class Late:
    """One penalty that is too small.

    Attributes
    ----------
    n : int
        The penalty per step from the violation on.
    budget : Fraction
        z_0 below 9, where ``b`` is unsafe.
    time : int
        The first t with z_t < 0 after ``b``.
    advantage : Fraction
        Value of ``b`` minus value of ``a`` in the penalty MDP M_n; positive.
    enough : int
        The least whole penalty that makes ``b`` worse than ``a`` at this budget.
    """

    n: int
    budget: Fraction
    time: int
    advantage: Fraction
    enough: int


def late(n: int) -> Late:
    """The numbers for one penalty, by plain arithmetic.

    >>> found = late(10)
    >>> f"{float(found.budget):.4f}", found.time, found.advantage > 0, found.enough
    ('8.8922', 44, True, 11)
    """
    budget, term = Fraction(0), Fraction(1)
    time, z = 0, Fraction(-1)
    while time == 0 or 1 - n * GAMMA**time / (1 - GAMMA) <= 0:  # try gamma + ... + gamma^m
        term *= GAMMA
        budget += term
        time, z = 1, budget / GAMMA  # after b, which is free
        while z >= 0:
            z = (z - 1) / GAMMA
            time += 1
    weight = GAMMA**time / (1 - GAMMA)  # of -n at every step from the violation on
    return Late(n, budget, time, 1 - n * weight, int(1 / weight) + 1)


def run() -> Finding:
    """Check all penalties of `PENALTIES`, by arithmetic and by verification.

    Raises
    ------
    AssertionError
        If some budget does not defeat its penalty.
    """
    model = late_violation(exact=True)
    shown = []
    for n in PENALTIES:
        found = late(n)
        require(found.budget < 9, f"n={n}: z={found.budget} is not below 9, where b is safe")
        require(found.advantage > 0, f"n={n}: b is not better than a at z={found.budget}")
        require(
            1 - found.enough * GAMMA**found.time / (1 - GAMMA) < 0,
            f"n={n}: the penalty {found.enough} is not enough at z={found.budget}",
        )
        require(found.budget == late_budget(n), f"n={n}: late_budget({n}) = {late_budget(n)}")
        constraint = BudgetConstraint(found.budget, GAMMA)
        beaten = verify(penalty(model, constraint, n=n), model, constraint, exact=True, price=False)
        steps = None if beaten.witness is None else len(beaten.witness.steps)
        require(
            beaten.outcome is Outcome.VIOLATED and steps == found.time,
            f"n={n}: verification says {beaten.outcome.name} after {steps} steps, "
            f"want VIOLATED after {found.time}",
        )
        require(beaten.violation is not None and beaten.violation.lower == 1, f"n={n}: not surely")
        mended = verify(penalty(model, constraint, n=found.enough), model, constraint, price=False)
        require(
            mended.outcome is Outcome.SAFE,
            f"n={n}: with n={found.enough} verification says {mended.outcome.name}, want SAFE",
        )
        shown.append(f"n={n} at z={float(found.budget):.9g} violates surely at t={found.time}")
    return Finding(Status.HOLDS, "; ".join(shown))
