"""Risks: the probability to violate, and what the worst runs spend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, Rational
from ig_theory.errors import SolverError
from ig_theory.query.answer import Answer, Cell, Line, Mark, Panel, Plot, Table
from ig_theory.query.wording import between, exactly
from ig_theory.solvers.chance import ChanceValue, chance_curve
from ig_theory.solvers.cvar import least_cvar
from ig_theory.solvers.risk.spent_law import level_of
from ig_theory.solvers.solution import Status
from ig_theory.solvers.spent import cvar as cvar_of
from ig_theory.solvers.violation import least_violation
from ig_theory.verdict import Bounds

DELTAS: tuple[Rational, ...] = ("1/20",)
CURVE = tuple(Fraction(k, 100) for k in (0, 1, 2, 5, 10, 20, 30, 50, 70, 100))
"""The deltas of a plot, as shares of the way from the least P(violate) to 1."""

CLOSE = 1e-6
MOST_FOLLOWED = 20_000
"""States times levels of spending up to which a policy is followed."""

AFTER = {
    "stop": "a run ends at its first violation, and the violating step earns nothing",
    "free": "a run goes on after a violation, and earns what it can",
}


def violation(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], *, limit: int = DEFAULT_LIMIT
) -> Answer:
    """The least probability of ever violating, over all policies."""
    found = least_violation(model, constraints, limit=limit)
    findings = []
    if found.initial.upper == 0:
        findings.append("some policy is almost surely safe")
    elif found.initial.lower == 1:
        findings.append("every policy violates almost surely")
    elif found.initial.lower > 0:
        findings.append("no policy is almost surely safe")
    return Answer(
        "violation", constraints, "least probability of ever violating, over all policies",
        found.initial, found.status, findings=tuple(findings),
    )  # fmt: skip


def chance(
    model: ConstrainedMDP,
    constraints: tuple[BudgetConstraint, ...],
    *,
    deltas: Sequence[Rational] = DELTAS,
    after: Any = "stop",
    limit: int = DEFAULT_LIMIT,
    curve: bool = False,
) -> Answer:
    """The best reward with P(violate) at most delta."""
    if after not in AFTER:
        raise SolverError.at("after", " or ".join(AFTER), repr(after), "pick one")
    if not deltas:
        raise SolverError.at("deltas", "at least one", "none", "write them like 1/100,1/20")
    found = chance_curve(model, constraints, deltas, after=after, limit=limit)
    first, plot = found[0], None
    if curve:
        least = Fraction(first.least.upper)
        drawn = [least + share * (1 - least) for share in CURVE]
        more = chance_curve(model, constraints, drawn, after=after, limit=limit)
        plot = _plot([*found, *more])
    findings = []
    if first.status is Status.INFEASIBLE:
        findings.append(
            f"no policy violates with probability {first.delta} or less; "
            f"the least is {between(first.least)}"
        )
    columns = (
        ("delta", "delta"), ("value", "best reward"), ("violation", "P(violate)"),
        ("price", "reward per delta"), ("status", "status"),
    )  # fmt: skip
    return Answer(
        "chance", constraints,
        f"best expected reward with P(ever violate) at most {exactly(first.delta)}",
        first.value, first.status, findings=tuple(findings),
        quantities=(("least P(violate) of any policy", first.least),),
        table=Table(columns, tuple(_row(f) for f in found)), plot=plot,
        notes=(AFTER[after],
               "not almost surely safe: up to delta of the runs violate",
               "policies may randomise and remember what was spent"),
    )  # fmt: skip


def cvar(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    *,
    alpha: Rational = "19/20",
    limit: int = DEFAULT_LIMIT,
) -> Answer:
    """The least conditional value at risk of what is spent."""
    found = least_cvar(model, constraint, alpha, limit=limit)
    base = _of_base(model, constraint, alpha, limit)
    expected = least_cvar(model, constraint, 0, limit=limit)
    columns = (("policy", "policy"), ("cvar", "CVaR [cost units]"))
    findings: tuple[str, ...] = ()
    if found.value.lower == math.inf:
        findings = ("infinite: whatever is done, costs may go on for ever",)
    rows = (("of least CVaR", found.value), ("base model", base))
    return Answer(
        "cvar", (constraint,),
        f"least CVaR at level {alpha} of what is spent, over all policies", found.value,
        found.status, "cost units", findings,
        (("least expected cost", expected.value),), Table(columns, rows),
        notes=(f"CVaR: the mean of what the worst {exactly(1 - level_of(alpha))} of the runs spend",
               "spending is judged by nobody: the run goes on"),
    )  # fmt: skip


def _of_base(
    model: ConstrainedMDP, constraint: BudgetConstraint, alpha: Rational, limit: int
) -> Bounds:
    """The base model's CVaR; endless spending is followed further until the bounds are close."""
    if constraint.horizon is not None:
        return cvar_of(model, constraint, alpha, limit=limit)
    largest = int(model.cost[model.cost_index(constraint.cost)].max())
    cap = max(4 * largest, 1)
    found = cvar_of(model, constraint, alpha, cap=cap * model.cost_unit, limit=limit)
    # An infinite end stays infinite however far spending is followed.
    while CLOSE * (1 + found.middle) < found.width < math.inf and model.S * cap <= MOST_FOLLOWED:
        cap *= 2
        found = cvar_of(model, constraint, alpha, cap=cap * model.cost_unit, limit=limit)
    return found


def _row(found: ChanceValue) -> tuple[Cell, ...]:
    kept = found.status is not Status.INFEASIBLE
    return (
        found.delta, found.value if kept else None, found.violation if kept else None,
        (found.price if found.status is Status.EXACT else float(found.price)) if kept else None,
        found.status.value,
    )  # fmt: skip


def _plot(found: Sequence[ChanceValue]) -> Plot | None:
    by_delta = {f.delta: f for f in found if math.isfinite(float(f.value.lower))}
    if not by_delta:
        return None
    points = [by_delta[d] for d in sorted(by_delta)]
    bounds: list[Bounds] = [f.value for f in points]
    lower, upper = (tuple(float(getattr(b, e)) for b in bounds) for e in ("lower", "upper"))
    line = Line("", tuple(f.delta for f in points), lower, upper)
    least = found[0].least
    marks: tuple[Mark, ...] = ()
    if least.lower > 0:
        marks = (Mark(float(least.lower), f"least P(violate) ≈ {float(least.lower):.4g}"),)
    panel = Panel("best expected reward", (line,))
    return Plot("Reward against risk", "allowed probability of a violation, δ", (panel,), marks)
