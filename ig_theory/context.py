"""What several verifications of one model and its constraints share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import BROKEN, DEFAULT_LIMIT, OPEN, Product, base_choices, explore
from ig_theory.cmdp import Bools, ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import ConstraintError, SolverError
from ig_theory.guard import GuardView
from ig_theory.metrics import can_violate, kept_without_intervention
from ig_theory.solvers.least_intrusive import least_intrusive
from ig_theory.solvers.minimal_budget import SafeSet, minimal_budget
from ig_theory.solvers.safe_value import safe_value
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.safe_product import exact_limit
from ig_theory.tracker import BracketTracker, ExactTracker, Tracker
from ig_theory.verdict import Bounds

Progress = Callable[[int], None]


class Context:
    """What several guards on one model and its constraints share; computed when first asked.

    Parameters
    ----------
    model, constraints
    state_limit
        How many pairs an exploration may find.
    grid
        Step of the directed grid, in cost units, used where gamma < 1 and exact budgets are too
        many; the model's ``cost_unit / 16`` by default.

    Raises
    ------
    ConstraintError, ModelError
        If a constraint does not fit the model.
    """

    def __init__(
        self,
        model: ConstrainedMDP,
        constraints: BudgetConstraint | Sequence[BudgetConstraint],
        *,
        state_limit: int = DEFAULT_LIMIT,
        grid: Fraction | None = None,
    ) -> None:
        self.model = model
        self.constraints = as_constraints(constraints)
        self.rows = [model.cost_index(c.cost) for c in self.constraints]
        self.state_limit = state_limit
        self.per_unit = _per_unit(model, grid)
        self._cache: dict[str, Any] = {}
        self._twin: Context | None = None

    def _once(self, name: str, compute: Callable[[], Any]) -> Any:
        """The cached answer, or None with a note why there is none."""
        if name not in self._cache:
            try:
                self._cache[name] = compute(), None
            except SolverError as error:
                self._cache[name] = None, str(error)
        return self._cache[name][0]

    def why_not(self, name: str) -> str | None:
        """Why an answer could not be had."""
        why: str | None = self._cache.get(name, (None, None))[1]
        return why

    @property
    def safe_set(self) -> SafeSet | None:
        """The safe set, of a single constraint."""
        if len(self.constraints) > 1:
            return None
        found: SafeSet | None = self._once(
            "minimal budget", lambda: minimal_budget(self.model, self.constraints[0])
        )
        return found

    @property
    def optimal_reward(self) -> Bounds | None:
        """V from the start."""
        solved = self._once(
            "optimal reward",
            lambda: safe_value(self.model, self.constraints, limit=self.state_limit),
        )
        if solved is None:
            return None
        if solved.status is Status.UNCERTIFIED:
            self._cache["optimal reward is wide"] = None, "the value iteration was not certified"
        bounds: Bounds = solved.initial
        return bounds

    @property
    def kl_limit(self) -> Bounds | None:
        """W from the start."""
        solved = self._once(
            "KL limit",
            lambda: least_intrusive(self.model, self.constraints, limit=self.state_limit),
        )
        return None if solved is None else solved.initial

    @property
    def base(self) -> Product:
        """What the base model reaches by itself, on exact budgets or a grid."""
        product: Product = self._once("base", lambda: self.walk(base_choices, None)[0])
        return product

    @property
    def base_kept(self) -> Bounds:
        """P(the base model keeps the budgets)."""
        found: Bounds = self._once("base kept", lambda: kept_without_intervention(self.base))
        return found

    @property
    def unsafe_prompt(self) -> Bools:
        """Which initial states are unsafe prompts, bool[S]."""
        if "unsafe_prompt" in self.model.labels:
            return self.model.labels["unsafe_prompt"]
        found: Bools = self._once("unsafe prompts", lambda: _can_be_violated(self.base))
        if (self.base.outcome == OPEN).any():
            # A prompt whose violations lie beyond what was explored passes for a safe one.
            self._cache["unsafe prompts"] = (
                found,
                f"the base model was followed to {len(self.base)} pairs only, so that some "
                "may count as safe; raise the state limit or refine the grid",
            )
        return found

    def trackers(self, on_grid: bool) -> list[Tracker]:
        """Exact trackers, or bracketing ones for the discounted constraints."""
        return [
            BracketTracker(self.model, c, self.per_unit)
            if on_grid and c.discount < 1
            else ExactTracker(self.model, c)
            for c in self.constraints
        ]

    def walk(
        self, policy: Callable[[GuardView], Any], progress: Progress | None
    ) -> tuple[Product, bool]:
        """Explore under a policy: exact budgets if they are few enough, else on the grid.

        Returns
        -------
        product, on_grid
        """
        gridable = any(c.discount < 1 for c in self.constraints)
        limit = exact_limit(self.constraints, self.state_limit)
        product = explore(
            self.model, self.constraints, policy, trackers=self.trackers(False), limit=limit,
            progress=progress,
        )  # fmt: skip
        if product.complete or not gridable or can_violate(product):
            return product, False
        return (
            explore(
                self.model, self.constraints, policy, trackers=self.trackers(True),
                limit=self.state_limit, progress=progress,
            ),
            True,
        )  # fmt: skip

    def rational(self) -> Context:
        """The context of the same model in exact mode; kept, so that guards share it."""
        from ig_theory.builders import rationalised

        if self._twin is None:
            self._twin = Context(
                rationalised(self.model), self.constraints, state_limit=self.state_limit,
                grid=self.model.cost_unit / self.per_unit,
            )  # fmt: skip
        return self._twin


def _per_unit(model: ConstrainedMDP, grid: Fraction | None) -> int:
    if grid is None:
        return 16
    per_unit = model.cost_unit / grid if grid > 0 else Fraction(0)
    if per_unit.denominator != 1 or per_unit < 1:
        raise ConstraintError.at(
            "grid", f"cost_unit {model.cost_unit} divided by a whole number", grid,
            f"use {model.cost_unit / 16}, say",
        )  # fmt: skip
    return int(per_unit)


def _can_be_violated(base: Product) -> Bools:
    """States from which, as initial ones, the base model violates with positive probability."""
    from ig_theory import kernels

    bad = base.outcome == BROKEN
    bad[base.choice_node[base.broken > 0]] = True
    reach = kernels.backward(
        base.choice_ptr, base.branch_ptr, base.branch_node,
        np.ones(len(base.choice), dtype=bool), bad,
    )  # fmt: skip
    out = np.zeros(base.model.S, dtype=bool)
    out[base.state[base.initial]] = reach[base.initial]
    return out
