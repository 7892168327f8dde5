"""What a question is answered with: bounds, how sure they are, rows, and what a plot needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ig_theory.constraint import BudgetConstraint
from ig_theory.query.wording import between
from ig_theory.verdict import Bounds, Number

if TYPE_CHECKING:
    from ig_theory.solvers.solution import Status

Cell = Bounds | Number | str | bool | None
"""What a row holds; rationals stay Fractions. None: there is no such thing."""


@dataclass(frozen=True)
class Table:
    """Rows of an answer.

    Attributes
    ----------
    columns : tuple of (key, heading)
        The key for machines, the heading for people.
    rows : tuple of tuple of Cell
    """

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Line:
    """One line of a plot, with bounds at every point.

    Attributes
    ----------
    label : str
        Empty if the panel has one line only.
    x : tuple of numbers
    lower, upper : tuple of floats
    style : {"steps", "line", "rising"}
        ``steps``: each value holds up to the next x. ``rising``: nothing is known between the
        points but that the values do not fall.
    names : tuple of str
        What is written beside each point; empty if nothing.
    """

    label: str
    x: tuple[Number, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    style: Literal["steps", "line", "rising"] = "line"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A value of x (or, in a panel, of y) that is drawn as a labelled line."""

    at: Number
    label: str


@dataclass(frozen=True)
class Panel:
    """Lines that share the y axis; `marks` are horizontal."""

    y_label: str
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Plot:
    """Panels above each other that share the x axis; `marks` are vertical."""

    title: str
    x_label: str
    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...] = ()
    log_x: bool = False


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes
    ----------
    question : str
        Its name; see `QUESTIONS`.
    constraints : tuple of BudgetConstraint
    subject : str
        What the number is, as a phrase.
    value : Bounds or None
        The number; None if the answer is in the rows only.
    unit : str
        Empty where numbers have the unit of the rewards.
    status : Status
    findings : tuple of str
        What the number means where it needs words: infeasible, infinite.
    quantities : tuple of (name, Cell)
        Numbers beside the main one.
    table : Table or None
    plot : Plot or None
    notes : tuple of str
        What the answer assumes, and what it does not say.
    """

    question: str
    constraints: tuple[BudgetConstraint, ...]
    subject: str
    value: Bounds | None
    status: Status
    unit: str = ""
    findings: tuple[str, ...] = ()
    quantities: tuple[tuple[str, Cell], ...] = ()
    table: Table | None = None
    plot: Plot | None = None
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The answer for people, in one line."""
        if self.value is None:
            return self.subject
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.subject}: {between(self.value)}{unit}"

    def quantity(self, name: str) -> Any:
        """One of `quantities` by its name; None if there is none."""
        return dict(self.quantities).get(name)
