"""T1.threshold is sharp: at n* the unsafe choice ties, just below it wins, just above it loses.

Choosing ``go`` earns R at every step and breaks the budget at the last judgement z_T with the
least possible probability; ``stop`` earns nothing and is safe. Where a cost may depend on the
branch, that probability is p^T and ``n* = R (1 + .. + beta^(T-1)) / (p beta)^T`` is attained.
Where a cost is paid by the choice, as in `ConstrainedMDP`, the last unsafe step breaks z_T surely,
the least probability is p^(T-1), and ``p n*`` is attained.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.guards.penalty import penalty
from ig_theory.solvers.penalty import finite_threshold
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "T1.threshold"
COVERS = "a chain that attains n*: T = 1..8, p in {1, 1/2, 1/3}, beta in {1, 9/10}, R = 3"
HORIZONS = tuple(range(1, 9))
PROBABILITIES = (Fraction(1), Fraction(1, 2), Fraction(1, 3))
DISCOUNTS = (Fraction(1), Fraction(9, 10))
REWARD = Fraction(3)
STEP = Fraction(1, 100)
"""How far below and above the threshold the penalty is tried."""


def threshold(horizon: int, p: Fraction, beta: Fraction) -> Fraction:
    """n* of THEORY T1.threshold.

    >>> threshold(2, Fraction(1, 2), Fraction(1))
    Fraction(24, 1)
    """
    return REWARD * sum(beta**k for k in range(horizon)) / (p * beta) ** horizon


def value_of_go(
    horizon: int, p: Fraction, beta: Fraction, n: Fraction, by_choice: bool = False
) -> Fraction:
    """Value of ``go`` in M_n, backwards from z_T; the alternative ``stop`` has value 0.

    >>> value_of_go(2, Fraction(1, 2), Fraction(1), Fraction(24))
    Fraction(0, 1)
    """
    doomed, saved = -n, Fraction(0)  # at time T: charged for z_T < 0, or kept
    for k in range(horizon):
        q = Fraction(1) if by_choice and k == 0 else p
        doomed = REWARD + beta * (q * doomed + (1 - q) * saved)
        saved = REWARD + beta * saved
    return doomed


def chain(horizon: int, p: Fraction, beta: Fraction) -> ConstrainedMDP:
    """The same with costs paid by choices, in the project's form.

    >>> chain(2, Fraction(1, 2), Fraction(1)).state_names
    ('q', 'step 1', 'saved', 'end')
    """
    path = ["q", *(f"step {i}" for i in range(1, horizon))]
    states: dict[Any, dict[str, tuple[Any, Any, Any]]] = {}
    for here, there in pairwise(path):
        onward = {there: p, "saved": 1 - p} if p < 1 else {there: Fraction(1)}
        states[here] = {"go": (0, REWARD, onward)}
    states[path[-1]] = {"go": (1, REWARD, "end")}
    states["q"]["stop"] = (0, 0, "end")
    if p < 1 < horizon:
        states["saved"] = {"stay": (0, REWARD, "saved")}
    return from_dict(states, initial="q", exact=True, reward_discount=beta)


def cases() -> Iterator[tuple[int, Fraction, Fraction]]:
    """All (T, p, beta)."""
    yield from product(HORIZONS, PROBABILITIES, DISCOUNTS)


def run() -> Finding:
    """Ties at n*, wrong below, right above, by arithmetic and by verification.

    Raises
    ------
    AssertionError
        If the threshold is not attained somewhere.
    """
    count = 0
    for horizon, p, beta in cases():
        where = f"T={horizon}, p={p}, beta={beta}"
        star = threshold(horizon, p, beta)
        for by_choice, n in ((False, star), (True, p * star)):
            values = [value_of_go(horizon, p, beta, n + d, by_choice) for d in (-STEP, 0, STEP)]
            require(
                values[0] > 0 == values[1] > values[2],
                f"{where}: at n = {n} the unsafe choice is worth {values[1]}, want a tie with 0",
            )
        _verified(horizon, p, beta, star, where)
        count += 1
    return Finding(
        Status.HOLDS,
        f"{count} chains: a tie at n* exactly, unsafe at n* - 1/100, safe at n* + 1/100; with "
        "costs paid by the choice the same at p n*",
    )


def _verified(horizon: int, p: Fraction, beta: Fraction, star: Fraction, where: str) -> None:
    model, constraint = chain(horizon, p, beta), BudgetConstraint(0, horizon=horizon)
    least = Fraction(1) if horizon == 1 else p  # one step of the chain is sure
    found = finite_threshold(model, horizon)
    require(
        found == star * (p / least) ** horizon,
        f"{where}: finite_threshold gives {found}, want {star * (p / least) ** horizon}",
    )
    for shift, want in ((-STEP, Outcome.VIOLATED), (STEP, Outcome.SAFE)):
        n = float(p * star + shift)
        verdict = verify(penalty(model, constraint, n=n), model, constraint, price=False)
        require(
            verdict.outcome is want,
            f"{where}: with n={n} verification says {verdict.outcome.name}, want {want.name}",
        )
