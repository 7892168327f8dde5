"""Minimal budgets under several constraints at once: finite sets of budget vectors.

Sound by THEORY T4.several; THEORY T4.antichain says why they may have to be large.

The safe set of a state is upward closed in the vector of budgets, but a finite set of least
vectors need not exist, or be small. Two finite sets enclose it: every vector of the *inner* set
is enough, because it has a choice whose successors all have a vector of theirs within reach,
``c_i + gamma_i u'_i <= u_i``; a vector that is above none of the *outer* set is not enough.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Scope, as_constraints
from ig_theory.errors import SolverError
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.solution import Status

Vector = tuple[Any, ...]
"""A budget for each constraint, in multiples of the cost unit: int or Fraction."""

Front = tuple[Vector, ...]
"""Vectors none of which is above another, in ascending order; empty: no budget is enough."""


@dataclass(frozen=True)
class SafeVectors:
    """Which vectors of budgets are enough, state by state.

    Attributes
    ----------
    inner, outer : tuple of fronts [S]
        Vectors above one of `inner` are enough; those above none of `outer` are not.
    status : Status
        EXACT if both are the same, else CERTIFIED.
    """

    model: ConstrainedMDP
    constraints: tuple[BudgetConstraint, ...]
    inner: tuple[Front, ...]
    outer: tuple[Front, ...]
    status: Status

    def contains(self, state: int, budgets: Sequence[Fraction | int]) -> bool | None:
        """Whether the budgets [cost units] are enough in a state; None if that was not settled."""
        scaled = tuple(Fraction(z) / self.model.cost_unit for z in budgets)
        if _covers(self.inner[state], scaled):
            return True
        return None if _covers(self.outer[state], scaled) else False

    @property
    def start_is_safe(self) -> bool | None:
        """Whether the constraints' own budgets are enough at every initial state."""
        budgets = [c.budget for c in self.constraints]
        first = [s for s in range(self.model.S) if self.model.initial[s] > 0]
        answers = [self.contains(s, budgets) for s in first]
        if False in answers:
            return False
        return None if None in answers else True

    def gap(self, state: int) -> Fraction | float:
        """How much every budget must be raised, at most, to settle any vector [cost units].

        The largest distance (in the largest coordinate) from an outer vector to the next inner
        one above it; infinite where only the outer set says that some budget may be enough.
        """
        worst: Fraction | float = Fraction(0)
        for u in self.outer[state]:
            above = [
                max(max(0, b - a) for a, b in zip(u, v, strict=True)) for v in self.inner[state]
            ]
            nearest = min(above, default=math.inf)
            worst = max(worst, nearest if nearest == math.inf else Fraction(nearest))
        return worst if worst == math.inf else worst * self.model.cost_unit

    def is_inductive(self) -> bool:
        """Re-check the inner sets by the inequality that makes them sound (endless runs)."""
        model = self.model
        for s in range(model.S):
            for u in self.inner[s]:
                if min(u, default=0) < 0:
                    return False
                if not model.terminal[s] and not any(
                    _covers(_through(self, c, self.inner, math.inf, join), u)
                    for c in range(model.choice_ptr[s], model.choice_ptr[s + 1])
                ):
                    return False
        return True


def safe_vectors(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    most: int = 32,
    rounds: int = 200,
) -> SafeVectors:
    """Enclose the vectors of budgets that are enough.

    Parameters
    ----------
    constraints
        With a closed boundary; costs not negative, or a horizon.
    most
        How many vectors a state may keep. Beyond it neighbours are merged in the outer sets,
        downwards, and in the inner ones over a horizon, upwards; inner sets of endless runs
        drop some of the vectors found instead.
    rounds
        Improvements of each side; a horizon takes as many as it has steps.

    Raises
    ------
    SolverError
        With an open boundary, or negative costs and no horizon.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"left": ((2, 0), 0, {"t": 1}), "right": ((0, 1), 0, {"t": 1})}},
    ...     initial="s")
    >>> both = BudgetConstraint(1, cost=0), BudgetConstraint(1, cost=1)
    >>> safe_vectors(model, both).inner[0]
    ((0, 1), (2, 0))
    """
    several = as_constraints(constraints)
    _check(model, several)
    horizon = several[0].horizon
    size = len(several)
    blank = SafeVectors(model, several, (), (), Status.CERTIFIED)
    zero: list[Front] = [((0,) * size,)] * model.S
    exact, outer = _improve(blank, zero, most, rounds if horizon is None else horizon, meet)
    if horizon is not None:
        inner = outer if exact else _improve(blank, zero, most, horizon, join)[1]
    elif exact:
        inner = outer
    else:
        inner = _improve(blank, _enough(model, several), most, rounds, join)[1]
    same = tuple(inner) == tuple(outer)
    status = Status.EXACT if same else Status.CERTIFIED
    return SafeVectors(model, several, tuple(inner), tuple(outer), status)


def join(u: Vector, v: Vector) -> Vector:
    """The least vector above both."""
    return tuple(map(max, u, v))


def meet(u: Vector, v: Vector) -> Vector:
    """The largest vector below both."""
    return tuple(map(min, u, v))


Merge = Callable[[Vector, Vector], Vector]


def _improve(
    problem: SafeVectors, fronts: list[Front], most: int, rounds: int, merge: Merge
) -> tuple[bool, list[Front]]:
    """Back up all fronts; whether they settled (or the horizon was met) without any merging."""
    model, endless = problem.model, problem.constraints[0].horizon is None
    merged = False
    for _ in range(rounds):
        after: list[Front] = []
        for s in range(model.S):
            if model.terminal[s]:
                after.append(((0,) * len(problem.constraints),))
                continue
            found: set[Vector] = set()
            for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
                through = _through(problem, c, fronts, 4 * most, merge)
                merged |= len(through) >= 4 * most
                found.update(through)
            if endless and merge is join:
                after.append(_select(found, fronts[s], most))
                continue
            least = _least(found)
            merged |= len(least) > most
            after.append(_thin(least, most, merge))
        settled = after == fronts
        fronts = after
        if settled and endless:
            return not merged, fronts
    return not merged and not endless, fronts


def _through(
    problem: SafeVectors, choice: int, fronts: Sequence[Front], most: float, merge: Merge
) -> Front:
    """What a choice needs: one vector of every successor, the largest of each coordinate."""
    model = problem.model
    branches = range(model.branch_ptr[choice], model.branch_ptr[choice + 1])
    needed: Front = ((-math.inf,) * len(problem.constraints),)
    for s in sorted({int(model.branch_state[b]) for b in branches}):
        needed = _least({join(u, v) for u, v in itertools.product(needed, fronts[s])})
        if len(needed) > most:
            needed = _thin(needed, int(most), merge)
    rows = [model.cost_index(c.cost) for c in problem.constraints]
    costs = [int(model.cost[row, choice]) for row in rows]
    parts = zip(problem.constraints, costs, strict=True)
    moves = [(c.scope is Scope.ANYTIME, c.discount, paid) for c, paid in parts]
    return _least(
        {
            tuple(
                max(0, paid + _times(gamma, x)) if anytime else paid + _times(gamma, x)
                for (anytime, gamma, paid), x in zip(moves, u, strict=True)
            )
            for u in needed
        }
    )


def _times(gamma: Fraction, x: Any) -> Any:
    return x if gamma == 1 else gamma * x


def _enough(model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...]) -> list[Front]:
    """A first inner set: budgets for the dearest cost of each step, whatever it buys."""
    discounts = {c.discount for c in constraints}
    rows = [model.cost_index(c.cost) for c in constraints]
    if len(discounts) == 1:
        dearest = model.cost[rows].max(axis=0)[None, :]
        single = _with_costs(model, dearest)
        safe = minimal_budget(single, BudgetConstraint(0, discounts.pop()))
        demand = [safe.budget_of(s) for s in range(model.S)]
        return [() if d == math.inf else ((d / model.cost_unit,) * len(rows),) for d in demand]
    top = []
    for row, c in zip(rows, constraints, strict=True):
        if c.discount == 1:
            return [((0,) * len(rows),) if t else () for t in model.terminal.tolist()]
        top.append(Fraction(int(model.cost[row].max())) / (1 - c.discount))
    return [(tuple(top),)] * model.S


def _with_costs(model: ConstrainedMDP, cost: Any) -> ConstrainedMDP:
    return ConstrainedMDP(
        model.choice_ptr, model.branch_ptr, model.branch_state, model.branch_prob, model.reward,
        cost, model.initial, model.terminal, cost_unit=model.cost_unit,
    )  # fmt: skip


def _least(vectors: set[Vector]) -> Front:
    """Those above no other, in ascending order."""
    kept: list[Vector] = []
    for v in sorted(vectors):
        if not any(all(a <= b for a, b in zip(u, v, strict=True)) for u in kept):
            kept.append(v)
    return tuple(kept)


def _thin(front: Front, most: int, merge: Merge) -> Front:
    """Merge neighbours, those that lie closest first, until few enough are left."""
    while len(front) > most:
        apart = [
            max(float(abs(a - b)) for a, b in zip(u, v, strict=True))
            for u, v in itertools.pairwise(front)
        ]
        i = apart.index(min(apart))
        front = _least({*front[:i], merge(front[i], front[i + 1]), *front[i + 2 :]})
    return front


def _select(found: set[Vector], before: Front, most: int) -> Front:
    """At most `most` of the vectors found, with one below each vector that was enough before.

    Other states rely on those: merging would pull the ground from under them. So the sets stay
    inductive: what covers an inductive set and follows from it in one step is inductive.
    """
    least = _least(found | set(before))
    kept: dict[Vector, None] = {}
    for u in before:
        below = [v for v in least if _covers((v,), u)]
        kept[min(below, key=lambda v: (v not in kept, sum(v)))] = None
    for v in least[:: max(1, len(least) // most)]:
        if len(kept) < most:
            kept[v] = None
    return tuple(sorted(kept))


def _covers(front: Front, budgets: Vector) -> bool:
    return any(all(u <= z for u, z in zip(v, budgets, strict=True)) for v in front)


def _check(model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...]) -> None:
    for i, c in enumerate(constraints):
        if c.boundary is Boundary.OPEN:
            raise SolverError.at(
                f"constraint {i}", "a closed boundary", "open", "verify the guard on its pairs"
            )
        cost = model.cost[model.cost_index(c.cost)]
        if c.horizon is None and (cost < 0).any():
            raise SolverError.at(
                f"cost {c.cost}", "costs >= 0 without a horizon", int(cost.min()), "set a horizon"
            )
