"""Policies that are followed while nobody judges, and what was spent on the way."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import Policy, Product
from ig_theory.budget import RemainingBudget
from ig_theory.chain import exact_weights
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints, Numbers
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView
from ig_theory.solvers.totals.exact_total import as_fractions


def spent_at(product: Product) -> list[Fraction]:
    """What was spent on the way to each node, by the budget identity, discounted to time 0."""
    (constraint,) = product.constraints
    budgets = [b[0] for b in _values(product)]
    if constraint.discount == 1:
        return [constraint.budget - budgets[b] for b in product.budget.tolist()]
    powers = [constraint.discount**t for t in range(int(product.time.max(initial=0)) + 1)]
    pairs = zip(product.budget.tolist(), product.time.tolist(), strict=True)
    return [constraint.budget - powers[t] * budgets[b] for b, t in pairs]


def _values(product: Product) -> list[tuple[Fraction, ...]]:
    shown = product.store.shown(np.arange(len(product.store)))
    return [tuple(b.value(i) for b in shown) for i in range(len(product.store))]


def weights_on(product: Product, given: Policy | Numbers) -> npt.NDArray[Any]:
    """The policy's weights on a product's choices, each node's scaled to total 1."""
    if product.model.exact:
        if callable(given):
            return exact_weights(product)
        chosen = as_fractions(np.asarray(given)[product.choice])
        whole = as_fractions(np.zeros(len(product)))
        np.add.at(whole, product.choice_node, chosen)
        return np.asarray(chosen / whole[product.choice_node])
    total = product.at_nodes(product.weight)
    return np.asarray(product.weight / total[product.choice_node])


def by_choice(model: ConstrainedMDP, weights: Numbers) -> Policy:
    """The policy of weights of the model's choices, [C]."""
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


def shifted(policy: Policy, by: Fraction) -> Policy:
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
