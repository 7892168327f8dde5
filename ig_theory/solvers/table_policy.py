"""The policy of a value table, followed on the exact pairs and evaluated on its own.

The table finds a policy in floats; this says what that policy is worth, in rationals where the
model is exact. The worth is a lower bound of V that owes nothing to the table's arithmetic.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT, Product, explore
from ig_theory.chain import evaluate, evaluate_exact
from ig_theory.cmdp import Floats
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView
from ig_theory.solvers.totals.start import expectation
from ig_theory.solvers.value_table import ValueTable
from ig_theory.verdict import Bounds


def follow(table: ValueTable, limit: int = DEFAULT_LIMIT) -> Product:
    """The chain that the table's policy induces from the start.

    Raises
    ------
    SolverError
        If some initial state cannot be kept safe, or more than `limit` pairs are reached.
    """
    model = table.model
    if table.initial.upper == -np.inf:
        raise SolverError.at(
            "table", "a start from which some policy is safe", "a start that is lost",
            "raise the budget",
        )  # fmt: skip

    def policy(view: GuardView) -> Floats:
        assert view.state is not None
        weight = np.zeros(view.base.shape)
        for row, state in enumerate(view.state.tolist()):
            chosen = table.choice(state, view.budgets[0].value(row))
            weight[row, chosen - int(model.choice_ptr[state])] = 1.0
        return weight

    product = explore(model, table.constraint, policy, limit=limit)
    if not product.complete:
        raise SolverError.at("pairs", f"at most {limit}", f"{len(product)} and more", "raise limit")
    return product


def worth(table: ValueTable, limit: int = DEFAULT_LIMIT) -> Bounds:
    """The expected reward of the table's policy: equal Fractions for exact models.

    Raises
    ------
    SolverError
        As `follow`; or if an exact model's components are too large for elimination.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.constraint import BudgetConstraint
    >>> from ig_theory.solvers.value_table import value_table
    >>> model = from_dict(
    ...     {"s": {"spend": (1, "1/3", {"s": 1}), "end": (0, 0, {"t": 1})}}, "s", exact=True
    ... )
    >>> worth(value_table(model, BudgetConstraint(2))).lower
    Fraction(2, 3)
    """
    product, model = follow(table, limit), table.model
    gain = model.reward if table.gain is None else table.gain
    # A choice that breaks the budget earns nothing (`Beyond.STOP`).
    earned = np.where(product.broken > 0, 0 * gain[0], gain[product.choice])
    earned = earned * (product.weight > 0)
    if gain.dtype == object:
        constant = [Fraction(0)] * len(product)
        weight = np.array([Fraction(int(w > 0)) for w in product.weight], dtype=object)
        for node, reward in zip(product.choice_node.tolist(), earned.tolist(), strict=True):
            constant[node] += reward
        value = evaluate_exact(product, constant, model.reward_discount, weight)
        pairs = zip(product.initial_prob.tolist(), product.initial.tolist(), strict=True)
        total = sum((prob * value[node] for prob, node in pairs), Fraction(0))
        return Bounds(total, total)
    floats = np.bincount(product.choice_node, weights=earned, minlength=len(product)).astype(float)
    totals = evaluate(product, floats[:, None], float(model.reward_discount))
    first = product.initial
    return expectation(product.initial_prob, totals.lower[first, 0], totals.upper[first, 0])
