"""``ig-theory demo``: the built-in guards on a dialogue and on FrozenLake, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ig_theory.cli.options import JsonOption, QuietOption, ReportOption
from ig_theory.cli.output import Progress, print_json, print_study, progress
from ig_theory.verdict import Outcome

if TYPE_CHECKING:
    from ig_theory.report.study import Study

TOUR = (("jailbreak-dialogue", "3"), ("frozenlake:8x8", "0"))
"""Models and budgets of the tour."""


def demo(
    report: ReportOption = Path("ig-report"), json: JsonOption = False, quiet: QuietOption = False
) -> int:
    """The tour: judge the built-in guards on two small models, and write the report.

    Exits with 0 although some of these guards are unsafe: that is the point of the tour.
    """
    from ig_theory.cli.reporting import report_study

    with progress(quiet or json) as tell:
        found = tour(tell)
    outcome = report_study(found, report)
    if json:
        print_json(outcome.document)
    else:
        for each in found:
            print_study(each, quiet)
        print(outcome.said)
    errors = any(verdict.outcome is Outcome.ERROR for each in found for verdict in each.verdicts)
    return Outcome.ERROR.exit_code if errors else 0


def tour(tell: Progress | None = None) -> list[Study]:
    """The studies of the tour, one a model."""
    from ig_theory.cli.checking import Effort, study, with_safe_sets
    from ig_theory.constraint import BudgetConstraint
    from ig_theory.guards import BUILT_IN
    from ig_theory.io.catalogue import open_model

    found = []
    for name, budget in TOUR:
        model = open_model(name)
        constraints = (BudgetConstraint(budget),)
        one = study(list(BUILT_IN), name, model, constraints, Effort(), tell)
        found.append(with_safe_sets(one, model))
    return found
