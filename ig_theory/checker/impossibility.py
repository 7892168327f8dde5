"""Kind ``impossibility``: budgets that no policy can do with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ig_theory.checker.reading import (
    Claim,
    Constraint,
    below,
    choices,
    flags,
    positive,
    rows,
    starts,
    support,
    whole,
    words,
)
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError


@dataclass(frozen=True)
class _Bound:
    """What the certificate claims: z is lost below `lower`, and at it where `strict`."""

    scale: int
    lower: list[list[int]]
    strict: list[list[int]]
    rank: list[int] | None


def check_impossibility(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[Constraint]
) -> Claim:
    """THEORY T4.impossibility, T4.ranking: whatever is chosen, a branch leads from lost to lost.

    With a horizon the claim of ``n`` steps to go rests on that of ``n - 1``. Without one, a run
    that stays lost must come to an end: for gamma < 1 what is missing grows beyond all bounds;
    for gamma = 1, and where nothing is missing yet (strict), the rank falls.
    """
    (constraint,) = constraints
    bound = _read(certificate, model, constraint)
    for row in range(len(bound.lower)):
        for s in range(model.S):
            over = bool(model.terminal[s]) or (constraint.horizon is not None and row == 0)
            judged = constraint.anytime or over
            if judged and _claims_nothing(bound, row, s, constraint):
                continue
            where = f"lower bound of state {model.state_name(s)}"
            if over:
                raise CertificateError.at(
                    where, "0 where the run is over", bound.lower[row][s], "nothing more is paid"
                )
            for choice in choices(s, model):
                _supported(where, choice, row, s, bound, constraint, model)
    lost = _lost_start(bound, model, constraint)
    return Claim(
        "impossibility",
        f"no policy keeps {words(constraints)} almost surely: from initial state "
        f"{model.state_name(lost)} the budget is too small",
    )


def _read(certificate: Mapping[str, Any], model: ConstrainedMDP, constraint: Constraint) -> _Bound:
    endless = constraint.horizon is None
    count = 1 if constraint.horizon is None else constraint.horizon + 1
    lower = rows(certificate["lower"], count, model.S, "lower")
    for row in lower:
        for number in row:
            whole(number, "lower")
    given, rank = certificate["rank"], None
    if given is not None and not endless:
        raise CertificateError.at("rank", "null with a horizon", "a table", "drop it")
    if given is None and endless and constraint.discount == 1:
        raise CertificateError.at(
            "rank", "a rank without a horizon and with discount 1", "none", "cycles may be free"
        )
    if given is not None:
        (row,) = rows(given, 1, model.S, "rank")
        rank = [below(number, 2**62, "rank") for number in row]
    strict = flags(certificate["strict"], count, model.S, "strict")
    return _Bound(positive(certificate["denominator"], "denominator"), lower, strict, rank)


def _claims_nothing(bound: _Bound, row: int, s: int, constraint: Constraint) -> bool:
    """Where z is judged, budgets below 0 (at 0, if the boundary is open) are lost anyway."""
    own = bound.lower[row][s]
    return own < 0 or (own == 0 and not (bound.strict[row][s] and constraint.closed))


def _supported(
    where: str, choice: int, row: int, s: int, bound: _Bound, constraint: Constraint,
    model: ConstrainedMDP,
) -> None:  # fmt: skip
    """Some branch of this choice leads from every lost budget to a lost one, and onward."""
    p, q = constraint.discount.numerator, constraint.discount.denominator
    own, strict = q * bound.lower[row][s], bound.strict[row][s]
    cost = constraint.cost[choice]
    endless = constraint.horizon is None
    ahead = row if endless else row - 1
    for after in support(choice, model):
        needs = q * cost * bound.scale + p * bound.lower[ahead][after]
        tight = own == needs and bool(strict)
        if own > needs or (tight and not bound.strict[ahead][after]):
            continue
        if not endless or (p < q and not tight):
            return
        closer = bound.rank is not None and bound.rank[after] < bound.rank[s]
        if (closer and (p < q or cost >= 0)) or (p == q and cost >= 1):
            return
    raise CertificateError.at(
        where, f"a branch of choice {model.choice_name(choice)} that needs as much, and a rank "
        f"that falls where it can go on for ever", "none", "the bound does not follow",
    )  # fmt: skip


def _lost_start(bound: _Bound, model: ConstrainedMDP, constraint: Constraint) -> int:
    budget = constraint.budget / model.cost_unit * bound.scale
    for s in starts(model):
        least = bound.lower[-1][s]
        if budget < least or (budget == least and bound.strict[-1][s]):
            return s
    raise CertificateError.at(
        "initial states", "one that needs more than the budget", constraint.budget,
        "the claim does not cover the start",
    )  # fmt: skip
