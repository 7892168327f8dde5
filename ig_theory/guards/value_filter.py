"""Value-filtered decoding: keep the choices after which the base model is likely to stay safe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import GuardError
from ig_theory.guard import Guard, GuardView
from ig_theory.guards.shield import restrict
from ig_theory.guards.table import TableGuard
from ig_theory.solvers.base_safety import base_safety

SLACK = 1e-9
"""Values this close below the threshold still pass it; they are floats."""


def value_filter(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    threshold: float = 0.9,
) -> Guard:
    """The base model on the choices with P_base(never violated) at least `threshold`.

    Where no choice passes it takes the safest. Not almost surely safe: the value is a
    probability, not a guarantee (THEORY L2.probability: only supports matter).

    Raises
    ------
    GuardError
        If the threshold is not in [0, 1].

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> guard = value_filter(model, BudgetConstraint(2), threshold=0.5)
    """
    if not 0 <= threshold <= 1:
        raise GuardError.at("threshold", "a number in [0, 1]", threshold, "it is a probability")
    solved = base_safety(model, as_constraints(constraint))

    def decide(view: GuardView, rows: Floats) -> Floats:
        value = np.where(view.enabled, rows, -1.0)
        passes = value >= threshold - SLACK
        none = np.asarray(~(passes & (view.base > 0)).any(axis=1))
        usable = np.where(view.base > 0, value, -1.0)
        safest = usable >= usable.max(axis=1, keepdims=True)
        return restrict(view.base, np.where(none[:, None], safest & view.enabled, passes))

    return TableGuard(solved.product, solved.choice_safety(), decide)
