"""Discounted values over states by compiled sweeps: value, policy and modified policy iteration.

Let ``y = T x`` be one Bellman step and ``m <= y - x <= M``. Then the optimum v, and likewise
the value of a policy that attains ``T x``, obeys (MacQueen; Puterman, section 6.6)

    y + beta m / (1 - beta)  <=  v  <=  y + beta M / (1 - beta),

and ``m``, ``M`` are widened here by a bound on the rounding of ``y``. Terminal states are worth
0 exactly, so that with them ``m <= 0 <= M``: a shift of all other values is then not free, and
sweeps alone would need ``log(1/tolerance) / (1 - beta)`` rounds to forget one. After every few
sweeps the common part of the moves is therefore summed as the geometric series that it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.chain import ROUNDING
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.solvers.solution import Solution, Status

FEW, MANY = 3, 12
"""Sweeps of a policy that is still changing (in more than 1 of 200 states), and later."""

FREE_FAILURES = 3
MOST_SWEEPS = 200_000
LONGEST_EVALUATION = 2_000


def macqueen(
    y: Floats, moves: tuple[float, float], error: float, series: float, terminal: Bools
) -> tuple[Floats, Floats]:
    """The bounds above, [S] each: `moves` are m and M, `series` is ``beta / (1 - beta)``."""
    least, most = moves
    if terminal.any():
        least, most = min(least, 0.0), max(most, 0.0)
    below, above = series * (least - error), series * (most + error)
    slack = error + 4 * ROUNDING * max(abs(below), abs(above))
    lower, upper = y + (below - slack), y + (above + slack)
    lower[terminal] = upper[terminal] = 0.0
    return lower, upper


@dataclass(frozen=True, eq=False)
class Rows:
    """A policy's rows in slots, as the kernels keep them; the arrays are scratch space."""

    ptr: npt.NDArray[np.uint32]
    state: npt.NDArray[np.uint32]
    prob: Floats
    gain: Floats


class DiscountedStates:
    """A model's arrays as the compiled sweeps want them: made once, solved for many gains."""

    def __init__(self, model: ConstrainedMDP, beta: Fraction) -> None:
        from ig_theory.solvers.kernels import state as state_kernels

        self.kernels: Any = state_kernels
        self.beta = float(beta)
        self.series = float(beta / (1 - beta))
        self.terminal = model.terminal
        self.choice_ptr = model.choice_ptr.astype(np.uint32)
        self.branch_ptr = model.branch_ptr.astype(np.uint32)
        self.successor = model.branch_state.astype(np.uint32)
        prob = model.branch_prob.astype(np.float64, copy=False)
        scaled = np.empty(len(prob))
        changed = state_kernels.scale(self.branch_ptr, prob, scaled)
        self.prob: Floats = scaled if changed else prob
        widths = np.maximum.reduceat(np.diff(model.branch_ptr), model.choice_ptr[:-1])
        self.longest = int(widths.max())
        slots = np.cumsum(np.where(self.terminal, 0, widths))
        self.slots = np.append(0, slots).astype(np.uint32)

    def _rows(self) -> Rows:
        size = int(self.slots[-1])
        return Rows(
            self.slots, np.empty(size, np.uint32), np.empty(size), np.zeros(len(self.terminal))
        )

    def _rounding(self, x: Floats, gain: Floats) -> float:
        """More than one computed backup can be off, whatever the order of its additions."""
        size = max(abs(float(x.max())), abs(float(x.min())))
        size += max(abs(float(gain.max())), abs(float(gain.min())))
        return ROUNDING * (self.longest + 4) * size

    def solve(
        self, gain: Floats, method: str, tolerance: float, start: Floats | None = None
    ) -> Solution:
        """The optimum within `tolerance`, with checked bounds and a policy between them."""
        rows, policy = self._rows(), np.full(len(self.terminal), -1)
        x = self._guess(gain) if start is None else np.where(self.terminal, 0.0, start)
        y = x.copy()
        model = (self.choice_ptr, self.branch_ptr, self.successor, self.prob, gain)
        swept, rounds, least_width, failures, resting = 0, MANY, np.inf, 0, 0
        while True:
            least, most, changes = self.kernels.improve(
                *model, self.beta, x, y, policy, rows.ptr, rows.state, rows.prob, rows.gain
            )
            swept += 1
            error = self._rounding(x, gain)
            width = self.series * (most - least + 2 * error) + 2 * error
            hopeless = most - least <= 2 * error or swept >= MOST_SWEEPS
            if width <= tolerance or hopeless:
                break
            if method == "vi":
                x, y = y, x
                continue
            if width > 0.9 * least_width:  # leaps may go round in circles: rest from them longer
                failures += 1
                resting = 2 ** (failures - FREE_FAILURES) if failures > FREE_FAILURES else 0
            least_width, resting = min(width, least_width), resting - 1
            rounds = min(2 * rounds, LONGEST_EVALUATION) if changes == 0 else MANY
            many = 200 * changes > len(policy)
            sweeps = LONGEST_EVALUATION if method == "pi" else FEW if many else rounds
            aim = tolerance / (1e3 if method == "pi" else 10)
            x, y, done = self._evaluate(rows, y, x, sweeps, aim, resting < 0)
            swept += done
        lower, upper = macqueen(y, (least, most), error, self.series, self.terminal)
        policy[self.terminal] = -1
        status = Status.CERTIFIED if width <= tolerance else Status.UNCERTIFIED
        return Solution(lower, upper, policy, status, most - least + 2 * error, swept)

    def _guess(self, gain: Floats) -> Floats:
        """Everywhere the mean of the best gains, for ever."""
        best = np.maximum.reduceat(gain, self.choice_ptr[:-1].astype(np.int64))
        return np.where(self.terminal, 0.0, best.mean() * (1 + self.series))

    def _evaluate(
        self, rows: Rows, x: Floats, y: Floats, sweeps: int, aim: float, leaping: bool
    ) -> tuple[Floats, Floats, int]:
        """At most that many sweeps from `x`; `y` is scratch. Returns both and the sweeps made."""
        mean = spread = ratio = shrink = 0.0
        done, since = 0, 0
        while done < sweeps:
            least, most, moved = self.kernels.sweep(
                rows.ptr, rows.state, rows.prob, rows.gain, self.beta, x, y
            )
            x, y = y, x
            done, since = done + 1, since + 1
            ratio = moved / mean if mean else 0.0
            shrink = (most - least) / spread if spread else 0.0
            mean, spread = moved, most - least
            settled = self.series * spread <= aim
            if settled or done == sweeps or since == 3 * MANY:
                if leaping:
                    self._leap(x, y, mean, ratio, shrink)
                if settled:
                    break
                mean = spread = 0.0
                since = 0
        return x, y, done

    def _leap(self, x: Floats, y: Floats, mean: float, ratio: float, shrink: float) -> None:
        """Add, in place, what the moves would still total if they went on shrinking so."""
        ratio = min(ratio, self.beta)
        if not ratio > 0.3:
            return
        factor = ratio / (1 - ratio)
        if abs(shrink - ratio) < 0.1 * (1 - ratio):  # the moves keep their shape: one slow mode
            x += factor * (x - y)
        else:  # all but their mean dies out by itself, soon
            x += np.where(self.terminal, 0.0, factor * mean)

    def evaluate(self, policy: Ints, gains: list[Floats]) -> tuple[list[Floats], list[Floats]]:
        """Bounds of a policy's totals, [S] for each gain [C], as tight as rounding allows."""
        rows = self._rows()
        self.kernels.select(
            policy, self.branch_ptr, self.successor, self.prob, rows.ptr, rows.state, rows.prob
        )
        below, above = [], []
        for gain in gains:
            rows.gain[:] = np.where(self.terminal, 0.0, gain[policy])
            x = np.where(self.terminal, 0.0, rows.gain.mean() * (1 + self.series))
            y = x.copy()
            least = most = error = 0.0
            for attempt in range(50):
                error = self._rounding(x, rows.gain)
                x, y, _ = self._evaluate(
                    rows, x, y, LONGEST_EVALUATION, self.series * error, attempt < 40
                )
                least, most, _ = self.kernels.sweep(
                    rows.ptr, rows.state, rows.prob, rows.gain, self.beta, x, y
                )
                error = self._rounding(x, rows.gain)
                if max(most, 0.0) - min(least, 0.0) <= 4 * error:
                    break
            lower, upper = macqueen(y, (least, most), error, self.series, self.terminal)
            below.append(lower)
            above.append(upper)
        return below, above
