"""Expected discounted reward and cost of policies, at every state: what safe iteration asks.

An expected cost needs no budgets: its nodes are the states (at each time, if there is a
horizon). Costs are counted in multiples of the model's cost unit, whole numbers, so that
comparing a bound with the budget rounds nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from ig_theory.augmentation import RUNNING, Product
from ig_theory.budget import float_down, float_up
from ig_theory.chain import evaluate
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.expected.exact_costs import EXACT_SIZE, exact_costs
from ig_theory.solvers.expected.state_programs import StatePrograms
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.end_components import end_components
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.totals.states import reachable_states
from ig_theory.solvers.totals.total_reward import best_total
from ig_theory.verdict import Bounds

MOST_PUSHES = 5_000
"""Steps after which the visits of long runs are taken as they are."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A policy's values at every node, and their certified expectations at the start.

    Attributes
    ----------
    value, demand, time : float64[N]
        Approximate expected reward, cost (multiples of the unit) and length, the latter two
        discounted by gamma.
    reward, cost : Bounds
        At the start; `cost` in multiples of the unit.
    certified : bool
    """

    value: Floats
    demand: Floats
    time: Floats
    reward: Bounds
    cost: Bounds
    certified: bool


@dataclass(frozen=True, eq=False)
class Expectations:
    """A model and the budget of its expected cost.

    Attributes
    ----------
    product : Product
        The states that can be reached (at each time), without budgets.
    gain, price : float64[M]
        Reward and cost, in multiples of the unit, of each choice of `product`.
    budget : Fraction
        In multiples of the unit.
    """

    model: ConstrainedMDP
    constraint: BudgetConstraint
    product: Product
    gain: Floats
    price: Floats
    budget: Fraction

    @classmethod
    def of(cls, model: ConstrainedMDP, constraint: BudgetConstraint) -> Expectations:
        """Explore the states.

        Raises
        ------
        SolverError
            If the discounts are not equal and below 1, where some run need not end.

        Examples
        --------
        >>> from ig_theory.builders import from_dict
        >>> model = from_dict({"s": {"go": (1, 2, {"s": 0.5, "t": 0.5})}}, initial="s")
        >>> problem = Expectations.of(model, BudgetConstraint(3))
        >>> found = problem.evaluate(np.ones(1))
        >>> round(found.reward.middle, 9), round(found.cost.middle, 9)
        (4.0, 2.0)
        """
        row = model.cost_index(constraint.cost)
        product = reachable_states(model, constraint.horizon)
        _check_discounts(model, constraint, product)
        return cls(
            model, constraint, product,
            model.reward.astype(np.float64)[product.choice],
            model.cost[row].astype(np.float64)[product.choice],
            constraint.budget / model.cost_unit,
        )  # fmt: skip

    @property
    def beta(self) -> float:
        """Discount of the rewards."""
        return float(self.model.reward_discount)

    @property
    def gamma(self) -> float:
        """Discount of the costs."""
        return float(self.constraint.discount)

    @cached_property
    def running(self) -> Bools:
        """The nodes that have choices, bool[N]."""
        return np.asarray(self.product.outcome == RUNNING)

    @cached_property
    def start(self) -> Floats:
        """The initial distribution, float64[I], over ``product.initial``."""
        prob = self.product.initial_prob.astype(np.float64)
        return np.asarray(prob / prob.sum())

    def evaluate(self, weight: Floats) -> Evaluation:
        """Evaluate a policy, float64[M]; two-sided and checked, see `chain.evaluate`."""
        at_nodes = self.product.at_nodes
        earned, paid = at_nodes(weight * self.gain), at_nodes(weight * self.price)
        columns = [paid, np.where(self.running, 1.0, 0.0)]
        if self.beta == self.gamma:
            columns.append(earned)
            totals = evaluate(self.product, np.stack(columns, axis=1), self.gamma, weight)
            lower, upper, certified = totals.lower, totals.upper, totals.certified
        else:
            costs = evaluate(self.product, np.stack(columns, axis=1), self.gamma, weight)
            rewards = evaluate(self.product, earned[:, None], self.beta, weight)
            lower = np.hstack([costs.lower, rewards.lower])
            upper = np.hstack([costs.upper, rewards.upper])
            certified = costs.certified and rewards.certified
        with np.errstate(invalid="ignore"):
            middle = (lower + upper) / 2
        return Evaluation(
            middle[:, 2], middle[:, 0], middle[:, 1],
            self._certified(weight, self.gain, lower[:, 2], upper[:, 2]),
            self._certified(weight, self.price, lower[:, 0], upper[:, 0]),
            certified,
        )  # fmt: skip

    def decided(self, weight: Floats, found: Evaluation) -> Evaluation:
        """The same, with the exact cost where rounding alone hides whether the budget is kept."""
        size = self.model.B * (self.constraint.horizon or 1)
        if not found.cost.lower <= self.budget < found.cost.upper or size > EXACT_SIZE:
            return found
        (cost,) = exact_costs(self.model, (self.constraint,), self.per_choice(weight))
        exactly = cost / self.model.cost_unit
        return replace(found, cost=Bounds(exactly, exactly))

    def _certified(
        self, weight: Floats, per_choice: Floats, lower: Floats, upper: Floats
    ) -> Bounds:
        """Bounds at the start; exactly 0 where the policy never meets anything else."""
        if self.is_free(weight, per_choice):
            return Bounds(0.0, 0.0)
        return over_start(self.product, lower, upper)

    def is_free(self, weight: Floats, per_choice: Floats) -> bool:
        """Whether every choice that the policy can come to take earns (or costs) 0."""
        from ig_theory import kernels

        product, taken = self.product, weight > 0
        source = np.zeros(len(product), dtype=bool)
        source[product.choice_node[taken & (per_choice != 0)]] = True
        meets = kernels.backward(
            product.choice_ptr, product.branch_ptr, product.branch_node, taken, source
        )
        return not meets[product.initial].any()

    def backup(self, per_choice: Floats, discount: float, value: Floats) -> Floats:
        """``per_choice + discount P value`` of every choice, float64[M]."""
        from ig_theory.solvers.kernels.reward import backups

        product, out = self.product, np.empty(len(self.gain))
        backups(
            product.choice_ptr, np.arange(len(out)), per_choice, product.branch_ptr,
            product.branch_node, product.first_prob, product.prob, np.arange(len(product)),
            discount, value, out,
        )  # fmt: skip
        return out

    def programs(self, gain: Floats, price: Floats) -> StatePrograms:
        """The choices of every running node as points ``(price, gain)``."""
        counts = np.diff(self.product.choice_ptr)[self.running]
        first = self.product.choice_ptr[:-1][self.running]
        return StatePrograms(first, np.repeat(np.arange(len(counts)), counts), gain, price)

    def total(self, per_node: Floats, weight: Floats) -> Floats:
        """The expected gamma-discounted total of costs per node (approximate), float64[N]."""
        found = evaluate(self.product, per_node[:, None], self.gamma, weight)
        return np.asarray((found.lower + found.upper)[:, 0] / 2)

    def mean(self, value: Floats) -> float:
        """The mean over the initial distribution."""
        return float(self.start @ value[self.product.initial])

    def visits(self, weight: Floats) -> Floats:
        """Expected gamma-discounted visits of every node, to about a thousandth, float64[N]."""
        from ig_theory import kernels

        product = self.product
        mass = np.zeros(len(product))
        mass[product.initial] = self.start
        seen, after = mass.copy(), np.empty_like(mass)
        for _ in range(MOST_PUSHES):
            kernels.push(
                product.choice_ptr, weight, product.branch_ptr, product.branch_node,
                product.first_prob, product.prob, mass, after,
            )  # fmt: skip
            mass, after = self.gamma * after, mass
            seen += mass
            if mass[self.running].sum() <= 1e-3 * (1 - self.gamma or 1e-3) * seen.sum():
                break
        return seen

    def cheapest(self) -> tuple[Floats, Bounds]:
        """A policy of least expected cost, float64[M], and bounds of that cost."""
        found = best_total(
            self.product, -self.price, np.zeros(len(self.product)), self.constraint.discount,
            np.ones(len(self.price), dtype=bool),
        )  # fmt: skip
        assert found.policy is not None
        certified = found.status is not Status.UNCERTIFIED
        least = over_start(self.product, -found.upper, -found.lower)
        weight = self.product.deterministic(found.policy)
        return weight, least if certified else Bounds(-math.inf, least.upper)

    def in_units(self, cost: Bounds) -> Bounds:
        """Bounds in cost units, from multiples of them; floats are rounded outwards."""
        unit = self.model.cost_unit
        if isinstance(cost.lower, Fraction) and isinstance(cost.upper, Fraction):
            return Bounds(cost.lower * unit, cost.upper * unit)
        if not (math.isfinite(cost.lower) and math.isfinite(cost.upper)):
            return Bounds(float(cost.lower) * float(unit), float(cost.upper) * float(unit))
        return Bounds(
            float_down(Fraction(cost.lower) * unit) + 0.0,
            float_up(Fraction(cost.upper) * unit) + 0.0,  # no -0.0
        )

    def per_choice(self, weight: Floats) -> Floats:
        """A policy of the product as one of the model: [C], or [T, C] with a horizon."""
        product, base = self.product, self.model.base_policy.astype(np.float64)
        base = base / np.add.reduceat(base, self.model.choice_ptr[:-1])[self.model.choice_state]
        horizon = self.constraint.horizon
        out = np.tile(base, (1 if horizon is None else horizon, 1))
        time = product.time[product.choice_node] if product.timed else 0
        out[time, product.choice] = weight
        return out if product.timed else out[0]

    def from_choices(self, policy: Floats) -> Floats:
        """A policy of the model, [C] or [T, C], as one of the product, float64[M]."""
        product = self.product
        if policy.ndim == 1:
            return np.asarray(policy[product.choice])
        return np.asarray(policy[product.time[product.choice_node], product.choice])


def _check_discounts(model: ConstrainedMDP, constraint: BudgetConstraint, product: Product) -> None:
    """Expectations are finite and stationary policies are enough: or say why not."""
    beta, gamma = model.reward_discount, constraint.discount
    if constraint.horizon is not None or beta == gamma < 1:
        return
    component, _ = end_components(product, np.ones(len(product.choice), dtype=bool))
    stays = np.flatnonzero(component >= 0)
    if len(stays):
        name = model.state_name(int(product.state[stays[0]]))
        raise SolverError.at(
            "discounts", "reward_discount and cost discount equal and below 1 where a run need "
            f"not end (it can stay around state {name})", f"{beta} and {gamma}",
            "set both to the same number below 1, or set a horizon",
        )  # fmt: skip
