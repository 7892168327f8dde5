"""L1.identity in float64: three costs of one tenth do not fit a budget of three tenths.

The identity is one of exact numbers. In floats z_3 = -2.8e-17, and a safe run is judged broken.
"""

from __future__ import annotations

from fractions import Fraction

from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.guards.sentinels import unguarded
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "L1.identity"
COVERS = "d = 3/10, three costs of 1/10, gamma = 1: exact z_3 = 0, float64 z_3 < 0"


def in_floats() -> float:
    """z_3 in float64.

    >>> in_floats()
    -2.7755575615628914e-17
    """
    z = 0.3
    for _ in range(3):
        z = (z - 0.1) / 1.0
    return z


def exactly() -> Fraction:
    """z_3 in rationals.

    >>> exactly()
    Fraction(0, 1)
    """
    z = Fraction(3, 10)
    for _ in range(3):
        z = (z - Fraction(1, 10)) / 1
    return z


def run() -> Finding:
    """Check both, and that the project decides it exactly.

    Raises
    ------
    AssertionError
        If floats happen to be right, or the project is wrong.
    """
    require(in_floats() < 0 == exactly(), f"floats give {in_floats()}, rationals {exactly()}")
    constraint = BudgetConstraint("3/10", horizon=3)
    last = constraint.spend([Fraction(1, 10)] * 3)[-1]
    require(last == 0 and constraint.keeps(last), f"the tracker ends at {last}, want 0, kept")
    model = from_dict({"s": {"pay": ("1/10", 0, "s")}}, initial="s")
    found = verify(unguarded(model, constraint), model, constraint, price=False).outcome
    require(found is Outcome.SAFE, f"verification says {found.name}, want SAFE")
    return Finding(
        Status.HOLDS, f"float64 z_3 = {in_floats():.2g} < 0; exact z_3 = 0, and the verdict is SAFE"
    )
