"""Kind ``reward``: what encloses the best expected reward of the almost surely safe policies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ig_theory.checker.reading import (
    Claim,
    Constraint,
    below,
    choice_at,
    choices,
    items,
    positive,
    rational,
    shares,
    starts,
    whole,
    words,
)
from ig_theory.checker.unfolded import LOST, MISSING, OVER, Unfolded, unfolded
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError


@dataclass(frozen=True)
class _Bounds:
    """The columns of the certificate, one entry a pair; bounds are over `scale`."""

    beta: Fraction
    scale: int
    upper: list[int | None]
    lower: list[int | None]
    choice: list[int | None]
    steps: list[int | None] | None
    gains: bool
    """Whether the lower bound says more than 0 where a run might never end."""
    losses: bool
    """Whether the upper bound says less than 0 there."""


def check_reward(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[Constraint]
) -> Claim:
    """THEORY T4.reward, on the pairs that almost surely safe policies can reach.

    Such a policy never takes a choice that may break the budget or lead to a dead pair. Every
    other choice is worth at most U, the named one at least L. Where a run may never end and
    nothing is discounted, the pairs with L > 0 are visited finitely often under the named
    choices, and those with U < 0 under every policy: the steps bound how often.
    """
    product = unfolded(certificate, model, constraints)
    bounds = _read(certificate, product)
    for n in range(len(product.keys)):
        if product.dead[n] is None:
            _live(n, product, bounds)
        else:
            _dead(n, product, bounds)
    lower, upper = _at_start(product, bounds)
    return Claim(
        "reward",
        f"the best expected reward (discount {bounds.beta}) of the policies that keep "
        f"{words(constraints)} almost surely is {_between(lower, upper)}",
        lower,
        upper,
    )


def _read(certificate: Mapping[str, Any], product: Unfolded) -> _Bounds:
    beta = rational(certificate["reward_discount"], "reward_discount")
    if not 0 < beta <= 1:
        raise CertificateError.at("reward_discount", "a number in (0, 1]", beta, "-")
    upper, lower, choice = (
        [None if v is None else whole(v, name) for v in _column(certificate[name], product, name)]
        for name in ("upper", "lower", "choice")
    )
    given, steps = certificate["steps"], None
    endless = beta == 1 and not product.timed
    if given is not None:
        if not endless:
            raise CertificateError.at("steps", "null where beta < 1 or time ends", "other", "-")
        steps = [
            None if v is None else below(v, 2**400, "steps")
            for v in _column(given, product, "steps")
        ]
    gains = endless and any(v is not None and v > 0 for v in lower)
    losses = endless and any(v is not None and v < 0 for v in upper)
    if steps is None and (gains or losses):
        raise CertificateError.at(
            "steps", "a bound on the steps, for runs may never end", "none",
            "without it the bounds do not follow",
        )  # fmt: skip
    scale = positive(certificate["denominator"], "denominator")
    return _Bounds(
        beta, scale, upper, lower, choice, steps, gains or steps is not None, losses
    )  # fmt: skip


def _column(value: Any, product: Unfolded, where: str) -> list[Any]:
    found = items(value)
    if len(found) != len(product.keys):
        raise CertificateError.at(where, f"{len(product.keys)} entries", len(found), "-")
    return found


def _dead(n: int, product: Unfolded, bounds: _Bounds) -> None:
    """No policy is safe from here: every choice may break the budget, or lead to where it will."""
    rank = product.dead[n]
    assert rank is not None
    columns = (bounds.upper, bounds.lower, bounds.choice, bounds.steps)
    if any(column is not None and column[n] is not None for column in columns):
        raise CertificateError.at(product.name(n), "no bounds at a dead pair", "some", "-")
    for choice in choices(product.keys[n][0], product.model):
        for m in product.after(n, choice):
            ahead = product.dead[m] if m >= 0 else None
            if m == LOST or (ahead is not None and ahead < rank):
                break
        else:
            raise CertificateError.at(
                product.name(n), "a choice that may break the budget or lead to a lower rank",
                f"choice {product.model.choice_name(choice)}", "the pair is not dead",
            )  # fmt: skip


def _live(n: int, product: Unfolded, bounds: _Bounds) -> None:
    state = product.keys[n][0]
    if bounds.upper[n] is None or (bounds.lower[n] is None) != (bounds.choice[n] is None):
        raise CertificateError.at(
            product.name(n), "an upper bound, and a choice with each lower one", "other", "-"
        )
    place = bounds.choice[n]
    named = None if place is None else choice_at(state, place, product.model)
    for choice in choices(state, product.model):
        after = product.after(n, choice)
        if any(m == LOST or (m >= 0 and product.dead[m] is not None) for m in after):
            if choice == named:
                raise CertificateError.at(
                    product.name(n), "a choice that stays safe", "one that may not", "-"
                )
            continue
        if MISSING in after:
            raise CertificateError.at(
                product.name(n), "the pairs that follow it listed", "one that is not",
                "the set is not closed",
            )  # fmt: skip
        _bounded(n, choice, after, choice == named, product, bounds)


def _bounded(
    n: int, choice: int, after: list[int], named: bool, product: Unfolded, bounds: _Bounds
) -> None:
    """The bounds at a pair against those after one choice; what is over is worth 0."""
    where = f"{product.name(n)}, choice {product.model.choice_name(choice)}"
    weights, total, reward = product.gain(choice)
    ends = [m == OVER for m in after]
    beta, scale = bounds.beta, bounds.scale
    onward = [(w, m) for w, m, end in zip(weights, after, ends, strict=True) if not end]

    def backup(column: list[int | None]) -> tuple[int, int]:
        """Of ``r + beta sum P v``: numerator over `scale` times the second, its denominator."""
        ahead = sum(w * _number(column[m], where) for w, m in onward)
        down = total * beta.denominator * reward.denominator
        earned = reward.numerator * scale * total * beta.denominator
        return earned + beta.numerator * reward.denominator * ahead, down

    worth, down = backup(bounds.upper)
    if _number(bounds.upper[n], where) * down < worth:
        raise CertificateError.at(where, "an upper bound above what it is worth", "less", "-")
    if bounds.losses:
        own = bounds.upper[n]
        _fewer(where, n, own is not None and own < 0, onward, total, bounds)
    if not named:
        return
    worth, down = backup(bounds.lower)
    own = bounds.lower[n]
    if _number(own, where) * down > worth:
        raise CertificateError.at(where, "a lower bound below what it is worth", "more", "-")
    if bounds.gains:
        _fewer(where, n, own is not None and own > 0, onward, total, bounds)


def _fewer(
    where: str, n: int, counts: bool, onward: list[tuple[int, int]], total: int, bounds: _Bounds
) -> None:
    """The steps that are left bound this one, if it counts, and those that are left after it."""
    assert bounds.steps is not None
    steps = bounds.steps
    ahead = sum(w * _number(steps[m], where) for w, m in onward)
    if _number(steps[n], where) * total < int(counts) * total + ahead:
        raise CertificateError.at(where, "more steps than after it", "fewer", "runs may not end")


def _number(value: int | None, where: str) -> int:
    if value is None:
        raise CertificateError.at(where, "bounds and steps at all that may follow", "none", "-")
    return value


def _at_start(product: Unfolded, bounds: _Bounds) -> tuple[Fraction, Fraction]:
    model = product.model
    weights, total = shares(model.initial)
    lower = upper = 0
    for s in starts(model):
        n = product.first(s)
        if n == OVER:
            continue
        if n < 0 or product.dead[n] is not None:
            raise CertificateError.at(
                f"initial state {model.state_name(s)}", "a pair from which some policy is safe",
                "none", "no policy is safe there, or the pair is not listed",
            )  # fmt: skip
        lower += weights[s] * _number(bounds.lower[n], "initial state")
        upper += weights[s] * _number(bounds.upper[n], "initial state")
    scale = total * bounds.scale
    return Fraction(lower, scale), Fraction(upper, scale)


def _between(lower: Fraction, upper: Fraction) -> str:
    if lower == upper and len(str(lower)) <= 40:
        return str(lower)
    return f"between {_decimal(lower, math.floor)} and {_decimal(upper, math.ceil)}"


def _decimal(number: Fraction, towards: Any) -> str:
    """Twelve decimals, rounded outwards."""
    scaled = towards(number * 10**12)
    digits = f"{abs(scaled) // 10**12}.{abs(scaled) % 10**12:012d}".rstrip("0").rstrip(".")
    return f"-{digits}" if scaled < 0 else digits
