"""The plot of a comparison: reward against violation, sampled with intervals, or exact."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ig_theory.report.curves import STYLE, plottable, power_of_ten
from ig_theory.report.figures import COLOURS, FAINT
from ig_theory.report.files import replacing
from llm_bridge.compare import Sampled
from llm_bridge.compare_exact import ExactRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPREAD = 30
"""Where probabilities differ by more than this factor, their axis is logarithmic down to 0."""

SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")


def write_comparison(
    path: Path, found: Sequence[Sampled], exact: Sequence[ExactRow], title: str
) -> None:
    """Draw into a file, in one step: an interrupted run leaves none.

    Raises
    ------
    IGTheoryError
        If the ending is unknown, or the place cannot be written.
    """
    plottable(path)
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys([row.guard for row in exact] + [row.guard for row in found]))
    looks = dict(zip(names, _looks(), strict=False))
    parts: list[Any] = [(_exact, exact)] if any(row.prompts for row in exact) else []
    parts += [(_sampled, found)] if any(row.responses for row in found) else []
    with mpl.rc_context(STYLE):
        height = max(3.6 * max(len(parts), 1), 0.24 * len(names) + 1.2)
        figure = Figure(figsize=(8.4, height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(max(len(parts), 1), 1, squeeze=False)[:, 0]
        for axes, (draw, rows) in zip(panels, parts, strict=False):
            draw(axes, rows, looks)
            axes.grid(color=FAINT, alpha=0.25, lw=0.6)
            axes.set_axisbelow(True)
        panels[0].set_title("\n".join(textwrap.wrap(title, 62)), loc="left")
        handles: dict[str, Any] = {}
        for axes in panels:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(
            list(handles.values()), list(handles), loc="outside right upper", handlelength=1.2
        )
        stamp = "CreationDate" if path.suffix.lower() == ".pdf" else "Date"
        metadata = {} if path.suffix.lower() == ".png" else {stamp: None}
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=160, metadata=metadata)


def _looks() -> Any:
    """Colour and shape of each guard; shapes alone tell twelve apart in black and white."""
    return zip(itertools.cycle(COLOURS), itertools.cycle(SHAPES), strict=False)


def _exact(axes: Axes, rows: Sequence[ExactRow], looks: dict[str, tuple[str, str]]) -> None:
    """P(violate) to the right, reward up; filled where P is exactly 0."""
    from matplotlib.ticker import NullLocator

    for row in rows:
        if not (row.prompts and math.isfinite(row.reward)):
            continue
        colour, shape = looks[row.guard]
        axes.plot(
            [row.violation], [row.reward], shape, color=colour, ms=7, ls="", label=row.guard,
            mfc=colour if row.zero else "none", mew=1.5, clip_on=False, zorder=3,
        )  # fmt: skip
    chances = [row.violation for row in rows if row.prompts and row.violation > 0]
    if chances and max(chances) > SPREAD * min(chances):
        least = 10.0 ** math.floor(math.log10(min(chances)))
        axes.set_xscale("symlog", linthresh=least, linscale=0.5)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks([0.0, *_powers(least, max(chances))])
        axes.xaxis.set_major_formatter(lambda x, place: "0" if x == 0 else power_of_ten(x))
    axes.set_xlim(left=0)
    axes.margins(y=0.15)
    axes.set_xlabel("P(violate), exact; filled: exactly 0")
    axes.set_ylabel("expected reward")


def _powers(least: float, most: float) -> list[float]:
    """At most six powers of ten in a range."""
    low, high = round(math.log10(least)), math.floor(math.log10(most))
    step = max(1, -(-(high - low + 1) // 6))
    return [10.0**k for k in range(high, low - 1, -step)][::-1]


def _sampled(axes: Axes, rows: Sequence[Sampled], looks: dict[str, tuple[str, str]]) -> None:
    """The share of violations to the right with its interval, mean reward up."""
    for row in rows:
        if not row.responses:
            continue
        colour, shape = looks[row.guard]
        share = 1 - row.safe
        across = [[max(share - (1 - row.high), 0)], [max(1 - row.low - share, 0)]]
        error = row.reward_error if math.isfinite(row.reward_error) else 0.0
        axes.errorbar(
            [share], [row.reward], xerr=across, yerr=[[error], [error]], fmt=shape, color=colour,
            ms=6, mfc="white", mew=1.4, elinewidth=0.8, alpha=0.9, label=row.guard, clip_on=False,
        )  # fmt: skip
    axes.set_xlim(left=0)
    axes.margins(y=0.15)
    axes.set_xlabel("share of sampled responses that violate, 95 % interval")
    axes.set_ylabel("mean reward ± standard error")
