"""Where output goes: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from ig_theory.report.study import Study

PIPE_WIDTH = 100
"""Columns when the output is no terminal."""

TABLE_WIDTH = 98
"""Columns that the whole table of verdicts needs."""

Progress = Callable[[str], None]


def console() -> Console:
    """Standard output, without emoji or guessed highlights."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(emoji=False, highlight=False, width=width)


def print_json(document: Any) -> None:
    """One strict JSON document."""
    print(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False))


def print_study(found: Study, quiet: bool = False) -> None:
    """The table of verdicts, then traces and notes."""
    from ig_theory.report.study import describe
    from ig_theory.report.table import verdict_notes, verdict_table

    out = console()
    words = "; ".join(describe(constraint) for constraint in found.constraints)
    narrow = out.width < TABLE_WIDTH
    out.print(verdict_table(found.verdicts, f"{found.title}: {words}", narrow))
    if not quiet:
        for line in verdict_notes(found.verdicts):
            out.print(line, soft_wrap=True)


@contextmanager
def progress(quiet: bool) -> Iterator[Progress | None]:
    """Something to tell how far the work is, on a terminal; None elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True, emoji=False).status("starting") as status:
        yield status.update
