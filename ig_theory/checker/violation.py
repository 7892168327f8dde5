"""Kind ``violation``: a run that breaks the budget, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ig_theory.checker.reading import (
    Claim,
    Constraint,
    below,
    choice_at,
    items,
    positive,
    rational,
    same,
    state_at,
    whole,
    words,
)
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError

_STEP = {"state", "choice", "costs", "budgets", "next_state", "probability"}


def check_violation(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[Constraint]
) -> Claim:
    """Walk the run: every step is the model's, and only the last budget is broken."""
    state = state_at(certificate["initial_state"], model)
    chance = _probability(certificate["initial_probability"], model)
    if not model.initial[state] > 0:
        raise CertificateError.at("initial_state", "one that can occur", state, "-")
    _close("initial_probability", chance, model.initial[state])
    if "grid" in certificate:
        positive(certificate["grid"], "grid")
    budgets = [c.budget for c in constraints]
    steps = items(certificate["steps"])
    horizon, total = constraints[0].horizon, chance
    for t, step in enumerate(steps):
        where = f"step {t}"
        same(f"{where}: keys", _STEP, set(step))
        same(f"{where}: state", state, step["state"])
        if model.terminal[state] or (horizon is not None and t >= horizon):
            raise CertificateError.at(where, "a run that goes on", "one that is over", "-")
        if any(c.anytime and not c.kept(z) for c, z in zip(constraints, budgets, strict=True)):
            raise CertificateError.at(where, "kept budgets before the last", "a broken one", "-")
        choice = choice_at(state, whole(step["choice"], "choice"), model)
        costs = [c.cost[choice] * model.cost_unit for c in constraints]
        budgets = [
            (z - paid) / c.discount for c, z, paid in zip(constraints, budgets, costs, strict=True)
        ]
        same(f"{where}: costs", [str(c) for c in costs], step["costs"])
        same(f"{where}: budgets", [str(b) for b in budgets], step["budgets"])
        after = state_at(step["next_state"], model)
        chance = _probability(step["probability"], model)
        onward = sum(
            model.branch_prob[b]
            for b in range(int(model.branch_ptr[choice]), int(model.branch_ptr[choice + 1]))
            if model.branch_state[b] == after
        )
        # A guard may take other choices too; what is no branch has no share, however small.
        most = onward if model.exact else onward + 1e-9
        if not (onward > 0 and chance <= most):
            raise CertificateError.at(
                f"{where}: probability", f"in (0, {onward}]", chance, "no such step"
            )
        total = total * chance
        state = after
    _close("probability", _probability(certificate["probability"], model), total)
    broken = constraints[below(certificate["broken"], len(constraints), "broken")]
    z = budgets[certificate["broken"]]
    over = bool(model.terminal[state]) or (horizon is not None and len(steps) == horizon)
    if broken.kept(z) or not (broken.anytime or over):
        raise CertificateError.at("the last budget", "a broken one", z, "the run violates nothing")
    return Claim(
        "violation",
        f"the run of {len(steps)} steps breaks {words([broken])} if guard "
        f"{certificate['guard']!r} gives its choices any probability: the budget ends at {z}",
    )


def _probability(value: Any, model: ConstrainedMDP) -> Any:
    """A rational as text in exact mode, else a float."""
    number = rational(value, "probability") if model.exact else value
    if not isinstance(number, Fraction | float) or not 0 < number <= 1 + 1e-9:
        raise CertificateError.at("probability", "a number in (0, 1]", repr(value), "-")
    return number


def _close(where: str, got: Any, want: Any) -> None:
    if isinstance(got, Fraction) and got == want:
        return
    if isinstance(got, Fraction) or not math.isclose(got, float(want), rel_tol=1e-9):
        raise CertificateError.at(where, str(want), got, "it does not follow")
