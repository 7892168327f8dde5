"""``ig-theory solve``: what the best guard could do, without a guard."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

from ig_theory.cli.certificates import needed
from ig_theory.cli.options import (
    BoundaryOption,
    BudgetOption,
    CostOption,
    DiscountOption,
    HorizonOption,
    JsonOption,
    ModelOption,
    ScopeOption,
    option,
    read_constraints,
)
from ig_theory.cli.output import console, print_json
from ig_theory.errors import IGTheoryError

if TYPE_CHECKING:
    from ig_theory.cmdp import ConstrainedMDP
    from ig_theory.constraint import BudgetConstraint

    Answer = Callable[[ConstrainedMDP, BudgetConstraint], dict[str, Any]]

MOST_ROWS = 40
"""States shown in the terminal; --json gives all."""


def solve(
    ask: Annotated[
        str,
        option("--ask", "The question.", metavar="min-budget|value|least-intrusive"),
    ] = "min-budget",
    model: ModelOption = None,
    budget: BudgetOption = None,
    discount: DiscountOption = "1",
    boundary: BoundaryOption = "closed",
    scope: ScopeOption = "anytime",
    horizon: HorizonOption = None,
    cost: CostOption = "0",
    json: JsonOption = False,
) -> int:
    """Minimal budgets, the best safe reward, or the least intervention of any safe guard."""
    answer = _questions().get(ask)
    if answer is None:
        raise IGTheoryError.at("--ask", " or ".join(_questions()), repr(ask), "ask one of these")
    from ig_theory.io.catalogue import open_model

    given = needed(model)
    if budget is None and ask == "min-budget":
        budget = "0"  # the minimal budgets do not depend on it
    constraint = read_constraints(
        None,
        {
            "budget": budget, "discount": discount, "boundary": boundary, "scope": scope,
            "horizon": horizon, "cost": cost,
        },
    )[0]  # fmt: skip
    found = {"model": given} | answer(open_model(given), constraint)
    if json:
        print_json(found)
    else:
        _show(found)
    return 0


def _questions() -> dict[str, Answer]:
    return {"min-budget": _min_budget, "value": _value, "least-intrusive": _least_intrusive}


def _min_budget(model: ConstrainedMDP, constraint: BudgetConstraint) -> dict[str, Any]:
    from ig_theory.report.as_json import constraint_dict
    from ig_theory.report.numbers import exact_text, json_number
    from ig_theory.solvers.minimal_budget import minimal_budget

    safe_set = minimal_budget(model, constraint)
    demand: list[Fraction | float] = [safe_set.budget_of(s) for s in range(model.S)]
    initial = [s for s in range(model.S) if model.initial[s] > 0]
    most = max(demand[s] for s in initial)
    rows = [
        {
            "state": model.state_name(s),
            "demand": json_number(demand[s]),
            "demand_exact": exact_text(demand[s]),
            "initial": s in initial,
        }
        for s in [*initial, *(s for s in range(model.S) if not model.initial[s] > 0)]
    ]
    return {
        "ask": "min-budget",
        "constraint": constraint_dict(constraint),
        "demand": json_number(most),
        "demand_exact": exact_text(most),
        "states": rows,
    }


def _value(model: ConstrainedMDP, constraint: BudgetConstraint) -> dict[str, Any]:
    from ig_theory.solvers.budgeted_value import budgeted_value

    return _bounds("value", budgeted_value(model, constraint).initial, constraint)


def _least_intrusive(model: ConstrainedMDP, constraint: BudgetConstraint) -> dict[str, Any]:
    from ig_theory.solvers.least_intrusive import least_intrusive

    return _bounds("least-intrusive", least_intrusive(model, constraint).initial, constraint)


def _bounds(ask: str, bounds: Any, constraint: BudgetConstraint) -> dict[str, Any]:
    from ig_theory.report.as_json import constraint_dict
    from ig_theory.report.numbers import json_bounds

    return {
        "ask": ask,
        "constraint": constraint_dict(constraint),
        "answer": json_bounds(bounds),
    }


def _show(found: dict[str, Any]) -> None:
    sentence = {
        "value": "best expected reward of any almost surely safe policy",
        "least-intrusive": "least KL from the base model of any almost surely safe guard, in nats",
    }.get(found["ask"])
    if sentence is not None:
        low, high = found["answer"]["lower"], found["answer"]["upper"]
        exact = found["answer"]["exact"]
        print(f"{sentence}:")
        print(f"  {low}" + (f" = {exact}" if exact else "" if low == high else f" to {high}"))
        return
    from rich.table import Table

    print(f"minimal budget from the start: {found['demand_exact'] or '∞'}")
    if found["demand_exact"] is None:
        print("  no budget is enough: every policy may, with some probability, spend for ever")
    table = Table(box=None, pad_edge=False)
    table.add_column("state")
    table.add_column("minimal budget D", justify="right")
    for row in found["states"][:MOST_ROWS]:
        mark = " (start)" if row["initial"] else ""
        table.add_row(f"{row['state']}{mark}", row["demand_exact"] or "∞")
    out = console()
    out.print(table, markup=False)
    left = len(found["states"]) - MOST_ROWS
    if left > 0:
        print(f"... {left} more states; --json shows all")
