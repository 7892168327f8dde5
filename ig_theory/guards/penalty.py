"""InferenceGuard's reshaping as a guard: greedy for reward minus a penalty.

The last budget is priced too (THEORY T1.last-step).
"""

from __future__ import annotations

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import GuardError
from ig_theory.guard import Guard
from ig_theory.guards.table import TableGuard
from ig_theory.solvers.penalty import penalty_value


def penalty(model: ConstrainedMDP, constraint: BudgetConstraint, n: float = 10.0) -> Guard:
    """An n-optimal policy of the penalty MDP M_n; safe only if n is large enough, if ever.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> guard = penalty(model, BudgetConstraint(2), n=10)
    """
    (only,) = single(constraint, "penalty")
    solved = penalty_value(model, only, n)
    assert solved.solution.policy is not None
    weight = solved.product.deterministic(solved.solution.policy)
    return TableGuard(solved.product, weight, lambda view, rows: rows)


def single(
    constraint: BudgetConstraint | tuple[BudgetConstraint, ...], guard: str
) -> tuple[BudgetConstraint]:
    """The one constraint of a guard that handles no more.

    Raises
    ------
    GuardError
    """
    several = as_constraints(constraint)
    if len(several) > 1:
        raise GuardError.at(
            f"guard {guard}", "one constraint", len(several), "use shield or least-intrusive"
        )
    return (several[0],)
