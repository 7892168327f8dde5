"""L1.open: the open boundary z > 0 does not say that less than the budget is spent.

With c = 1 at every step and d = 1/(1-gamma), z_t = d > 0 for ever, but the whole budget is spent
in the limit. With d = 0 the start itself is broken, so that every policy is a violator, also one
that never pays.
"""

from __future__ import annotations

from fractions import Fraction

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint
from ig_theory.guards.sentinels import unguarded
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "L1.open"
COVERS = "c = 1 for ever with d = 1/(1-gamma), gamma in {9/10, 1/2}; c = 0 with d = 0"
DISCOUNTS = (Fraction(9, 10), Fraction(1, 2))
STEPS = 50


def tracked(gamma: Fraction, steps: int = STEPS) -> list[Fraction]:
    """z_0 .. z_steps from ``d = 1/(1-gamma)`` when every step costs 1.

    >>> set(tracked(Fraction(1, 2)))
    {Fraction(2, 1)}
    """
    z = [1 / (1 - gamma)]
    for _ in range(steps):
        z.append((z[-1] - 1) / gamma)
    return z


def unspent(gamma: Fraction, steps: int = STEPS) -> list[Fraction]:
    """``d - S_t``: positive at every t, with limit 0.

    >>> [str(left) for left in unspent(Fraction(1, 2), 3)]
    ['2', '1', '1/2', '1/4']
    """
    left = [1 / (1 - gamma)]
    for t in range(steps):
        left.append(left[-1] - gamma**t)
    return left


def run() -> Finding:
    """Check both instances, by arithmetic and by verification under both boundaries.

    Raises
    ------
    AssertionError
        If a budget or a verdict is another.
    """
    pays = from_dict({"s": {"pay": (1, 0, "s")}}, initial="s", exact=True)
    for gamma in DISCOUNTS:
        d = 1 / (1 - gamma)
        require(set(tracked(gamma)) == {d}, f"gamma={gamma}: z moves away from {d}")
        left = unspent(gamma)
        require(
            all(x == gamma**t * d > 0 for t, x in enumerate(left)),
            f"gamma={gamma}: d - S_t is not gamma^t d, which falls to 0",
        )
        for boundary in Boundary:
            _expect(pays, BudgetConstraint(d, gamma, boundary), Outcome.SAFE)
    free = from_dict({"s": {"rest": (0, 0, "s")}}, initial="s", exact=True)
    _expect(free, BudgetConstraint(0, 1, Boundary.CLOSED), Outcome.SAFE)
    _expect(free, BudgetConstraint(0, 1, Boundary.OPEN), Outcome.VIOLATED)
    return Finding(
        Status.HOLDS,
        "z_t = d > 0 for ever (SAFE under z > 0), though d - S_t = gamma^t d falls to 0; with "
        "d = 0 a model that never pays is VIOLATED under z > 0 and SAFE under z >= 0",
    )


def _expect(model: ConstrainedMDP, constraint: BudgetConstraint, want: Outcome) -> None:
    found = verify(unguarded(model, constraint), model, constraint, price=False).outcome
    require(
        found is want,
        f"d={constraint.budget}, {constraint.boundary.value}: {found.name}, want {want.name}",
    )
