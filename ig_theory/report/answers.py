"""Answers of `ig_theory.query` for machines (strict JSON) and for people (a rich table).

In JSON a bounded quantity is ``{"lower", "upper", "exact"}`` as in verdicts; another number ``x``
that is rational has its text beside it as ``x_exact``. Infinities are ``"inf"``, ``"-inf"``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ig_theory.query.answer import Answer, Cell, Line, Plot, Table
from ig_theory.query.wording import between, decimal
from ig_theory.report.as_json import constraint_dict
from ig_theory.report.numbers import JSON, exact_text, json_bounds, json_number, quantity, short
from ig_theory.report.study import printable
from ig_theory.verdict import Bounds

if TYPE_CHECKING:
    from rich.table import Table as RichTable

SHORT = 12
"""Characters of the longest fraction that a cell holds."""

STATUS = {
    "exact": "exact: rational arithmetic throughout, nothing was rounded",
    "certified": "certified: the true value is within these bounds, which were checked, "
    "rounding included",
    "not certified": "NOT CERTIFIED: the bounds hold, but may be wide or trivial",
    "infeasible": "INFEASIBLE: no policy does what was asked",
}


def answer_dict(answer: Answer, model: str, budget_given: bool = True) -> JSON:
    """An answer as a dictionary that `json.dumps` accepts with ``allow_nan=False``.

    Parameters
    ----------
    model
        The model as it was named.
    budget_given
        False where the answer needs no budget and none was given: it is then null.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.query import ask
    >>> found = answer_dict(ask("min-budget", from_dict({"s": {"go": (1, 1, "t")}}, "s")), "one")
    >>> found["answer"], found["status"], found["table"][0]
    ({'lower': 1.0, 'upper': 1.0, 'exact': '1'}, 'exact',
     {'state': 's', 'start': True, 'budget': 1.0, 'budget_exact': '1'})
    """
    constraints = [constraint_dict(c) for c in answer.constraints]
    if not budget_given:
        constraints = [c | {"budget": None} for c in constraints]
    found: JSON = {
        "format": "ig-theory answer",
        "version": 1,
        "ask": answer.question,
        "model": model,
        "constraint": constraints[0],
        "constraints": constraints,
        "sentence": answer.sentence,
        "answer": json_bounds(answer.value),
        "unit": answer.unit or None,
        "status": answer.status.value,
        "findings": list(answer.findings),
        "quantities": {},
        "table": [] if answer.table is None else _rows(answer.table),
        "plot": None if answer.plot is None else _plot(answer.plot),
        "notes": list(answer.notes),
    }
    for name, value in answer.quantities:
        found["quantities"] |= _entry(name, value)
    return found


def status_line(answer: Answer) -> str:
    """How sure an answer is, in words."""
    if answer.value is None and answer.status.value == "certified":
        return "certified: all bounds were checked, rounding included"
    return STATUS[answer.status.value]


def rich_table(table: Table, most: int) -> RichTable:
    """The first rows as a table for the terminal."""
    from rich.markup import escape
    from rich.table import Table as RichTable

    shown = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rows = table.rows[:most]
    starts = [key for key, _ in table.columns].index("start") if _has_start(table) else None
    kept = [i for i in range(len(table.columns)) if i != starts]
    for i in kept:
        numeric = not any(isinstance(row[i], str | bool) for row in rows)
        shown.add_column(escape(table.columns[i][1]), justify="right" if numeric else "left")
    for row in rows:
        cells = [escape(cell_text(row[i])) for i in kept]
        if starts is not None and row[starts]:
            cells[0] += " (start)"
        shown.add_row(*cells)
    return shown


def cell_text(cell: Cell) -> str:
    """One cell for people: short rationals exactly, bounds to six digits.

    >>> cell_text(Fraction(1, 3)), cell_text(Bounds(0.25, 0.25)), cell_text(True), cell_text(None)
    ('1/3', '0.25', 'yes', '–')
    """
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, str):
        return " ".join(printable(cell).split())
    if isinstance(cell, Bounds):
        if cell.lower == cell.upper and isinstance(cell.lower, Fraction):
            return cell_text(cell.lower)
        return _range(cell)
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, Fraction):
        return _rational(cell)
    return f"{cell:.0f}" if cell.is_integer() and abs(cell) < 1e15 else short(cell, 6, False)


def _rational(number: Fraction) -> str:
    """As a fraction if that is short, else as a decimal number."""
    text, near = str(number), decimal(number, 6)
    if len(text) <= 6:
        return text
    return near if not near.endswith("..") or len(text) > SHORT else text


def _range(bounds: Bounds) -> str:
    """Bounds to six digits, as a range where that many are not known."""
    if bounds.width == float("inf"):
        return between(bounds)
    text = quantity(bounds, 6)
    return between(bounds) if ".." in text else text


def _has_start(table: Table) -> bool:
    return any(key == "start" for key, _ in table.columns)


def _rows(table: Table) -> list[JSON]:
    keys = [key for key, _ in table.columns]
    rows = []
    for row in table.rows:
        entry: JSON = {}
        for key, cell in zip(keys, row, strict=True):
            entry |= _entry(key, cell)
        rows.append(entry)
    return rows


def _entry(key: str, cell: Cell) -> JSON:
    if isinstance(cell, Bounds):
        return {key: json_bounds(cell)}
    if isinstance(cell, Fraction):
        return {key: json_number(cell), f"{key}_exact": exact_text(cell)}
    if isinstance(cell, float):
        return {key: json_number(cell)}
    return {key: cell}


def _plot(plot: Plot) -> JSON:
    return {
        "title": plot.title,
        "x_label": plot.x_label,
        "log_x": plot.log_x,
        "marks": [{"at": json_number(m.at), "label": m.label} for m in plot.marks],
        "panels": [
            {
                "y_label": " ".join(panel.y_label.split()),
                "marks": [{"at": json_number(m.at), "label": m.label} for m in panel.marks],
                "lines": [_line(line) for line in panel.lines],
            }
            for panel in plot.panels
        ],
    }


def _line(line: Line) -> JSON:
    return {
        "label": line.label,
        "style": line.style,
        "x": [json_number(x) for x in line.x],
        "x_exact": [exact_text(x) for x in line.x],
        "lower": [json_number(y) for y in line.lower],
        "upper": [json_number(y) for y in line.upper],
        "names": list(line.names),
    }
