"""Expected costs of a policy over the rationals, to decide a budget that is met exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.totals.small_states import eliminate
from ig_theory.solvers.totals.start import over_states
from ig_theory.solvers.totals.states import exact_branches

EXACT_SIZE = 200
"""Branches (times steps) up to which a cost at its budget is decided by elimination."""


def exact_costs(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], weight: Floats,
    stop: Floats | None = None,
) -> list[Fraction]:  # fmt: skip
    """The costs of a randomised policy over the rationals, one a constraint.

    Parameters
    ----------
    weight : float64[C] or [T, C]
        Taken as the rationals they are, scaled in every state to total 1 with `stop`.
    stop : float64[S] or None
        The probability to end the run at each visit.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 0, {"s": "1/3", "t": "2/3"})}}, initial="s", exact=True)
    >>> exact_costs(model, (BudgetConstraint(0),), np.ones(2))
    [Fraction(3, 2)]
    """
    rows, horizon = exact_branches(model), constraints[0].horizon
    paid = [model.cost[model.cost_index(c.cost)].tolist() for c in constraints]
    if horizon is None:
        shares = _shares(model, weight, stop)
        live = [s for s in _visited(model, rows, shares) if not model.terminal[s]]
        return [_eliminated(model, constraint.discount, rows, shares, live, cost)
                for constraint, cost in zip(constraints, paid, strict=True)]  # fmt: skip
    out = []
    for constraint, cost in zip(constraints, paid, strict=True):
        value = [Fraction(0)] * model.S
        for t in reversed(range(horizon)):
            shares, after = _shares(model, weight[t], None), value
            value = [Fraction(0)] * model.S
            for c, s in enumerate(model.choice_state.tolist()):
                if shares[c]:
                    tail = sum((p * after[u] for p, u in rows[c]), Fraction(0))
                    now = cost[c] * model.cost_unit + constraint.discount * tail
                    value[s] += shares[c] * now
        out.append(_over_states(model, value))
    return out


def _visited(
    model: ConstrainedMDP, rows: list[list[tuple[Fraction, int]]], shares: list[Fraction]
) -> list[int]:
    """The states that some run of the policy visits."""
    ptr = model.choice_ptr.tolist()
    found = np.flatnonzero((model.initial > 0).astype(bool)).tolist()
    seen = set(found)
    for s in found:  # grows
        ahead = {u for c in range(ptr[s], ptr[s + 1]) if shares[c] for _, u in rows[c]} - seen
        seen |= ahead
        found.extend(ahead)
    return sorted(found)


def _eliminated(
    model: ConstrainedMDP, gamma: Fraction, rows: list[list[tuple[Fraction, int]]],
    shares: list[Fraction], reached: list[int], cost: list[int],
) -> Fraction:  # fmt: skip
    """One cost of a stationary policy; only states that can lead to a payment are solved."""
    owner = model.choice_state.tolist()
    used = [c for c in range(model.C) if shares[c]]
    pays = {owner[c] for c in used if cost[c]}
    size = -1
    while size != len(pays):
        size = len(pays)
        pays |= {owner[c] for c in used if any(u in pays for _, u in rows[c])}
    states = [s for s in reached if s in pays]
    place = {s: i for i, s in enumerate(states)}
    matrix = [{i: Fraction(1)} for i in range(len(states))]
    right = [Fraction(0)] * len(states)
    for c in used:
        i = place.get(owner[c])
        if i is None:
            continue
        right[i] += shares[c] * cost[c] * model.cost_unit
        for p, u in rows[c]:
            if u in place:
                before = matrix[i].get(place[u], Fraction(0))
                matrix[i][place[u]] = before - gamma * shares[c] * p
    value = [Fraction(0)] * model.S
    for s, v in zip(states, eliminate(matrix, right), strict=True):
        value[s] = v
    return _over_states(model, value)


def _shares(model: ConstrainedMDP, weight: Floats, stop: Floats | None) -> list[Fraction]:
    """Weights as the rationals they are, scaled in every state so that all totals exactly 1."""
    exact = [Fraction(w) for w in weight.tolist()]
    ends = [Fraction(0)] * model.S if stop is None else [Fraction(p) for p in stop.tolist()]
    total = list(ends)
    for c, s in enumerate(model.choice_state.tolist()):
        total[s] += exact[c]
    return [exact[c] / total[s] for c, s in enumerate(model.choice_state.tolist())]


def _over_states(model: ConstrainedMDP, value: list[Fraction]) -> Fraction:
    exact = np.array(value, dtype=object)
    return Fraction(over_states(model, exact, exact).lower)
