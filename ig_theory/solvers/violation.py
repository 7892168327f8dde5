"""The least probability of ever violating: min over all budget-aware policies, at every pair.

Where it is 0 is a matter of the support graph alone (with one constraint: ``z >= D(s)``, THEORY
L2), and so is where it is 1; neither rests on arithmetic. Every policy leaves the rest almost
surely, for a run that stayed among it for ever without violating would have been in an end
component that can avoid violations, where the answer is 0. So the Bellman equation

    p(s,z) = min_a sum_{s'} P(s'|s,a) p(s',z'),   p = 1 at violations,

has one solution there, which is enclosed from both sides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

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
from ig_theory.budget import float_down, float_up
from ig_theory.cmdp import Bools, ConstrainedMDP, Ints, Objects
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import IGTheoryError, SolverError
from ig_theory.solvers.budgeted_value import GAP
from ig_theory.solvers.end_components import inductive
from ig_theory.solvers.safe_product import GRID_PAIRS, LARGEST_GRID, exact_limit
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.total_reward import best_total, best_total_exact
from ig_theory.tracker import ExactTracker, GridTracker, Tracker
from ig_theory.verdict import Bounds, Number

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
        initial = Bounds(
            start_bounds(up, lower.solution).lower, start_bounds(down, upper.solution).upper
        )
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


def with_sink(product: Product) -> Product:
    """The same product where breaking choices lead to one more node at the end, a BROKEN leaf.

    Nodes and choices keep their numbers; violating is then the same as reaching a BROKEN leaf.
    """
    model, sink = product.model, len(product)
    sizes = np.diff(product.branch_ptr)
    breaks = product.broken > 0
    widths = np.diff(model.branch_ptr)[product.choice]
    branch_ptr = np.concatenate([[0], np.cumsum(np.where(breaks, widths, sizes))]).astype(np.int64)
    branch_node = np.full(int(branch_ptr[-1]), sink, dtype=np.int32)
    kept = np.repeat(~breaks, np.diff(branch_ptr))
    branch_node[kept] = product.branch_node
    layer_ptr = product.layer_ptr.copy()
    layer_ptr[-1] += 1
    return replace(
        product,
        state=np.append(product.state, np.int32(0)),
        budget=np.append(product.budget, np.int32(0)),
        outcome=np.append(product.outcome, np.int8(BROKEN)),
        layer_ptr=layer_ptr,
        choice_ptr=np.append(product.choice_ptr, product.choice_ptr[-1]),
        broken=np.zeros_like(product.broken),
        branch_ptr=branch_ptr,
        branch_node=branch_node,
        parent=np.append(product.parent, -1),
    )


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


def exact_total(
    product: Product, gain: Objects, leaf: Objects, beta: Fraction, start: Solution, alive: Bools
) -> Solution:
    """`best_total_exact` for leaves that are worth something; their worth is moved into gains.

    Parameters
    ----------
    gain : Fractions [M]
    leaf : Fractions [N]
        0 at running nodes.
    start
        What `best_total` gave for the same problem.
    """
    inner = product.outcome == RUNNING
    zeroed = replace(
        start, lower=np.where(inner, start.lower, 0.0), upper=np.where(inner, start.upper, 0.0)
    )
    moved = gain + beta * over_branches(product, leaf)
    found = best_total_exact(product, moved, beta, zeroed, alive)
    value = np.where(inner, found.lower, leaf)
    return replace(found, lower=value, upper=value)


def over_branches(product: Product, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``sum P value`` over each choice's branches, [M]; Fractions where `value` is."""
    sizes = np.diff(product.branch_ptr)
    place = np.arange(len(product.branch_node)) + np.repeat(
        product.first_prob - product.branch_ptr[:-1], sizes
    )
    exact = value.dtype == object
    prob = product.model.branch_prob[place] if exact else product.prob[place]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    if not exact:
        mass = prob * value[product.branch_node]
        return np.bincount(owner, weights=mass, minlength=len(sizes))
    total = as_fractions(np.zeros(len(sizes)))
    ahead = value[product.branch_node]
    for b in np.flatnonzero(ahead != 0).tolist():
        total[owner[b]] += prob[b] * ahead[b]
    return total


def as_fractions(values: npt.NDArray[Any]) -> Objects:
    """The rationals that these numbers are."""
    out = np.empty(len(values), dtype=object)
    out[:] = [Fraction(v) for v in values.tolist()]
    return out


def start_bounds(product: Product, solution: Solution) -> Bounds:
    """The expectation of a solution over the initial distribution, rounded outwards.

    Shares of floats are taken as the rationals they are, scaled to total 1. Infinities stay.
    """
    shares = as_fractions(product.initial_prob)
    shares = shares / shares.sum()
    ends: list[Number] = []
    for value, outwards in ((solution.lower, float_down), (solution.upper, float_up)):
        terms = value[product.initial].tolist()
        infinite = [float(v) for v in terms if abs(v) == float("inf")]
        if infinite:
            ends.append(sum(infinite))
            continue
        total = sum((p * Fraction(v) for p, v in zip(shares, terms, strict=True)), Fraction(0))
        ends.append(total if solution.status is Status.EXACT else outwards(total))
    return Bounds(ends[0], ends[1])


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
