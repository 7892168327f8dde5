"""Which certificate proves the answer to a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ig_theory.certificate.demand import demand_certificate
from ig_theory.certificate.impossibility import impossibility_certificate
from ig_theory.certificate.reward import reward_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, Rational, as_constraints
from ig_theory.errors import CertificateError, SolverError
from ig_theory.solvers.minimal_budget import SafeSet, minimal_budget

CERTIFIED = ("min-budget", "value")
"""The questions whose answers can be certified."""


def answer_certificate(
    question: str,
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    reward_discount: Rational | None = None,
    exact: bool = False,
) -> dict[str, Any]:
    """Certify what the answer to `question` says at this budget.

    ``min-budget``: the demand certificate if the budget is enough, else the impossibility
    certificate; both together, at budgets on either side, prove D. ``value``: the reward
    certificate, or the impossibility certificate if no policy is safe.

    Parameters
    ----------
    reward_discount, exact
        As for `reward_certificate`.

    Raises
    ------
    CertificateError
        If there is no certificate for the question, or for this answer.
    SolverError
        If the question itself cannot be answered.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"pay": (2, 1, {"t": 1})}}, initial="s")
    >>> [answer_certificate("min-budget", model, BudgetConstraint(d))["kind"] for d in (2, 1)]
    ['demand', 'impossibility']
    """
    several = as_constraints(constraint)
    if question == "min-budget":
        (only,) = several
        safe_set = minimal_budget(model, only)
        if safe_set.start_is_safe():
            return demand_certificate(safe_set)
        return impossibility_certificate(safe_set)
    if question != "value":
        known = ", ".join(CERTIFIED)
        raise CertificateError.at("certificate", f"a question among {known}", question, "-")
    lacking = lacking_constraint(model, several)
    if lacking is not None:
        return impossibility_certificate(lacking)
    return reward_certificate(model, several, reward_discount=reward_discount, exact=exact)


def lacking_constraint(
    model: ConstrainedMDP, constraints: Sequence[BudgetConstraint]
) -> SafeSet | None:
    """The safe set of the first constraint that no policy keeps by itself; None if there is none.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"pay": (2, 1, {"t": 1})}}, initial="s")
    >>> lacking_constraint(model, [BudgetConstraint(2)]) is None
    True
    """
    for one in constraints:
        try:
            safe_set = minimal_budget(model, one)
        except SolverError:  # signed costs without a horizon: nothing can be said
            continue
        if not safe_set.start_is_safe():
            return safe_set
    return None
