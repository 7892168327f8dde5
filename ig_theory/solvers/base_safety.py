"""How often the base model violates by itself, from every pair it can be in.

``f(s, z) = P_base(never violated from (s, z))`` is a martingale along base runs;
guards that threshold it act on choices, so all choices are explored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ig_theory.augmentation import (
    BROKEN,
    DEFAULT_LIMIT,
    OPEN,
    Policy,
    Product,
    every_choice,
    explore,
)
from ig_theory.chain import Totals, evaluate
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.totals.branches import over_branches
from ig_theory.solvers.totals.safe_product import exact_limit
from ig_theory.tracker import ExactTracker, GridTracker, Tracker


@dataclass(frozen=True, eq=False)
class BaseSafety:
    """Violation probabilities of the base model on a product.

    Attributes
    ----------
    violation : Totals
        ``lower``, ``upper``: [N, 1].
    """

    product: Product
    violation: Totals

    def choice_safety(self) -> Floats:
        """P(never violated) after each choice and then following the base, float64[M]."""
        return over_branches(self.product, 1.0 - self.violation.upper[:, 0].clip(0.0, 1.0))


def base_safety(
    model: ConstrainedMDP,
    constraints: tuple[BudgetConstraint, ...],
    policy: Policy = every_choice,
    limit: int = DEFAULT_LIMIT,
) -> BaseSafety:
    """Explore and solve; pairs beyond `limit` count as violated in the upper bound.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> answer = base_safety(model, (BudgetConstraint(0),))
    >>> float(answer.violation.upper[0, 0].round(9))
    0.5
    """
    product = explore_all(model, constraints, policy, limit)
    constant = violation_constants(product, product.base)
    return BaseSafety(product, evaluate(product, constant, 1.0, product.base))


def explore_all(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], policy: Policy, limit: int
) -> Product:
    """The pairs a policy reaches: exact ones if they are few enough, else on the finest
    directed grid (rounding down) that fits the limit."""
    product = explore(model, constraints, policy, limit=exact_limit(constraints, limit))
    per_unit = 16
    while not product.complete and any(c.discount < 1 for c in constraints) and per_unit >= 1:
        trackers: list[Tracker] = [
            GridTracker(model, c, per_unit, up=False) if c.discount < 1 else ExactTracker(model, c)
            for c in constraints
        ]
        product = explore(model, constraints, policy, trackers=trackers, limit=limit)
        per_unit //= 4
    return product


def violation_constants(product: Product, weight: Floats) -> Floats:
    """What each node adds to P(violated), [N, 1]; OPEN nodes count as violated."""
    breaking = product.at_nodes(np.where(product.broken > 0, weight, 0.0))
    ended = (product.outcome == BROKEN) | (product.outcome == OPEN)
    return np.where(ended, 1.0, breaking)[:, None]
