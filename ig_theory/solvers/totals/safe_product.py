"""The part of the augmented MDP in which every choice can still be followed safely.

Maximising over it is maximising over all almost surely safe policies, without any penalty
constant (THEORY L3.permissive).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ig_theory.augmentation import BROKEN, DEFAULT_LIMIT, OPEN, Product, explore
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView
from ig_theory.solvers.minimal_budget import SafeSet, minimal_budget
from ig_theory.solvers.totals.end_components import inductive
from ig_theory.tracker import ExactTracker, GridTracker, Tracker

EXACT_PAIRS = 20_000
"""Exact discounted budgets are given up for a grid beyond this many pairs."""

GRID_PAIRS = 200_000
"""Grids are not refined beyond this many pairs."""

LARGEST_GRID = 512
"""Grid points per cost unit beyond which a directed grid is not refined."""


@dataclass(frozen=True, eq=False)
class SafeProduct:
    """A product with its safe nodes and the choices that stay among them.

    Attributes
    ----------
    kept : bool[N]
    alive : bool[M]
        Choices of kept nodes all of whose successors are kept.
    """

    product: Product
    kept: Bools
    alive: Bools

    @property
    def start_is_safe(self) -> bool:
        """Whether every initial state can be kept safe."""
        return bool(self.kept[self.product.initial].all())


def safe_product(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    trackers: Sequence[Tracker] | None = None,
    limit: int = DEFAULT_LIMIT,
    safe_set: SafeSet | None = None,
) -> SafeProduct:
    """Explore what safe policies can reach, and take away what they must avoid.

    With one constraint the shield of the minimal budget guides the exploration; with several,
    or with signed costs, all pairs are explored and the unsafe ones are pruned backwards.

    Raises
    ------
    SolverError
        If more than `limit` pairs are reachable.
    """
    several = as_constraints(constraints)
    if safe_set is None and len(several) == 1:
        safe_set = minimal_budget_or_none(model, several[0])

    def follow(view: GuardView) -> Floats:
        keep = view.enabled if safe_set is None else safe_set.allowed(view)
        return keep.astype(np.float64)

    product = explore(model, several, follow, trackers=trackers, limit=limit)
    if not product.complete:
        raise SolverError.at(
            "safe pairs", f"at most {limit} (state, budget) pairs", f"{len(product)} and more",
            "raise the state limit, or use a grid",
        )  # fmt: skip
    lost = (product.outcome == BROKEN) | (product.outcome == OPEN)
    kept, alive = inductive(product, product.broken == 0, lost)
    return SafeProduct(product, kept, alive & kept[product.choice_node])


def minimal_budget_or_none(model: ConstrainedMDP, constraint: BudgetConstraint) -> SafeSet | None:
    """The safe set, or None where only exploring can tell (signed costs without a horizon)."""
    try:
        return minimal_budget(model, constraint)
    except SolverError:
        return None


def exact_limit(constraints: Sequence[BudgetConstraint], limit: int) -> int:
    """How many exact pairs to try for: discounted budgets of endless runs seldom recur."""
    endless = any(c.discount < 1 and c.horizon is None for c in constraints)
    return min(limit, EXACT_PAIRS) if endless else limit


def brackets(
    model: ConstrainedMDP, constraints: Sequence[BudgetConstraint], limit: int
) -> Iterator[tuple[SafeProduct, SafeProduct]]:
    """Safe products whose optima enclose the exact one, ever closer (THEORY T3.down, T3.up).

    The first of a pair rounds budgets down (its policies are safe), the second up (it has every
    safe policy). They are one product where exact budgets are few enough, as they must be with
    several constraints. A pair is explored when it is asked for; grids end at `GRID_PAIRS` pairs.

    Raises
    ------
    SolverError
        If not even the first pair fits the limit.
    """
    if len(constraints) > 1:
        joint = safe_product(model, constraints, limit=exact_limit(constraints, limit))
        yield joint, joint
        return
    (constraint,) = constraints
    safe_set = minimal_budget_or_none(model, constraint)
    try:
        exact = safe_product(
            model,
            constraint,
            [ExactTracker(model, constraint)],
            exact_limit([constraint], limit),
            safe_set,
        )
    except SolverError:
        if constraint.discount == 1:
            raise
    else:
        yield exact, exact
        return
    per_unit = 2
    while per_unit <= LARGEST_GRID:
        most = limit if per_unit == 2 else min(limit, GRID_PAIRS)
        try:
            down, up = (
                safe_product(
                    model, constraint, [GridTracker(model, constraint, per_unit, up=upward)],
                    most, safe_set,
                )
                for upward in (False, True)
            )  # fmt: skip
        except SolverError:
            if per_unit == 2:
                raise
            return
        yield down, up
        per_unit *= 4
