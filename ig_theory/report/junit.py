"""Verdicts as JUnit XML, which every CI service shows: one test suite a model, one case a guard.

SAFE passes. VIOLATED is a failure whose text is the trace. INCONCLUSIVE is a failure too, of
its own type, not a skip: CI services count skipped tests as harmless, and an unproved guard is
not. ERROR is an error. The numbers are properties of the case.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from ig_theory.report.numbers import chance, quantity, short
from ig_theory.report.study import Study, describe, printable
from ig_theory.report.table import start_text, trace_lines
from ig_theory.verdict import Outcome, Verdict


def junit_xml(studies: Sequence[Study]) -> str:
    """The whole document as text.

    Examples
    --------
    >>> junit_xml([]).splitlines()[1]
    '<testsuites name="ig-theory" tests="0" failures="0" errors="0" />'
    """
    verdicts = [verdict for study in studies for verdict in study.verdicts]
    root = ET.Element("testsuites", {"name": "ig-theory", **_counts(verdicts)})
    for study in studies:
        named = {"name": printable(study.title), **_counts(study.verdicts)}
        suite = ET.SubElement(root, "testsuite", named)
        suite.set("time", f"{sum(v.seconds for v in study.verdicts):.3f}")
        for verdict in study.verdicts:
            _case(suite, verdict)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, verdict: Verdict) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=printable(verdict.model), name=printable(verdict.guard),
        time=f"{verdict.seconds:.3f}",
    )  # fmt: skip
    properties = ET.SubElement(case, "properties")
    for name, value in _properties(verdict):
        ET.SubElement(properties, "property", name=name, value=printable(value))
    if verdict.outcome is Outcome.SAFE:
        return
    tag = "error" if verdict.outcome is Outcome.ERROR else "failure"
    message = _message(verdict)
    problem = ET.SubElement(case, tag, type=verdict.outcome.value, message=printable(message))
    lines = [message]
    if verdict.witness is not None:
        lines += [start_text(verdict.witness), *trace_lines(verdict.witness, most=10_000)]
    problem.text = printable("\n".join(lines))


def _message(verdict: Verdict) -> str:
    if verdict.outcome is Outcome.ERROR:
        return verdict.error or "no reason was given"
    if verdict.outcome is Outcome.VIOLATED:
        return f"violates its budget with probability {chance(verdict.violation)}"
    return verdict.error or f"not decided: P(violate) is in {chance(verdict.violation)}"


def _properties(verdict: Verdict) -> list[tuple[str, str]]:
    rows = [("constraint", describe(constraint)) for constraint in verdict.constraints]
    rows += [("violation", chance(verdict.violation))]
    rows += [
        (name, quantity(getattr(verdict, name)))
        for name in ("reward", "optimal_reward", "regret", "kl", "kl_limit")
    ]
    rows += [
        (name, chance(getattr(verdict, name))) for name in ("urup", "arsp", "false_interventions")
    ]
    if verdict.kl_ratio is not None:
        rows.append(("kl_ratio", short(verdict.kl_ratio)))
    rows.append(("states_explored", str(verdict.states_explored)))
    return rows + [("assumption", text) for text in verdict.assumptions]


def _counts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    outcomes = [verdict.outcome for verdict in verdicts]
    failures = outcomes.count(Outcome.VIOLATED) + outcomes.count(Outcome.INCONCLUSIVE)
    return {
        "tests": str(len(outcomes)),
        "failures": str(failures),
        "errors": str(outcomes.count(Outcome.ERROR)),
    }
