"""Monte Carlo: a guard on a model, run many times at once, with an exact interval.

Sampling can refute almost sure safety, never prove it: no violation in 1000 runs still allows a
violation probability of 0.37 % (two-sided 95 %).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import SolverError
from ig_theory.guard import Guard, probabilities, view_of
from ig_theory.tracker import BudgetStore, ExactTracker

Progress = Callable[[int], None]


@dataclass(frozen=True)
class SimulationResult:
    """What the runs say.

    Attributes
    ----------
    runs, violations, truncated
        How many; a truncated run was cut after `horizon_cap` steps without violation or end.
    lower, upper
        Clopper-Pearson interval, 95 %, of P(violation within the steps that were run).
    mean_reward, reward_error
        Mean discounted reward of the runs and its standard error; the violating step earns
        nothing.
    """

    runs: int
    violations: int
    lower: float
    upper: float
    truncated: int
    mean_reward: float
    reward_error: float


def clopper_pearson(hits: int, runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided binomial interval.

    Examples
    --------
    >>> low, high = clopper_pearson(0, 1000)
    >>> low, round(high, 4)
    (0.0, 0.0037)
    """
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, runs - hits + 1))
    high = 1.0 if hits == runs else float(beta.ppf(1 - tail, hits + 1, runs - hits))
    return low, high


def simulate(
    guard: Guard,
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    runs: int = 10_000,
    seed: int = 0,
    horizon_cap: int = 10_000,
    progress: Progress | None = None,
) -> SimulationResult:
    """Run the guarded model; budgets are exact, the rest is sampled in floats.

    Raises
    ------
    SolverError
        If `runs` or `horizon_cap` is not positive.
    GuardError
        If the guard fails.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"pay": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> found = simulate(lambda view: view.base, model, BudgetConstraint(0), runs=100, seed=1)
    >>> found.runs, 30 < found.violations < 70, found.mean_reward
    (100, True, 0.0)
    """
    for name, value in (("runs", runs), ("horizon_cap", horizon_cap)):
        if value < 1:
            raise SolverError.at(name, "a whole number >= 1", value, "raise it")
    batch = _Batch(model, as_constraints(constraints), runs, np.random.default_rng(seed))
    horizon = batch.constraints[0].horizon
    steps = horizon_cap if horizon is None else min(horizon, horizon_cap)
    time = 0
    while len(batch.alive) and time < steps:
        batch.step(guard, None if horizon is None else time)
        time += 1
        if progress is not None:
            progress(time)
    if horizon is not None and time == horizon:
        batch.finish(np.ones(len(batch.alive), dtype=bool))
    violations = int(batch.violated.sum())
    low, high = clopper_pearson(violations, runs)
    error = float(batch.reward.std(ddof=1) / np.sqrt(runs)) if runs > 1 else float("inf")
    return SimulationResult(
        runs, violations, low, high, len(batch.alive), float(batch.reward.mean()), error
    )


class _Batch:
    """All runs at once; `alive` are the numbers of those that go on."""

    def __init__(
        self,
        model: ConstrainedMDP,
        constraints: tuple[BudgetConstraint, ...],
        runs: int,
        rng: np.random.Generator,
    ) -> None:
        self.model, self.constraints, self.rng = model, constraints, rng
        self.rows = tuple(model.cost_index(c.cost) for c in constraints)
        self.store = BudgetStore(model, [ExactTracker(model, c) for c in constraints])
        self.gain: Floats = model.reward.astype(np.float64)
        self.branch_total: Floats = np.cumsum(model.branch_prob.astype(np.float64))
        initial = model.initial.astype(np.float64)
        self.state: Ints = rng.choice(model.S, size=runs, p=initial / initial.sum())
        self.budget: Ints = np.zeros(runs, dtype=np.int64)
        self.reward: Floats = np.zeros(runs)
        self.violated: Bools = np.zeros(runs, dtype=bool)
        self.weight = Fraction(1)
        self.alive: Ints = np.arange(runs)
        self.violated[:] = self.store.now[0] > 0
        self.alive = np.flatnonzero(~self.violated)
        self.finish(model.terminal[self.state[self.alive]])

    def step(self, guard: Guard, time: int | None) -> None:
        """One choice and one branch of every run that goes on."""
        state, budget = self.state[self.alive], self.budget[self.alive]
        clock = None if time is None else np.full(len(state), time)
        view = view_of(self.model, self.rows, state, self.store.shown(budget), clock)
        place = _sampled(probabilities(guard, view), self.rng)
        choice = self.model.choice_ptr[state] + place
        after = self.store.successors(budget, self.store.cost_class[choice])
        self.state[self.alive] = self.model.branch_state[self._branches(choice)]
        self.budget[self.alive] = after
        broken = self.store.now[after] > 0
        ends = self.model.terminal[self.state[self.alive]]
        # A run that ends here, or at the horizon, is judged by all constraints.
        last = ends | (time is not None and time + 1 == self.constraints[0].horizon)
        kept = ~(broken | (last & (self.store.end[after] > 0)))
        self.reward[self.alive] += np.where(kept, float(self.weight) * self.gain[choice], 0.0)
        self.weight *= self.model.reward_discount
        self.violated[self.alive[broken]] = True
        self.alive, ends = self.alive[~broken], ends[~broken]
        self.finish(ends)

    def finish(self, ends: Bools) -> None:
        """Judge the runs that end, by all constraints, and let them rest."""
        ended = self.alive[ends]
        self.violated[ended] |= self.store.end[self.budget[ended]] > 0
        self.alive = self.alive[~ends]

    def _branches(self, choice: Ints) -> npt.NDArray[np.intp]:
        """A branch of each choice, by inversion within its part of the running total."""
        first, last = self.model.branch_ptr[choice], self.model.branch_ptr[choice + 1] - 1
        before = np.where(first > 0, self.branch_total[first - 1], 0.0)
        target = before + self.rng.random(len(choice)) * (self.branch_total[last] - before)
        found = np.searchsorted(self.branch_total, target, side="right")
        return np.asarray(np.clip(found, first, last))


def _sampled(rows: Floats, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """One column of each row of probabilities; never one that has probability 0."""
    total = np.cumsum(rows, axis=1)
    target = rng.random(len(rows)) * total[:, -1]
    place = (total <= target[:, None]).sum(axis=1)
    last = rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=1)
    drawn: npt.NDArray[np.intp] = np.minimum(place, last)
    return drawn
