"""Kind ``pairs``: a closed set of kept pairs that a guard does not leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from ig_theory.checker.listed import (
    Key,
    Vector,
    broken_at,
    budgets_at,
    clips_at,
    is_over,
    key_at,
    moved,
)
from ig_theory.checker.reading import (
    Claim,
    Constraint,
    choice_at,
    items,
    positive,
    starts,
    support,
    whole,
    words,
)
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError


def check_pairs(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[Constraint]
) -> Claim:
    """A closed set of kept pairs that holds every start: nothing in it is ever broken."""
    rounded = _rounding(certificate, constraints)
    budgets = budgets_at(certificate, constraints)
    index = {vector: i for i, vector in enumerate(budgets)}
    timed = constraints[0].horizon is not None
    listed: dict[Key, list[int]] = {}
    for entry in items(certificate["pairs"]):
        *pair, choices = items(entry)
        key = key_at(pair, budgets, timed, model)
        if key in listed:
            raise CertificateError.at(f"pair {entry}", "each pair once", "twice", "drop one")
        listed[key] = [whole(c, "choice") for c in items(choices)]
    after: dict[tuple[int, int], int | None] = {}
    reached: set[Key] = set()
    waiting: list[Key] = []

    def require(state: int, budget: int | None, time: int | None, why: str) -> None:
        key = (state, -1 if budget is None else budget, time)
        if key not in listed:
            raise CertificateError.at(
                why, "its successors in the set", f"none for state {model.state_name(state)}",
                "the set is not closed",
            )  # fmt: skip
        if key not in reached:
            reached.add(key)
            waiting.append(key)

    start = rounded(tuple(c.budget / model.cost_unit for c in constraints))
    for state in starts(model):
        require(state, index.get(start), 0 if timed else None, "initial state")
    while waiting:
        state, budget, time = waiting.pop()
        where = f"pair (state {model.state_name(state)}, budget {certificate['budgets'][budget]})"
        ended = is_over(state, time, constraints[0], model)
        broken = broken_at(constraints, budgets[budget], ended)
        if broken is not None:
            z = budgets[budget][broken]
            raise CertificateError.at(where, "a kept budget", str(z), "it is broken")
        choices = listed[state, budget, time]
        if ended != (not choices) or len(set(choices)) < len(choices):
            raise CertificateError.at(where, "choices unless the run is over", choices, "-")
        for place in choices:
            choice = choice_at(state, place, model)
            memo = (budget, choice)
            if memo not in after:
                after[memo] = index.get(rounded(moved(budgets[budget], choice, constraints)))
            for s in support(choice, model):
                require(s, after[memo], None if time is None else time + 1, where)
    if len(reached) < len(listed):
        raise CertificateError.at(
            "pairs", "only pairs that can be reached", f"{len(listed) - len(reached)} others", "-"
        )
    return Claim(
        "pairs",
        f"guard {certificate['guard']!r}, playing only the listed choices on the {len(listed)} "
        f"listed pairs, keeps {words(constraints)} almost surely",
    )


def _rounding(
    certificate: Mapping[str, Any], constraints: list[Constraint]
) -> Callable[[Vector], Vector]:
    """How the guard's budgets are clipped and rounded: down only, which is sound (T3.down)."""
    clips = clips_at(certificate, constraints)
    grids = [None if g is None else positive(g, "grid") for g in items(certificate["grid"])]

    def one(z: Fraction, clip: Fraction | None, grid: int | None) -> Fraction:
        z = z if clip is None else min(z, clip)
        return z if grid is None else Fraction(math.floor(z * grid), grid)

    def rounded(vector: Vector) -> Vector:
        return tuple(one(*each) for each in zip(vector, clips, grids, strict=True))

    return rounded
