"""L1.signed: with costs of both signs, judging at every time is stricter than judging at the end.

Pay 1, then get 1 back, with d = 0: z_2 = 0 is kept, z_1 < 0 is not.
"""

from __future__ import annotations

from fractions import Fraction

from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint, Scope
from ig_theory.guards.sentinels import unguarded
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "L1.signed"
COVERS = "costs 1 and -1/gamma, d = 0, T = 2, gamma in {1, 1/2}"
DISCOUNTS = (Fraction(1), Fraction(1, 2))


def costs(gamma: Fraction) -> list[Fraction]:
    """A debt of 1, and a refund that is worth as much after discounting."""
    return [Fraction(1), -1 / gamma]


def tracked(gamma: Fraction) -> list[Fraction]:
    """z_0, z_1, z_2 from d = 0.

    >>> [str(z) for z in tracked(Fraction(1, 2))]
    ['0', '-2', '0']
    """
    z = [Fraction(0)]
    for cost in costs(gamma):
        z.append((z[-1] - cost) / gamma)
    return z


def run() -> Finding:
    """Check both scopes, by arithmetic and by verification.

    Raises
    ------
    AssertionError
        If the scopes agree.
    """
    for gamma in DISCOUNTS:
        z = tracked(gamma)
        require(z[1] < 0 == z[2], f"gamma={gamma}: z = {z}, want z_1 < 0 = z_2")
        first, second = costs(gamma)
        model = from_dict(
            {"s": {"pay": (first, 0, "t")}, "t": {"refund": (second, 0, "end")}},
            initial="s", exact=True,
        )  # fmt: skip
        wanted = {Scope.ANYTIME: (Outcome.VIOLATED, 1), Scope.TERMINAL: (Outcome.SAFE, 0)}
        for scope, (want, least) in wanted.items():
            constraint = BudgetConstraint(0, gamma, scope=scope, horizon=2)
            found = verify(unguarded(model, constraint), model, constraint, price=False).outcome
            require(found is want, f"gamma={gamma}, {scope.value}: {found.name}, want {want.name}")
            demand = minimal_budget(model, constraint).budget_of(0)
            require(demand == least, f"gamma={gamma}, {scope.value}: demand {demand}, want {least}")
    return Finding(
        Status.HOLDS,
        "z = 0, -1, 0 (gamma = 1) and 0, -2, 0 (gamma = 1/2): kept at the end, not at every time; "
        "minimal budgets 0 and 1",
    )
