"""What the best of many independent draws can be, without going through all the draws.

A search that keeps K of N blocks looks at the K best only. Candidates are gone through from the
best on; given that none of the better ones was drawn, how often the next one is drawn is
binomial. So the law of the best of 100 blocks takes as many outcomes as there are candidates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from typing import Any

from ig_theory.errors import SolverError
from llm_bridge.decoding.problem import Beam

Law = Sequence[tuple[Beam, Any]]
Outcome = tuple[tuple[Beam, ...], ...]


@dataclass(frozen=True)
class Selection:
    """Which candidates matter to a decoder, and when.

    Attributes
    ----------
    order : tuple of (parent, row)
        Candidates, the best first; the first `good` of them pass, the others fail.
    keep : int
        No more than the best so many matter.
    good : int
    fills : bool
        Whether failing candidates matter beside passing ones (up to `keep` in all).
    whole : bool
        Whether all of what was drawn matters when nothing that passes was drawn.
    """

    order: tuple[tuple[int, int], ...]
    keep: int
    good: int
    fills: bool
    whole: bool


def multisets(law: Law, count: int) -> Iterator[tuple[tuple[Beam, ...], Any]]:
    """What `count` independent draws can give, whatever their order, and how likely that is.

    Examples
    --------
    >>> law = ((Beam((0,)), 0.5), (Beam((1,)), 0.5))
    >>> [mass for _, mass in multisets(law, 2)]
    [0.25, 0.5, 0.25]
    """
    for chosen in combinations_with_replacement(range(len(law)), count):
        weight = math.factorial(count)
        for row in set(chosen):
            weight //= math.factorial(chosen.count(row))
        mass: Any = weight
        for row in chosen:
            mass = mass * law[row][1]
        yield tuple(law[row][0] for row in chosen), mass


def joint(laws: Sequence[Law], count: int, limit: int) -> Iterator[tuple[Outcome, Any]]:
    """Multisets of `count` draws from each law.

    Raises
    ------
    SolverError
        If there are more than `limit`.
    """
    size = math.prod(math.comb(len(law) + count - 1, count) for law in laws)
    if size > limit:
        raise too_many(size)
    parts = [list(multisets(law, count)) for law in laws]
    for several in product(*parts):
        mass: Any = 1
        for _, part in several:
            mass = mass * part
        yield tuple(beams for beams, _ in several), mass


def selections(
    laws: Sequence[Law], count: int, chosen: Selection, limit: int
) -> Iterator[tuple[Outcome, Any]]:
    """The draws that matter, with probabilities in total 1."""
    yield from _Walk(laws, count, chosen, limit).go(0, (), [count] * len(laws), 1)


def too_many(size: int) -> SolverError:
    """The error of a law with too many outcomes."""
    error = SolverError.at(
        "exact law", "rounds within the limit of outcomes", f"{size:,}",
        "take fewer blocks, beams or retries, a smaller width, horizon or tree, or raise the limit",
    )  # fmt: skip
    assert isinstance(error, SolverError)
    return error


class _Walk:
    """Going through the candidates from the best on."""

    def __init__(self, laws: Sequence[Law], count: int, chosen: Selection, limit: int) -> None:
        self.laws, self.count, self.chosen, self.limit = laws, count, chosen, limit
        self.stop = len(chosen.order) if chosen.fills else chosen.good
        left: list[Any] = [0] * len(laws)
        self.share: list[Any] = [0] * len(chosen.order)
        for place in range(len(chosen.order) - 1, -1, -1):
            parent, row = chosen.order[place]
            left[parent] = left[parent] + laws[parent][row][1]
            self.share[place] = laws[parent][row][1] / left[parent]

    def go(
        self, place: int, taken: tuple[tuple[int, int], ...], draws: list[int], mass: Any
    ) -> Iterator[tuple[Outcome, Any]]:
        """Outcomes that begin with what is taken, and have nothing else before `place`."""
        order, keep = self.chosen.order, self.chosen.keep
        while place < self.stop and mass:
            if place == self.chosen.good and not taken and self.chosen.whole:
                break
            if not any(draws):
                break
            parent = order[place][0]
            n, q = draws[parent], self.share[place]
            wanted = keep - len(taken)
            for times in range(1, min(n, wanted) + 1):
                part = _exactly(n, times, q) if times < wanted else _at_least(n, times, q)
                more = taken + (order[place],) * times
                rest = [d - times if b == parent else d for b, d in enumerate(draws)]
                if len(more) == keep:
                    if part:
                        yield self._outcome(more), mass * part
                else:
                    yield from self.go(place + 1, more, rest, mass * part)
            mass = mass * (1 - q) ** n
            place += 1
        if not mass:
            return
        if taken or not self.chosen.whole or not any(draws):
            yield self._outcome(taken), mass
        else:
            yield from self._failures()

    def _failures(self) -> Iterator[tuple[Outcome, Any]]:
        """Every multiset of candidates that fail."""
        bad = self.chosen.order[self.chosen.good :]
        laws = [
            [self.laws[parent][row] for owner, row in bad if owner == parent]
            for parent in range(len(self.laws))
        ]
        yield from joint(laws, self.count, self.limit)

    def _outcome(self, taken: tuple[tuple[int, int], ...]) -> Outcome:
        return tuple(
            tuple(self.laws[owner][row][0] for owner, row in taken if owner == parent)
            for parent in range(len(self.laws))
        )


def _exactly(n: int, times: int, q: Any) -> Any:
    return math.comb(n, times) * q**times * (1 - q) ** (n - times)


def _at_least(n: int, times: int, q: Any) -> Any:
    return sum(_exactly(n, k, q) for k in range(times, n + 1))
