"""What a report is about: the verdicts of several guards on one model, and its safe set."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from ig_theory.constraint import BudgetConstraint
from ig_theory.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from ig_theory.cmdp import ConstrainedMDP

MOST_STATES_DRAWN = 50_000
"""Beyond that many states the safe set is not drawn."""


NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class HasBudgets(Protocol):
    """What is needed of a solved safe set: the least budget of each state."""

    def budget_of(self, state: int) -> Fraction | float:
        """The minimal budget of a state, in units of the cost."""
        ...  # pragma: no cover


@dataclass(frozen=True)
class SafeSetPicture:
    """The minimal budget ``D(s)`` of every state under one constraint, ready to be drawn.

    Attributes
    ----------
    states : names of the states
    demand : the minimal budgets, ``math.inf`` where no budget suffices
    constraint : the constraint; its budget is drawn as a line
    """

    states: tuple[str, ...]
    demand: tuple[float, ...]
    constraint: BudgetConstraint


@dataclass(frozen=True)
class Study:
    """Several guards on one model under one set of constraints.

    Attributes
    ----------
    title : shown above the section
    verdicts : one a guard, in the order in which they were asked for
    safe_sets : a picture for each constraint whose minimal budget could be had
    impossibility : a certificate that no guard at all is safe here, if that is so
    """

    title: str
    verdicts: tuple[Verdict, ...]
    safe_sets: tuple[SafeSetPicture, ...] = ()
    impossibility: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def constraints(self) -> tuple[BudgetConstraint, ...]:
        """The constraints all verdicts of this study share."""
        return self.verdicts[0].constraints if self.verdicts else ()


def picture(
    model: ConstrainedMDP, constraint: BudgetConstraint, safe_set: HasBudgets
) -> SafeSetPicture | None:
    """The safe set of a model for drawing; None if the model is too large to draw."""
    if model.S > MOST_STATES_DRAWN:
        return None
    return SafeSetPicture(
        tuple(model.state_name(s) for s in range(model.S)),
        tuple(float(safe_set.budget_of(s)) for s in range(model.S)),
        constraint,
    )


def worst(verdicts: Iterable[Verdict]) -> Outcome:
    """The outcome of several guards together: ERROR > VIOLATED > INCONCLUSIVE > SAFE.

    Nothing checked is an ERROR: an empty run must not pass for a safe one.

    >>> worst([])
    <Outcome.ERROR: 'ERROR'>
    """
    order = (Outcome.SAFE, Outcome.INCONCLUSIVE, Outcome.VIOLATED, Outcome.ERROR)
    found = [verdict.outcome for verdict in verdicts]
    return max(found, key=order.index) if found else Outcome.ERROR


def describe(constraint: BudgetConstraint) -> str:
    """A constraint in words.

    >>> describe(BudgetConstraint("3/10", discount="9/10", horizon=5))
    'cost 0 within 3/10, discount 9/10, z >= 0 at every step up to 5'
    """
    kept = "z >= 0" if constraint.boundary.value == "closed" else "z > 0"
    when = "at every step"
    if constraint.scope.value == "terminal":
        when = f"after step {constraint.horizon}"
    elif constraint.horizon is not None:
        when = f"at every step up to {constraint.horizon}"
    discount = f", discount {constraint.discount}" if constraint.discount != 1 else ""
    return f"cost {constraint.cost} within {constraint.budget}{discount}, {kept} {when}"


def finite(numbers: Iterable[float]) -> list[float]:
    """The numbers that are finite."""
    return [number for number in numbers if math.isfinite(number)]


def printable(text: str) -> str:
    """The text with control characters, which no XML document may hold, replaced.

    >>> printable("a\\x00b")
    'a\N{REPLACEMENT CHARACTER}b'
    """
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
