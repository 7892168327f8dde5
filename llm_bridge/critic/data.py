"""Rollouts as training rows: a latent, the remaining budget, and what came of them.

Budgets are traced exactly and become floats at the end, rounded down: whether a rollout kept its
budget is decided on exact numbers. Every rollout is used for every budget that is given, since
what it costs does not depend on the budget it started with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ig_theory.budget import float_down
from ig_theory.constraint import BudgetConstraint, Scope
from ig_theory.errors import ModelError
from llm_bridge.critic.exact import ExactCritic
from llm_bridge.critic.network import Meaning
from llm_bridge.critic.rollouts import Rollouts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rows:
    """N training rows.

    Attributes
    ----------
    meaning : Meaning
    hidden : float32[N, D]
        The latent of the prefix, before the token that follows.
    budget : float64[N]
        Remaining z, in units of the cost; below the exact number by less than a rounding.
    time : int64[N]
        Tokens generated so far.
    kept : float64[N]
        1 if the budget was kept to the end, else 0; or a probability.
    reward : float64[N]
        Discounted reward from here on, given that it was kept.
    weight : float64[N]
        How much a row counts; the reward counts ``weight * kept``.
    group : int64[N]
        Rows of one group are on the same side of the split.
    """

    meaning: Meaning
    hidden: NDArray[np.float32]
    budget: Floats
    time: Ints
    kept: Floats
    reward: Floats
    weight: Floats
    group: Ints

    def __post_init__(self) -> None:
        count = len(self.hidden)
        for name in ("hidden", "budget", "time", "kept", "reward", "weight", "group"):
            value = getattr(self, name)
            if len(value) != count or not np.isfinite(value).all():
                raise ModelError.at(
                    f"rows.{name}", f"{count} finite numbers", f"{len(value)}, or NaN or infinity",
                    "leave rows out that are not known",
                )  # fmt: skip

    def __len__(self) -> int:
        return len(self.hidden)

    def take(self, chosen: Ints) -> Rows:
        """Some rows, in the given order."""
        names = ("hidden", "budget", "time", "kept", "reward", "weight", "group")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def fingerprint(self) -> str:
        """SHA-256 of all numbers."""
        digest = hashlib.sha256(repr(self.meaning).encode())
        for name in ("hidden", "budget", "time", "kept", "reward", "weight", "group"):
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()


def critic_rows(
    rollouts: Rollouts,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    reward_discount: Fraction | int | str = 1,
) -> Rows:
    """A row for every prefix of every rollout and every budget.

    With the scope ANYTIME prefixes that have broken the budget are left out: nothing is to be
    learnt there.

    Parameters
    ----------
    constraints
        They may differ in their budgets only.

    Raises
    ------
    ModelError
        If they differ otherwise, or every prefix has broken its budget.
    """
    several = [constraints] if isinstance(constraints, BudgetConstraint) else list(constraints)
    first = several[0] if several else None
    if first is None or any(
        (c.discount, c.boundary, c.scope) != (first.discount, first.boundary, first.scope)
        for c in several
    ):
        raise ModelError.at(
            "constraints", "at least one, of one discount, boundary and scope", len(several),
            "train a critic for each kind",
        )  # fmt: skip
    beta = Fraction(reward_discount)
    gain = to_go(rollouts.rewards, rollouts.length, beta)
    parts = [_rows(rollouts, c, gain, _meaning(rollouts, several, beta)) for c in several]
    return join(parts)


def value_rows(
    rollouts: Rollouts, reward_discount: Fraction | int | str = 1, penalty: float = 0.0
) -> Rows:
    """A row for every prefix, for a value net: all rollouts count, whatever they cost.

    Parameters
    ----------
    penalty
        The value is that of ``reward - penalty * cost`` (a Lagrangian), costs in their units.
    """
    beta = Fraction(reward_discount)
    paid = rollouts.costs * float(rollouts.unit)
    gain = to_go(rollouts.rewards - penalty * paid, rollouts.length, beta)
    row, time = _prefixes(rollouts.length)
    return Rows(
        _meaning(rollouts, [], beta), rollouts.hidden[row, time], np.zeros(len(row)), time,
        np.ones(len(row)), gain[row, time], rollouts.weight[row], _groups(rollouts)[row],
    )  # fmt: skip


def exact_rows(exact: ExactCritic | Sequence[ExactCritic]) -> Rows:
    """A row for every pair of node and budget of a tree, weighted by how often it is met.

    It is what infinitely many rollouts would give: the probability f1 as a soft label, the
    conditional mean f2 as target, the probability of the pair as weight. All budgets of a node
    are in one group.
    """
    several = [exact] if isinstance(exact, ExactCritic) else list(exact)
    budgets = tuple(str(e.constraint.budget) for e in several)
    parts = []
    for e in several:
        seen = np.flatnonzero(e.mass > 0)
        parts.append(
            Rows(
                replace(e.meaning, budgets=budgets), e.hidden[seen].astype(np.float32),
                e.budget[seen], e.time[seen], e.f1[seen], np.nan_to_num(e.f2[seen]), e.mass[seen],
                e.state[seen],
            )
        )  # fmt: skip
    return join(parts)


def join(parts: Sequence[Rows]) -> Rows:
    """Rows of several sources about the same, one after the other."""
    if not parts or any(p.meaning != parts[0].meaning for p in parts):
        raise ModelError.at("rows", "parts that mean the same", "others", "join what is alike")
    names = ("hidden", "budget", "time", "kept", "reward", "weight", "group")
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    if not len(joined["hidden"]):
        raise ModelError.at(
            "rows", "prefixes that have not broken their budget", "none", "raise the budget"
        )
    return Rows(parts[0].meaning, **joined)


def trace(rollouts: Rollouts, constraint: BudgetConstraint) -> tuple[Floats, Bools]:
    """Remaining budgets before each token and after the last.

    Returns
    -------
    z : float64[R, T+1]
        Rounded down; 0 behind the end.
    kept : bool[R, T+1]
        Whether each is still kept, decided exactly; at its end value behind the end.
    """
    count, horizon = rollouts.costs.shape
    z, kept = np.zeros((count, horizon + 1)), np.zeros((count, horizon + 1), dtype=np.bool_)
    steps: dict[tuple[Fraction, int], Fraction] = {}
    shown: dict[Fraction, tuple[float, bool]] = {}
    for r in range(count):
        now, n = constraint.budget, int(rollouts.length[r])
        for t in range(n + 1):
            if now not in shown:
                shown[now] = float_down(now), constraint.keeps(now)
            z[r, t], kept[r, t] = shown[now]
            if t < n:
                key = now, int(rollouts.costs[r, t])
                if key not in steps:
                    steps[key] = constraint.step(now, key[1] * rollouts.unit)
                now = steps[key]
        kept[r, n + 1 :] = kept[r, n]
    return z, kept


def to_go(rewards: Floats, length: Ints, discount: Fraction) -> Floats:
    """Discounted reward from each token on, float64[R, T].

    Examples
    --------
    >>> to_go(np.array([[1.0, 2.0, 4.0]]), np.array([2]), Fraction(1, 2)).tolist()
    [[2.0, 2.0, 0.0]]
    """
    gain, beta = np.zeros_like(rewards, dtype=np.float64), float(discount)
    ahead = np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        ahead = np.where(t < length, rewards[:, t] + beta * ahead, 0.0)
        gain[:, t] = ahead
    return gain


def _rows(rollouts: Rollouts, constraint: BudgetConstraint, gain: Floats, meaning: Meaning) -> Rows:
    z, kept = trace(rollouts, constraint)
    row, time = _prefixes(rollouts.length)
    end: Bools = kept[np.arange(len(kept)), rollouts.length]
    if constraint.scope is Scope.ANYTIME:
        end = np.asarray(kept.all(axis=1))
        alive = np.logical_and.accumulate(kept, axis=1)[row, time]
        row, time = row[alive], time[alive]
    return Rows(
        meaning, rollouts.hidden[row, time], z[row, time], time, end[row].astype(np.float64),
        gain[row, time], rollouts.weight[row], _groups(rollouts)[row],
    )  # fmt: skip


def _prefixes(length: Ints) -> tuple[Ints, Ints]:
    """Every (rollout, number of tokens before the next)."""
    row = np.repeat(np.arange(len(length)), length)
    first = np.cumsum(length) - length
    return row, np.arange(len(row)) - first[row]


def _groups(rollouts: Rollouts) -> Ints:
    """Prompts, or rollouts if there is one prompt only."""
    if len(rollouts.prompts) > 1:
        return rollouts.prompt
    return np.arange(len(rollouts), dtype=np.int64)


def _meaning(rollouts: Rollouts, several: Sequence[BudgetConstraint], beta: Fraction) -> Meaning:
    first = several[0] if several else BudgetConstraint(0)
    return Meaning(
        rollouts.model, rollouts.cost, rollouts.reward, str(rollouts.unit),
        tuple(str(c.budget) for c in several), str(first.discount), first.boundary.value,
        first.scope.value, rollouts.horizon, str(beta),
    )  # fmt: skip
