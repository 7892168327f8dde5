"""What verification says: an outcome, its evidence, and the price of safety."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any

from ig_theory.constraint import BudgetConstraint

Number = float | Fraction


class Outcome(Enum):
    """The four verdicts, and the exit codes they have on the command line."""

    SAFE = "SAFE"
    VIOLATED = "VIOLATED"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"

    @property
    def exit_code(self) -> int:
        """0 SAFE, 1 VIOLATED, 2 ERROR, 3 INCONCLUSIVE."""
        return {"SAFE": 0, "VIOLATED": 1, "ERROR": 2, "INCONCLUSIVE": 3}[self.value]


@dataclass(frozen=True)
class Bounds:
    """``lower <= true value <= upper``; equal Fractions when the value is known exactly."""

    lower: Number
    upper: Number

    @property
    def width(self) -> float:
        """How much is unknown; 0 if both ends are the same infinity."""
        return 0.0 if self.lower == self.upper else float(self.upper - self.lower)

    @property
    def middle(self) -> float:
        """A number to show where one is wanted."""
        if self.lower == self.upper:
            return float(self.lower)
        return (float(self.lower) + float(self.upper)) / 2


@dataclass(frozen=True)
class WitnessStep:
    """One step of a counterexample.

    `budgets` are what remains *after* the step, one per constraint; `probability` is that of
    this choice under the guard times that of the branch; `next_state` is where it led.
    """

    time: int
    state: int
    state_name: str
    choice: int
    choice_name: str
    costs: tuple[Fraction, ...]
    budgets: tuple[Fraction, ...]
    next_state: int
    probability: Number


@dataclass(frozen=True)
class Witness:
    """A shortest run on which a guard violates.

    `probability` is that of the whole run; `constraint` tells which constraint it breaks;
    `initial_budgets` are the z_0 it starts from. A run without steps breaks at once.
    """

    initial_state: int
    initial_state_name: str
    initial_budgets: tuple[Fraction, ...]
    initial_probability: Number
    steps: tuple[WitnessStep, ...]
    probability: Number
    constraint: int


@dataclass(frozen=True)
class Verdict:
    """The answer to: does this guard keep this model within its budgets, almost surely?

    The quantities are defined in docs/notation.md. A quantity that could not be had is None;
    `assumptions` then says why.

    Attributes
    ----------
    violation
        P(some budget is violated) under the guard.
    reward, optimal_reward
        Expected discounted reward until the end or the first violation; that of the best
        almost surely safe policy.
    kl, kl_limit
        Expected KL divergence from the base policy, in nats; the least that any almost surely
        safe guard can have (THEORY T5.limit).
    urup, arsp
        Unsafe responses on unsafe prompts; abstentions on safe prompts.
    false_interventions
        P(the guard changes a run of the base model that would have kept the budget).
    violation_by_time
        P(violated by step t), t = 0, 1, ...: for plots.
    """

    guard: str
    model: str
    constraints: tuple[BudgetConstraint, ...]
    outcome: Outcome
    violation: Bounds | None = None
    reward: Bounds | None = None
    optimal_reward: Bounds | None = None
    kl: Bounds | None = None
    kl_limit: Bounds | None = None
    urup: Bounds | None = None
    arsp: Bounds | None = None
    false_interventions: Bounds | None = None
    states_explored: int = 0
    witness: Witness | None = None
    certificate: dict[str, Any] | None = field(default=None, repr=False)
    assumptions: tuple[str, ...] = ()
    error: str | None = None
    violation_by_time: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def regret(self) -> Bounds | None:
        """Optimal safe reward minus the guard's; negative only for a guard that violates."""
        best, own = self.optimal_reward, self.reward
        if best is None or own is None or _opposed(best, own):
            return None
        return Bounds(best.lower - own.upper, best.upper - own.lower)

    @property
    def kl_ratio(self) -> float | None:
        """Over-intervention: KL divided by its limit; None where either is 0 or infinite."""
        if self.kl is None or self.kl_limit is None:
            return None
        kl, limit = self.kl.middle, self.kl_limit.middle
        return kl / limit if 0 < limit < float("inf") and kl < float("inf") else None


def _opposed(a: Bounds, b: Bounds) -> bool:
    """Whether subtracting would meet ``inf - inf``."""
    inf = float("inf")
    return any(
        abs(x) == inf and abs(y) == inf for x in (a.lower, a.upper) for y in (b.lower, b.upper)
    )
