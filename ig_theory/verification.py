"""Does this guard keep this model within its budgets, almost surely? The verdict.

SAFE comes only from the support graph in exact arithmetic: every pair that the guard can reach
was visited and none violates. VIOLATED comes with a run that violates. What is left open by a
limit or by rounding is INCONCLUSIVE; a guard that fails is an ERROR.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT, Product, base_choices, explore
from ig_theory.certificate import safe_certificate, violation_certificate
from ig_theory.cmdp import Bools, ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, Scope, as_constraints
from ig_theory.errors import ConstraintError, SolverError
from ig_theory.guard import Guard, GuardFault, GuardView, probabilities
from ig_theory.metrics import ChainMetrics, can_violate, kept_without_intervention, measure
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.least_intrusive import differs, least_intrusive
from ig_theory.solvers.minimal_budget import SafeSet, minimal_budget
from ig_theory.solvers.safe_product import exact_limit
from ig_theory.solvers.solution import Status
from ig_theory.tracker import BracketTracker, ExactTracker, Tracker
from ig_theory.verdict import Bounds, Outcome, Verdict
from ig_theory.witness import shortest_violation

Progress = Callable[[int], None]

PRICED_PAIRS = 500_000
"""Beyond this many pairs the price of safety is evaluated only if asked for."""


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
            lambda: budgeted_value(self.model, self.constraints, limit=self.state_limit),
        )
        if solved is None:
            return None
        if solved.status is Status.UNCERTIFIED:
            self._cache["optimal reward note"] = None, "the value iteration was not certified"
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


def verify(
    guard: Guard,
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    guard_name: str = "guard",
    model_name: str = "model",
    context: Context | None = None,
    state_limit: int = DEFAULT_LIMIT,
    grid: Fraction | None = None,
    exact: bool = False,
    price: bool | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Verify one guard; time and memory in proportion to the edges that it can reach.

    Parameters
    ----------
    guard
        Called on batches of every reachable (state, budget) pair.
    constraints
        All must be kept.
    context
        Shares the work on the model between guards; built from the other arguments if absent.
    exact
        Rationals for violation, reward and optimum. A float model's probabilities are taken as
        the rationals they are, each row scaled to total 1.
    price
        Whether to evaluate the price of safety too: reward and optimum, divergence and its
        limit, abstentions and false interventions. By default if at most `PRICED_PAIRS` pairs
        are reachable.
    progress
        Called with the number of pairs found so far.

    Returns
    -------
    Verdict
        Never raises for what a guard does: that is outcome ERROR.

    Raises
    ------
    ModelError, ConstraintError
        If the question itself is malformed.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.guards import open_guard
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> constraint = BudgetConstraint(2)
    >>> for name in ("shield", "unguarded"):
    ...     verdict = verify(open_guard(name, model, constraint)[1], model, constraint)
    ...     print(verdict.outcome.name, round(verdict.violation.middle, 6))
    SAFE 0.0
    VIOLATED 0.125
    """
    started = time.perf_counter()
    if context is None:
        context = Context(model, constraints, state_limit=state_limit, grid=grid)
    elif context.model is not model or context.constraints != as_constraints(constraints):
        raise ConstraintError.at(
            "context", "the one of this model and these constraints", "another", "build it anew"
        )
    if exact and not context.model.exact:
        context = _rational_context(context)
    blank = Verdict(guard_name, model_name, context.constraints, Outcome.ERROR)
    try:
        product, on_grid = context.walk(lambda view: probabilities(guard, view), progress)
    except GuardFault as fault:
        return replace(blank, error=str(fault), seconds=time.perf_counter() - started)
    if price is None:
        price = len(product) <= PRICED_PAIRS
    labelled = price or "unsafe_prompt" in model.labels
    unsafe = context.unsafe_prompt if labelled else np.zeros(model.S, dtype=bool)
    metrics = measure(product, unsafe, exact, price)
    verdict = replace(
        _decided(blank, product, context, metrics, on_grid),
        violation=metrics.violation, reward=metrics.reward, kl=metrics.kl,
        urup=metrics.urup if labelled else None, arsp=metrics.arsp,
        violation_by_time=metrics.violation_by_time, states_explored=len(product),
    )  # fmt: skip
    if price:
        verdict = replace(
            verdict, optimal_reward=context.optimal_reward, kl_limit=context.kl_limit,
            false_interventions=_false_interventions(context, product),
        )  # fmt: skip
    signed = (_signed(guard, context),) if _signed_costs(context) else ()
    notes = (*verdict.assumptions, *signed, *_notes(context, price))
    return replace(verdict, assumptions=notes, seconds=time.perf_counter() - started)


def _decided(
    blank: Verdict, product: Product, context: Context, metrics: ChainMetrics, on_grid: bool
) -> Verdict:
    """The outcome with its evidence: certificate or witness."""
    assumptions = _assumptions(product, context, on_grid)
    if metrics.reaches:
        witness = shortest_violation(product)
        return replace(
            blank, outcome=Outcome.VIOLATED, witness=witness, assumptions=assumptions,
            certificate=violation_certificate(product, witness, blank.guard, context.per_unit),
        )  # fmt: skip
    if product.complete and not (product.outcome == 3).any():
        certificate, covered = safe_certificate(
            product, context.safe_set, blank.guard, context.per_unit if on_grid else None
        )
        return replace(
            blank, outcome=Outcome.SAFE, certificate=certificate,
            assumptions=(*assumptions, *covered),
        )  # fmt: skip
    why = (
        f"the exploration stopped at {len(product)} pairs; raise the state limit"
        if not product.complete
        else "rounding leaves open whether the budget is kept; use a finer grid"
    )
    return replace(blank, outcome=Outcome.INCONCLUSIVE, assumptions=(*assumptions, why))


def _false_interventions(context: Context, product: Product) -> Bounds:
    accepted, kept = kept_without_intervention(product), context.base_kept
    if product.complete and context.base.complete and not differs(product, product.weight).any():
        return Bounds(0.0, 0.0)
    lower = float(kept.lower) - float(accepted.upper)
    upper = float(kept.upper) - float(accepted.lower)
    return Bounds(min(max(lower, 0.0), 1.0), min(max(upper, 0.0), 1.0))


def _assumptions(product: Product, context: Context, on_grid: bool) -> tuple[str, ...]:
    """What the verdict rests on, in plain words."""
    notes = ["the model's supports and costs are those of the deployed system"]
    discounted = [c for c in context.constraints if c.discount < 1]
    if on_grid:
        step = context.model.cost_unit / context.per_unit
        notes.append(f"the guard is shown the budget rounded down to a multiple of {step}")
    if any(c.horizon is None for c in discounted):
        notes.append("the tracker is clipped at c_max/(1-gamma), which changes no sign (THEORY L1)")
    if any(c.scope is Scope.TERMINAL for c in context.constraints) and not _signed_costs(context):
        notes.append("costs are >= 0, so that anytime and terminal ask the same (THEORY L1)")
    return tuple(notes)


def _signed(guard: Guard, context: Context) -> str:
    """With signed costs a budget can be overdrawn and refilled: say what both scopes give."""
    if any(c.horizon is None for c in context.constraints):
        return "costs are signed: c >= 0 fails; judged at every time (THEORY L1)"
    found = []
    for scope in Scope:
        asked = [replace_scope(c, scope) for c in context.constraints]
        twin = Context(
            context.model, asked, state_limit=context.state_limit,
            grid=context.model.cost_unit / context.per_unit,
        )  # fmt: skip
        product, _ = twin.walk(lambda view: probabilities(guard, view), None)
        nobody = np.zeros(context.model.S, dtype=bool)
        chance = measure(product, nobody, exact=False, price=False).violation
        found.append(f"{scope.value} {float(chance.lower):.6g}..{float(chance.upper):.6g}")
    return (
        f"costs are signed: c >= 0 fails, so that anytime is stricter than terminal; "
        f"P(violated): {', '.join(found)} (THEORY L1)"
    )


def _signed_costs(context: Context) -> bool:
    return bool((context.model.cost[context.rows] < 0).any())


def replace_scope(constraint: BudgetConstraint, scope: Scope) -> BudgetConstraint:
    """The constraint judged at other times."""
    return BudgetConstraint(
        constraint.budget, constraint.discount, constraint.boundary, scope, constraint.cost,
        constraint.horizon,
    )  # fmt: skip


def _notes(context: Context, price: bool) -> tuple[str, ...]:
    notes = []
    if not price:
        notes.append(
            "the price of safety was not asked for, or left out because there are more than "
            f"{PRICED_PAIRS} pairs; ask for it with --price"
        )
    safe_set = context.safe_set
    if safe_set is not None and not safe_set.start_is_safe():
        first = np.flatnonzero((context.model.initial > 0).astype(bool)).tolist()
        budget = context.constraints[0].budget
        state = next(s for s in first if not safe_set.contains(s, budget))
        least = safe_set.budget_of(state)
        needs = (
            "needs an infinite budget: whatever is chosen, some run pays for ever"
            if least == float("inf")
            else f"needs a budget {'above' if least == budget else 'of at least'} {least}"
        )
        notes.append(
            f"no guard can be safe here: initial state {context.model.state_name(state)} {needs}, "
            f"and has {budget}"
        )
    for name in ("minimal budget", "optimal reward", "KL limit", "optimal reward note"):
        why = context.why_not(name)
        if why is not None:
            notes.append(f"{name} is not given: {why}")
    return tuple(notes)


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

    bad = base.outcome == 2
    bad[base.choice_node[base.broken > 0]] = True
    reach = kernels.backward(
        base.choice_ptr, base.branch_ptr, base.branch_node,
        np.ones(len(base.choice), dtype=bool), bad,
    )  # fmt: skip
    out = np.zeros(base.model.S, dtype=bool)
    out[base.state[base.initial]] = reach[base.initial]
    return out


def _rational_context(context: Context) -> Context:
    """The context of the same model in exact mode; kept, so that guards share it."""
    from ig_theory.builders import rationalised

    if "rational" not in context._cache:
        twin = Context(
            rationalised(context.model), context.constraints, state_limit=context.state_limit,
            grid=context.model.cost_unit / context.per_unit,
        )  # fmt: skip
        context._cache["rational"] = twin, None
    twin = context._cache["rational"][0]
    assert isinstance(twin, Context)
    return twin
