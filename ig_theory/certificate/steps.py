"""How many steps a run has left at most, in whole numbers that can be checked.

Bounds on undiscounted totals of endless runs only follow where such numbers exist (T4.reward).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ig_theory.certificate.listing import Listing, Option
from ig_theory.cmdp import Floats
from ig_theory.errors import CertificateError

SCALE = 3
"""What expected steps are multiplied by, so that rounding up leaves a margin of 1."""

MOST_SWEEPS = 20_000

Steps = list[int | None]


def named_steps(named: Sequence[Option | None]) -> tuple[Steps, list[bool]]:
    """Expected steps of a policy, rounded up, and where it rests: no reward ever again.

    ``w >= 1 + sum P w'`` where runs surely end; where they may rest for ever instead, only
    ``w >= 0``, and the steps before are counted. None at pairs without a choice.

    Raises
    ------
    CertificateError
        If a run may go on for ever and collect reward.
    """
    count = len(named)
    resting = [False] * count
    if not all(_reaching(named, resting)):
        resting = _resting(named)
        if not all(_reaching(named, resting)):
            raise CertificateError.at(
                "reward certificate", "runs that end, or earn nothing for ever", "others",
                "set a reward discount below 1, or a horizon",
            )  # fmt: skip
    rows = [n for n in range(count) if named[n] is not None and not resting[n]]
    expected = np.zeros(count)
    expected[rows] = _solved(named, rows)
    steps: Steps = [None if option is None else 0 for option in named]
    for n in rows:
        steps[n] = _rounded_up(float(expected[n]))
    for n in rows:
        option = named[n]
        assert option is not None
        _enough(n, option, steps)
    return steps, resting


def longest_steps(found: Listing) -> Steps:
    """Steps that no policy exceeds in expectation, rounded up: ``w >= 1 + sum P w'`` for all.

    Raises
    ------
    CertificateError
        If some policy goes on for ever.
    """
    options = [(n, option) for n, several in enumerate(found.options) for option in several]
    count = len(found.nodes)
    longest = _longest(options, count)
    if longest is None:
        raise CertificateError.at(
            "reward certificate", "an end of every run where rewards below 0 are not discounted",
            "runs that may go on", "set a reward discount below 1, or a horizon",
        )  # fmt: skip
    steps: Steps = [
        None if found.dead[n] is not None else _rounded_up(float(longest[n])) for n in range(count)
    ]
    for n, option in options:
        _enough(n, option, steps)
    return steps


def _longest(options: list[tuple[int, Option]], count: int) -> Floats | None:
    """Value iteration on the number of steps, a little too high; None if it does not settle."""
    owner = np.array([n for n, _ in options], dtype=np.int64)
    edge = np.array([i for i, (_, o) in enumerate(options) for _ in o.onward], dtype=np.int64)
    target = np.array([m for _, o in options for _, m in o.onward], dtype=np.int64)
    prob = np.array([w / o.total for _, o in options for w, _ in o.onward], dtype=np.float64)
    value = np.zeros(count)
    for _ in range(MOST_SWEEPS):
        ahead = np.bincount(edge, weights=prob * value[target], minlength=len(options))
        after = np.zeros(count)
        np.maximum.at(after, owner, 1 + ahead)
        if (after <= value * (1 + 1e-9) + 1e-9).all():
            return after * (1 + 1e-6)
        value = after
    return None


def _reaching(named: Sequence[Option | None], resting: list[bool]) -> list[bool]:
    """From which pairs the policy may come to an end, or to rest."""
    back: list[list[int]] = [[] for _ in named]
    done = [option is None or rest for option, rest in zip(named, resting, strict=True)]
    for n, option in enumerate(named):
        if option is None:
            continue
        for _, m in option.onward:
            back[m].append(n)
        done[n] = done[n] or sum(w for w, _ in option.onward) < option.total
    queue = deque(n for n, ends in enumerate(done) if ends)
    while queue:
        for n in back[queue.popleft()]:
            if not done[n]:
                done[n] = True
                queue.append(n)
    return done


def _resting(named: Sequence[Option | None]) -> list[bool]:
    """The largest set of pairs that earn nothing and are followed by themselves, or by the end."""
    back: list[list[int]] = [[] for _ in named]
    for n, option in enumerate(named):
        for _, m in () if option is None else option.onward:
            back[m].append(n)
    rests = [option is not None and option.reward == 0 for option in named]
    queue = deque(n for n, rest in enumerate(rests) if not rest)
    while queue:
        for n in back[queue.popleft()]:
            if rests[n]:
                rests[n] = False
                queue.append(n)
    return rests


def _solved(named: Sequence[Option | None], rows: list[int]) -> Floats:
    """The expected number of steps from each of these pairs before the end or rest."""
    from scipy.sparse import csc_array, identity
    from scipy.sparse.linalg import splu

    place = {n: i for i, n in enumerate(rows)}
    triples = [
        (place[n], place[m], w / option.total)
        for n in rows
        if (option := named[n]) is not None
        for w, m in option.onward
        if m in place
    ]
    if not triples:
        return np.ones(len(rows))
    above, below, prob = zip(*triples, strict=True)
    moves = csc_array((prob, (above, below)), shape=(len(rows), len(rows)))
    try:
        solve = splu((identity(len(rows), format="csc") - moves).tocsc()).solve
    except RuntimeError:  # singular: the chance to go on is 1 up to rounding
        return np.full(len(rows), np.inf)
    return np.asarray(solve(np.ones(len(rows))))


def _rounded_up(expected: float) -> int:
    if not 0 <= expected < math.inf:
        raise _too_many()
    return math.ceil(SCALE * Fraction(expected))


def _too_many() -> CertificateError:
    error = CertificateError.at(
        "steps of a reward certificate", "steps that rounding leaves intact", "too many",
        "set a reward discount below 1, or a horizon",
    )  # fmt: skip
    assert isinstance(error, CertificateError)
    return error


def _enough(n: int, option: Option, steps: Steps) -> None:
    ahead = sum(w * (steps[m] or 0) for w, m in option.onward)
    if (steps[n] or 0) * option.total < option.total + ahead:
        raise _too_many()
