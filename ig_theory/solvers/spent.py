"""How much of a budget a policy spends: the distribution of ``S = sum gamma^t c_t``, its
value at risk and its conditional value at risk (Rockafellar & Uryasev).

With a horizon every run ends with an exact remaining budget, and ``S = d - gamma^T z_T``
(THEORY L1.identity). Without one, undiscounted costs are followed up to a cap; what is
spent beyond it is bounded from both sides.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import DEFAULT_LIMIT, KEPT, RUNNING, Policy, Product, explore
from ig_theory.chain import components, evaluate, evaluate_exact
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints, Numbers
from ig_theory.constraint import BudgetConstraint, Rational, Scope, rational
from ig_theory.errors import SolverError
from ig_theory.solvers.risk.earnings import best_of_states
from ig_theory.solvers.risk.spending import (
    by_choice,
    check_complete,
    check_endless,
    shifted,
    spent_at,
    weights_on,
)
from ig_theory.solvers.risk.spent_law import SpentDistribution
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.branches import with_sink
from ig_theory.solvers.totals.exact_total import as_fractions
from ig_theory.solvers.totals.start import over_start
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
    follow = weights if callable(weights) else by_choice(model, weights)
    if constraint.horizon is not None:
        judged = _judged(constraint, constraint.budget, Scope.TERMINAL)
        product = explore(model, judged, follow, limit=limit)
        check_complete(product, limit)
        return spent_on(product, weights_on(product, weights))
    row = model.cost[model.cost_index(constraint.cost)]
    check_endless(constraint, row)
    unit = model.cost_unit
    most = math.floor((constraint.budget if cap is None else rational(cap, "cap")) / unit) * unit
    shown = shifted(follow, constraint.budget - most)
    product = explore(model, _judged(constraint, most, Scope.ANYTIME), shown, limit=limit)
    check_complete(product, limit)
    return _with_tail(product, weights_on(product, weights), most)


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
        after = best_of_states(model, model.cost[row].astype(np.float64), Fraction(1)).upper
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
        found = over_start(product, totals.lower[:, k], totals.upper[:, k])
        out[s] = Bounds(max(found.lower, 0.0), min(found.upper, 1.0))
    return out


def _expected(product: Product, weight: npt.NDArray[Any], constant: list[Any]) -> Bounds:
    """The expected total of what nodes earn at once; exact where the weights are."""
    if weight.dtype == object:
        value: npt.NDArray[Any] = as_fractions(np.zeros(len(product)))
        value[:] = evaluate_exact(product, constant, Fraction(1), weight)
        return over_start(product, value, value)
    column = np.array([float(c) for c in constant])[:, None]
    totals = evaluate(product, column, 1.0, weight)
    return over_start(product, totals.lower[:, 0], totals.upper[:, 0])


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


def _judged(constraint: BudgetConstraint, budget: Fraction, scope: Scope) -> BudgetConstraint:
    return BudgetConstraint(
        budget, constraint.discount, scope=scope, cost=constraint.cost, horizon=constraint.horizon
    )


def _joint(probability: dict[Fraction, Bounds]) -> Status:
    known = all(p.width <= 1e-6 for p in probability.values())
    return Status.CERTIFIED if known else Status.UNCERTIFIED
