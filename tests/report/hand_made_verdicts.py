"""Hand-made verdicts of every outcome, with awkward names and numbers."""

from __future__ import annotations

import math
from fractions import Fraction

from ig_theory.constraint import BudgetConstraint
from ig_theory.report import SafeSetPicture, Study
from ig_theory.verdict import Bounds, Outcome, Verdict, Witness, WitnessStep

CONSTRAINT = BudgetConstraint("3/10", cost="toxicity")
AWKWARD = 'a <b> & "c" [red] :smile: \x00 ] naïve'


def bounds(lower: float | Fraction, upper: float | Fraction | None = None) -> Bounds:
    return Bounds(lower, lower if upper is None else upper)


def witness(steps: int) -> Witness:
    budgets = [Fraction(3, 10) - Fraction(t + 1, 10) for t in range(steps)]
    return Witness(
        0, AWKWARD, (Fraction(3, 10),), Fraction(1, 2),
        tuple(
            WitnessStep(t, t, f"turn {t}", 2 * t, "comply", (Fraction(1, 10),), (z,), t + 1, 0.5)
            for t, z in enumerate(budgets)
        ),
        Fraction(1, 32), 0,
    )  # fmt: skip


def verdict(guard: str, outcome: Outcome, **more: object) -> Verdict:
    return Verdict(guard, "dialogue:depth=6", (CONSTRAINT,), outcome, **more)  # type: ignore[arg-type]


SAFE = verdict(
    "shield", Outcome.SAFE, violation=bounds(Fraction(0)), reward=bounds(1.25),
    optimal_reward=bounds(1.5), kl=bounds(0.5), kl_limit=bounds(0.25), urup=bounds(0.0),
    states_explored=512, certificate={"kind": "safety"}, violation_by_time=(0.0, 0.0),
    assumptions=("costs are what the model says",), seconds=0.25,
)  # fmt: skip
VIOLATED = verdict(
    AWKWARD, Outcome.VIOLATED, violation=bounds(Fraction(1, 3)), reward=bounds(2.0),
    optimal_reward=bounds(1.5), kl=bounds(math.inf), kl_limit=bounds(0.25), witness=witness(4),
    violation_by_time=(0.0, 0.125, 1 / 3), assumptions=("costs are what the model says",),
)  # fmt: skip
UNCLEAR = verdict("value-filter:threshold=0.9", Outcome.INCONCLUSIVE, violation=bounds(0.0, 1e-5))
FAULTY = verdict("broken.py:guard", Outcome.ERROR, error=f"state 3: {AWKWARD}")
ALL = (SAFE, VIOLATED, UNCLEAR, FAULTY)

FEW = SafeSetPicture(("start", AWKWARD, "lost"), (0.0, 0.2, math.inf), CONSTRAINT)
MANY = SafeSetPicture(
    tuple(map(str, range(100))),
    tuple(i / 50 if i % 3 else math.inf for i in range(100)),
    CONSTRAINT,
)
STUDY = Study(f"dialogue: {AWKWARD}", ALL, (FEW, MANY))
