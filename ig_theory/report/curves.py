"""Plots of answers, as SVG, PNG or PDF files; legible in black and white.

matplotlib is imported inside: the command line must start fast.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ig_theory.cmdp import Floats
from ig_theory.errors import IGTheoryError
from ig_theory.query.answer import Line, Mark, Panel, Plot
from ig_theory.report.figures import COLOURS, DASHES, FAINT, INK
from ig_theory.report.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")

SHAPES = ("o", "s", "^", "D")

MOST_MARKERS = 30
"""With more points than that, a line is drawn without markers."""

WIDTH = 6.4
HEIGHTS = {1: 3.8, 2: 5.4}
"""Inches by the number of panels."""

STYLE: Any = {
    "svg.hashsalt": "ig-theory", "font.size": 10, "font.family": "sans-serif", "text.color": INK,
    "axes.labelcolor": INK, "axes.edgecolor": FAINT, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "legend.fontsize": 9,
    "legend.frameon": False, "text.parse_math": False, "axes.titlesize": 10,
    "axes.formatter.useoffset": False,
}  # fmt: skip


def plottable(path: Path) -> Path:
    """The path, if a plot can be written under such a name.

    Raises
    ------
    IGTheoryError
        If its ending is none of `SUFFIXES`.

    Examples
    --------
    >>> plottable(Path("front.svg")).name
    'front.svg'
    """
    if path.suffix.lower() not in SUFFIXES:
        raise IGTheoryError.at(
            "--plot", f"a name that ends in {', '.join(SUFFIXES)}", repr(path.name), "name it so"
        )
    return path


def write_plot(plot: Plot, path: Path, title: str = "") -> None:
    """Draw a plot into a file, in one step: an interrupted run leaves none.

    Parameters
    ----------
    title
        Shown above the plot, after the plot's own.

    Raises
    ------
    IGTheoryError
        If the ending is unknown or the place cannot be written.
    """
    plottable(path)
    import matplotlib as mpl

    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Names of states may be in scripts that the font does not have.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure = _figure(plot, title)
        stamp = "CreationDate" if path.suffix.lower() == ".pdf" else "Date"
        metadata = {} if path.suffix.lower() == ".png" else {stamp: None}
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=160, metadata=metadata)


def _figure(plot: Plot, title: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = len(plot.panels)
    figure = Figure(figsize=(WIDTH, HEIGHTS.get(rows, 2.6 * rows)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(panels, plot.panels, strict=True):
        _panel(axes, panel, plot)
    panels[-1].set_xlabel(plot.x_label)
    panels[0].set_title(
        "\n".join(filter(None, (plot.title, title))), loc="left", pad=22 if plot.marks else 8
    )
    _vertical(panels[0], plot)
    for axes in panels[1:]:
        _vertical(axes, plot, named=False)
    return figure


def _panel(axes: Axes, panel: Panel, plot: Plot) -> None:
    if plot.log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda x, place: power_of_ten(x))
    looks: Iterator[tuple[str, Any, str]] = zip(
        itertools.cycle(COLOURS), itertools.cycle(DASHES), itertools.cycle(SHAPES), strict=False
    )
    for line, (colour, dash, shape) in zip(panel.lines, looks, strict=False):
        _draw(axes, line, colour, dash, shape)
    for mark in panel.marks:
        axes.axhline(float(mark.at), color=FAINT, lw=1.2, ls=(0, (1, 1.5)), zorder=1)
        axes.annotate(
            mark.label, (0, float(mark.at)), xycoords=("axes fraction", "data"),
            xytext=(4, -3), textcoords="offset points", ha="left", va="top", fontsize=9,
        )  # fmt: skip
    axes.set_ylabel(panel.y_label)
    axes.margins(x=0.04, y=0.14)
    if all(0 <= y <= 1 for line in panel.lines for y in (*line.lower, *line.upper)):
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -0.06), min(high, 1.14))
    if len(axes.get_legend_handles_labels()[1]) > 1:
        above = {"loc": "lower left", "bbox_to_anchor": (-0.01, 0.98), "ncols": 2}
        axes.legend(handlelength=3.2, **(above if len(plot.panels) > 1 else {"loc": "best"}))


def _draw(axes: Axes, line: Line, colour: str, dash: Any, shape: str) -> None:
    """The middle of the bounds, and a band between them where it can be seen."""
    x = np.array([float(v) for v in line.x])
    lower, upper = np.array(line.lower, dtype=float), np.array(line.upper, dtype=float)
    with np.errstate(invalid="ignore"):
        middle = np.where(lower == upper, lower, lower + (upper - lower) / 2)
    middle = np.where(np.isfinite(middle), middle, np.nan)
    if line.style == "rising":
        _between(axes, x, lower, upper, colour)
        return
    axes.plot(
        x, middle, color=colour, lw=1.6, ls=dash, label=line.label, zorder=3, ms=5,
        drawstyle="steps-post" if line.style == "steps" else "default",
        marker=shape if len(x) <= MOST_MARKERS else None,
    )  # fmt: skip
    step: Any = "post" if line.style == "steps" else None
    axes.fill_between(x, lower, upper, step=step, color=colour, alpha=0.25, lw=0)
    for place, name in enumerate(line.names):
        if name and math.isfinite(middle[place]):
            last = place == len(line.names) - 1
            axes.annotate(
                name, (x[place], middle[place]), xytext=(2 if last else 5, -4),
                textcoords="offset points", ha="right" if last else "left", va="top", fontsize=8,
            )  # fmt: skip


def _between(axes: Axes, x: Floats, lower: Floats, upper: Floats, colour: str) -> None:
    """Values that do not fall: between two points they are within the outer bounds of both."""
    above = np.append(upper[1:], upper[-1:])
    axes.fill_between(x, lower, above, step="post", color=colour, alpha=0.25, lw=0)
    looks = ((lower, "lower bound", "-"), (above, "upper bound", DASHES[1]))
    for values, label, dash in looks:
        axes.plot(x, values, color=colour, lw=1.4, ls=dash, drawstyle="steps-post", label=label)


def power_of_ten(x: float) -> str:
    """A tick of a logarithmic axis.

    >>> power_of_ten(100.0), power_of_ten(1e6), power_of_ten(1e-5)
    ('100', '10⁶', '10⁻⁵')
    """
    power = math.log10(x)
    if abs(power) < 4 or not math.isclose(power, round(power)):
        return f"{x:g}"
    return "10" + str(round(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _vertical(axes: Axes, plot: Plot, named: bool = True) -> None:
    """The marks of x; their labels stand above the axes, one above the other where they meet."""
    low, high = axes.get_xlim()
    placed: list[float] = []
    for mark in sorted(plot.marks, key=lambda m: float(m.at)):
        at = float(mark.at)
        axes.axvline(at, color=INK, lw=1.0, ls=(0, (4, 2)), zorder=2)
        if named:
            _label(axes, mark, (at - low) / (high - low), placed)


def _label(axes: Axes, mark: Mark, place: float, placed: list[float]) -> None:
    near = any(abs(place - other) < 0.3 for other in placed)
    placed.append(place)
    side = "right" if place > 0.8 else "left" if place < 0.2 else "center"
    axes.annotate(
        mark.label, (float(mark.at), 1), xycoords=("data", "axes fraction"),
        xytext=(0, 13 if near else 3), textcoords="offset points", ha=side, va="bottom",
        fontsize=9,
    )  # fmt: skip
