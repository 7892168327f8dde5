"""L2.least at gamma = 1: a fixed point that is not the least one is wrong.

In a state with a free loop every constant solves ``D(s) = max(0, 0 + D(s))``. The minimal budget
is the least solution, 0; any other would refuse budgets that are enough. A state that pays for
ever has no finite solution.
"""

from __future__ import annotations

import math
from fractions import Fraction

from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.guards.shield import shield
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "L2.least"
COVERS = "a free loop (or an end at cost 5): D = v is a fixed point for v in [0, 5], only 0 is true"
GAMMA = Fraction(1)
EXIT = Fraction(5)
TRIED = (Fraction(0), Fraction(1, 2), Fraction(5))


def operator(demand: Fraction, gamma: Fraction = GAMMA) -> Fraction:
    """``T D`` in the state: rest for free, or leave at a cost of 5.

    >>> operator(Fraction(3)), operator(Fraction(7))
    (Fraction(3, 1), Fraction(5, 1))
    """
    return min(max(Fraction(0), 0 + gamma * demand), max(Fraction(0), EXIT))


def iterates(count: int) -> list[Fraction]:
    """T^n 0 for n = 0 .. count: the least fixed point is their supremum.

    >>> set(iterates(5))
    {Fraction(0, 1)}
    """
    values = [Fraction(0)]
    for _ in range(count):
        values.append(operator(values[-1]))
    return values


def run() -> Finding:
    """Check the fixed points, and that z = 0 is enough.

    Raises
    ------
    AssertionError
        If a number is another, or the solver returns another fixed point.
    """
    for value in TRIED:
        require(operator(value) == value, f"{value} is no fixed point at gamma = 1")
        require(value == 0 or operator(value, Fraction(1, 2)) != value,
                f"{value} is a fixed point at gamma = 1/2, where there is one only")  # fmt: skip
    require(set(iterates(10)) == {Fraction(0)}, "the iterates from 0 leave 0")
    moves = {"rest": (0, 0, "s"), "leave": (EXIT, 0, "end")}
    model = from_dict({"s": moves}, initial="s", exact=True)
    constraint = BudgetConstraint(0)
    found = minimal_budget(model, constraint).budget_of(0)
    require(found == 0, f"minimal_budget gives {found}, want 0")
    outcome = verify(shield(model, constraint), model, constraint, price=False).outcome
    require(outcome is Outcome.SAFE, f"the shield at z = 0 is {outcome.name}, want SAFE")
    pays = from_dict({"s": {"pay": (1, 0, "s")}}, initial="s", exact=True)
    endless = minimal_budget(pays, constraint).budget_of(0)
    require(endless == math.inf, f"paying 1 for ever demands {endless}, want infinity")
    return Finding(
        Status.HOLDS,
        "D = 0, 1/2 and 5 are all fixed points, and z = 0 is safe; paying for ever: D = infinity",
    )
