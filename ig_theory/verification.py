"""Does this guard keep this model within its budgets, almost surely? The verdict.

SAFE comes only from the support graph in exact arithmetic: every pair that the guard can reach
was visited and none violates. VIOLATED comes with a run that violates. What is left open by a
limit or by rounding is INCONCLUSIVE; a guard that fails is an ERROR.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ig_theory.augmentation import DEFAULT_LIMIT, OPEN, Product
from ig_theory.certificate import about, safe_certificate, violation_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, Scope, as_constraints
from ig_theory.context import Context, Progress
from ig_theory.errors import ConstraintError
from ig_theory.guard import Asked, Guard, GuardFault
from ig_theory.metrics import ChainMetrics, kept_without_intervention, measure
from ig_theory.solvers.least_intrusive import differs
from ig_theory.verdict import Bounds, Outcome, Verdict, Witness
from ig_theory.witness import shortest_violation

PRICED_PAIRS = 500_000
"""Beyond this many pairs the price of safety is evaluated only if asked for."""


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
        context = context.rational()
    blank = Verdict(guard_name, model_name, context.constraints, Outcome.ERROR)
    try:
        product, on_grid = context.walk(Asked(guard), progress)
    except GuardFault as fault:
        return replace(blank, error=str(fault), seconds=time.perf_counter() - started)
    if price is None:
        price = len(product) <= PRICED_PAIRS
    labelled = price or "unsafe_prompt" in model.labels
    unsafe = context.unsafe_prompt if labelled else np.zeros(model.S, dtype=bool)
    metrics = measure(product, unsafe, exact, price)
    verdict = _decided(blank, product, context, metrics, on_grid)
    if verdict.certificate is not None and context.model is not model:
        verdict = replace(verdict, certificate=about(verdict.certificate, model))
    verdict = replace(
        verdict,
        violation=_at_least_the_witness(metrics.violation, verdict.witness),
        reward=metrics.reward, kl=metrics.kl,
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
    if product.complete and not (product.outcome == OPEN).any():
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


def _at_least_the_witness(violation: Bounds, witness: Witness | None) -> Bounds:
    """However rare, a violation is at least as probable as the run that shows it."""
    if witness is None:
        return violation
    # The float probability of a run is a product: a relative 1e-9 is more than its rounding.
    shown = float(witness.probability) * (1 - 1e-9)
    return violation if violation.lower >= shown else Bounds(shown, max(violation.upper, shown))


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
        notes.append("clipping z at c_max/(1-gamma) changes no sign of z (THEORY L1.clip)")
    if any(c.scope is Scope.TERMINAL for c in context.constraints) and not _signed_costs(context):
        notes.append("costs are >= 0: anytime and terminal ask the same (THEORY L1.horizon)")
    return tuple(notes)


def _signed(guard: Guard, context: Context) -> str:
    """With signed costs a budget can be overdrawn and refilled: say what both scopes give."""
    if any(c.horizon is None for c in context.constraints):
        return "costs are signed: c >= 0 fails; judged at every time (THEORY L1.signed)"
    found = []
    for scope in Scope:
        asked = [replace_scope(c, scope) for c in context.constraints]
        twin = Context(
            context.model, asked, state_limit=context.state_limit,
            grid=context.model.cost_unit / context.per_unit,
        )  # fmt: skip
        product, _ = twin.walk(Asked(guard), None)
        nobody = np.zeros(context.model.S, dtype=bool)
        chance = measure(product, nobody, exact=False, price=False).violation
        found.append(f"{scope.value} {float(chance.lower):.6g}..{float(chance.upper):.6g}")
    return (
        f"costs are signed: c >= 0 fails, so that anytime is stricter than terminal; "
        f"P(violated): {', '.join(found)} (THEORY L1.signed)"
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
    for name in ("minimal budget", "optimal reward", "KL limit"):
        why = context.why_not(name)
        if why is not None:
            notes.append(f"{name} is not given: {why}")
    for name in ("optimal reward is wide", "unsafe prompts"):
        why = context.why_not(name)
        if why is not None:
            notes.append(f"{name}: {why}")
    return tuple(notes)
