"""Kind ``demand``: budgets that pay, state by state, for a choice and all that may follow."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ig_theory.checker.reading import (
    Claim,
    Constraint,
    choice_at,
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


def check_demand(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[Constraint]
) -> Claim:
    """THEORY T4.safety: D >= 0 and D(s) >= c + gamma D(s') on every branch of the chosen action."""
    (constraint,) = constraints
    scale = positive(certificate["denominator"], "denominator")
    count = 1 if constraint.horizon is None else constraint.horizon + 1
    demand = rows(certificate["demand"], count, model.S, "demand")
    strict = flags(certificate["strict"], count, model.S, "strict")
    action = rows(certificate["action"], count, model.S, "action")
    p, q = constraint.discount.numerator, constraint.discount.denominator
    for t in range(count):
        if constraint.horizon is not None and t == 0:
            for s in range(model.S):  # with no steps to go z itself is judged
                _judged(
                    f"demand of state {model.state_name(s)}", demand[0][s], strict[0][s], constraint
                )
            continue
        before = t - 1 if constraint.horizon is not None else t
        for s in range(model.S):
            if demand[t][s] is None:
                continue
            _row(s, t, before, (demand, strict, action), (p, q, scale), constraint, model)
    _start(demand[-1], strict[-1], scale, constraint, model)
    enough = "of at least its demand" + (
        " (more, where that is strict)" if any(map(any, strict)) else ""
    )
    return Claim(
        "demand",
        f"from every state with a budget {enough} the chosen actions, and every policy inside the "
        f"shield of these demands, keep {words(constraints)} almost surely",
    )


def _row(
    s: int, t: int, before: int,
    tables: tuple[list[list[Any]], list[list[int]], list[list[Any]]],
    numbers: tuple[int, int, int], constraint: Constraint, model: ConstrainedMDP,
) -> None:  # fmt: skip
    """One state: its demand pays for the chosen action and all that may follow."""
    demand, strict, action = tables
    p, q, scale = numbers
    own = whole(demand[t][s], "demand")
    where = f"demand of state {model.state_name(s)}"
    if constraint.anytime or model.terminal[s]:
        _judged(where, own, strict[t][s], constraint)
    if model.terminal[s]:
        return
    choice = choice_at(s, whole(action[t][s], "action"), model)
    for after in support(choice, model):
        ahead = demand[before][after]
        if ahead is None:
            raise CertificateError.at(where, "finite demands ahead", "an infinite one", "-")
        needs = q * constraint.cost[choice] * scale + p * whole(ahead, "demand")
        tight = needs == q * own
        if needs > q * own or (tight and strict[before][after] and not strict[t][s]):
            raise CertificateError.at(
                where, f"at least {Fraction(needs, q * scale)} units", Fraction(own, scale),
                "it does not pay for what follows",
            )  # fmt: skip


def _judged(where: str, demand: Any, strict: int, constraint: Constraint) -> None:
    """Where z is judged at once, every z that the demand admits must be kept."""
    own = whole(demand, where)
    if own < 0 or (own == 0 and not constraint.closed and not strict):
        least = "a number >= 0" if constraint.closed else "a number > 0, or 0 with z above it"
        raise CertificateError.at(where, least, own, "a broken budget is admitted")


def _start(
    row: list[Any], strict: list[int], scale: int, constraint: Constraint, model: ConstrainedMDP
) -> None:
    budget = constraint.budget / model.cost_unit * scale
    for s in starts(model):
        enough = row[s] is not None and (budget > row[s] or (budget == row[s] and not strict[s]))
        if not enough:
            raise CertificateError.at(
                f"initial state {model.state_name(s)}", "a budget of at least its demand",
                constraint.budget, "the claim does not cover the start",
            )  # fmt: skip
