"""What a penalty on violations buys (THEORY T1.late)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, Rational, rational
from ig_theory.errors import SolverError
from ig_theory.query.answer import Answer, Cell, Line, Mark, Panel, Plot, Table
from ig_theory.solvers.penalty import finite_threshold
from ig_theory.solvers.penalty_curve import PenaltyCurve, PenaltyPoint, penalty_curve
from ig_theory.solvers.penalty_threshold import penalty_threshold
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds

PENALTIES: tuple[Rational, ...] = tuple(10**k for k in range(7))

COLUMNS = (
    ("n", "penalty n"), ("value", "V_n"), ("violation", "P(violate)"),
    ("reward", "reward"), ("safe", "safe"), ("first_violation", "first at t"),
)  # fmt: skip


def penalty(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    *,
    penalties: Sequence[Rational] = PENALTIES,
    limit: int = DEFAULT_LIMIT,
) -> Answer:
    """What the n-optimal policy of each n is worth and how often it violates."""
    given = sorted({float(rational(n, "penalties")) for n in penalties})
    if not given:
        raise SolverError.at("penalties", "at least one", "none", "write them like 1,10,100")
    found = penalty_curve(model, constraint, given, limit=limit)
    enough, notes = _threshold(model, constraint, limit)
    rows = tuple(_row(point) for point in found.points)
    statuses = {point.status for point in found.points}
    status = Status.UNCERTIFIED if Status.UNCERTIFIED in statuses else Status.CERTIFIED
    return Answer(
        "penalty", (constraint,),
        "a penalty above which every greedy policy is almost surely safe"
        if enough is not None else "no penalty is known to be enough",
        None if enough is None else Bounds(enough, enough), status, findings=_findings(found),
        quantities=(("best safe reward", found.safe_value),), table=Table(COLUMNS, rows),
        plot=_plot(found), notes=notes,
    )  # fmt: skip


def _threshold(
    model: ConstrainedMDP, constraint: BudgetConstraint, limit: int
) -> tuple[float | None, tuple[str, ...]]:
    """A sufficient n, or why none is known."""
    sufficient = "the threshold is sufficient; smaller n may be enough"
    try:
        if constraint.horizon is not None:
            return float(finite_threshold(model, constraint.horizon)), (sufficient,)
        n = penalty_threshold(model, constraint, limit=limit).n
    except SolverError as error:
        return None, (f"no threshold: {error}",)
    if n == math.inf:
        return None, ("no threshold: its bound is infinite",)
    return n, (sufficient, "and it is of this budget: none is enough for all of them")


def _row(point: PenaltyPoint) -> tuple[Cell, ...]:
    return (
        point.n, point.value, point.violation, point.reward, point.safe, point.first_violation
    )  # fmt: skip


def _findings(found: PenaltyCurve) -> tuple[str, ...]:
    if found.safe_value.upper == -math.inf:
        return ("infeasible: no policy is almost surely safe, so no penalty makes one so",)
    largest = max(found.points, key=lambda point: point.n)
    if largest.safe is False:
        when = largest.first_violation
        return (f"n = {largest.n:g} is not enough: its policy violates, at t = {when} or later",)
    return ()


def _plot(found: PenaltyCurve) -> Plot:
    points = [p for p in found.points if p.n > 0]
    x = tuple(p.n for p in points)
    times = [None, *(p.first_violation for p in points)]
    # A time is written where it changes.
    names = tuple("" if b in (a, None) else f"t={b}" for a, b in pairwise(times))
    violation = _line("", x, [p.violation for p in points], names)
    value = _line("value V_n of the penalised model", x, [p.value for p in points])
    reward = _line("reward of the n-optimal policy", x, [p.reward for p in points])
    safe = found.safe_value
    marks = (Mark(safe.middle, "best safe reward"),) if math.isfinite(safe.middle) else ()
    return Plot(
        "What a penalty buys", "penalty n on a violation [reward units]",
        (Panel("P(violate)\n(t: earliest)", (violation,)),
         Panel("expected reward", (value, reward), marks)),
        log_x=True,
    )  # fmt: skip


def _line(
    label: str, x: tuple[float, ...], bounds: list[Bounds], names: tuple[str, ...] = ()
) -> Line:
    lower, upper = (tuple(float(getattr(b, e)) for b in bounds) for e in ("lower", "upper"))
    return Line(label, x, lower, upper, names=names)
