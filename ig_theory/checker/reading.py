"""What every kind of certificate is read with: whole numbers, rationals, places in the model."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError

MOST_DIGITS = 100_000
"""Longer numbers than this are refused rather than read."""


@dataclass(frozen=True)
class Claim:
    """What a checked certificate proves.

    Attributes
    ----------
    kind : a key of `KINDS`
    sentence
        The claim in words.
    lower, upper : Fraction or None
        Kind ``reward``: what encloses the best expected reward; None for the others.
    """

    kind: str
    sentence: str
    lower: Fraction | None = None
    upper: Fraction | None = None


@dataclass(frozen=True)
class Constraint:
    """A constraint as the checker reads it; `cost` in whole units, one a choice."""

    budget: Fraction
    discount: Fraction
    closed: bool
    anytime: bool
    cost: list[int]
    horizon: int | None

    def kept(self, z: Fraction | int) -> bool:
        """Whether this budget is kept, at the boundary exactly."""
        return z >= 0 if self.closed else z > 0


_CONSTRAINT = {"budget", "discount", "boundary", "scope", "cost", "horizon"}


def constraint_of(entry: Any, model: ConstrainedMDP) -> Constraint:
    """Read a constraint."""
    same("constraint keys", _CONSTRAINT, set(entry))
    row = below(entry["cost"], model.K, "cost")
    horizon = entry["horizon"]
    if entry["boundary"] not in ("closed", "open") or entry["scope"] not in ("anytime", "terminal"):
        raise CertificateError.at("constraint", "a known boundary and scope", dict(entry), "-")
    found = Constraint(
        rational(entry["budget"], "budget"), rational(entry["discount"], "discount"),
        entry["boundary"] == "closed", entry["scope"] == "anytime",
        [int(c) for c in model.cost[row]],
        None if horizon is None else below(horizon, 2**62, "horizon"),
    )  # fmt: skip
    if found.budget < 0 or not 0 < found.discount <= 1:
        raise CertificateError.at("constraint", "budget >= 0, discount in (0, 1]", "other", "-")
    if not found.anytime and found.horizon is None:
        raise CertificateError.at("constraint", "a horizon with scope terminal", "none", "-")
    return found


def words(constraints: list[Constraint]) -> str:
    """The constraints as part of a sentence."""
    return " and ".join(
        f"budget {c.budget} (discount {c.discount}, z {'>=' if c.closed else '>'} 0 "
        f"{'at every time' if c.anytime else 'at the end'}"
        + ("" if c.horizon is None else f", {c.horizon} steps")
        + ")"
        for c in constraints
    )


def starts(model: ConstrainedMDP) -> list[int]:
    """The states in which a run may start."""
    return [s for s in range(model.S) if model.initial[s] > 0]


def choices(state: int, model: ConstrainedMDP) -> range:
    """The choices of a state."""
    return range(int(model.choice_ptr[state]), int(model.choice_ptr[state + 1]))


def support(choice: int, model: ConstrainedMDP) -> list[int]:
    """Where a choice may lead, once for each branch."""
    low, high = int(model.branch_ptr[choice]), int(model.branch_ptr[choice + 1])
    return [int(s) for s in model.branch_state[low:high]]


def shares(numbers: Iterable[Any]) -> tuple[list[int], int]:
    """Probabilities as whole weights and their total; floats are the rationals they are.

    >>> shares([0.5, 0.25, 0.25]), shares([Fraction(1, 3), Fraction(2, 3)])
    (([2, 1, 1], 4), ([1, 2], 3))
    """
    exact = [Fraction(n) for n in numbers]
    common = math.lcm(*(n.denominator for n in exact))
    weights = [int(n * common) for n in exact]
    return weights, sum(weights)


def choice_at(state: int, place: int, model: ConstrainedMDP) -> int:
    """The model's number of a choice, from its place in its state."""
    mine = choices(state, model)
    if not 0 <= place < len(mine):
        raise CertificateError.at(
            f"choice of state {model.state_name(state)}", f"0..{len(mine) - 1}", place, "-"
        )
    return mine[place]


def state_at(value: Any, model: ConstrainedMDP) -> int:
    """Read the number of a state."""
    return below(value, model.S, "state")


def time_at(value: Any, timed: bool) -> int | None:
    """Read a time; there is one with a horizon only."""
    if timed != (value is not None):
        raise CertificateError.at("time", "times with a horizon only", repr(value), "-")
    return None if value is None else below(value, 2**62, "time")


def below(value: Any, limit: int, where: str) -> int:
    """Read a whole number from 0 up to `limit`, which it does not reach."""
    number = whole(value, where)
    if not 0 <= number < limit:
        raise CertificateError.at(where, f"0..{limit - 1}", number, "-")
    return number


def whole(value: Any, where: str) -> int:
    """Read a whole number; a truth value, a float or a text is none."""
    if type(value) is not int:
        raise CertificateError.at(where, "a whole number", repr(value)[:60], "-")
    return value


def positive(value: Any, where: str) -> int:
    """Read a whole number above 0."""
    number = whole(value, where)
    if number < 1:
        raise CertificateError.at(where, "a positive whole number", number, "-")
    return number


def rational(value: Any, where: str) -> Fraction:
    """Read a rational that is written in lowest terms."""
    # No exponents: "1e999999999" is short, and would take hours to expand.
    if type(value) is not str or len(value) > MOST_DIGITS or "e" in value.lower():
        raise CertificateError.at(where, "a rational as text", repr(value)[:60], "-")
    number = Fraction(value)
    if str(number) != value:
        raise CertificateError.at(where, f"lowest terms, {number}", value[:60], "-")
    return number


def items(value: Any) -> list[Any]:
    """Read a list."""
    if not isinstance(value, list):
        raise CertificateError.at("certificate", "a list", type(value).__name__, "-")
    return value


def rows(value: Any, count: int, width: int, where: str) -> list[list[Any]]:
    """Read a table of this shape."""
    table = [items(row) for row in items(value)]
    if len(table) != count or any(len(row) != width for row in table):
        raise CertificateError.at(where, f"{count} rows of {width}", "another shape", "-")
    return table


def flags(value: Any, count: int, width: int, where: str) -> list[list[int]]:
    """Read a table of 0 and 1."""
    table = rows(value, count, width, where)
    if any(type(flag) is not int or flag not in (0, 1) for row in table for flag in row):
        raise CertificateError.at(where, "0 or 1", "other", "-")
    return table


def same(where: str, want: Any, got: Any) -> None:
    """Refuse anything but what is wanted, of the same type."""
    if want != got or type(want) is not type(got):
        raise CertificateError.at(
            where,
            str(want)[:80],
            str(got)[:80],
            "the certificate was changed, or is of another model",
        )


def digest_of(certificate: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of all entries but ``digest``."""
    content = {k: v for k, v in certificate.items() if k != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
