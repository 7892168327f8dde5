"""T4.antichain: with two constraints the minimal vectors of budgets can be 2^T many.

One state, two choices with costs (1, 0) and (0, 1). A run of T steps spends the discounted times
at which it took the first choice on one budget, and the others on the other. All 2^T runs spend
different vectors of one total, so none is above another.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product

from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.budget_vectors import safe_vectors
from ig_theory.solvers.solution import Status as SolverStatus
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "T4.antichain"
COVERS = "one state, T = 1..10, gamma in {1/3, 1/2, 9/10}: 2^T minimal vectors; gamma = 1: T + 1"
HORIZONS = tuple(range(1, 11))
DISCOUNTS = (Fraction(1, 3), Fraction(1, 2), Fraction(9, 10), Fraction(1))
SOLVED = 7
"""The longest horizon that the solver is asked about too."""


def vectors(horizon: int, gamma: Fraction) -> set[tuple[Fraction, Fraction]]:
    """What the runs spend on both budgets; each is the least budget of its own run.

    >>> sorted(vectors(1, Fraction(1, 2)))
    [(Fraction(0, 1), Fraction(1, 1)), (Fraction(1, 1), Fraction(0, 1))]
    """
    found = set()
    for run in product((0, 1), repeat=horizon):
        first = sum((gamma**t for t, taken in enumerate(run) if taken), Fraction(0))
        other = sum((gamma**t for t, taken in enumerate(run) if not taken), Fraction(0))
        found.add((first, other))
    return found


def is_antichain(found: set[tuple[Fraction, Fraction]]) -> bool:
    """Whether no vector is above another: sorted by the first entry, the second falls."""
    ordered = sorted(found)
    return all(u[0] < v[0] and u[1] > v[1] for u, v in pairwise(ordered))


def run() -> Finding:
    """Count the minimal vectors, by enumeration and by `safe_vectors`.

    Raises
    ------
    AssertionError
        If a count is another.
    """
    moves = {"first": ((1, 0), 0, "s"), "second": ((0, 1), 0, "s")}
    model = from_dict({"s": moves}, initial="s", exact=True)
    for gamma in DISCOUNTS:
        for horizon in HORIZONS:
            where = f"T={horizon}, gamma={gamma}"
            found = vectors(horizon, gamma)
            want = horizon + 1 if gamma == 1 else 2**horizon
            require(len(found) == want, f"{where}: {len(found)} vectors, want {want}")
            require(is_antichain(found), f"{where}: some vector is above another")
            if horizon > SOLVED:
                continue
            both = [BudgetConstraint(0, gamma, cost=k, horizon=horizon) for k in (0, 1)]
            solved = safe_vectors(model, both, most=2 * want)
            require(
                solved.status is SolverStatus.EXACT and set(solved.inner[0]) == found,
                f"{where}: safe_vectors finds {len(solved.inner[0])} vectors, want {want}",
            )
    return Finding(
        Status.HOLDS,
        f"2^T minimal vectors for gamma in {{1/3, 1/2, 9/10}}, T = 1..{HORIZONS[-1]} (1024 at the "
        f"last); T + 1 for gamma = 1; safe_vectors finds the same up to T = {SOLVED}",
    )
