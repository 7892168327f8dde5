"""The pairs of a ``reward`` certificate, and what follows each choice in exact budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ig_theory.checker.listed import (
    Key,
    Vector,
    broken_at,
    budgets_at,
    clips_at,
    is_over,
    key_at,
    moved,
)
from ig_theory.checker.reading import Constraint, below, items, shares, support
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError

OVER, LOST, MISSING = -1, -2, -3
"""A run that ended with its budgets kept; a broken budget; a pair that is not listed."""


@dataclass
class Unfolded:
    """The listed pairs; `after` and `gain` are worked out when first asked for.

    Attributes
    ----------
    keys : state, budgets and time of each pair; all run on, none is broken
    dead : the rank of each pair from which no policy is safe, None for the others
    """

    model: ConstrainedMDP
    constraints: list[Constraint]
    clips: list[Fraction | None]
    budgets: list[Vector]
    keys: list[Key]
    dead: list[int | None]
    place: dict[Key, int] = field(default_factory=dict)
    _number: dict[Vector, int] = field(default_factory=dict)
    _paid: dict[tuple[int, int], Vector] = field(default_factory=dict)
    _gains: dict[int, tuple[list[int], int, Fraction]] = field(default_factory=dict)

    @property
    def timed(self) -> bool:
        """Whether there is a horizon."""
        return self.constraints[0].horizon is not None

    def name(self, n: int) -> str:
        """A pair, for people."""
        state, budget, time = self.keys[n]
        shown = ", ".join(map(str, self.budgets[budget]))[:60]
        when = "" if time is None else f", time {time}"
        return f"pair (state {self.model.state_name(state)}, budget {shown}{when})"

    def first(self, state: int) -> int:
        """Where a run that starts in this state is."""
        vector = tuple(c.budget / self.model.cost_unit for c in self.constraints)
        return self._find(state, self._clipped(vector), 0 if self.timed else None)

    def after(self, n: int, choice: int) -> list[int]:
        """Where each branch of a choice leads: a pair, or OVER, LOST, MISSING."""
        _, budget, time = self.keys[n]
        if (budget, choice) not in self._paid:
            paid = moved(self.budgets[budget], choice, self.constraints)
            self._paid[budget, choice] = self._clipped(paid)
        vector, later = self._paid[budget, choice], None if time is None else time + 1
        return [self._find(s, vector, later) for s in support(choice, self.model)]

    def gain(self, choice: int) -> tuple[list[int], int, Fraction]:
        """The weights of a choice's branches, their total, and its reward."""
        if choice not in self._gains:
            model = self.model
            low, high = int(model.branch_ptr[choice]), int(model.branch_ptr[choice + 1])
            weights, total = shares(model.branch_prob[low:high])
            self._gains[choice] = weights, total, Fraction(model.reward[choice])
        return self._gains[choice]

    def _find(self, state: int, vector: Vector, time: int | None) -> int:
        over = is_over(state, time, self.constraints[0], self.model)
        if broken_at(self.constraints, vector, over) is not None:
            return LOST
        if over:
            return OVER
        return self.place.get((state, self._number.get(vector, -1), time), MISSING)

    def _clipped(self, vector: Vector) -> Vector:
        return tuple(
            z if clip is None else min(z, clip) for z, clip in zip(vector, self.clips, strict=True)
        )


def unfolded(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[Constraint]
) -> Unfolded:
    """Read the pairs; budgets are exact, or clipped where that changes no sign (L1.clip)."""
    clips = clips_at(certificate, constraints)
    for clip, constraint in zip(clips, constraints, strict=True):
        if clip is not None:
            _harmless(clip, constraint)
    if any(mesh is not None for mesh in certificate["grid"]):
        raise CertificateError.at("grid", "null: budgets are exact", certificate["grid"], "-")
    budgets = budgets_at(certificate, constraints)
    timed = constraints[0].horizon is not None
    keys = [key_at(items(entry), budgets, timed, model) for entry in items(certificate["pairs"])]
    ranks = items(certificate["dead"])
    dead = [None if rank is None else below(rank, 2**62, "dead") for rank in ranks]
    if len(set(keys)) < len(keys) or len(dead) != len(keys):
        raise CertificateError.at("pairs, dead", "each pair once, one entry each", "other", "-")
    product = Unfolded(model, constraints, clips, budgets, keys, dead)
    product.place.update({key: n for n, key in enumerate(keys)})
    product._number.update({vector: i for i, vector in enumerate(budgets)})
    for n, (state, budget, time) in enumerate(keys):
        over = is_over(state, time, constraints[0], model)
        late = time is not None and time > (constraints[0].horizon or 0)
        if over or late or broken_at(constraints, budgets[budget], over) is not None:
            raise CertificateError.at(
                product.name(n), "a pair that runs on, with kept budgets", "another", "drop it"
            )
    return product


def _harmless(clip: Fraction, constraint: Constraint) -> None:
    """From this budget on nothing can be broken, and it is never left (THEORY L1.clip)."""
    most = max(0, *constraint.cost)
    kept = clip > 0 or (clip == 0 and constraint.closed)
    if constraint.discount == 1 or clip * (1 - constraint.discount) < most or not kept:
        raise CertificateError.at(
            "clip", "a budget of at least c_max / (1 - discount), or null", clip,
            "a smaller one takes away what may be spent",
        )  # fmt: skip
