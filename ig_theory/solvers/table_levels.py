"""Solving a value table level by level, and bounding its error.

If no entry of level z has a Bellman error above e, and ``w`` bounds the expected number of free
options in a row, the level adds at most ``e w`` to the discounted error of the levels below: with
``E_z = beta max_{y<z} E_y + e w``, ``V - E`` and ``V + E`` satisfy the inequalities of
THEORY T4.reward. So they do with ``E = e / (1 - beta)``, e the largest Bellman error of all levels
so far: the smaller of the two is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ig_theory.budget import INFINITE
from ig_theory.cmdp import Floats
from ig_theory.solvers.table_options import Options

ROUNDING = 2.0**-52
"""Bound on the relative error of one float64 operation, doubled to be generous."""

MOST_SWEEPS = 20_000


def free_steps(rows: Options, beta: float, most: int) -> float:
    """How many free options can follow one another, expected, at most; inf if not found."""
    from ig_theory.solvers.table_kernels import longest

    steps = np.ones(len(rows.stay))
    found, move = longest(
        rows.member, rows.free_ptr, rows.free.ptr, rows.free.node, rows.free.prob, steps, most
    )
    counted = float(steps.max()) / (1 - move) if found else math.inf
    discounted = 1 / (1 - beta) if beta < 1 else math.inf
    return min(counted, discounted) * (1 + 1e-8)


@dataclass(frozen=True, eq=False)
class Levels:
    """A table that is solved level after level.

    Attributes
    ----------
    rows : Options
    value : float64[levels, G]
        Filled in place; to begin with, what an entry is worth without any option.
    which : unsigned[levels, G]
        The place of the best option; the largest number if there is none.
    known : uint32[]
        Groups whose entries no free option can change.
    floor, option, moves, turns
        Scratch of the groups with free options.
    gains : bool
        Whether reward can be collected for ever somewhere.
    """

    rows: Options
    value: Floats
    which: npt.NDArray[np.unsignedinteger]
    known: npt.NDArray[np.uint32]
    floor: Floats
    option: npt.NDArray[np.uint32]
    moves: Floats
    turns: Floats
    gains: bool

    @classmethod
    def of(cls, rows: Options, value: Floats) -> Levels:
        """With an empty policy and scratch space."""
        which = np.empty(value.shape, dtype=rows.paid.place.dtype)
        which.fill(np.iinfo(which.dtype).max)
        free = len(rows.member)
        known = np.diff(rows.option_ptr) > 0
        known[rows.member] = False
        return cls(
            rows, value, which, np.flatnonzero(known).astype(np.uint32), np.zeros(free),
            np.zeros(free, dtype=np.uint32), np.zeros(free), np.zeros(free),
            bool((rows.endless < INFINITE).any()),
        )  # fmt: skip

    def push(self, z: int, first: int, last: int) -> int:
        """Offer the paid options of some cost classes to the levels above; branches read."""
        ptr = self.rows.class_ptr
        return sum(
            self._offer(z, k, int(ptr[k]), int(ptr[k + 1]))
            for k in range(first, min(last, len(self.rows.costs)))
        )

    def _halves(self, z: int) -> tuple[tuple[int, int, int, int], ...]:
        """The cheapest class in two parts with different owners, as arguments of `_offer`."""
        rows = self.rows
        if not len(rows.costs):
            return ()
        low, high = int(rows.class_ptr[0]), int(rows.class_ptr[1])
        owner = rows.paid.owner[low:high]
        middle = low + int(np.searchsorted(owner, owner[len(owner) // 2]))
        return (z, 0, low, middle), (z, 0, middle, high)

    def _offer(self, z: int, k: int, low: int, high: int) -> int:
        from ig_theory.solvers.table_kernels import push

        paid, level = self.rows.paid, z + int(self.rows.costs[k])
        if level >= len(self.value):
            return 0
        push(
            self.value[z], level, paid.owner, paid.since, paid.gain, paid.ptr, paid.node,
            paid.prob, paid.place, low, high, self.value[level], self.which[level],
        )  # fmt: skip
        return int(paid.ptr[high]) - int(paid.ptr[low])

    def settle(self, z: int, target: float) -> tuple[float, int]:
        """Make level z final; the largest last move and the branches read."""
        from ig_theory.solvers.table_kernels import guess, settle

        rows, free, x = self.rows, self.rows.free, self.value[z]
        if self.gains:
            x[rows.endless <= z] = np.inf
        if not len(rows.member):
            return 0.0, 0
        guess(self.value, z, rows.member, self.known, x, self.floor)
        if self.gains:
            x[rows.endless <= z] = np.inf
        change, reads = settle(
            z, x, rows.member, rows.free_ptr, free.since, free.gain, free.ptr, free.node,
            free.prob, free.place, self.which[z], self.floor, self.option, self.moves, self.turns,
            target, MOST_SWEEPS,
        )  # fmt: skip
        return float(change), int(reads)

    def solve(
        self, beta: float, steps: float, longest: int, gains: float, tolerance: float, threads: int,
        progress: Callable[[int, int], None] | None,
    ) -> tuple[Floats, bool, float]:  # fmt: skip
        """All levels, ascending; what costs two and more is pushed while the next one settles.

        Parameters
        ----------
        beta
            Discount of rewards.
        steps
            Bound on the free options in a row (`free_steps`).
        longest, gains
            The most branches of a choice and the largest gain, for the rounding error.

        Returns
        -------
        error : float64[levels]
        certified : bool
            Whether the error is within the tolerance.
        passes : float
            Branches read, in units of all branches at all levels.
        """
        from ig_theory.solvers.table_kernels import largest

        levels, rows = len(self.value), self.rows
        error, worst, off, reads, size = np.zeros(levels), 0.0, 0.0, 0, 0.0
        pool = ThreadPoolExecutor(1) if threads > 1 else None
        later = None
        try:
            for z in range(levels):
                # What earlier levels left over of the tolerance is shared by the rest; most
                # levels end well below their share, hence twice of it. Discounting forgets.
                allowed = 0.45 * tolerance * max(1.0, size)
                # Without a bound on the steps no bounds will follow: stop somewhere sensible.
                each = allowed / steps if steps < math.inf else 1e-6 * allowed
                left = max(1 - beta * worst / allowed, 0.0) / max(0.5 * (levels - z), 1.0)
                change, read = self.settle(z, max(each * left, (1 - beta) * allowed))
                reads += read
                if pool is None:
                    reads += self.push(z, 0, len(rows.costs))
                else:
                    if later is not None:
                        reads += later.result()
                    parts = self._halves(z)
                    others = [pool.submit(self._offer, *part) for part in parts[1:]]
                    reads += sum(self._offer(*part) for part in parts[:1])
                    reads += sum(other.result() for other in others)
                    later = pool.submit(self.push, z, 1, len(rows.costs))
                size = max(size, float(largest(self.value[z])))
                rounding = ROUNDING * (longest + 6) * (gains + size)
                off = max(off, change + rounding)
                summed = beta * worst * (1 + 4 * ROUNDING) + (change + rounding) * steps
                contracted = off / (1 - beta) * (1 + 4 * ROUNDING) if beta < 1 else math.inf
                error[z] = min(summed, contracted)
                worst = max(worst, float(error[z]))
                if progress is not None:
                    progress(z + 1, levels)
        finally:
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        certified = 2 * worst <= tolerance * max(1.0, size)
        branches = max(len(rows.paid.node) + len(rows.free.node), 1)
        return error, certified, reads / (branches * levels)
