"""What must hold: a budget, its discount, its boundary and its scope, in exact rationals.

The tracker starts at ``z_0 = d`` and moves by ``z_{t+1} = (z_t - c_t) / gamma``; the budget
identity ``gamma^t z_t = d - S_t`` (THEORY L1.identity) makes ``z_t >= 0`` the same as ``S_t <= d``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TypeVar

from ig_theory.errors import ConstraintError, ModelError
from ig_theory.exact import rational as read_rational

E = TypeVar("E", bound=Enum)
Rational = int | str | Fraction


class Boundary(Enum):
    """Whether an exhausted budget, ``z = 0``, still counts as kept (THEORY L1.open)."""

    CLOSED = "closed"
    OPEN = "open"


class Scope(Enum):
    """When the budget is judged: at every time, or at the last one only.

    With costs >= 0 both ask the same (THEORY L1.horizon), else not (THEORY L1.signed).
    """

    ANYTIME = "anytime"
    TERMINAL = "terminal"


def rational(value: object, where: str) -> Fraction:
    """Read an exact rational from an int, a Fraction, or text such as ``3/10`` or ``0.3``.

    A float is refused: ``0.3`` as a float is not 3/10, and budgets are decided exactly.

    Raises
    ------
    ConstraintError
        If `value` is a float or no finite rational number.

    Examples
    --------
    >>> rational("0.3", "budget")
    Fraction(3, 10)
    """
    if isinstance(value, bool):
        raise ConstraintError.at(where, "an exact rational", repr(value), "write a number")
    try:
        return read_rational(value, where)
    except ModelError as error:
        raise ConstraintError(str(error)) from None


@dataclass(frozen=True)
class BudgetConstraint:
    """Keep the discounted cost within a budget, almost surely.

    Parameters
    ----------
    budget
        ``d >= 0``, in the units of the cost (not in multiples of ``cost_unit``).
    discount
        Cost discount ``gamma`` in (0, 1].
    boundary
        CLOSED: ``z >= 0`` is kept (default). OPEN: ``z > 0``.
    scope
        ANYTIME: judged at every ``t``. TERMINAL: at ``t = horizon`` only.
    cost
        Which cost of the model: its index or its name.
    horizon
        ``T``: the run has T steps and ``z_T`` is judged too. None: infinitely many.

    Raises
    ------
    ConstraintError
        If a number is out of range, or the scope is TERMINAL without a horizon.

    Examples
    --------
    Three costs of one tenth fit a budget of three tenths (they do not in floats):

    >>> constraint = BudgetConstraint(budget="3/10")
    >>> constraint.spend([Fraction(1, 10)] * 3)
    [Fraction(3, 10), Fraction(1, 5), Fraction(1, 10), Fraction(0, 1)]
    >>> constraint.keeps(Fraction(0))
    True
    """

    budget: Fraction
    discount: Fraction = Fraction(1)
    boundary: Boundary = Boundary.CLOSED
    scope: Scope = Scope.ANYTIME
    cost: int | str = 0
    horizon: int | None = None

    def __init__(
        self,
        budget: Rational,
        discount: Rational = 1,
        boundary: Boundary | str = Boundary.CLOSED,
        scope: Scope | str = Scope.ANYTIME,
        cost: int | str = 0,
        horizon: int | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "budget", rational(budget, "budget"))
        put(self, "discount", rational(discount, "discount"))
        put(self, "boundary", _member(Boundary, boundary))
        put(self, "scope", _member(Scope, scope))
        put(self, "cost", cost)
        put(self, "horizon", horizon)
        if self.budget < 0:
            raise ConstraintError.at(
                "budget", "a number >= 0", self.budget, "no run keeps a negative budget; raise it"
            )
        if not 0 < self.discount <= 1:
            raise ConstraintError.at(
                "discount", "a number in (0, 1]", self.discount, "use 1 for undiscounted costs"
            )
        if isinstance(cost, bool) or not isinstance(cost, int | str):
            raise ConstraintError.at(
                "cost", "an index or a name", repr(cost), "use 0 for the first"
            )
        if horizon is not None and (
            isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 0
        ):
            raise ConstraintError.at(
                "horizon", "a whole number >= 0, or None", repr(horizon), "None means infinite"
            )
        if self.scope is Scope.TERMINAL and horizon is None:
            raise ConstraintError.at(
                "scope", "a horizon with TERMINAL", "none",
                "set horizon=T; with costs >= 0 ANYTIME asks the same and needs none",
            )  # fmt: skip

    def step(self, z: Fraction, cost: Fraction) -> Fraction:
        """One step of the tracker: ``(z - cost) / gamma``."""
        return (z - cost) / self.discount

    def spend(self, costs: Iterable[Fraction]) -> list[Fraction]:
        """The budgets ``z_0, z_1, ...`` along `costs`, one more than there are costs."""
        budgets = [self.budget]
        for cost in costs:
            budgets.append(self.step(budgets[-1], cost))
        return budgets

    def keeps(self, z: Fraction | int) -> bool:
        """Whether the remaining budget `z` is still kept, at the boundary exactly."""
        return z >= 0 if self.boundary is Boundary.CLOSED else z > 0

    def clip(self, largest_cost: Fraction) -> Fraction | float:
        """The budget ``c_max / (1 - gamma)`` from which nothing can be violated any more.

        Clipping the tracker there changes no sign (THEORY L1.clip); infinite for ``gamma = 1``.
        """
        if self.discount == 1:
            return math.inf
        return max(largest_cost, Fraction(0)) / (1 - self.discount)


def as_constraints(
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
) -> tuple[BudgetConstraint, ...]:
    """One or several constraints as a tuple; several must share their horizon.

    Raises
    ------
    ConstraintError
        If there is none, or the horizons differ.
    """
    several = (constraints,) if isinstance(constraints, BudgetConstraint) else tuple(constraints)
    if not several:
        raise ConstraintError.at("constraints", "at least one", "none", "give a BudgetConstraint")
    if len({c.horizon for c in several}) > 1:
        raise ConstraintError.at(
            "constraints", "one common horizon", [c.horizon for c in several], "set the same T"
        )
    return several


def _member(kind: type[E], value: object) -> E:
    if isinstance(value, kind):
        return value
    try:
        return kind(value)
    except ValueError:
        names = " or ".join(str(member.value) for member in kind)
        raise ConstraintError.at(kind.__name__.lower(), names, repr(value), "pick one") from None
