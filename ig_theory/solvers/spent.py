"""How much of a budget a policy spends: the distribution of ``S = sum gamma^t c_t``, its
value at risk and its conditional value at risk (Rockafellar & Uryasev).

With a horizon every run ends with an exact remaining budget, and ``S = d - gamma^T z_T``
(THEORY L1). Without one, undiscounted costs are followed up to a cap; what is spent beyond it is
bounded from both sides.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import DEFAULT_LIMIT, KEPT, RUNNING, Policy, Product, explore
from ig_theory.budget import RemainingBudget
from ig_theory.chain import components, evaluate, evaluate_exact, exact_weights
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints, Numbers
from ig_theory.constraint import BudgetConstraint, Rational, Scope, rational
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView
from ig_theory.solvers.chance_problem import Earnings, solve, without_costs
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.spent_law import SpentDistribution
from ig_theory.solvers.violation import as_fractions, start_bounds, with_sink
from ig_theory.verdict import Bounds, Number

ELIMINATION = 400_000
"""Pairs times values beyond which exact models are answered by certified floats."""

MOST_ENTRIES = 40_000_000
"""Pairs times values that are solved for at all."""


def spent_distribution(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    policy: Policy | Numbers | None = None,
    *,
    cap: Rational | None = None,
    limit: int = DEFAULT_LIMIT,
) -> SpentDistribution:
    """What a policy spends, judged by nobody: the run goes on when the budget is exceeded.

    One linear total per value: O(pairs * branches * values).

    Parameters
    ----------
    constraint
        Its budget is what the policy is shown at the start, its horizon the end of the run.
    policy
        A guard or other function of a view; or weights of the model's choices [C] (Fractions
        stay exact); the base policy when absent.
    cap
        Without a horizon: up to where spending is followed; the budget when absent.

    Raises
    ------
    SolverError
        Without a horizon: if costs are discounted or negative. If there are too many pairs.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 0, {"s": "1/2", "t": "1/2"})}}, initial="s", exact=True)
    >>> found = spent_distribution(model, BudgetConstraint(2, horizon=2))
    >>> [(str(s), str(p.lower)) for s, p in zip(found.value, found.probability)]
    [('1', '1/2'), ('2', '1/2')]
    >>> endless = spent_distribution(model, BudgetConstraint(2))
    >>> endless.tail.lower, endless.cvar(0).lower <= 2 <= endless.cvar(0).upper
    (Fraction(1, 4), True)
    """
    weights = model.base_policy if policy is None else policy
    follow = weights if callable(weights) else _by_choice(model, weights)
    if constraint.horizon is not None:
        judged = _judged(constraint, constraint.budget, Scope.TERMINAL)
        product = explore(model, judged, follow, limit=limit)
        check_complete(product, limit)
        return spent_on(product, _weights(product, weights))
    row = model.cost[model.cost_index(constraint.cost)]
    check_endless(constraint, row)
    unit = model.cost_unit
    most = math.floor((constraint.budget if cap is None else rational(cap, "cap")) / unit) * unit
    shown = _shifted(follow, constraint.budget - most)
    product = explore(model, _judged(constraint, most, Scope.ANYTIME), shown, limit=limit)
    check_complete(product, limit)
    return _with_tail(product, _weights(product, weights), most)


def cvar(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    alpha: Rational,
    policy: Policy | Numbers | None = None,
    *,
    cap: Rational | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Bounds:
    """CVaR_alpha of what a policy spends; see `spent_distribution`.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 0, {"s": "1/2", "t": "1/2"})}}, initial="s", exact=True)
    >>> cvar(model, BudgetConstraint(2, horizon=2), "1/2").lower
    Fraction(2, 1)
    """
    return spent_distribution(model, constraint, policy, cap=cap, limit=limit).cvar(alpha)


def spent_on(product: Product, weight: npt.NDArray[Any]) -> SpentDistribution:
    """What is spent on a timed product without breaking choices, under weights [M].

    Fractions give exact probabilities where elimination is feasible.
    """
    spent = spent_at(product)
    leaves = np.flatnonzero(product.outcome != RUNNING)
    probability = _reach(product, weight, leaves, spent)
    nothing: Number = Fraction(0)
    exact = all(isinstance(p.lower, Fraction) for p in probability.values())
    values = tuple(sorted(probability))
    none = Bounds(nothing, nothing)
    return SpentDistribution(
        values, tuple(probability[v] for v in values), none, none,
        values[-1], Status.EXACT if exact else _joint(probability),
    )  # fmt: skip


def spent_at(product: Product) -> list[Fraction]:
    """What was spent on the way to each node, by the budget identity, discounted to time 0."""
    (constraint,) = product.constraints
    budgets = [b[0] for b in _values(product)]
    if constraint.discount == 1:
        return [constraint.budget - budgets[b] for b in product.budget.tolist()]
    powers = [constraint.discount**t for t in range(int(product.time.max(initial=0)) + 1)]
    pairs = zip(product.budget.tolist(), product.time.tolist(), strict=True)
    return [constraint.budget - powers[t] * budgets[b] for b, t in pairs]


def total_of_states(model: ConstrainedMDP, gain: Numbers) -> Solution:
    """The best undiscounted total of every state without any budget, and the choice it takes.

    Parameters
    ----------
    gain : [C]
        What each choice of the model earns; Fractions are answered exactly where all totals are
        finite.

    Returns
    -------
    Solution
        Of the model's states; states that no run reaches are worth 0.
    """
    states = explore(
        without_costs(model), BudgetConstraint(0), lambda v: v.enabled.astype(float), limit=2**31
    )
    earned = gain[states.choice]
    nothing = np.zeros(len(states), dtype=earned.dtype) + (earned[:1].sum() * 0)
    found = solve(states, Earnings((earned, earned), (nothing, nothing)), Fraction(1))
    sides = []
    for side in (found.lower, found.upper):
        flat = np.zeros(model.S, dtype=side.dtype)
        flat[states.state] = side
        sides.append(flat)
    policy = np.full(model.S, -1)
    assert found.policy is not None
    running = np.flatnonzero(found.policy >= 0)
    policy[states.state[running]] = states.choice[found.policy[running]]
    return replace(found, lower=sides[0], upper=sides[1], policy=policy)


def _with_tail(product: Product, weight: npt.NDArray[Any], cap: Fraction) -> SpentDistribution:
    """Undiscounted and endless: runs that stop spending are at their end, the others go over."""
    resting = _resting(product, weight.astype(np.float64))
    settled = replace(product, outcome=np.where(resting, KEPT, product.outcome).astype(np.int8))
    weight = np.where(resting[product.choice_node], weight * 0, weight)
    model, unit = product.model, product.model.cost_unit
    row = model.cost_index(product.constraints[0].cost)
    spent = spent_at(product)
    breaks = np.flatnonzero((product.broken > 0) & (weight > 0))
    after = np.zeros(model.S)
    if len(breaks):
        after = total_of_states(model, model.cost[row].astype(np.float64)).upper
    sunk = with_sink(settled)
    leaves = np.flatnonzero(settled.outcome == KEPT)
    probability = _reach(sunk, weight, leaves, spent)
    over = _expected(sunk, weight, _at(sunk, len(product)))
    lower, upper = [0 * w for w in weight.tolist()], [0 * w for w in weight.tolist()]
    for j in breaks.tolist():
        paid = spent[product.choice_node[j]] + int(model.cost[row, product.choice[j]]) * unit
        low, high = model.branch_ptr[product.choice[j]], model.branch_ptr[product.choice[j] + 1]
        worst = float(np.max(after[model.branch_state[low:high]]))
        lower[j] = weight[j] * paid
        upper[j] = weight[j] * (paid + Fraction(worst) * unit) if worst < math.inf else math.inf
    least = _expected(sunk, weight, _at_owner(sunk, lower))
    infinite = math.inf in upper
    most = Bounds(0, math.inf) if infinite else _expected(sunk, weight, _at_owner(sunk, upper))
    exact = isinstance(over.lower, Fraction) and over.upper == 0
    values = tuple(sorted(probability))
    return SpentDistribution(
        values, tuple(probability[v] for v in values), over,
        Bounds(least.lower, most.upper), cap + unit,
        Status.EXACT if exact else _joint({**probability, cap + unit: over}),
    )  # fmt: skip


def _resting(product: Product, weight: Floats) -> Bools:
    """Nodes in classes that are never left; where budgets only fall nothing is spent there."""
    from ig_theory import kernels

    _, start, part = components(product, weight)
    leaves = np.zeros(len(start) - 1, dtype=bool)
    kernels.leaving(
        part, product.choice_ptr, weight, product.broken, product.branch_ptr, product.branch_node,
        leaves,
    )  # fmt: skip
    leaves[part[product.outcome != RUNNING]] = True
    return np.asarray(~leaves[part])


def _reach(
    product: Product, weight: npt.NDArray[Any], leaves: Ints, spent: list[Fraction]
) -> dict[Fraction, Bounds]:
    """P(end at a leaf where `s` is spent) for every s."""
    classes: dict[Fraction, list[int]] = {}
    for n in leaves.tolist():
        classes.setdefault(spent[n], []).append(n)
    if len(classes) * len(product) > MOST_ENTRIES:
        raise SolverError.at(
            "pairs times values", f"at most {MOST_ENTRIES}", len(classes) * len(product),
            "shorten the horizon, or coarsen the costs",
        )  # fmt: skip
    exact = weight.dtype == object and len(classes) * len(product) <= ELIMINATION
    if exact:
        try:
            return {
                s: _expected(product, weight, _at(product, *nodes)) for s, nodes in classes.items()
            }
        except SolverError:
            pass  # a component is too large for elimination: the certified floats stand
    constant = np.zeros((len(product), len(classes)))
    for k, nodes in enumerate(classes.values()):
        constant[nodes, k] = 1.0
    totals = evaluate(product, constant, 1.0, weight.astype(np.float64))
    out = {}
    for k, s in enumerate(classes):
        both = Solution(totals.lower[:, k], totals.upper[:, k], None, Status.CERTIFIED, 0.0)
        found = start_bounds(product, both)
        out[s] = Bounds(max(found.lower, 0.0), min(found.upper, 1.0))
    return out


def _expected(product: Product, weight: npt.NDArray[Any], constant: list[Any]) -> Bounds:
    """The expected total of what nodes earn at once; exact where the weights are."""
    if weight.dtype == object:
        value: npt.NDArray[Any] = as_fractions(np.zeros(len(product)))
        value[:] = evaluate_exact(product, constant, Fraction(1), weight)
        return start_bounds(product, Solution(value, value, None, Status.EXACT, 0.0))
    column = np.array([float(c) for c in constant])[:, None]
    totals = evaluate(product, column, 1.0, weight)
    found = Solution(totals.lower[:, 0], totals.upper[:, 0], None, Status.CERTIFIED, 0.0)
    return start_bounds(product, found)


def _at(product: Product, *nodes: int) -> list[Any]:
    constant = [Fraction(0)] * len(product)
    for n in nodes:
        constant[n] = Fraction(1)
    return constant


def _at_owner(product: Product, value: list[Any]) -> list[Any]:
    constant: list[Any] = [Fraction(0)] * len(product)
    for j, v in enumerate(value):
        if v:
            constant[product.choice_node[j]] += Fraction(v)
    return constant


def _weights(product: Product, given: Policy | Numbers) -> npt.NDArray[Any]:
    """The policy's weights on a product's choices, each node's scaled to total 1."""
    if product.model.exact:
        if callable(given):
            return exact_weights(product)
        chosen = as_fractions(np.asarray(given)[product.choice])
        whole = as_fractions(np.zeros(len(product)))
        np.add.at(whole, product.choice_node, chosen)
        return np.asarray(chosen / whole[product.choice_node])
    total = np.bincount(product.choice_node, weights=product.weight, minlength=len(product))
    return np.asarray(product.weight / total[product.choice_node])


def _by_choice(model: ConstrainedMDP, weights: Numbers) -> Policy:
    if np.shape(weights) != (model.C,):
        raise SolverError.at(
            "policy", f"a weight for each of {model.C} choices", np.shape(weights),
            "give an array [C], or a function of views",
        )  # fmt: skip
    floats = np.asarray(weights).astype(np.float64)

    def follow(view: GuardView) -> Floats:
        assert view.state is not None
        table = model.padded_choices[view.state]
        return np.asarray(np.where(table >= 0, floats[np.maximum(table, 0)], 0.0))

    return follow


def _shifted(policy: Policy, by: Fraction) -> Policy:
    """The same policy when it is shown budgets that are larger by `by`."""

    def follow(view: GuardView) -> npt.NDArray[Any]:
        moved = tuple(_moved(b, by) for b in view.budgets)
        return policy(replace(view, budgets=moved))

    return follow if by else policy


def _moved(budget: RemainingBudget, by: Fraction) -> RemainingBudget:
    shift = by / budget.unit * budget.denominator
    factor = shift.denominator
    return RemainingBudget(
        budget.numerator * factor + shift.numerator, budget.denominator * factor, budget.unit
    )


def _judged(constraint: BudgetConstraint, budget: Fraction, scope: Scope) -> BudgetConstraint:
    return BudgetConstraint(
        budget, constraint.discount, scope=scope, cost=constraint.cost, horizon=constraint.horizon
    )


def _values(product: Product) -> list[tuple[Fraction, ...]]:
    shown = product.store.shown(np.arange(len(product.store)))
    return [tuple(b.value(i) for b in shown) for i in range(len(product.store))]


def check_endless(constraint: BudgetConstraint, row: Ints) -> None:
    """Refuse costs whose endless totals are not followed exactly.

    Raises
    ------
    SolverError
        If costs are discounted or negative.
    """
    if constraint.discount < 1 or (row < 0).any():
        raise SolverError.at(
            "costs of endless runs", "undiscounted costs >= 0",
            f"discount {constraint.discount}, least cost {int(row.min())}",
            "set a horizon T; discounted costs after it add at most gamma^T c_max / (1 - gamma)",
        )  # fmt: skip


def check_complete(product: Product, limit: int) -> None:
    """Raise a `SolverError` if an exploration met its limit."""
    if not product.complete:
        raise SolverError.at(
            "pairs", f"at most {limit}", f"{len(product)} and more", "raise the state limit"
        )


def _joint(probability: dict[Fraction, Bounds]) -> Status:
    known = all(p.width <= 1e-6 for p in probability.values())
    return Status.CERTIFIED if known else Status.UNCERTIFIED
