"""T3.sharp: on this chain, rounding down raises the minimal budget by almost the bound.

With a grid of mesh h the bound on the gap is ``h (1 + gamma + .. + gamma^(T-1))``. With k steps to
go the chain costs ``epsilon + (1 - gamma) (k-1) h``, so that every rounding loses ``h - epsilon``.
"""

from __future__ import annotations

import math
from fractions import Fraction

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.budget_grid import budget_grid
from ig_theory.solvers.minimal_budget import minimal_budget
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "T3.sharp"
COVERS = "a chain with gap (1 - epsilon/h) of the bound: T in {1, 5, 20}, gamma in {1, 9/10, 1/2}"
HORIZONS = (1, 5, 20)
DISCOUNTS = (Fraction(1), Fraction(9, 10), Fraction(1, 2))
MESH, EPSILON = Fraction(1, 100), Fraction(1, 10**6)


def costs(horizon: int, gamma: Fraction) -> list[Fraction]:
    """Costs from the first step to the last."""
    return [EPSILON + (1 - gamma) * k * MESH for k in reversed(range(horizon))]


def bound(horizon: int, gamma: Fraction) -> Fraction:
    """``h (1 + gamma + .. + gamma^(T-1))``.

    >>> bound(2, Fraction(1, 2))
    Fraction(3, 200)
    """
    return MESH * sum(gamma**k for k in range(horizon))


def demands(horizon: int, gamma: Fraction) -> tuple[Fraction, Fraction]:
    """The minimal budget with a tracker that is rounded down, and the exact one.

    >>> down, exact = demands(5, Fraction(1))
    >>> down - exact
    Fraction(9999, 200000)
    """
    down = exact = Fraction(0)
    for cost in reversed(costs(horizon, gamma)):
        down = math.ceil((cost + gamma * down) / MESH) * MESH
        exact = cost + gamma * exact
    return down, exact


def keeps(budget: Fraction, horizon: int, gamma: Fraction, rounding: bool) -> bool:
    """Whether the chain keeps the tracked budget, rounded down on the grid at every time or not."""
    z = budget
    for cost in [*costs(horizon, gamma), None]:
        z = math.floor(z / MESH) * MESH if rounding else z
        if z < 0:
            return False
        z = z if cost is None else (z - cost) / gamma
    return True


def chain(paid: list[Fraction]) -> ConstrainedMDP:
    """A model that pays these costs and ends.

    >>> chain([Fraction(1, 2), Fraction(1)]).S
    3
    """
    return from_dict({i: {"go": (c, 0, i + 1)} for i, c in enumerate(paid)}, initial=0, exact=True)


def run() -> Finding:
    """Check the gap, the tracked runs and the solver's exact minimal budget.

    Raises
    ------
    AssertionError
        If the gap is not ``(1 - epsilon/h)`` of the bound.
    """
    for horizon in HORIZONS:
        for gamma in DISCOUNTS:
            where = f"T={horizon}, gamma={gamma}"
            down, exact = demands(horizon, gamma)
            gap, most = down - exact, bound(horizon, gamma)
            require(gap == (1 - EPSILON / MESH) * most < most, f"{where}: gap {gap}, bound {most}")
            require(keeps(down, horizon, gamma, rounding=True), f"{where}: {down} is not enough")
            require(
                not keeps(down - MESH, horizon, gamma, rounding=True),
                f"{where}: a mesh less is enough on the grid",
            )
            require(
                keeps(exact, horizon, gamma, rounding=False)
                and not keeps(exact - EPSILON / 2, horizon, gamma, rounding=False),
                f"{where}: {exact} is not the exact minimal budget",
            )
            model = chain(costs(horizon, gamma))
            solved = minimal_budget(model, BudgetConstraint(0, gamma)).budget_of(0)
            require(solved == exact, f"{where}: minimal_budget gives {solved}, want {exact}")
    ratio = grid_ratio()
    return Finding(
        Status.HOLDS,
        f"gap = 0.9999 of the bound on {len(HORIZONS) * len(DISCOUNTS)} chains, never the bound; "
        f"on the project's grids, which divide the cost unit, up to {float(ratio):.3f} of it",
    )


def grid_ratio() -> Fraction:
    """The gap of `budget_grid` over the bound, on whole costs; its grid divides the cost unit.

    The last step of a run then rounds nothing, so that 1 is not approached.

    Raises
    ------
    AssertionError
        If the gap is negative or reaches the bound.
    """
    worst = Fraction(0)
    for gamma in (Fraction(9, 10), Fraction(1, 2)):
        for length in (2, 5, 20):
            model = chain([Fraction(1)] * length)
            constraint = BudgetConstraint(0, gamma)
            exact = minimal_budget(model, constraint).budget_of(0)
            for per_unit in (1, 2, 7):
                grid = budget_grid(model, constraint, per_unit)
                down = Fraction(int(grid.endless_demands()[0]), per_unit)
                most = Fraction(1, per_unit) * sum(gamma**k for k in range(length))
                gap = down - Fraction(exact)
                require(0 <= gap < most, f"gamma={gamma}, length {length}: {gap} of {most}")
                worst = max(worst, gap / most)
    return worst
