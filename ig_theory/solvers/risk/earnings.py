"""Totals whose gains are known from both sides, on products and on states without a budget."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import Product
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints, Numbers
from ig_theory.errors import SolverError
from ig_theory.solvers.solution import Solution
from ig_theory.solvers.totals.exact_total import as_fractions, exact_total
from ig_theory.solvers.totals.states import reachable_states
from ig_theory.solvers.totals.total_reward import best_total

ELIMINATION = 3_000
"""Beyond this many pairs exact models are answered by certified floats."""


@dataclass(frozen=True, eq=False)
class Earnings:
    """What is earned on a product of the model's own reward discount.

    Attributes
    ----------
    gain : (lower, upper), [M]
    leaf : (lower, upper), [N]
        Equal arrays of Fractions where exact.
    """

    gain: tuple[npt.NDArray[Any], npt.NDArray[Any]]
    leaf: tuple[npt.NDArray[Any], npt.NDArray[Any]]

    @property
    def exact(self) -> bool:
        """Whether all of it is Fractions."""
        return all(a.dtype == object for a in (*self.gain, *self.leaf))

    def floats(self) -> Earnings:
        """The same as floats."""
        return Earnings(_as_floats(self.gain), _as_floats(self.leaf))

    @property
    def sharp(self) -> bool:
        """Whether lower and upper are the same."""
        return self.gain[0] is self.gain[1] and self.leaf[0] is self.leaf[1]


def solve(
    product: Product, earnings: Earnings, beta: Fraction, alive: Bools | None = None
) -> Solution:
    """The best total: Fractions where the earnings are and elimination is feasible."""
    if alive is None:
        alive = np.ones(len(product.choice), dtype=bool)
    floats = earnings.floats()
    found = best_total(product, floats.gain[1], floats.leaf[1], beta, alive)
    if not floats.sharp:
        low = best_total(product, floats.gain[0], floats.leaf[0], beta, alive)
        found = replace(found, lower=low.lower, policy=low.policy)
    if earnings.exact and len(product) <= ELIMINATION and np.isfinite(found.lower).all():
        with contextlib.suppress(SolverError):
            return exact_total(product, earnings.gain[0], earnings.leaf[0], beta, found, alive)
    return found


def best_of_states(
    model: ConstrainedMDP, gain: Numbers, beta: Fraction, horizon: int | None = None
) -> Solution:
    """The best total of every state without any budget, and the choice it takes.

    Parameters
    ----------
    gain : [C]
        What each choice of the model earns; Fractions are answered exactly where all totals are
        finite.

    Returns
    -------
    Solution
        [S], or [(T+1) S] by time with a horizon T; states that no run reaches are worth 0.
    """
    states = reachable_states(model, horizon)
    earned = gain[states.choice]
    nothing: npt.NDArray[Any] = np.zeros(len(states))
    nothing = as_fractions(nothing) if earned.dtype == object else nothing
    found = solve(states, Earnings((earned, earned), (nothing, nothing)), beta)
    assert found.policy is not None
    place, size = (
        placed(states, states.state, states.time.astype(np.int64)),
        model.S * (1 if horizon is None else horizon + 1),
    )
    sides = []
    for side in (found.lower, found.upper):
        flat = np.zeros(size, dtype=side.dtype)
        flat[place] = side
        sides.append(flat)
    policy, running = np.full(size, -1), np.flatnonzero(found.policy >= 0)
    policy[place[running]] = states.choice[found.policy[running]]
    upper = sides[0] if found.lower is found.upper else sides[1]
    return replace(found, lower=sides[0], upper=upper, policy=policy)


def after_breaking(
    product: Product, worth: npt.NDArray[Any], discount: Fraction
) -> npt.NDArray[Any]:
    """``discount * E worth`` after each choice that breaks at once, 0 elsewhere, [M].

    Parameters
    ----------
    product
        With a sink, to which those choices lead.
    worth : [S], or [(T+1) S] by time where the product is timed
        Fractions give Fractions.
    """
    model, sink = product.model, len(product) - 1
    beta: Any = discount if worth.dtype == object else float(discount)
    out = np.zeros(len(product.choice), dtype=worth.dtype)
    out[:] = Fraction(0) if worth.dtype == object else 0.0
    to_sink = np.flatnonzero(product.branch_node == sink)
    if not len(to_sink):
        return out
    choice = np.searchsorted(product.branch_ptr, to_sink, side="right") - 1
    branch = product.branch[to_sink]
    prob = model.branch_prob[branch] if worth.dtype == object else product.prob[branch]
    time = product.time[product.choice_node[choice]].astype(np.int64) + 1
    mass = beta * prob * worth[placed(product, model.branch_state[branch], time)]
    np.add.at(out, choice, mass)
    return out


def placed(product: Product, state: npt.NDArray[Any], time: Ints) -> Ints:
    """Where flat arrays over (time,) state keep these."""
    return np.asarray((time * product.model.S if product.timed else 0) + state, dtype=np.int64)


def _as_floats(sides: tuple[Any, Any]) -> tuple[Floats, Floats]:
    low = sides[0].astype(np.float64)
    return low, low if sides[0] is sides[1] else sides[1].astype(np.float64)
