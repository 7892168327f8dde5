"""T2.aliasing: two states with one latent and opposite free choices.

Each state by itself is safe with d = 0. A policy that sees only the latent chooses alike in both
and pays in one of them: with probability 1/2 a step whatever it does.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import Guard, GuardView
from ig_theory.guards.shield import shield
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require
from simulators.latent import aliased

CLAIM = "T2.aliasing"
COVERS = "aliased, length 1..3, d = 0: each state is safe, each policy of the latent violates"
LENGTHS = (1, 2, 3)
COST = {("left", "a"): 0, ("left", "b"): 1, ("right", "a"): 1, ("right", "b"): 0}
WEIGHTS = (Fraction(0), Fraction(1, 3), Fraction(1, 2), Fraction(1))
"""Probabilities of ``a`` that are tried in both rooms alike."""


def violation(length: int, weight: Fraction) -> Fraction:
    """P(some step pays) when ``a`` has this probability at every step, in both rooms.

    >>> violation(2, Fraction(1, 3))
    Fraction(3, 4)
    """
    half = Fraction(1, 2)
    pays = half * (1 - weight) * COST["left", "b"] + half * weight * COST["right", "a"]
    return 1 - (1 - pays) ** length


def robust_demand(length: int, gamma: Fraction) -> Fraction:
    """The least budget of a policy of the latent: min over choices of the worse room.

    >>> robust_demand(3, Fraction(1, 2))
    Fraction(7, 4)
    """
    demand = Fraction(0)
    for _ in range(length):
        demand = min(max(COST[room, a] for room in ("left", "right")) + gamma * demand
                     for a in ("a", "b"))  # fmt: skip
    return demand


def blind(weight: Fraction) -> Guard:
    """The guard that plays ``a`` with this probability wherever there are two choices."""

    def guard(view: GuardView) -> np.ndarray:
        both = view.enabled.sum(axis=1) == 2
        out = view.enabled.astype(np.float64)
        out[both, 0], out[both, 1] = float(weight), 1 - float(weight)
        return out

    return guard


def run() -> Finding:
    """Check demands, the blind guards and the shield.

    Raises
    ------
    AssertionError
        If a state alone is not safe, or a policy of the latent is.
    """
    for length in LENGTHS:
        model, constraint = aliased(length, exact=True), BudgetConstraint(0)
        require(
            all(min(COST[room, a] for a in ("a", "b")) == 0 for room in ("left", "right")),
            "a room has no free choice",
        )
        safe_set = minimal_budget(model, constraint)
        demands = [safe_set.budget_of(s) for s in range(model.S)]
        require(demands == [0] * model.S, f"length {length}: minimal budgets {demands}, want 0")
        latents = {tuple(row) for row in model.latent[:2].tolist()}
        require(len(latents) == 1, f"length {length}: the two rooms have different latents")
        for weight in WEIGHTS:
            truth = violation(length, weight)
            require(truth == 1 - Fraction(1, 2**length), f"length {length}: P = {truth}")
            found = verify(blind(weight), model, constraint, exact=True, price=False)
            chance = None if found.violation is None else float(found.violation.lower)
            require(
                found.outcome is Outcome.VIOLATED and abs((chance or 0) - float(truth)) < 1e-12,
                f"length {length}, P(a)={weight}: verification gives {chance}, want {truth}",
            )
        kept = verify(shield(model, constraint), model, constraint, price=False)
        require(kept.outcome is Outcome.SAFE, f"length {length}: the shield is {kept.outcome.name}")
        demand = robust_demand(length, Fraction(1))
        require(demand == length, f"length {length}: robust demand {demand}")
        enough = BudgetConstraint(demand)
        found = verify(blind(Fraction(1)), model, enough, price=False)
        require(found.outcome is Outcome.SAFE, f"length {length}: d={demand} is not enough")
    return Finding(
        Status.HOLDS,
        "D = 0 in both rooms, yet every policy of the latent violates d = 0 with probability "
        "1 - 2^-n (1/2, 3/4, 7/8); it needs d = n",
    )
