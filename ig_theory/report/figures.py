"""Figures of the HTML report, as inline SVG that follows the page's light or dark colours.

Each function returns SVG text without a header, with ids of its own, or None when there is
nothing to draw. matplotlib is imported inside: the command line must start fast.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ig_theory.report.study import SafeSetPicture, finite
from ig_theory.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that the page's style sheet redefines for dark screens. matplotlib writes them out
# as these hex codes; `_themed` replaces the codes by the variables.
INK, FAINT, KEPT, LOST = "#1b1f24", "#8a929c", "#2e8b6f", "#e9d9d3"
THEME = {INK: "--ink", FAINT: "--faint", KEPT: "--kept", LOST: "--lost"}

# Okabe and Ito's palette: distinct for colour-blind readers. Line styles tell lines apart in
# black and white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6a3f")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKERS = {Outcome.SAFE: "o", Outcome.VIOLATED: "X", Outcome.INCONCLUSIVE: "D"}

WIDTH = 8.6
"""Inches of every figure, so that their text has one size on the page."""

MOST_NAMED_STATES = 40
"""With more states than that, the safe set is drawn as a curve over the budget."""


def safe_set_figure(picture: SafeSetPicture, key: str) -> str | None:
    """The safe set over states and budgets: a bar a state, or their share for many states.

    Parameters
    ----------
    picture : the minimal budgets
    key : a prefix for the ids of this figure, unique on the page
    """
    if not picture.states:
        return None
    few = len(picture.states) <= MOST_NAMED_STATES
    draw = _bars if few else _share
    height = max(1.8, 0.24 * len(picture.states) + 0.9) if few else 3.2
    return _svg(lambda axes: draw(axes, picture), (WIDTH, height), key, "Safe set")


def violation_figure(verdicts: Sequence[Verdict], key: str) -> str | None:
    """P(violated by step t) of every guard that has it."""
    shown = [(i, v) for i, v in enumerate(verdicts) if len(v.violation_by_time) > 0]
    if not shown:
        return None
    from matplotlib.ticker import MaxNLocator

    longest = max(len(v.violation_by_time) for _, v in shown)

    def draw(axes: Axes) -> None:
        for place, verdict in shown:
            curve = list(verdict.violation_by_time)
            # A guard whose curve ends early has stopped: its probability stays as it is.
            curve += [curve[-1]] * (longest - len(curve))
            axes.step(
                range(longest), curve, where="post", label=verdict.guard, lw=2,
                color=COLOURS[place % len(COLOURS)], linestyle=DASHES[place % len(DASHES)],
            )  # fmt: skip
        highest = max(max(v.violation_by_time) for _, v in shown)
        axes.set_ylim(-0.03 * max(highest, 0.1), 1.12 * max(highest, 0.1))
        axes.set_xlim(0, max(longest - 1, 1))
        axes.set_xlabel("step t")
        axes.set_ylabel("P(violated by step t)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(axes)

    return _svg(draw, (WIDTH, 2.9), key, "Probability of a violation by time")


def price_figure(verdicts: Sequence[Verdict], key: str) -> str | None:
    """Reward against intervention (KL from the base model), one point a guard."""
    shown = [
        (i, v)
        for i, v in enumerate(verdicts)
        if v.kl is not None and v.reward is not None and math.isfinite(v.reward.middle)
    ]
    if not shown:
        return None
    known = finite(v.kl.middle for _, v in shown if v.kl is not None)
    limit = next((v.kl_limit.middle for _, v in shown if v.kl_limit is not None), math.inf)
    best = next((v.optimal_reward.middle for _, v in shown if v.optimal_reward), math.inf)
    right = 1.15 * max([*known, *finite([limit]), 0.1])

    def draw(axes: Axes) -> None:
        if math.isfinite(limit):
            axes.axvline(limit, color=KEPT, lw=1.2, ls="--", label="least KL of any safe guard")
        if math.isfinite(best):
            axes.axhline(best, color=FAINT, lw=1.2, ls=":", label="best safe reward")
        for place, verdict in shown:
            _point(axes, verdict, COLOURS[place % len(COLOURS)], right)
        axes.set_xlim(-0.04 * right, right * 1.04)
        axes.margins(y=0.15)
        axes.set_xlabel("intervention: KL from the base model [nats]")
        axes.set_ylabel("expected reward")
        _legend(axes)

    return _svg(draw, (WIDTH, 3.3), key, "Reward against intervention")


def _legend(axes: Axes) -> None:
    """A legend beside the axes, so that it never hides a point."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside right center", frameon=False)


def _point(axes: Axes, verdict: Verdict, colour: str, right: float) -> None:
    """A guard; hollow at the right edge when its divergence is infinite."""
    if verdict.kl is None or verdict.reward is None:
        return
    infinite = math.isinf(verdict.kl.middle)
    mark = MARKERS.get(verdict.outcome, "s")
    axes.plot(
        [right if infinite else verdict.kl.middle], [verdict.reward.middle], mark, ms=9,
        color=colour, markerfacecolor="none" if infinite else colour, linestyle="none",
        label=f"{verdict.guard}{' (KL = ∞)' if infinite else ''}", clip_on=False, zorder=3,
    )  # fmt: skip


def _bars(axes: Axes, picture: SafeSetPicture) -> None:
    """One row a state: the budgets too small for it, and from D(s) on those that suffice."""
    budget = float(picture.constraint.budget)
    demand = np.array(picture.demand)
    known = finite(picture.demand)
    right = 1.15 * max([budget, *known, 1e-9])
    order = sorted(range(len(demand)), key=lambda s: (-demand[s], -s))  # drawn upwards
    rows = np.arange(len(order))
    start = np.minimum(demand[order], right)
    axes.barh(rows, start, height=0.82, color=LOST)
    axes.barh(rows, right - start, left=start, height=0.82, color=KEPT)
    for row, state in zip(rows, order, strict=True):
        if math.isinf(demand[state]):
            axes.text(right / 50, float(row), "no budget is enough", va="center", color=FAINT)
    axes.axvline(budget, color=INK, lw=1.4, ls="--")
    axes.text(budget, len(rows) - 0.35, " budget d", ha="left", va="bottom", color=INK)
    names = [picture.states[s] for s in order]
    axes.set_yticks(rows, [n if len(n) <= 34 else f"{n[:33]}…" for n in names])
    axes.set_xlim(0, right)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("remaining budget z; from D(s) on, the state can be kept safe")


def _share(axes: Axes, picture: SafeSetPicture) -> None:
    """For many states: the share that a budget z keeps safe."""
    budget = float(picture.constraint.budget)
    known, counts = np.unique(finite(picture.demand), return_counts=True)
    right = 1.15 * max([budget, *known[-1:], 1e-9])
    share = np.cumsum(counts) / len(picture.states)
    places, heights = np.concatenate([[0.0], known, [right]]), np.concatenate([[0.0], share])
    heights = np.append(heights, heights[-1])
    axes.fill_between(places, heights, step="post", color=KEPT, lw=0)
    axes.fill_between(places, heights, 1, step="post", color=LOST, lw=0)
    axes.axvline(budget, color=INK, lw=1.4, ls="--")
    axes.text(budget, 1.02, " budget d", ha="left", va="bottom", color=INK)
    axes.set_xlim(0, right)
    axes.set_ylim(0, 1)
    axes.set_xlabel("remaining budget z")
    axes.set_ylabel(f"share of the {len(picture.states)} states\nthat z can keep safe")


def _svg(draw: Callable[[Axes], None], size: tuple[float, float], key: str, title: str) -> str:
    """Run `draw` on fresh axes, off screen, and return the SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none", "svg.hashsalt": key, "font.size": 10, "font.family": "sans-serif",
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT,
        "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
        "axes.spines.right": False, "legend.fontsize": 9, "text.parse_math": False,
    }  # fmt: skip
    with mpl.rc_context(style), warnings.catch_warnings():
        # Names of states may be in any script; the reader's browser has the fonts.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure = Figure(figsize=size, facecolor="none", layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot(facecolor="none")
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return _inline(out.getvalue(), key, title)


def _inline(svg: str, key: str, title: str) -> str:
    """SVG for the middle of a page: no header, no metadata, own ids, the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{key}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1; font-family: inherit", svg)
    for colour, variable in THEME.items():
        svg = svg.replace(colour, f"var({variable})")
    label = f'<svg role="img" aria-label="{escape(title)}"'
    return svg.replace("<svg", label, 1).strip()
