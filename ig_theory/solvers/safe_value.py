"""The best almost surely safe reward at the start, by whichever solver fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import SolverError
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.grid_table import enclosing
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.safe_product import EXACT_PAIRS, safe_product
from ig_theory.solvers.value_table import value_table
from ig_theory.tracker import ExactTracker
from ig_theory.verdict import Bounds

GAP = 1e-6
"""Wanted width of the bounds, relative to the value where that exceeds 1."""


@dataclass(frozen=True)
class SafeValue:
    """V from the initial distribution, ``-inf`` if some initial state cannot be kept safe."""

    initial: Bounds
    status: Status
    by: str
    """Which solver answered: ``product``, ``table`` or ``grid``."""


def safe_value(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    limit: int = DEFAULT_LIMIT,
) -> SafeValue:
    """The largest expected reward of any almost surely safe policy.

    Small products are solved as they are, exactly for exact models. Beyond them, a single
    constraint without a horizon is solved on a table of all budgets (``gamma = 1``) or on
    directed grids; what these cannot do is left to the product again.

    Raises
    ------
    SolverError
        If too many pairs are reachable, or undiscounted rewards have no well-defined total.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> safe_value(model, BudgetConstraint(2)).by
    'product'
    """
    several = as_constraints(constraint)
    only = several[0]
    if len(several) > 1 or only.horizon is not None or _few_pairs(model, only):
        return _by_product(model, several, limit)
    solve: Callable[[ConstrainedMDP, BudgetConstraint], SafeValue]
    solve = _by_table if only.discount == 1 else _by_grid
    try:
        return solve(model, only)
    except SolverError:
        return _by_product(model, several, limit)


def _few_pairs(model: ConstrainedMDP, constraint: BudgetConstraint) -> bool:
    try:
        safe_product(model, constraint, [ExactTracker(model, constraint)], EXACT_PAIRS)
    except SolverError:
        return False
    return True


def _by_product(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], limit: int
) -> SafeValue:
    found = budgeted_value(model, constraints, limit=limit)
    return SafeValue(found.initial, found.status, "product")


def _by_table(model: ConstrainedMDP, constraint: BudgetConstraint) -> SafeValue:
    table = value_table(model, constraint, tolerance=GAP)
    return SafeValue(table.initial, table.status, "table")


def _by_grid(model: ConstrainedMDP, constraint: BudgetConstraint) -> SafeValue:
    for down, up in enclosing(model, constraint, tolerance=GAP):
        initial = Bounds(down.initial.lower, up.initial.upper)
        certified = {down.status, up.status} == {Status.CERTIFIED}
    return SafeValue(initial, Status.CERTIFIED if certified else Status.UNCERTIFIED, "grid")
