"""The best reward with expected costs within their budgets: three solvers of one problem."""

from __future__ import annotations

from collections.abc import Sequence

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.query.answer import Answer, Cell, Line, Panel, Plot, Table
from ig_theory.solvers.lagrangian import lagrangian, mixture_violation
from ig_theory.solvers.lyapunov import Iterate, lyapunov
from ig_theory.solvers.occupation_lp import OccupationLP, occupation_lp
from ig_theory.solvers.policy_violation import policy_violation
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds

SUBJECT = "best expected reward with the expected cost within the budget"
NOT_SURE = "expectation only: not almost sure; single runs may spend more than the budget"
INFEASIBLE = "infeasible: even the cheapest policy costs more than the budget in expectation"
VIOLATES = "P(violate), read almost surely"


def linear_program(model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...]) -> Answer:
    """The occupation-measure linear program."""
    found = occupation_lp(model, constraints)
    if found.status is Status.INFEASIBLE:
        return _infeasible("lp", constraints)
    columns = (
        ("cost", "cost"), ("budget", "budget"), ("spent", "expected cost"),
        ("price", "reward per unit of budget"),
    )  # fmt: skip
    pairs = zip(constraints, found.costs, found.prices.tolist(), strict=True)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (str(c.cost), c.budget, spent, float(price)) for c, spent, price in pairs
    )
    return Answer(
        "lp", constraints, SUBJECT, found.value, found.status, quantities=_violates(model, found),
        table=Table(columns, rows), notes=(NOT_SURE, "prices are dual, up to rounding"),
    )  # fmt: skip


def relaxation(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], *, limit: int = DEFAULT_LIMIT
) -> Answer:
    """The Lagrangian relaxation, by column generation."""
    found = lagrangian(model, constraints)
    if found.status is Status.INFEASIBLE:
        return _infeasible("lagrangian", constraints)
    violates = mixture_violation(found, limit=limit) if found.columns else None
    names = _names(constraints)
    costs = [(f"cost_{k}", f"cost of {name}") for k, name in enumerate(names)]
    columns = (("share", "drawn with"), ("reward", "reward"), *costs)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (share, column.reward, *column.costs)
        for share, column in zip(found.shares, found.columns, strict=True)
    )
    prices = [
        (f"price of cost {name}", float(price))
        for name, price in zip(names, found.prices.tolist(), strict=True)
    ]
    totals = [
        (f"expected cost {name}", spent) for name, spent in zip(names, found.costs, strict=False)
    ]
    return Answer(
        "lagrangian", constraints, SUBJECT, found.value, found.status,
        quantities=(*totals, *prices, ("duality gap", float(found.gap)), (VIOLATES, violates)),
        table=Table(columns, rows),
        notes=(NOT_SURE, "one policy of the rows is drawn before the run and kept"),
    )  # fmt: skip


def safe_iteration(model: ConstrainedMDP, constraint: BudgetConstraint) -> Answer:
    """Safe policy iteration with Lyapunov functions."""
    found = lyapunov(model, constraint)
    if found.status is Status.INFEASIBLE:
        return _infeasible("lyapunov", (constraint,), (("least expected cost", found.cost),))
    columns = (("step", "step"), ("reward", "reward"), ("cost", "expected cost"))
    rows = tuple((i, step.reward, step.cost) for i, step in enumerate(found.history))
    quantities: tuple[tuple[str, Cell], ...] = (
        ("expected cost", found.cost), (VIOLATES, found.violation), ("steps", found.iterations),
    )  # fmt: skip
    return Answer(
        "lyapunov", (constraint,), "expected reward of the last policy within the budget",
        found.reward, found.status, quantities=quantities, table=Table(columns, rows),
        plot=_plot(found.history),
        notes=(NOT_SURE, "a policy that no step improves need not be the best: see lp"),
    )  # fmt: skip


def _infeasible(
    question: str,
    constraints: tuple[BudgetConstraint, ...],
    quantities: tuple[tuple[str, Cell], ...] = (),
) -> Answer:
    nothing = Bounds(float("-inf"), float("-inf"))
    return Answer(
        question, constraints, SUBJECT, nothing, Status.INFEASIBLE, findings=(INFEASIBLE,),
        quantities=quantities, notes=(NOT_SURE,),
    )  # fmt: skip


def _names(constraints: tuple[BudgetConstraint, ...]) -> list[str]:
    """The cost of each constraint; its place too where two are on one cost."""
    names = [str(c.cost) for c in constraints]
    if len(set(names)) == len(names):
        return names
    return [f"{name} (constraint {k + 1})" for k, name in enumerate(names)]


def _violates(model: ConstrainedMDP, found: OccupationLP) -> tuple[tuple[str, Cell], ...]:
    """How often the policy violates, where it is one of plain weights."""
    if len(found.constraints) > 1 or bool((found.stop > 0).any()):
        return ()
    return ((VIOLATES, policy_violation(model, found.constraints[0], found.weight, limit=200_000)),)


def _plot(history: Sequence[Iterate]) -> Plot:
    steps = tuple(range(len(history)))
    panels = tuple(
        Panel(label, (_line(steps, bounds),))
        for label, bounds in (
            ("expected reward", [step.reward for step in history]),
            ("expected cost\n[cost units]", [step.cost for step in history]),
        )
    )
    return Plot("Safe policy iteration", "step", panels)


def _line(steps: tuple[int, ...], bounds: list[Bounds]) -> Line:
    lower, upper = (tuple(float(getattr(b, e)) for b in bounds) for e in ("lower", "upper"))
    return Line("", steps, lower, upper)
