"""Expected-cost constraints ``E sum_t gamma^t c_t <= d``: the relaxed problem, and evaluations.

The weaker reading of a budget, which the occupation-measure LP and the Lagrangian relaxation
solve: a policy may exceed the budget on some runs if it stays below on others. Whether a
boundary is closed, and at which times the budget is judged, means nothing to an expectation.

With an infinite horizon the costs must be discounted like the rewards: then stationary policies
are enough and all criteria are linear in one occupation measure. With different discounts they
are not (the value and the cost of a step drift apart as time goes on), unless the horizon is
finite and the model is expanded over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from ig_theory.augmentation import RUNNING
from ig_theory.chain import ROUNDING, evaluate
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import SolverError
from ig_theory.solvers.expected.exact_costs import EXACT_SIZE, exact_costs
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.discounted_states import DiscountedStates
from ig_theory.solvers.totals.start import over_states
from ig_theory.solvers.totals.states import branch_probabilities, state_product, weights_of
from ig_theory.solvers.unconstrained import SMALL, backward_induction, unconstrained
from ig_theory.verdict import Bounds


@dataclass(frozen=True, eq=False)
class ExpectedCosts:
    """A model, its expected-cost constraints, and what both solvers ask of them."""

    model: ConstrainedMDP
    constraints: tuple[BudgetConstraint, ...]

    def __post_init__(self) -> None:
        beta = self.model.reward_discount
        for constraint in self.constraints:
            if self.horizon is None and constraint.discount != beta:
                raise SolverError.at(
                    "cost discount", f"the reward discount {beta} with an infinite horizon",
                    constraint.discount, "make them equal, or set a horizon",
                )  # fmt: skip

    @property
    def horizon(self) -> int | None:
        """How many steps there are; None: infinitely many."""
        return self.constraints[0].horizon

    @property
    def budgets(self) -> tuple[Fraction, ...]:
        """The budget of each constraint, in cost units."""
        return tuple(c.budget for c in self.constraints)

    @cached_property
    def reward(self) -> Floats:
        """Rewards, float64[C]."""
        return self.model.reward.astype(np.float64)

    @cached_property
    def cost(self) -> Floats:
        """The cost of each constraint in cost units, float64[K, C], to the nearest float."""
        rows = [self.model.cost_index(c.cost) for c in self.constraints]
        return self.model.cost[rows].astype(np.float64) * float(self.model.cost_unit)

    @cached_property
    def small(self) -> bool:
        """Whether to do without a compiler where that is possible."""
        return self.model.B <= SMALL

    @cached_property
    def sweeps(self) -> DiscountedStates:
        """The discounted problem, prepared for many gains."""
        return DiscountedStates(self.model, self.model.reward_discount)

    def discounted(self, t: int) -> tuple[Floats, Floats]:
        """Rewards [C] and costs [K, C] of time t in the money of time 0 (finite horizon)."""
        gammas = np.array([[float(c.discount**t)] for c in self.constraints])
        return self.reward * float(self.model.reward_discount**t), self.cost * gammas

    def relaxed(
        self, reward: float, prices: Floats, tolerance: float, start: Floats | None = None
    ) -> tuple[Bounds, Ints, Floats]:
        """Maximise ``reward * E sum beta^t r - prices . E sum gamma^t c`` without constraints.

        Returns
        -------
        Bounds, int64[S] or [T, S], float64[S]
            The optimum from the start, a deterministic policy that is as good, and a guess for
            the next call.
        """
        if self.horizon is not None:
            gains = []
            for t in range(self.horizon):
                earned, paid = self.discounted(t)
                gains.append(reward * earned - prices @ paid)
            found = backward_induction(self.model, gains, Fraction(1), exact=False)
            bounds = over_states(self.model, found.lower[0], found.upper[0])
            assert found.policy is not None
            return bounds, self._filled(found.policy[:-1]), found.lower[0]
        gain = reward * self.reward - prices @ self.cost
        if self.model.reward_discount == 1 or self.small:
            found = unconstrained(self.model, gain=gain, tolerance=tolerance).solution
        else:
            found = self.sweeps.solve(gain, "mpi", tolerance, start)
        assert found.policy is not None
        bounds = over_states(self.model, found.lower, found.upper)
        return bounds, self._filled(found.policy), found.lower

    def _filled(self, policy: Ints) -> Ints:
        """A choice at terminal states too."""
        return np.where(policy < 0, self.model.choice_ptr[:-1], policy)

    def worth(self, policy: Ints) -> list[Bounds]:
        """Checked bounds on the reward and then the costs of a deterministic policy."""
        if self.horizon is None and self.model.reward_discount < 1 and not self.small:
            lower, upper = self.sweeps.evaluate(policy, [self.reward, *self.cost])
            found = [over_states(self.model, low, up) for low, up in zip(lower, upper, strict=True)]
            return self._sharpened(found, weights_of(self.model, policy), None)
        return self.worth_of(weights_of(self.model, policy))

    def worth_of(self, weight: Floats, stop: Floats | None = None) -> list[Bounds]:
        """The same of a randomised policy, [C] or [T, C].

        Parameters
        ----------
        stop : float64[S], optional
            The probability to end the run at each visit; the weights make up the rest.
        """
        if self.horizon is not None:
            found = self._over_time(weight)
        else:
            found = self._by_chain(weight, stop)
        return self._sharpened(found, weight, stop)

    def _over_time(self, weight: Floats) -> list[Bounds]:
        model = self.model
        prob = branch_probabilities(model)
        value, error = np.zeros((1 + len(self.cost), model.S)), np.zeros(1 + len(self.cost))
        longest = int(np.diff(model.branch_ptr[model.choice_ptr]).max()) + 8
        for t in reversed(range(len(weight))):
            earned, paid = self.discounted(t)
            gains = np.vstack([earned, paid])
            after = np.add.reduceat(
                prob * value[:, model.branch_state], model.branch_ptr[:-1], axis=1
            )
            size = np.abs(value).max(axis=1) + np.abs(gains).max(axis=1)
            value = np.add.reduceat(weight[t] * (gains + after), model.choice_ptr[:-1], axis=1)
            error = (1 + longest * ROUNDING) * error + 2 * ROUNDING * longest * size
        return [
            over_states(model, v - e, v + e) for v, e in zip(value, error.tolist(), strict=True)
        ]

    def _by_chain(self, weight: Floats, stop: Floats | None) -> list[Bounds]:
        model = self.model
        product = state_product(model, weight)
        reached = self.reached(weight)
        # What is not reached ends at once; it must not widen the bounds.
        running = (product.outcome == RUNNING) & reached
        mask = running[product.choice_node]
        flow: Floats = product.weight * mask
        gains = np.vstack([self.reward, self.cost])[:, product.choice] * flow
        constant: Floats = np.stack([product.at_nodes(g) for g in gains], axis=1)
        killed = None if stop is None else np.where(running, stop, 0.0)
        if not reached.all():
            killed = np.where(reached, 0.0 if killed is None else killed, 1.0)
        totals = evaluate(product, constant, float(model.reward_discount), flow, killed)
        return [
            over_states(model, totals.lower[:, k], totals.upper[:, k])
            for k in range(constant.shape[1])
        ]

    def _sharpened(self, found: list[Bounds], weight: Floats, stop: Floats | None) -> list[Bounds]:
        """Costs that rounding leaves on both sides of their budget, made exact where possible."""
        out, exact = found[:1], None
        for k, (bounds, budget) in enumerate(zip(found[1:], self.budgets, strict=True)):
            if bounds.lower <= budget < bounds.upper < np.inf:
                if not self.cost[k, self.paid(weight)].any():  # no run ever pays
                    bounds = Bounds(0.0, 0.0)
                elif self.model.B * (self.horizon or 1) <= EXACT_SIZE:
                    if exact is None:
                        exact = exact_costs(self.model, self.constraints, weight, stop)
                    bounds = Bounds(exact[k], exact[k])
            out.append(bounds)
        return out

    def paid(self, weight: Floats) -> Bools:
        """The choices that some run of the policy takes, bool[C]."""
        used = weight > 0 if self.horizon is None else (weight > 0).any(axis=0)
        return np.asarray(used & self.reached(weight)[self.model.choice_state])

    def reached(self, weight: Floats | None = None) -> Bools:
        """The states that some run of the policy (of any, when absent) visits, bool[S]."""
        model = self.model
        seen = (model.initial > 0).astype(bool)
        front = seen.copy()
        time = 0
        while front.any() and (self.horizon is None or time < self.horizon):
            now = front[model.choice_state] & ~model.terminal[model.choice_state]
            if weight is not None:
                now &= (weight if self.horizon is None else weight[time]) > 0
            after = np.zeros(model.S, dtype=bool)
            after[model.branch_state[now[model.branch_choice]]] = True
            front = after if self.horizon is not None and weight is not None else after & ~seen
            seen |= after
            time += 1
        return seen


def expected_cost(
    model: ConstrainedMDP, constraints: BudgetConstraint | Sequence[BudgetConstraint]
) -> ExpectedCosts:
    """Read the constraints as expected costs.

    Raises
    ------
    SolverError
        If the horizon is infinite and a cost is not discounted like the rewards.
    ConstraintError, ModelError
        If there is no constraint, horizons differ, or a cost is unknown.
    """
    problem = ExpectedCosts(model, as_constraints(constraints))
    for constraint in problem.constraints:
        model.cost_index(constraint.cost)
    return problem


def judged(value: Bounds, kept: bool, tolerance: float) -> Status:
    """CERTIFIED if the policy keeps the budgets and the bounds are close enough."""
    close = value.lower == value.upper
    if not close and np.isfinite(float(value.upper)):
        close = value.width <= tolerance * (1 + abs(value.middle))
    return Status.CERTIFIED if kept and close else Status.UNCERTIFIED
