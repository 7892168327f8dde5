"""The questions that can be asked, and the function that answers each.

Nothing heavy is imported here: the command line reads this file for its help.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.errors import IGTheoryError
from ig_theory.query.answer import Answer

if TYPE_CHECKING:
    from ig_theory.cmdp import ConstrainedMDP


@dataclass(frozen=True)
class Question:
    """A question by its name.

    Attributes
    ----------
    line : str
        What it asks, in one line.
    answered_by : str
        ``module:function`` in this package; it takes a model and a constraint (or a tuple of
        them, if `several`).
    options : tuple of str
        What else it can be told.
    budget : bool
        Whether the answer depends on the budget.
    several : bool
        Whether more than one constraint may be given.
    plots : bool
        Whether the answer has a plot; where `curve` is an option, only if that is true.
    """

    line: str
    answered_by: str
    options: tuple[str, ...] = ()
    budget: bool = True
    several: bool = False
    plots: bool = False


QUESTIONS: dict[str, Question] = {
    "min-budget": Question(
        "least budget that can be kept almost surely, by state",
        "budgets:min_budget", budget=False, plots=True,
    ),
    "value": Question(
        "best reward of the almost surely safe policies",
        "rewards:value", ("limit", "curve"), several=True, plots=True,
    ),
    "pareto": Question(
        "best safe reward at every budget (the Pareto front)",
        "rewards:pareto_front", ("epsilon",), plots=True,
    ),
    "unconstrained": Question(
        "best expected reward if safety were free", "rewards:without_budget", budget=False,
    ),
    "penalty": Question(
        "what a penalty on violations buys; which is enough",
        "penalties:penalty", ("penalties", "limit"), plots=True,
    ),
    "least-intrusive": Question(
        "least KL from the base model of any safe guard",
        "interventions:intrusion", ("limit",), several=True,
    ),
    "soft": Question(
        "safe reward against KL from the base model",
        "interventions:soft", ("temperatures", "limit"), several=True, plots=True,
    ),
    "reach": Question(
        "least budget to reach a goal almost surely, by state",
        "budgets:reach", ("goal",), budget=False, plots=True,
    ),
    "violation": Question(
        "least probability of ever violating the budget", "risks:violation", ("limit",),
        several=True,
    ),
    "chance": Question(
        "best reward with P(violate) at most delta",
        "risks:chance", ("deltas", "after", "limit", "curve"), several=True, plots=True,
    ),
    "cvar": Question(
        "least mean of what the worst runs spend", "risks:cvar", ("alpha", "limit"), budget=False,
    ),
    "lp": Question(
        "best reward, the budget kept in expectation only",
        "expected:linear_program", several=True,
    ),
    "lagrangian": Question(
        "the same, as a mixture of deterministic policies",
        "expected:relaxation", ("limit",), several=True,
    ),
    "lyapunov": Question(
        "the same, by steps that never leave the budget",
        "expected:safe_iteration", plots=True,
    ),
}  # fmt: skip
"""Every question by its name, in the order in which help lists them."""


def ask(
    question: str,
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint] | None = None,
    **options: Any,
) -> Answer:
    """Answer a question about a model.

    Parameters
    ----------
    question
        One of `QUESTIONS`.
    constraint
        May be left out where the answer does not depend on a budget.
    options
        Those of the question: ``penalties``, ``temperatures``, ``deltas`` (sequences of
        numbers), ``alpha``, ``after`` (``stop`` or ``free``), ``goal`` (a label), ``epsilon``
        (how wide the bounds of a front may get), ``limit`` (most pairs), ``curve`` (whether
        to solve for a plot too).

    Raises
    ------
    IGTheoryError
        If there is no such question or option, or the solver cannot answer.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}},
    ...                   initial="s", exact=True)
    >>> ask("value", model, BudgetConstraint("1/2")).sentence
    'best expected reward of the almost surely safe policies: 0'
    >>> ask("chance", model, BudgetConstraint("1/2"), deltas=["1/3"], after="free").value
    Bounds(lower=Fraction(1, 3), upper=Fraction(1, 3))
    """
    asked = find(question)
    for name in options:
        if name not in asked.options:
            known = ", ".join(asked.options) or "none"
            raise IGTheoryError.at(
                f"question {question}", f"options among: {known}", name, "leave it out"
            )
    if constraint is None and asked.budget:
        raise IGTheoryError.at(
            f"question {question}", "a budget", "none", "give a BudgetConstraint"
        )
    several = as_constraints(BudgetConstraint(0) if constraint is None else constraint)
    if len(several) > 1 and not asked.several:
        raise IGTheoryError.at(
            f"question {question}", "one constraint", f"{len(several)}", "ask about one at a time"
        )
    module, _, name = asked.answered_by.partition(":")
    function: Callable[..., Answer] = getattr(import_module(f"ig_theory.query.{module}"), name)
    return function(model, several if asked.several else several[0], **options)


def find(question: str) -> Question:
    """The question of this name; an error lists them all.

    >>> find("value").answered_by
    'rewards:value'
    """
    found = QUESTIONS.get(question)
    if found is None:
        close = difflib.get_close_matches(question, QUESTIONS, n=1)
        repair = f"did you mean {close[0]}?" if close else "ask one of these"
        raise IGTheoryError.at("question", f"one of {', '.join(QUESTIONS)}", repr(question), repair)
    return found
