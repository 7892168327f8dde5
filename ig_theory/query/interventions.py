"""How much a safe guard must change the base model (THEORY T5.limit)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ig_theory.augmentation import DEFAULT_LIMIT
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, Rational, rational
from ig_theory.errors import SolverError
from ig_theory.query.answer import Answer, Line, Panel, Plot, Table
from ig_theory.solvers.least_intrusive import least_intrusive
from ig_theory.solvers.soft import SoftFamily, SoftPoint, soft_family
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds

TEMPERATURES: tuple[Rational, ...] = ("10", "3", "1", "3/10", "1/10")

IMPOSSIBLE = "no almost surely safe policy has a finite divergence from the base model"


def intrusion(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], *, limit: int = DEFAULT_LIMIT
) -> Answer:
    """W: the least divergence of any almost surely safe guard."""
    found = least_intrusive(model, constraints, limit=limit).initial
    status = Status.CERTIFIED if math.isfinite(found.upper) else Status.UNCERTIFIED
    if found.lower == math.inf:
        status = Status.INFEASIBLE
    return Answer(
        "least-intrusive", constraints,
        "least KL divergence from the base model of any almost surely safe guard",
        found, status, "nats", (IMPOSSIBLE,) if status is Status.INFEASIBLE else (),
        notes=("expected, and summed over all steps without discount",),
    )  # fmt: skip


def soft(
    model: ConstrainedMDP,
    constraints: tuple[BudgetConstraint, ...],
    *,
    temperatures: Sequence[Rational] = TEMPERATURES,
    limit: int = DEFAULT_LIMIT,
) -> Answer:
    """Reward against divergence, from the least-intrusive safe policy to the optimal one."""
    given = [float(rational(t, "temperature")) for t in temperatures]
    if not given:
        raise SolverError.at("temperatures", "at least one", "none", "write them like 1,1/10")
    if min(given) <= 0:
        raise SolverError.at(
            "temperature", "a number above 0", min(given),
            "ask value for the limit 0, and least-intrusive for infinity",
        )  # fmt: skip
    family = soft_family(model, constraints, given, limit=limit)
    worst = [s for s in (Status.INFEASIBLE, Status.UNCERTIFIED) if _has(family, s)]
    status = worst[0] if worst else Status.CERTIFIED
    one = family.points[0].value if len(family.points) == 1 else None
    subject = "reward against change to the base model, among the almost surely safe policies"
    if one is not None:
        subject = f"best reward less {temperatures[0]} times KL divergence of safe policies"
    columns = (("temperature", "temperature"), ("reward", "reward"), ("kl", "KL [nats]"))
    rows = tuple((p.temperature, p.reward, p.kl) for p in family.frontier)
    beta = model.reward_discount
    notes = ["temperature ∞: the least-intrusive safe policy; 0: the optimal one"]
    if beta < 1:
        notes.append(f"reward and KL are both discounted by {beta}")
    return Answer(
        "soft", constraints, subject, one, status,
        findings=(IMPOSSIBLE,) if status is Status.INFEASIBLE else (),
        table=Table(columns, rows), plot=_plot(family.frontier), notes=tuple(notes),
    )  # fmt: skip


def _has(family: SoftFamily, status: Status) -> bool:
    return any(point.status is status for point in family.points)


def _plot(frontier: tuple[SoftPoint, ...]) -> Plot | None:
    shown = [p for p in frontier if math.isfinite(p.kl.middle) and math.isfinite(p.reward.middle)]
    if not shown:
        return None
    x = tuple(p.kl.middle for p in shown)
    ends: list[Bounds] = [p.reward for p in shown]
    lower, upper = (tuple(float(getattr(b, e)) for b in ends) for e in ("lower", "upper"))
    names = tuple(f"λ={_short(p.temperature)}" for p in shown)
    panel = Panel("expected reward", (Line("", x, lower, upper, "line", names),))
    return Plot(
        "Reward against change (λ: temperature)", "KL divergence from the base model [nats]",
        (panel,),
    )  # fmt: skip


def _short(temperature: float) -> str:
    return "∞" if math.isinf(temperature) else f"{temperature:g}"
