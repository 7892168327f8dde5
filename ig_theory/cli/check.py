"""``ig-theory check``: the main job. Verifies guards and prints one table."""

from __future__ import annotations

from typing import Annotated

import typer

from ig_theory.cli.listing import guard_lines, model_lines
from ig_theory.cli.options import (
    STATE_LIMIT,
    BoundaryOption,
    BudgetOption,
    ConstraintOption,
    CostOption,
    DiscountOption,
    ExactOption,
    GridOption,
    HorizonOption,
    JsonOption,
    ModelOption,
    PriceOption,
    QuietOption,
    ReportOption,
    ScopeOption,
    StateLimitOption,
    read_constraints,
)
from ig_theory.cli.output import print_json, print_study, progress
from ig_theory.errors import IGTheoryError


def check(
    guards: Annotated[
        list[str] | None,
        typer.Argument(help="NAME, NAME:key=value, module:name or path.py:name.", metavar="GUARD"),
    ] = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    discount: DiscountOption = "1",
    boundary: BoundaryOption = "closed",
    scope: ScopeOption = "anytime",
    horizon: HorizonOption = None,
    cost: CostOption = "0",
    constraint: ConstraintOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
    exact: ExactOption = False,
    price: PriceOption = None,
    state_limit: StateLimitOption = STATE_LIMIT,
    grid: GridOption = None,
    quiet: QuietOption = False,
) -> int:
    """Verify guards on a model: a proof, or a run that breaks the budget; and the price."""
    if model is None or not guards:
        return _say_what_is_missing(model, guards, json)
    from ig_theory.cli.checking import Effort, study, with_safe_sets
    from ig_theory.cli.reporting import report_study
    from ig_theory.constraint import rational
    from ig_theory.io.catalogue import open_model

    constraints = read_constraints(
        constraint,
        {
            "budget": budget, "discount": discount, "boundary": boundary, "scope": scope,
            "horizon": horizon, "cost": cost,
        },
    )  # fmt: skip
    effort = Effort(exact, state_limit, None if grid is None else rational(grid, "--grid"), price)
    with progress(quiet or json) as tell:
        opened = open_model(model)
        found = study(guards, model, opened, constraints, effort, tell)
        if report is not None:
            found = with_safe_sets(found, opened)
    outcome = report_study([found], report)
    if json:
        print_json(outcome.document)
    else:
        print_study(found, quiet)
        if outcome.said:
            print(outcome.said)
    return outcome.exit_code


def _say_what_is_missing(model: str | None, guards: list[str] | None, json: bool) -> int:
    missing = "guard" if model is not None else "model"
    lines = guard_lines() if model is not None else model_lines()
    if not json:
        print(f"A {missing} can be:")
        print("\n".join(lines))
    example = "ig-theory check shield --model jailbreak-dialogue --budget 3"
    raise IGTheoryError.at(
        "check", "guards and --model", f"no {missing}", f"give one, e.g. {example}"
    )
