"""What deciding by latents costs in reward: inside the shield, and solved in latent space."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import Floats
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView
from ig_theory.guards.shield import allowed_or_least, restrict
from ig_theory.solvers.budgeted_value import solve_safe
from ig_theory.solvers.minimal_budget import SafeSet
from ig_theory.solvers.totals.safe_product import safe_product
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.value_table import ValueTable, value_table
from ig_theory.verdict import Bounds
from llm_bridge.abstraction.fibre import FibreSet


def best_inside(found: SafeSet, limit: int = DEFAULT_LIMIT) -> Bounds:
    """The best expected reward, on the real model, of policies inside a set's shield.

    The policy may see the state; only what it may choose is decided by the set. ``-inf`` where
    the constraint's budget does not cover the start.

    Raises
    ------
    SolverError
        If more than `limit` pairs can be reached.
    """
    if not found.start_is_safe():
        return Bounds(-np.inf, -np.inf)
    safe = safe_product(found.model, found.constraint, safe_set=found, limit=limit)
    _, solution = solve_safe(safe)
    return over_start(safe.product, solution.lower, solution.upper)


class LatentBest:
    """Plays, by block and budget, the choice that is best in the latent model.

    Solved in latent space: robust costs, so that it is safe on the real model from a budget that
    covers the start; mean rewards and probabilities, so that its reward there is what
    verification finds, not what the latent model promises. With more budget left than the latent
    model thought possible it plays for that budget.

    Parameters
    ----------
    found
        With an undiscounted constraint without horizon, and costs >= 0.

    Raises
    ------
    SolverError
        See `value_table`.
    """

    def __init__(self, found: FibreSet) -> None:
        self.found = found
        self.table: ValueTable = value_table(found.latent.mdp, found.inner.constraint)
        self._cache: dict[tuple[int, Fraction], int] = {}

    @property
    def promised(self) -> Bounds:
        """What the latent model takes the reward to be."""
        return self.table.initial

    def __call__(self, view: GuardView) -> Floats:
        """All probability on one choice; the least demanding ones where no choice is covered."""
        allowed = allowed_or_least(self.found, view)
        output = restrict(view.base, allowed)
        if view.state is None:
            raise SolverError.at("view.state", "the state", "None", "say which, for its block")
        block = self.found.latent.partition.block[view.state]
        budgets = view.budgets[0]
        for row in range(len(view)):
            action = self._action(int(block[row]), budgets.value(row))
            picked: NDArray[np.bool_] = allowed[row] & (view.action[row] == action)
            if action >= 0 and picked.any():
                output[row] = picked
        return output

    def _action(self, block: int, z: Fraction) -> int:
        key = block, z
        if key not in self._cache:
            choice = self.table.choice(block, min(z, self.table.constraint.budget))
            mdp = self.found.latent.mdp
            self._cache[key] = -1 if choice < 0 else int(mdp.choice_action[choice])
        return self._cache[key]
