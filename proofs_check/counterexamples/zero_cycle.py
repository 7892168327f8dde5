"""T4.cycle: at gamma = 1 a free cycle breaks two rules that hold for gamma < 1.

Impossibility without a ranking: ``L(s) = 5`` satisfies ``L(s) <= c + L(s')`` on a free loop, but
z = 0 is safe there. Safety without ``D >= 0``: ``D(s) = -1`` satisfies ``D(s) >= c + D(s')`` on the
same loop, and then ``D(u) = 0`` before it, where every policy pays 1 with a budget of 0.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ig_theory.builders import from_dict
from ig_theory.certificate.sealing import sealed
from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError
from ig_theory.guards.sentinels import unguarded
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "T4.cycle"
COVERS = "a free loop: L = 5 without a ranking, and D = -1 without D >= 0, pass and are wrong"
LOWER, DEMAND = Fraction(5), Fraction(-1)
COST = {"u": 1, "s": 0}
NEXT = {"u": "s", "s": "s"}
"""u pays 1 and comes to s, which loops for free; neither has another choice."""


def lower_holds(gamma: Fraction) -> bool:
    """Whether ``L(s) <= c + gamma L(s')`` for all choices of the loop.

    >>> lower_holds(Fraction(1)), lower_holds(Fraction(1, 2))
    (True, False)
    """
    return COST["s"] + gamma * LOWER >= LOWER


def demand_holds(gamma: Fraction) -> bool:
    """Whether ``D(x) >= c + gamma D(x')`` at u and s, with D(u) = 0 and D(s) = -1.

    >>> demand_holds(Fraction(1)), demand_holds(Fraction(1, 2))
    (True, False)
    """
    demand = {"u": Fraction(0), "s": DEMAND}
    return all(demand[x] >= COST[x] + gamma * demand[NEXT[x]] for x in ("u", "s"))


def budgets(start: str, steps: int = 10) -> list[Fraction]:
    """z_0 .. z_steps from z_0 = 0 at gamma = 1; there is one choice only.

    >>> [int(z) for z in budgets("u", 2)], [int(z) for z in budgets("s", 2)]
    ([0, -1, -1], [0, 0, 0])
    """
    z, state = [Fraction(0)], start
    for _ in range(steps):
        z.append(z[-1] - COST[state])
        state = NEXT[state]
    return z


def model(start: str) -> ConstrainedMDP:
    """u and s as a model of the project."""
    return from_dict({x: {"go": (COST[x], 0, NEXT[x])} for x in "us"}, initial=start, exact=True)


def forged(start: str) -> list[dict[str, Any]]:
    """Well-formed certificates of the false claims: D = (0, -1), and L = (0, 5) twice.

    The lower bound comes once without a ranking, and once with one that does not fall.
    """
    nothing = [[0, 0]]
    demand = {"kind": "demand", "denominator": 1, "demand": [[0, int(DEMAND)]],
              "strict": nothing, "action": nothing}  # fmt: skip
    lower = {"kind": "impossibility", "denominator": 1, "lower": [[0, int(LOWER)]],
             "strict": nothing, "rank": None}  # fmt: skip
    bodies = (demand, lower, {**lower, "rank": nothing})
    return [sealed(model(start), (BudgetConstraint(0),), "any", body) for body in bodies]


def refusal(certificate: dict[str, Any], start: str) -> str:
    """What the checker says against it; empty if it believes it."""
    try:
        check_certificate(certificate, model(start))
    except CertificateError as error:
        return str(error)
    return ""


def run() -> Finding:
    """Check both rules at gamma = 1 and 1/2, and that the checker refuses the forged certificate.

    Raises
    ------
    AssertionError
        If a rule does not pass, or is not wrong.
    """
    one, half, constraint = Fraction(1), Fraction(1, 2), BudgetConstraint(0)
    require(lower_holds(one) and min(budgets("s")) >= 0, "L = 5 is no wrong lower certificate")
    require(demand_holds(one) and min(budgets("u")) < 0, "D = -1 is no wrong safety certificate")
    require(not lower_holds(half) and not demand_holds(half), "one also passes at gamma = 1/2")
    for start, want, least in (("s", Outcome.SAFE, 0), ("u", Outcome.VIOLATED, 1)):
        here = model(start)
        found = verify(unguarded(here, constraint), here, constraint, price=False).outcome
        require(found is want, f"from {start}: {found.name}, want {want.name}")
        demand = minimal_budget(here, constraint).budget_of("us".index(start))
        require(demand == least, f"from {start}: minimal budget {demand}, want {least}")
    below, unranked, level = forged("u")[0], *forged("s")[1:]
    require("a number >= 0" in refusal(below, "u"), "the checker does not refuse D(s) = -1")
    require("a rank" in refusal(unranked, "s"), "the checker takes L = 5 without a ranking")
    require("a rank" in refusal(level, "s"), "the checker takes a ranking that does not fall")
    return Finding(
        Status.HOLDS,
        "L(s) = 5 passes though z = 0 is safe; D(s) = -1 passes though u breaks z = 0 at once; "
        "neither passes at gamma = 1/2, and the checker refuses both",
    )
