"""Hypothesis strategies: small constrained MDPs, constraints and guards that shrink well.

Needs the ``testing`` extra. Everything is built from small integers and lists, never from a
seed, so that a failure shrinks to few states, few choices and small numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from ig_theory.budget import RemainingBudget
from ig_theory.cmdp import Bools, ConstrainedMDP, LatentMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Rational, Scope
from ig_theory.guard import GuardView
from ig_theory.testing.assembly import Part, assemble, shares

Draw = st.DrawFn


@st.composite
def constrained_mdps(
    draw: Draw,
    max_states: int = 4,
    max_choices: int = 3,
    max_branches: int = 3,
    costs: st.SearchStrategy[int] | None = None,
    exact: bool = True,
    allow_terminals: bool = True,
    signed: bool = False,
    number_of_costs: int = 1,
    deterministic: bool = False,
    reward_discounts: Sequence[Fraction] = (Fraction(1), Fraction(1, 2), Fraction(9, 10)),
    base_zeros: bool = False,
) -> ConstrainedMDP:
    """Small models with zero costs, zero-cost cycles, infinite demands and terminal states.

    Parameters
    ----------
    max_states, max_choices, max_branches
        Largest numbers; at least one of each.
    costs
        Strategy of one cost, in multiples of the cost unit; 0..2 by default.
    exact
        Fractions, or float64 (whose probabilities may then be off by rounding).
    allow_terminals
        Whether states may be terminal.
    signed
        Whether the default costs include -1.
    number_of_costs
        K.
    deterministic
        Whether every choice has one branch.
    reward_discounts
        What ``beta`` is drawn from.
    base_zeros
        Whether the base policy may leave a choice without mass.
    """
    if costs is None:
        costs = st.sampled_from([0, 1, 2, -1] if signed else [0, 1, 2])
    size = draw(st.integers(1, max_states))
    branch = st.tuples(st.integers(1, 3), st.integers(0, size - 1))
    width = 1 if deterministic else max_branches
    choice = st.tuples(
        st.tuples(*[costs] * number_of_costs),
        st.integers(0, 3),
        st.lists(branch, min_size=1, max_size=width).map(tuple),
    )
    states: list[Sequence[Part]] = []
    terminal = [allow_terminals and draw(st.booleans()) for _ in range(size)]
    for s, ends in enumerate(terminal):
        loop: list[Part] = [((0,) * number_of_costs, 0, ((1, s),))]
        states.append(loop if ends else draw(st.lists(choice, min_size=1, max_size=max_choices)))
    weights = st.integers(0 if base_zeros else 1, 3)
    base = [
        share
        for state in states
        for share in shares(draw(st.lists(weights, min_size=len(state), max_size=len(state))))
    ]
    return assemble(
        states,
        terminal=terminal,
        initial=shares(draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))),
        exact=exact,
        base=draw(st.sampled_from([None, base])),
        cost_unit=draw(st.sampled_from([Fraction(1), Fraction(1, 10), Fraction(2, 3)])),
        reward_discount=draw(st.sampled_from(list(reward_discounts))),
        labels=draw(labels(size)),
    )


@st.composite
def labels(draw: Draw, states: int) -> dict[str, Bools]:
    """None, one or both of the labels ``refusal`` and ``unsafe_prompt``, on any states."""
    members = st.lists(st.booleans(), min_size=states, max_size=states)
    chosen = draw(st.lists(st.sampled_from(["refusal", "unsafe_prompt"]), unique=True))
    return {name: np.array(draw(members), dtype=np.bool_) for name in chosen}


@st.composite
def latent_mdps(
    draw: Draw, max_states: int = 4, max_actions: int = 3, exact: bool = True
) -> LatentMDP:
    """Small `LatentMDP` with deterministic moves, latents in R^2 and a readout of small integers.

    States may share a latent (aliasing), and may lack some of the actions.
    """
    size = draw(st.integers(1, max_states))
    vocabulary = draw(st.integers(1, max_actions))
    entry = st.integers(-2, 2).map(float)
    pair = st.tuples(entry, entry)
    move = st.tuples(
        st.tuples(st.integers(0, 2)),
        st.integers(0, 3),
        st.tuples(st.tuples(st.just(1), st.integers(0, size - 1))),
    )
    enabled = [
        sorted(draw(st.sets(st.integers(0, vocabulary - 1), min_size=1))) for _ in range(size)
    ]
    states = [[draw(move) for _ in actions] for actions in enabled]
    action = [a for actions in enabled for a in actions]
    model = assemble(
        states,
        terminal=[False] * size,
        initial=shares([1] + [0] * (size - 1)),
        exact=exact,
        action=np.array(action, dtype=np.int64),
        latent=np.array(draw(st.lists(pair, min_size=size, max_size=size))),
        readout=np.array(draw(st.lists(pair, min_size=vocabulary, max_size=vocabulary))),
        reward_discount=draw(st.sampled_from([Fraction(1), Fraction(1, 2)])),
    )
    assert isinstance(model, LatentMDP)
    return model


@st.composite
def constraints(
    draw: Draw,
    unit: Fraction = Fraction(1),
    discounts: Sequence[Rational] = (1, Fraction(9, 10), Fraction(1, 2)),
    boundaries: Sequence[Boundary] = tuple(Boundary),
    scopes: Sequence[Scope] = tuple(Scope),
    horizons: Sequence[int | None] = (3, 0, 1, 2, 4, None),
    budgets: Sequence[Rational] = (0, 1, 2, 3, 4, Fraction(1, 2), Fraction(7, 3)),
    cost: int = 0,
) -> BudgetConstraint:
    """Budget constraints, the trapping ones included: d = 0, fractions, the open boundary.

    Parameters
    ----------
    unit
        The model's ``cost_unit``; `budgets` are multiples of it.
    discounts, boundaries, scopes, horizons, budgets
        What each part is drawn from. TERMINAL is only drawn with a finite horizon.
    cost
        Which cost it bounds.
    """
    horizon = draw(st.sampled_from(list(horizons)))
    possible = [scope for scope in scopes if horizon is not None or scope is Scope.ANYTIME]
    return BudgetConstraint(
        Fraction(draw(st.sampled_from(list(budgets)))) * unit,
        draw(st.sampled_from(list(discounts))),
        draw(st.sampled_from(list(boundaries))),
        draw(st.sampled_from(possible)),
        cost,
        horizon,
    )


@dataclass(frozen=True)
class TabularGuard:
    """A guard that picks a row of weights by a fixed mix of state, time and budget.

    Attributes
    ----------
    table : rows of small whole weights, one per choice
        Weights beyond a row's end are 1.
    by_state, by_time, by_budget : int
        How strongly each enters the pick; 0 means the guard does not look at it.

    Examples
    --------
    >>> TabularGuard(((1, 0),), 0, 0, 0)
    TabularGuard(table=((1, 0),), by_state=0, by_time=0, by_budget=0)
    """

    table: tuple[tuple[int, ...], ...]
    by_state: int
    by_time: int
    by_budget: int

    def __call__(self, view: GuardView) -> npt.NDArray[np.float64]:
        """Probabilities ``[N, A]``; uniform where the weights leave nothing."""
        output = np.zeros(view.base.shape)
        for row, width in enumerate(view.enabled.sum(axis=1)):
            weights = (*self.table[self._pick(view, row)], *[1] * int(width))[: int(width)]
            output[row, : int(width)] = [float(p) for p in shares(weights)]
        return output

    def _pick(self, view: GuardView, row: int) -> int:
        mix = 0 if view.state is None else self.by_state * int(view.state[row])
        mix += 0 if view.time is None else self.by_time * int(view.time[row])
        mix += self.by_budget * sum(_digest(budget, row) for budget in view.budgets)
        return mix % len(self.table)


def _digest(budget: RemainingBudget, row: int) -> int:
    z = budget.value(row)
    return z.numerator + 2 * z.denominator


@st.composite
def guards(draw: Draw, max_choices: int = 3) -> TabularGuard:
    """Arbitrary guards, safe or not, that look at any of state, time and budget."""
    row = st.lists(st.integers(0, 3), min_size=max_choices, max_size=max_choices).map(tuple)
    table = draw(st.lists(row, min_size=1, max_size=4))
    by = st.integers(0, 2)
    return TabularGuard(tuple(table), draw(by), draw(by), draw(by))
