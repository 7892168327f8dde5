"""What a decoder works on: beams, with exact remaining budgets, and what must hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ig_theory.constraint import BudgetConstraint, Scope
from ig_theory.errors import GuardError


class DecodingFault(GuardError):
    """A cost model, a reward or a critic failed while a response was being made."""


@dataclass(frozen=True)
class Beam:
    """A response so far. Beams of the same tokens are equal: all else follows from these.

    Attributes
    ----------
    tokens : tuple of int
        The response, without the prompt.
    costs : tuple of int
        Of each token, in units of the cost model.
    spent : Fraction
        Discounted costs, ``S_t = sum_k gamma^k c_k``, in the units of the budget.
    unbroken : bool
        The budget has been kept at every time so far, the first one included.
    reward : float
        Discounted rewards so far.
    gained : float
        Rewards so far, not discounted.
    log_prob : float
        Log-probability under the base model; tokens that were forced count as well.
    ended : bool
        Nothing follows: the end token, or the length is used up.
    """

    tokens: tuple[int, ...]
    costs: tuple[int, ...] = field(default=(), compare=False)
    spent: Fraction = field(default=Fraction(0), compare=False)
    unbroken: bool = field(default=True, compare=False)
    reward: float = field(default=0.0, compare=False)
    gained: float = field(default=0.0, compare=False)
    log_prob: float = field(default=0.0, compare=False)
    ended: bool = field(default=False, compare=False)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def paid(self) -> int:
        """Costs so far, not discounted, in units of the cost model."""
        return sum(self.costs)


@dataclass(frozen=True)
class Problem:
    """The budget, and what a response is.

    Parameters
    ----------
    constraint
    unit
        Of the cost model; exact and positive, or budgets would not be exact.
    horizon
        Most tokens of a response.
    end
        The token that ends it; None if only the length does.
    reward_discount
        ``beta`` in (0, 1], a step.
    """

    constraint: BudgetConstraint
    unit: Fraction
    horizon: int
    end: int | None
    reward_discount: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if not isinstance(self.unit, int | Fraction) or self.unit <= 0:
            raise GuardError.at(
                "unit of the cost model", "a Fraction above 0", repr(self.unit),
                "name its exact unit: Fraction(1, 10), not 0.1",
            )  # fmt: skip
        if self.horizon < 1:
            raise GuardError.at(
                "horizon", "at least 1 token", self.horizon, "let responses be longer"
            )
        if self.constraint.horizon not in (None, self.horizon):
            raise GuardError.at(
                "horizon of the constraint", f"{self.horizon} or None", self.constraint.horizon,
                "give the length of a response",
            )  # fmt: skip

    @property
    def root(self) -> Beam:
        """The empty response."""
        return Beam((), unbroken=self.constraint.keeps(self.constraint.budget))

    def budget(self, beam: Beam) -> Fraction:
        """``z`` after the beam, ``(d - S_t) / gamma^t``."""
        left = self.constraint.budget - beam.spent
        return left if self.constraint.discount == 1 else left / self._power(len(beam))

    def covers(self, beam: Beam) -> bool:
        """Whether the budget is kept now: the sign of z is that of ``d - S_t``."""
        return self.constraint.keeps(self.constraint.budget - beam.spent)

    def keeps(self, beam: Beam) -> bool:
        """Whether the beam, if it ended here, keeps the constraint in its scope."""
        if self.constraint.scope is Scope.ANYTIME:
            return beam.unbroken
        return self.covers(beam)

    def extend(
        self,
        beam: Beam,
        tokens: Sequence[int],
        costs: Sequence[int],
        rewards: Sequence[float],
        log_probs: Sequence[float],
    ) -> Beam:
        """The beam followed by tokens that cost and earn so much."""
        spent, unbroken = beam.spent, beam.unbroken
        reward, gained, log_prob = beam.reward, beam.gained, beam.log_prob
        beta = float(self.reward_discount)
        for place, (cost, worth, score) in enumerate(
            zip(costs, rewards, log_probs, strict=True), start=len(beam)
        ):
            if cost:
                spent += cost * self.unit * self._power(place)
                unbroken = unbroken and self.constraint.keeps(self.constraint.budget - spent)
            reward += worth * beta**place
            gained += worth
            log_prob += score
        said = beam.tokens + tuple(tokens)
        over = len(said) >= self.horizon or (len(tokens) > 0 and tokens[-1] == self.end)
        return Beam(
            said, beam.costs + tuple(costs), spent, unbroken, reward, gained, log_prob, over
        )

    def budgets(self, beam: Beam) -> tuple[Fraction, ...]:
        """``z_0, z_1, ...`` along the beam, one more than it has tokens."""
        return tuple(self.constraint.spend([cost * self.unit for cost in beam.costs]))

    def _power(self, exponent: int) -> Fraction:
        gamma = self.constraint.discount
        return gamma if gamma == 1 else gamma**exponent
