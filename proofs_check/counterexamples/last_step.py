"""T1.last-step: pricing z_t instead of the successor's budget leaves the last step unpriced.

The mistake charges ``-n`` at the times t < T at which z_t is already broken; what breaks only at
z_T is then free, however large n is. A stated random family says how often that matters.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import Guard, GuardView
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.penalty import finite_threshold
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from proofs_check.claim import Finding, Status
from proofs_check.counterexamples.require import require

CLAIM = "T1.last-step"
COUNT, SEED = 300, 20250601
COVERS = f"{COUNT} random models (3 states, 2 choices, T = 2..4, seed {SEED}), priced both ways"

Choice = tuple[int, int, tuple[int, ...]]
"""A cost, a reward, and equally probable successors."""


@dataclass(frozen=True)
class Instance:
    """A random model with a budget that is just enough.

    Attributes
    ----------
    choices : per state its two choices
    horizon : int
    budget : int
        The minimal budget of state 0, so that some policy is safe (gamma = 1).
    """

    choices: tuple[tuple[Choice, Choice], ...]
    horizon: int
    budget: int


def smallest() -> Instance:
    """One step, d = 0: spending costs 1 and pays 1; the other choice is free.

    >>> smallest().horizon
    1
    """
    return Instance((((1, 1, (0,)), (0, 0, (0,))),), 1, 0)


def instance(generator: random.Random) -> Instance:
    """3 states with 2 choices; costs 0..2, rewards 0..3, one or two successors, T in 2..4."""
    choices = tuple(
        tuple(
            (
                generator.randrange(3),
                generator.randrange(4),
                tuple(generator.sample(range(3), generator.randint(1, 2))),
            )
            for _ in range(2)
        )
        for _ in range(3)
    )
    horizon = generator.randint(2, 4)
    demand = [0] * 3
    for _ in range(horizon):
        demand = [min(c + max(demand[t] for t in to) for c, _, to in row) for row in choices]
    return Instance(choices, horizon, demand[0])  # type: ignore[arg-type]


def family() -> list[Instance]:
    """The stated family, in the order of its seed."""
    generator = random.Random(SEED)
    return [instance(generator) for _ in range(COUNT)]


def enough(problem: Instance) -> Fraction:
    """A penalty above n* of THEORY T1.threshold; beta = 1.

    >>> enough(smallest())
    Fraction(2, 1)
    """
    rewards = [r for row in problem.choices for _, r, _ in row]
    least = Fraction(1, max(len(to) for row in problem.choices for _, _, to in row))
    return max(rewards) * problem.horizon / least**problem.horizon + 1


def greedy(problem: Instance, n: Fraction, last_step: bool) -> Callable[[int, int, int], int]:
    """The first optimal choice at (state, z, time) of the reshaped problem, beta = 1.

    Parameters
    ----------
    last_step
        Whether a broken z_T is charged; leaving that out is the mistake.
    """
    memory: dict[tuple[int, int, int], tuple[Fraction, int]] = {}

    def solve(s: int, z: int, time: int) -> tuple[Fraction, int]:
        if time == problem.horizon:
            return (-n if last_step and z < 0 else Fraction(0)), 0
        if (s, z, time) not in memory:
            worth = []
            for cost, reward, to in problem.choices[s]:
                now = Fraction(reward) if z >= 0 else -n
                ahead = sum((solve(t, z - cost, time + 1)[0] for t in to), Fraction(0))
                worth.append(now + ahead / len(to))
            best = max(worth)
            memory[s, z, time] = best, worth.index(best)
        return memory[s, z, time]

    return lambda s, z, time: solve(s, z, time)[1]


def violates(problem: Instance, policy: Callable[[int, int, int], int]) -> bool:
    """Whether some run of the policy breaks the budget, by walking all runs.

    >>> violates(smallest(), greedy(smallest(), Fraction(10**9), last_step=False))
    True
    """

    def walk(s: int, z: int, time: int) -> bool:
        if z < 0 or time == problem.horizon:
            return z < 0
        cost, _, to = problem.choices[s][policy(s, z, time)]
        return any(walk(t, z - cost, time + 1) for t in to)

    return walk(0, problem.budget, 0)


def as_model(problem: Instance) -> ConstrainedMDP:
    """The instance as a model of the project."""
    states: dict[Hashable, dict[str, tuple[Any, Any, Any]]] = {
        s: {
            str(i): (cost, reward, {t: Fraction(1, len(to)) for t in to})
            for i, (cost, reward, to) in enumerate(row)
        }
        for s, row in enumerate(problem.choices)
    }
    return from_dict(states, initial=0, exact=True)


def as_guard(policy: Callable[[int, int, int], int]) -> Guard:
    """A deterministic policy of (state, z, time) as a guard."""

    def guard(view: GuardView) -> Floats:
        out = np.zeros(view.base.shape)
        for row in range(len(view)):
            where = view.state, view.time
            if where[0] is None or where[1] is None:
                raise ValueError("want a view that tells state and time")
            z = int(view.budgets[0].value(row))
            out[row, policy(int(where[0][row]), z, int(where[1][row]))] = 1.0
        return out

    return guard


def counts() -> tuple[int, int]:
    """How many greedy policies of the family are unsafe: with the mistake, and without it."""
    wrong = right = 0
    for problem in family():
        n = enough(problem)
        wrong += violates(problem, greedy(problem, n, last_step=False))
        right += violates(problem, greedy(problem, n, last_step=True))
    return wrong, right


def run() -> Finding:
    """Count the unsafe policies; verification must catch each of them and pass the others.

    Raises
    ------
    AssertionError
        If pricing z_T is not enough, or verification disagrees with the walk over all runs.
    """
    wrong = 0
    for i, problem in enumerate([smallest(), *family()]):
        model, n = as_model(problem), enough(problem)
        constraint = BudgetConstraint(problem.budget, horizon=problem.horizon)
        require(
            minimal_budget(model, constraint).budget_of(0) == problem.budget
            and finite_threshold(model, problem.horizon) < n,
            f"instance {i}: the solvers' minimal budget or n* is another",
        )
        for last_step in (False, True):
            policy = greedy(problem, n, last_step)
            unsafe = violates(problem, policy)
            require(
                not (unsafe and last_step), f"instance {i}: n={n} is unsafe though z_T is priced"
            )
            wrong += unsafe and i > 0
            verdict = verify(as_guard(policy), model, constraint, price=False)
            want = Outcome.VIOLATED if unsafe else Outcome.SAFE
            require(
                verdict.outcome is want, f"instance {i}: got {verdict.outcome.name}, want {want}"
            )
    require(wrong > 0, "no policy is unsafe: the family shows nothing")
    return Finding(
        Status.HOLDS,
        f"z_T unpriced: {wrong} of {COUNT} greedy policies are unsafe, though n > n* and a safe "
        f"policy exists; z_T priced: 0 of {COUNT}",
    )
