"""The optimal almost surely safe value V(s, z) and a deterministic policy that attains it.

Exact pairs where budgets are few (gamma = 1, or short horizons); otherwise directed grids
enclose it from both sides (THEORY T3.down, T3.up).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, Scope, as_constraints
from ig_theory.errors import SolverError
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.totals.exact_total import best_total_exact
from ig_theory.solvers.totals.safe_product import SafeProduct, brackets
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.totals.total_reward import best_total
from ig_theory.verdict import Bounds

GAP = 1e-6
"""Width of the bounds at which grids are refined no more."""


@dataclass(frozen=True, eq=False)
class BudgetedValue:
    """V from both sides.

    Attributes
    ----------
    lower, upper : (SafeProduct, Solution)
        The product whose values are lower (upper) bounds; one and the same when exact.
    initial : Bounds
        V from the initial distribution; ``-inf`` if some initial state cannot be kept safe.
    status : Status
    """

    model: ConstrainedMDP
    constraint: BudgetConstraint
    lower: tuple[SafeProduct, Solution]
    upper: tuple[SafeProduct, Solution]
    initial: Bounds
    status: Status

    def at(self, state: int, z: Fraction | int, time: int = 0) -> Bounds:
        """V(state, z), solved for this start; ``-inf`` where no policy is safe.

        Raises
        ------
        SolverError
            If z < 0 and only the end is judged: a constraint has no negative budget.
        """
        if z < 0 and self.constraint.scope is Scope.TERMINAL:
            raise SolverError.at("z", "a budget >= 0 with scope terminal", z, "use scope anytime")
        if z < 0:
            return Bounds(-math.inf, -math.inf)
        horizon = self.constraint.horizon
        start = np.zeros(self.model.S, dtype=self.model.initial.dtype)
        if self.model.exact:
            start[:] = Fraction(0)
        start[state] = Fraction(1) if self.model.exact else 1.0
        constraint = self.constraint
        moved = BudgetConstraint(
            Fraction(z), constraint.discount, constraint.boundary, constraint.scope,
            constraint.cost, None if horizon is None else horizon - time,
        )  # fmt: skip
        return budgeted_value(replace_initial(self.model, start), moved).initial

    def choice(self, node: int) -> int:
        """The model's choice that the safe policy takes at a node of the lower product."""
        safe, solution = self.lower
        assert solution.policy is not None
        picked = int(solution.policy[node])
        return int(safe.product.choice[picked]) if picked >= 0 else -1


def budgeted_value(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    limit: int = DEFAULT_LIMIT,
) -> BudgetedValue:
    """Solve for V; O(pairs * branches) per sweep.

    In exact mode the value is a Fraction wherever elimination over the rationals is feasible.

    Raises
    ------
    SolverError
        If too many pairs are reachable, or undiscounted rewards have no well-defined total.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> round(budgeted_value(model, BudgetConstraint(2)).initial.middle, 6)
    2.0
    """
    several = as_constraints(constraint)
    answer: BudgetedValue | None = None
    for down, up in brackets(model, several, limit):
        lower = solve_safe(down)
        upper = lower if up is down else solve_safe(up)
        initial = Bounds(
            over_start(down.product, lower[1].lower, lower[1].upper).lower,
            over_start(up.product, upper[1].lower, upper[1].upper).upper,
        )
        status = lower[1].status if up is down else _joint(lower[1], upper[1])
        answer = BudgetedValue(model, several[0], lower, upper, initial, status)
        if initial.width <= GAP:
            break
    assert answer is not None
    return answer


def solve_safe(safe: SafeProduct) -> tuple[SafeProduct, Solution]:
    """The best total reward inside a safe product."""
    product, model = safe.product, safe.product.model
    gain = model.reward[product.choice]
    floats: Floats = gain.astype(np.float64)
    leaf = np.where(safe.kept, 0.0, -np.inf)
    solution = best_total(product, floats, leaf, model.reward_discount, safe.alive)
    if model.exact and len(product) <= 20_000:
        # Too large for elimination: the certified floats stand.
        with contextlib.suppress(SolverError):
            solution = best_total_exact(product, gain, model.reward_discount, solution, safe.alive)
    return safe, solution


def replace_initial(model: ConstrainedMDP, initial: Any) -> ConstrainedMDP:
    """The same model from another initial distribution."""
    from ig_theory.cmdp import LatentMDP

    if isinstance(model, LatentMDP):
        return replace(model, initial=initial, base=None)
    return replace(model, initial=initial)


def _joint(lower: Solution, upper: Solution) -> Status:
    both = {lower.status, upper.status}
    return Status.UNCERTIFIED if Status.UNCERTIFIED in both else Status.CERTIFIED
