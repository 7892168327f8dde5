"""The HTML report: one page, no external resources, readable on paper and on dark screens."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from ig_theory.report import figures
from ig_theory.report.numbers import chance, quantity, short
from ig_theory.report.study import Study, describe, printable, worst
from ig_theory.report.table import count, shared_assumptions, start_text, trace_lines
from ig_theory.verdict import Outcome, Verdict

MEANING = {
    Outcome.SAFE: "Proved: every guard keeps its budget on every run.",
    Outcome.VIOLATED: "At least one guard breaks its budget; a shortest run that does is shown.",
    Outcome.INCONCLUSIVE: "Neither proved nor refuted: the bounds do not separate.",
    Outcome.ERROR: "At least one guard could not be judged. That is never counted as safe.",
}


def html_report(
    studies: Sequence[Study], version: str, certificates: Sequence[str | None] = ()
) -> str:
    """The page as text.

    Parameters
    ----------
    studies : one section each
    version : of the package, for the footer
    certificates : file name for each verdict in order, None where there is none

    Examples
    --------
    >>> "<h1>" in html_report([], "0")
    True
    """
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("ig_theory.report").joinpath("templates", "report.html.j2")
    verdicts = [verdict for study in studies for verdict in study.verdicts]
    paths = iter(list(certificates) or [None] * len(verdicts))
    outcome = worst(verdicts)
    page = environment.from_string(source.read_text(encoding="utf-8")).render(
        version=version,
        wbr=markupsafe.Markup("<wbr>"),
        outcome=outcome.value,
        meaning=MEANING[outcome] if verdicts else "Nothing was checked.",
        sections=[_section(study, f"s{i}", paths) for i, study in enumerate(studies)],
    )
    return printable(page)


def _section(study: Study, key: str, paths: Any) -> dict[str, Any]:
    drawn: list[tuple[str, str, str]] = []
    for i, picture in enumerate(study.safe_sets):
        title = "Safe set"
        if len(study.safe_sets) > 1:
            title += f": cost {picture.constraint.cost}"
        note = "Green: the remaining budgets with which a state can be kept safe."
        drawn.append((title, note, figures.safe_set_figure(picture, f"{key}safe{i}") or ""))
    drawn.append((
        "When violations happen", "Probability that the budget is broken by step t.",
        figures.violation_figure(study.verdicts, f"{key}time") or "",
    ))  # fmt: skip
    drawn.append((
        "The price of safety",
        "Up is more useful, left is closer to the base model. Circles are safe, crosses are not.",
        figures.price_figure(study.verdicts, f"{key}price") or "",
    ))  # fmt: skip
    return {
        "title": study.title,
        "constraints": [describe(constraint) for constraint in study.constraints],
        "rows": [_row(verdict, next(paths)) for verdict in study.verdicts],
        "figures": [figure for figure in drawn if figure[2]],
        "assumptions": [
            (text, "all guards" if len(whose) == len(study.verdicts) else ", ".join(whose))
            for text, whose in shared_assumptions(study.verdicts)
        ],
    }


def _row(verdict: Verdict, certificate: str | None) -> dict[str, Any]:
    witness = verdict.witness
    parts = verdict.guard.split(":")  # a long name may break after a colon
    return {
        "guard": verdict.guard,
        "parts": [f"{part}:" for part in parts[:-1]] + parts[-1:],
        "outcome": verdict.outcome.value,
        "violation": chance(verdict.violation),
        "reward": quantity(verdict.reward),
        "regret": quantity(verdict.regret),
        "kl": quantity(verdict.kl),
        "kl_ratio": "–" if verdict.kl_ratio is None else short(verdict.kl_ratio, 3, near_one=False),
        "urup": chance(verdict.urup),
        "arsp": chance(verdict.arsp),
        "false_interventions": chance(verdict.false_interventions),
        "states": count(verdict.states_explored),
        "seconds": f"{verdict.seconds:.2f}",
        "certificate": certificate,
        "error": verdict.error,
        "start": None if witness is None else start_text(witness),
        "trace": [] if witness is None else trace_lines(witness, most=60),
        "optimal": quantity(verdict.optimal_reward),
        "limit": quantity(verdict.kl_limit),
    }
