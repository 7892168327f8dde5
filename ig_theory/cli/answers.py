"""An answer in the terminal: what was asked, the number, how sure it is, and the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ig_theory.cli.output import console

if TYPE_CHECKING:
    from ig_theory.constraint import BudgetConstraint
    from ig_theory.query.answer import Answer


def show(answer: Answer, model: str, most: int, budget_given: bool) -> None:
    """Print an answer; at most `most` rows."""
    from ig_theory.query.wording import between
    from ig_theory.report.answers import cell_text, rich_table, status_line
    from ig_theory.verdict import Bounds

    out = console()

    def say(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    say(heading(model, answer.constraints, budget_given))
    say(answer.sentence if answer.status.value != "infeasible" else answer.subject)
    say(f"  {status_line(answer)}")
    for line in answer.findings:
        say(f"  {line}")
    for name, value in answer.quantities:
        say(f"  {name}: {between(value) if isinstance(value, Bounds) else cell_text(value)}")
    if answer.table is not None and answer.table.rows and most > 0:
        print()
        out.print(rich_table(answer.table, most))
        left = len(answer.table.rows) - most
        if left > 0:
            say(f"... {left} more rows; --states shows more, --json all")
    if answer.notes:
        print()
    for line in answer.notes:
        say(f"note: {line}")


def heading(model: str, constraints: Sequence[BudgetConstraint], budget_given: bool) -> str:
    """The model and its constraints in words; without a budget where none was given.

    >>> from ig_theory.constraint import BudgetConstraint
    >>> heading("chain", [BudgetConstraint(0, discount="9/10", horizon=5)], budget_given=False)
    'chain: cost 0, discount 9/10, 5 steps'
    """
    from ig_theory.report.study import describe

    if budget_given:
        return f"{model}: {'; '.join(map(describe, constraints))}"
    one = constraints[0]
    discount = f", discount {one.discount}" if one.discount != 1 else ""
    steps = f", {one.horizon} steps" if one.horizon is not None else ""
    return f"{model}: cost {one.cost}{discount}{steps}"
