"""The least probability of ever violating: min over all budget-aware policies, at every pair.

Where it is 0 is a matter of the support graph alone (with one constraint: ``z >= D(s)``, THEORY
L2.demand), and so is where it is 1; neither rests on arithmetic. Every policy leaves the rest
almost surely, for a run that stayed among it for ever without violating would have been in an end
component that can avoid violations, where the answer is 0. So the Bellman equation

    p(s,z) = min_a sum_{s'} P(s'|s,a) p(s',z'),   p = 1 at violations,

has one solution there, which is enclosed from both sides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ig_theory.augmentation import (
    BROKEN,
    DEFAULT_LIMIT,
    KEPT,
    OPEN,
    RUNNING,
    Product,
    every_choice,
    explore,
)
from ig_theory.cmdp import Bools, ConstrainedMDP, Ints
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import IGTheoryError, SolverError
from ig_theory.solvers.budgeted_value import GAP
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.totals.branches import with_sink
from ig_theory.solvers.totals.end_components import inductive
from ig_theory.solvers.totals.exact_total import as_fractions, exact_total
from ig_theory.solvers.totals.safe_product import GRID_PAIRS, LARGEST_GRID, exact_limit
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.totals.total_reward import best_total
from ig_theory.tracker import ExactTracker, GridTracker, Tracker
from ig_theory.verdict import Bounds

ELIMINATION = 20_000
"""Beyond this many pairs exact models are answered by certified floats."""


@dataclass(frozen=True, eq=False)
class Violation:
    """The least P(ever violate) on one product.

    Attributes
    ----------
    product
        All pairs and all choices; see `with_sink`. The last node is the sink.
    solution : Solution
        ``lower <= P <= upper`` of every node, and a policy that attains it.
    never, surely : bool[N]
        Where P is 0, and where it is 1: facts about the graph.
    staying : bool[M]
        The choices that keep clear of violations for sure.
    """

    product: Product
    solution: Solution
    never: Bools
    surely: Bools
    staying: Bools


@dataclass(frozen=True, eq=False)
class LeastViolation:
    """The least P(ever violate) over all policies, from both sides.

    Attributes
    ----------
    lower, upper : Violation
        Products whose values are lower and upper bounds; one and the same unless grids are
        needed (``gamma < 1``). The policy of `upper` has at most the upper bound.
    initial : Bounds
        From the initial distribution; 0 and 1 are exact.
    status : Status
        EXACT: Fractions.
    """

    lower: Violation
    upper: Violation
    initial: Bounds
    status: Status


def least_violation(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    limit: int = DEFAULT_LIMIT,
    gap: float = GAP,
) -> LeastViolation:
    """The least probability of ever violating (any of) the constraints.

    O(pairs * branches) per sweep, over all reachable (state, budget) pairs.

    Parameters
    ----------
    limit
        How many pairs may be explored.
    gap
        Grids are refined until the bounds are this close, or grids grow too large.

    Raises
    ------
    SolverError
        If more than `limit` pairs are reachable.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": "1/2", "t": "1/2"})}}, initial="s",
    ...                   exact=True)
    >>> least_violation(model, BudgetConstraint(2)).initial  # a third step has probability 1/4
    Bounds(lower=Fraction(1, 4), upper=Fraction(1, 4))
    """
    answer: LeastViolation | None = None
    for down, up in violation_products(model, as_constraints(constraints), limit):
        upper = solve_violation(down)
        lower = upper if up is down else solve_violation(up)
        least = over_start(up, lower.solution.lower, lower.solution.upper)
        most = over_start(down, upper.solution.lower, upper.solution.upper)
        initial = Bounds(least.lower, most.upper)
        statuses = {lower.solution.status, upper.solution.status}
        status = lower.solution.status
        if up is not down:
            bad = Status.UNCERTIFIED in statuses
            status = Status.UNCERTIFIED if bad else Status.CERTIFIED
        answer = LeastViolation(lower, upper, initial, status)
        if initial.width <= gap:
            break
    assert answer is not None
    return answer


def violation_products(
    model: ConstrainedMDP, constraints: Sequence[BudgetConstraint], limit: int
) -> Iterator[tuple[Product, Product]]:
    """All pairs, with the budgets rounded down (more violations) and up (fewer), ever closer.

    They are one product where exact budgets are few enough. Breaking choices lead to the sink.

    Raises
    ------
    SolverError
        If not even the first products fit the limit.
    """
    discounted = any(c.discount < 1 for c in constraints)
    most = exact_limit(constraints, limit)
    exact = explore(model, constraints, every_choice, limit=most)
    if exact.complete:
        sunk = with_sink(exact)
        yield sunk, sunk
        return
    if not discounted:
        raise _too_large(limit, len(exact))
    per_unit = 2
    while per_unit <= LARGEST_GRID:
        most = limit if per_unit == 2 else min(limit, GRID_PAIRS)
        pair = []
        for upward in (False, True):
            trackers: list[Tracker] = [
                GridTracker(model, c, per_unit, up=upward)
                if c.discount < 1
                else ExactTracker(model, c)
                for c in constraints
            ]
            pair.append(explore(model, constraints, every_choice, trackers=trackers, limit=most))
        if not all(product.complete for product in pair):
            if per_unit == 2:
                raise _too_large(limit, max(map(len, pair)))
            return
        yield with_sink(pair[0]), with_sink(pair[1])
        per_unit *= 4


def solve_violation(product: Product) -> Violation:
    """The least P(reach a BROKEN leaf) of every node of a product with a sink."""
    lost = (product.outcome == BROKEN) | (product.outcome == OPEN)
    never, staying = inductive(product, np.ones(len(product.choice), dtype=bool), lost)
    staying &= never[product.choice_node]
    surely = ~_backward(product, never)
    outcome = np.where(never, KEPT, np.where(surely, BROKEN, product.outcome)).astype(np.int8)
    settled = replace(product, outcome=outcome)
    alive = (outcome == RUNNING)[product.choice_node]
    gain, leaf = np.zeros(len(alive)), np.where(outcome == BROKEN, -1.0, 0.0)
    found = best_total(settled, gain, leaf, Fraction(1), alive)
    if product.model.exact and len(product) <= ELIMINATION:
        # Too large for elimination: the certified floats stand.
        with contextlib.suppress(SolverError):
            zero = as_fractions(gain)
            found = exact_total(settled, zero, as_fractions(leaf), Fraction(1), found, alive)
    lower, upper = 0 - found.upper, 0 - found.lower
    if found.status is not Status.EXACT:
        lower, upper = lower.clip(0.0, 1.0), upper.clip(0.0, 1.0)
        lower[never], upper[never], lower[surely], upper[surely] = 0.0, 0.0, 1.0, 1.0
    policy = _policy(product, found, staying)
    solution = Solution(lower, upper, policy, found.status, found.residual)
    return Violation(product, solution, never, surely, staying)


def _policy(product: Product, found: Solution, staying: Bools) -> Ints:
    """The solver's choice; elsewhere a choice that stays clear, or else the first."""
    assert found.policy is not None
    policy = found.policy.copy()
    running = np.flatnonzero((product.outcome == RUNNING) & (policy < 0))
    first = np.full(len(product), -1)
    clear = np.flatnonzero(staying)[::-1]
    first[product.choice_node[clear]] = clear  # the earliest is written last
    policy[running] = np.where(first[running] >= 0, first[running], product.choice_ptr[running])
    return policy


def _backward(product: Product, target: Bools) -> Bools:
    from ig_theory import kernels

    alive = np.ones(len(product.choice), dtype=bool)
    reached: Bools = kernels.backward(
        product.choice_ptr, product.branch_ptr, product.branch_node, alive, target
    )
    return reached


def _too_large(limit: int, found: int) -> IGTheoryError:
    return SolverError.at(
        "pairs", f"at most {limit} (state, budget) pairs", f"{found} and more",
        "raise the state limit, set a horizon, or coarsen the budget",
    )  # fmt: skip
