"""The small linear programs of all states at once: the most gain for a bounded price.

A state's choices are points ``(price, gain)``; mixtures of them fill the convex hull. Its upper
left boundary runs from the cheapest point through vertices of ever smaller slope to the point
of most gain, and the best mixture of price at most ``b`` lies where the boundary crosses ``b``:
a mixture of at most two choices, found by walking, without a general solver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ig_theory.cmdp import Bools, Floats, Ints

EVEN = 1e-12
"""Share of the largest value below which two values of choices count as equal."""


@dataclass(frozen=True, eq=False)
class StatePrograms:
    """The points of H states; the choices of a state are adjacent, and it has at least one.

    Attributes
    ----------
    first : int64[H]
        Where each state's choices start.
    owner : int64[M]
        The state, 0 .. H-1, of each choice.
    gain, price : float64[M]

    Examples
    --------
    Three choices at one state; price 1 lies between the first and the last:

    >>> gain, price = np.array([0.0, 1.0, 4.0]), np.array([0.0, 1.0, 2.0])
    >>> states = StatePrograms(np.array([0]), np.zeros(3, dtype=np.int64), gain, price)
    >>> states.best(np.array([1.0])).round(6).tolist()
    [0.5, 0.0, 0.5]
    """

    first: Ints
    owner: Ints
    gain: Floats
    price: Floats

    def mean_price(self, weight: Floats) -> Floats:
        """What a policy pays at each state, float64[H]."""
        return np.add.reduceat(weight * self.price, self.first)

    def best(self, bound: Floats) -> Floats:
        """Weights of the most gain among those of price at most `bound`, float64[M].

        Parameters
        ----------
        bound : float64[H]
            Where it is below the cheapest choice's price, that choice is taken.
        """
        even = 0.1 * EVEN * float(np.abs(self.price).max(initial=0.0))
        at, towards = self._cheapest(), self._cheapest()
        share = np.zeros(len(self.first))
        for here, there, moving in self._edges():
            room, length = bound - self.price[here], self.price[there] - self.price[here]
            whole = moving & (room + even >= length)
            # The edge that crosses the bound; shares that only rounding makes are none.
            part = moving & ~whole & (room > EVEN * length)
            at[whole] = towards[whole] = there[whole]
            towards[part] = there[part]
            share[part] = room[part] / length[part]
        weight = np.zeros(len(self.gain))
        weight[at] = 1.0 - share
        weight[towards] += share
        return weight

    def spend(self, weight: Floats, visits: Floats, budget: float) -> Floats:
        """Extra prices per state, float64[H], where they buy the most gain.

        The edges above what the policy pays already are bought in the order of their slopes,
        each ``visits`` times, until the budget is used up: a fractional knapsack.

        Parameters
        ----------
        weight : float64[M]
            The policy that extra prices are added to.
        visits : float64[H]
            How often each state pays its extra price.
        """
        paid = self.mean_price(weight)
        state, slope, width = [], [], []
        for here, there, moving in self._edges():
            length = self.price[there] - np.maximum(self.price[here], paid)
            bought = np.flatnonzero(moving & (length > 0))
            rise = self.gain[there] - self.gain[here]
            run = self.price[there] - self.price[here]
            state.append(bought)
            slope.append(rise[bought] / run[bought])
            width.append(length[bought])
        if not state:
            return np.zeros(len(self.first))
        order = np.argsort(-np.concatenate(slope), kind="stable")
        states, widths = np.concatenate(state)[order], np.concatenate(width)[order]
        total = visits[states] * widths
        left = budget - (np.cumsum(total) - total)
        share = np.where(left > 0, np.minimum(left, total) / np.where(total > 0, total, 1.0), 0.0)
        share[(total == 0) & (left > 0)] = 1.0
        extra = np.bincount(states, weights=share * widths, minlength=len(self.first))
        return extra.astype(np.float64)

    def _cheapest(self) -> Ints:
        least = np.minimum.reduceat(self.price, self.first)
        return self._first_largest(np.where(self.price <= least[self.owner], self.gain, -np.inf))

    def _edges(self) -> Iterator[tuple[Ints, Ints, Bools]]:
        """The next edge of every state's boundary: from, to, and which states have one."""
        at = self._cheapest()
        # Smaller differences are rounding, not a reason to pay for another choice.
        even = EVEN * float(np.abs(self.gain).max(initial=0.0))
        while True:
            dearer = self.price - self.price[at][self.owner]
            better = self.gain - self.gain[at][self.owner]
            ahead = (dearer > 0) & (better > even)
            if not ahead.any():
                return
            slope = np.full(len(self.gain), -np.inf)
            np.divide(better, dearer, out=slope, where=ahead)
            there = self._first_largest(slope)
            moving = ahead[there]
            yield at, there, moving
            at = np.where(moving, there, at)

    def _first_largest(self, values: Floats) -> Ints:
        """The index of the first largest value of each state."""
        largest = np.maximum.reduceat(values, self.first)
        place = np.where(values == largest[self.owner], np.arange(len(values)), len(values))
        return np.asarray(np.minimum.reduceat(place, self.first))
