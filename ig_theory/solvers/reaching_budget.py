"""The least budget with which a goal is reached almost surely, for undiscounted costs.

From (s, z) some policy reaches the goal with probability 1 while the total cost paid on the way
never exceeds z iff ``z >= D(s)``. Only supports enter. On the pairs (s, z) this is almost sure
reachability, a nested fixed point ``nu X mu Y``; as positive costs lead to smaller budgets, it
splits into one nested fixed point per budget level, over the zero-cost choices alone:

``W_z = nu X mu Y. goal | {s: some choice has c > 0 and all successors in W_{z-c}}
| {s: some choice has c = 0, all successors in X and some successor in Y}``

and ``D(s)`` is the first z with s in ``W_z``. One choice per state is enough for every budget:
a choice that attains D(s) never lets D exceed what is left, and some branch of it comes closer
to the goal, in an order that every state has; so the goal is met with probability 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.budget import INFINITE
from ig_theory.cmdp import Bools, ConstrainedMDP, Ints
from ig_theory.errors import SolverError
from ig_theory.solvers.solution import Status

PLAIN = 2_000
"""Models with no more branches than this are not worth waiting for a compiler."""


@dataclass(frozen=True, eq=False)
class ReachingBudget:
    """What it takes to reach a goal almost surely.

    Attributes
    ----------
    goal : bool[S]
    demand : int64[S]
        D(s) in multiples of the model's ``cost_unit``; `INFINITE` where no budget is enough.
    policy : int64[S]
        The choice that attains D(s), for every budget; -1 at the goal and where D is infinite.
    order : int64[S]
        The proof of progress: some branch of a state's choice leads to a smaller number; -1
        where D is infinite.
    status : Status
        EXACT: integers throughout.
    """

    model: ConstrainedMDP
    cost: int
    goal: Bools
    demand: Ints
    policy: Ints
    order: Ints
    status: Status = Status.EXACT

    def budget_of(self, state: int) -> Fraction | float:
        """D(s) in the units of the cost; ``math.inf`` if no budget is enough."""
        number = int(self.demand[state])
        return math.inf if number >= INFINITE else number * self.model.cost_unit

    def contains(self, state: int, z: Fraction) -> bool:
        """Whether a budget of z is enough from this state."""
        return self.budget_of(state) <= z

    @property
    def initial(self) -> Fraction | float:
        """The least budget that is enough from every initial state."""
        first = np.flatnonzero((self.model.initial > 0).astype(bool))
        return max(self.budget_of(int(s)) for s in first)

    def proves_itself(self) -> bool:
        """Whether `policy` and `order` prove that `demand` is enough; O(B), nothing is solved.

        Every state with a finite demand either is a goal or has a choice whose cost and worst
        successor fit the demand and one of whose branches comes earlier in the order.
        """
        finite = self.demand < INFINITE
        states = np.flatnonzero(finite & ~self.goal)
        if (self.demand[self.goal] < 0).any() or (self.policy[states] < 0).any():
            return False
        ptr, successor = self.model.branch_ptr, self.model.branch_state
        worst = np.maximum.reduceat(self.demand[successor], ptr[:-1])[self.policy[states]]
        place = np.where(finite, self.order, np.iinfo(np.int64).max)
        first = np.minimum.reduceat(place[successor], ptr[:-1])[self.policy[states]]
        paid = self.model.cost[self.cost][self.policy[states]]
        owned = self.model.choice_state[self.policy[states]] == states
        fits = (paid >= 0) & (worst < INFINITE) & (paid + worst <= self.demand[states])
        return bool((owned & fits & (first < self.order[states])).all())


def reaching_budget(
    model: ConstrainedMDP, goal: str | Any, *, cost: int | str = 0
) -> ReachingBudget:
    """Compute D exactly, for all states.

    O(B log C) where zero-cost choices form no cycles; else a few passes over the zero-cost
    choices more for each distinct value of D.

    Parameters
    ----------
    goal : str or bool[S]
        A label, or the states; what happens (and is paid) after them does not count.
    cost
        Which cost: its index or its name.

    Raises
    ------
    SolverError
        If the goal is no label, a cost is negative, or sums of costs would overflow.

    Examples
    --------
    A budget of 2 is enough for ``pay``; ``try`` costs 1 each time it fails, and may always fail:

    >>> from ig_theory.builders import from_dict
    >>> model = from_dict(
    ...     {"s": {"pay": (2, 0, "g"), "try": (1, 0, {"s": 0.5, "g": 0.5})}},
    ...     initial="s",
    ...     labels={"goal": ["g"]},
    ... )
    >>> reaching_budget(model, "goal").initial
    Fraction(2, 1)

    Free tries reach it with probability 1 and no budget at all:

    >>> free = from_dict({"s": {"try": (0, 0, {"s": 0.5, "g": 0.5})}}, initial="s")
    >>> reaching_budget(free, free.terminal).initial
    Fraction(0, 1)
    """
    members = _members(model, goal)
    row = model.cost_index(cost)
    paid = np.ascontiguousarray(model.cost[row])
    if (paid < 0).any():
        choice = int(np.flatnonzero(paid < 0)[0])
        raise SolverError.at(
            f"cost of choice {choice}", "costs >= 0", int(paid[choice]),
            "shift the cost model so that no cost is negative",
        )  # fmt: skip
    if int(paid.max()) * model.S >= 2**61:
        raise SolverError.at(
            "costs", "sums below 2^61 units", int(paid.max()) * model.S, "use a coarser cost_unit"
        )
    from ig_theory.solvers.kernels.reaching import reaching_demands

    small = model.B <= PLAIN
    solve = reaching_demands.py_func if small else reaching_demands
    demand, policy, order = solve(
        model.choice_ptr, paid, model.branch_ptr, model.branch_state, members,
        np.ones(model.S, dtype=bool) if small else _cyclic(model, paid, members), INFINITE,
    )  # fmt: skip
    return ReachingBudget(model, row, members, demand, policy, order)


def _members(model: ConstrainedMDP, goal: Any) -> Bools:
    if isinstance(goal, str):
        if goal not in model.labels:
            known = ", ".join(model.labels) or "none"
            raise SolverError.at("goal", f"a label of: {known}", repr(goal), "name one of these")
        return np.asarray(model.labels[goal])
    members = np.asarray(goal)
    if members.dtype != np.bool_ or members.shape != (model.S,):
        raise SolverError.at(
            "goal", f"a label or bool[{model.S}]", f"{members.dtype}{list(members.shape)}",
            "say for each state whether it is a goal",
        )  # fmt: skip
    return members


def _cyclic(model: ConstrainedMDP, paid: Ints, goal: Bools) -> Bools:
    """The states on zero-cost cycles that meet no goal, bool[S]."""
    from ig_theory import kernels

    owner = model.choice_state[model.branch_choice]
    free = (paid == 0)[model.branch_choice] & ~goal[owner] & ~goal[model.branch_state]
    edge_ptr = model.branch_ptr[model.choice_ptr]
    order, start = kernels.components(edge_ptr, model.branch_state, free)
    cyclic = np.zeros(model.S, dtype=bool)
    cyclic[order] = np.repeat(np.diff(start) > 1, np.diff(start))
    cyclic[owner[free & (model.branch_state == owner)]] = True
    return cyclic
