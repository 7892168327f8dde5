"""Writes the report if one is asked for, and tells the exit code of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ig_theory.report.as_json import document
from ig_theory.report.numbers import JSON
from ig_theory.report.study import Study
from ig_theory.report.write import write_report


@dataclass(frozen=True)
class Reported:
    """What a run says to machines (`document`) and to people (`said`, empty without report)."""

    document: JSON
    exit_code: int
    said: str = ""


def report_study(studies: Sequence[Study], directory: Path | None) -> Reported:
    """The document of a run; with `directory`, its report is written there first."""
    verdicts = [verdict for found in studies for verdict in found.verdicts]
    paths: list[str | None] = []
    said = ""
    if directory is not None:
        names = write_report(directory, studies, metadata.version("ig-theory"))
        paths = [None if name is None else str(directory / name) for name in names]
        said = f"report: {directory / 'report.html'}"
    found = document(verdicts, paths)
    return Reported(found, int(found["exit_code"]), said)
