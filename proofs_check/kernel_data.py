"""What a generated Coq file says of a model, as integers and rationals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ig_theory.budget import INFINITE
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError, IGTheoryError
from ig_theory.solvers.minimal_budget import SafeSet

_MOST_STEPS = 10_000


@dataclass(frozen=True)
class Table:
    """A model's prices and minimal budgets over one denominator.

    Attributes
    ----------
    denominator : int
    discount : Fraction
    budgets : tuple of int or None
        Minimal budget of each state; None where none is enough.
    states
        For each state, for each choice: its price and the states it can lead to.
    """

    denominator: int
    discount: Fraction
    budgets: tuple[int | None, ...]
    states: tuple[tuple[tuple[int, tuple[int, ...]], ...], ...]


@dataclass(frozen=True)
class PenaltyRun:
    """The two choices at the start of a model on which a penalty is too small.

    Attributes
    ----------
    start : int
    good, bad : int
        The places of the safe and of the violating choice.
    time
        The first t with ``z_t < 0`` after the bad one.
    margin
        By how much the bad one earns more, rounded down.
    """

    start: int
    good: int
    bad: int
    time: int
    margin: Fraction


def tabulate(safe: SafeSet) -> Table:
    """Return the model and its minimal budgets over a common denominator.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.solvers.minimal_budget import minimal_budget
    >>> model = from_dict({"s": {"go": (1, 0, {"end": 1})}}, initial="s")
    >>> tabulate(minimal_budget(model, BudgetConstraint(1))).states
    (((1, (1,)),), ((0, (1,)),))
    """
    model, unit = safe.model, safe.model.cost_unit
    demands = [_finite(d) for d in safe.demand.tolist()]
    exact = [None if d is None else d * unit for d in demands]
    denominator = math.lcm(unit.denominator, *(d.denominator for d in exact if d is not None))
    prices = [
        int(int(c) * unit * denominator) for c in model.cost[model.cost_index(safe.constraint.cost)]
    ]
    leads = [
        tuple(sorted({int(s) for s in model.branch_state[first:end]}))
        for first, end in zip(model.branch_ptr[:-1], model.branch_ptr[1:], strict=True)
    ]
    choices = list(zip(prices, leads, strict=True))
    states = tuple(
        tuple(choices[first:end])
        for first, end in zip(model.choice_ptr[:-1], model.choice_ptr[1:], strict=True)
    )
    budgets = tuple(None if d is None else int(d * denominator) for d in exact)
    return Table(denominator, safe.constraint.discount, budgets, states)


def _finite(demand: int | Fraction | float) -> Fraction | None:
    return None if demand in (math.inf, INFINITE) else Fraction(demand)


def progress_ranks(table: Table) -> list[int]:
    """Return ranks that show, for gamma = 1, that nothing less than D is enough.

    A state gets its rank once every choice has a tight branch that costs something or leads to
    a state that has one; D = 0 needs no showing. On the least fixed point no state is left over.
    """
    need = [d or 0 for d in table.budgets]
    rank = {s: 0 for s, d in enumerate(need) if d == 0}
    fresh = list(rank)
    while fresh:
        fresh = [
            s
            for s, choices in enumerate(table.states)
            if s not in rank and all(_pushes(s, *choice, need, rank) for choice in choices)
        ]
        rank |= dict.fromkeys(fresh, 1 + max(rank.values(), default=0))
    return [rank.get(s, 0) for s in range(len(need))]


def _pushes(
    s: int, price: int, branches: tuple[int, ...], need: list[int], rank: dict[int, int]
) -> bool:
    return any(need[s] <= price + need[t] and (price >= 1 or t in rank) for t in branches)


def penalty_run(
    model: ConstrainedMDP, constraint: BudgetConstraint, penalty: Fraction
) -> PenaltyRun:
    """Find the two choices of a model such as late-violation, and compare them.

    Raises
    ------
    CertificateError
        If the model is not of that form, or the penalty is large enough here.
    """
    starts = np.flatnonzero((model.initial > 0).astype(bool))
    if len(starts) != 1 or model.B != model.C:
        raise _not_such("one start and one branch a choice", f"{len(starts)} starts")
    start = int(starts[0])
    first, end = int(model.choice_ptr[start]), int(model.choice_ptr[start + 1])
    free = [c for c in range(first, end) if model.terminal[model.branch_state[c]]]
    if end - first != 2 or len(free) != 1:
        raise _not_such("two choices at the start, one to the end", f"{end - first} choices")
    good, bad = free[0], first + end - 1 - free[0]
    beta = model.reward_discount
    if beta == 1:
        raise _not_such("a reward discount below 1", "1")
    time, gain = _violation(model, constraint, bad)
    value = gain - beta**time * penalty / (1 - beta)
    margin = min(Fraction(model.reward[bad]), value) - Fraction(model.reward[good])
    if margin <= 0:
        raise _not_such("a penalty too small for this budget", f"{penalty}, which is enough")
    return PenaltyRun(start, good - first, bad - first, time, _rounded(margin))


def _violation(
    model: ConstrainedMDP, constraint: BudgetConstraint, choice: int
) -> tuple[int, Fraction]:
    """Return when the budget breaks after a choice, all others being forced, and the reward."""
    cost = model.cost[model.cost_index(constraint.cost)]
    z, gain = constraint.budget, Fraction(0)
    for time in range(_MOST_STEPS):
        if z < 0:
            return time, gain
        gain += model.reward_discount**time * Fraction(model.reward[choice])
        z = constraint.step(z, int(cost[choice]) * model.cost_unit)
        state = int(model.branch_state[choice])
        if model.choice_ptr[state + 1] - model.choice_ptr[state] != 1:
            raise _not_such("forced choices after it", f"choices in {model.state_name(state)}")
        choice = int(model.choice_ptr[state])
    raise _not_such(f"a violation within {_MOST_STEPS} steps", "none")


def _rounded(x: Fraction) -> Fraction:
    """Round a positive number down to three digits or so."""
    scale = 10 ** max(0, 3 + len(str(x.denominator)) - len(str(x.numerator)))
    return Fraction(math.floor(x * scale), scale)


def _not_such(want: str, got: str) -> IGTheoryError:
    repair = "take a model such as late-violation, with late_budget(n)"
    return CertificateError.at("penalty proof", want, got, repair)
