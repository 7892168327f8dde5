"""The Lagrangian relaxation: maximise reward minus ``lam`` times cost, without a budget.

Its policies keep a budget in expectation at best; nothing makes them keep it surely.
"""

from __future__ import annotations

import numpy as np

from ig_theory.augmentation import every_choice, explore
from ig_theory.cmdp import ConstrainedMDP, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.total_reward import best_total


def lagrangian_policy(
    model: ConstrainedMDP, constraint: BudgetConstraint, lam: float
) -> dict[tuple[int, int], int]:
    """A deterministic policy that is greedy for ``r - lam c`` (both discounted by beta).

    Returns
    -------
    dict
        ``(state, time) -> choice``; time is 0 throughout when the horizon is infinite.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> [lagrangian_policy(model, BudgetConstraint(0), lam)[0, 0] for lam in (0.5, 2.0)]
    [0, 1]
    """
    row = model.cost_index(constraint.cost)
    # Without costs to count, the pairs are the states (at each time).
    free = BudgetConstraint(0, horizon=constraint.horizon, cost=constraint.cost)
    product = explore(_without_costs(model), free, every_choice, limit=2**31)
    gain = model.reward.astype(np.float64) - lam * float(model.cost_unit) * model.cost[row]
    solution = best_total(
        product, gain[product.choice], np.zeros(len(product)), model.reward_discount,
        np.ones(len(product.choice), dtype=bool),
    )  # fmt: skip
    assert solution.policy is not None
    nodes: Ints = np.flatnonzero(solution.policy >= 0)
    time = product.time[nodes] if product.timed else np.zeros(len(nodes), dtype=np.int64)
    picked = product.choice[solution.policy[nodes]]
    keys = zip(product.state[nodes].tolist(), time.tolist(), strict=True)
    return dict(zip(keys, picked.tolist(), strict=True))


def _without_costs(model: ConstrainedMDP) -> ConstrainedMDP:
    return ConstrainedMDP(
        model.choice_ptr, model.branch_ptr, model.branch_state, model.branch_prob,
        model.reward,
        np.zeros_like(model.cost), model.initial, model.terminal, cost_names=model.cost_names,
    )  # fmt: skip
