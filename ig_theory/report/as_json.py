"""Verdicts as strict JSON; README.md documents the shape.

A bounded quantity is ``{"lower", "upper", "exact"}``; another exact number ``x`` has its text
beside it as ``x_exact``. Infinities are the strings ``"inf"`` and ``"-inf"``.
"""

from __future__ import annotations

from collections.abc import Sequence

from ig_theory.constraint import BudgetConstraint
from ig_theory.report.numbers import JSON, exact_text, json_bounds, json_number
from ig_theory.report.study import worst
from ig_theory.verdict import Verdict, Witness


def constraint_dict(constraint: BudgetConstraint) -> JSON:
    """A constraint; budget and discount are exact text.

    >>> constraint_dict(BudgetConstraint("0.3"))["budget"]
    '3/10'
    """
    return {
        "budget": str(constraint.budget),
        "discount": str(constraint.discount),
        "boundary": constraint.boundary.value,
        "scope": constraint.scope.value,
        "cost": constraint.cost,
        "horizon": constraint.horizon,
    }


def verdict_dict(verdict: Verdict, certificate: str | None = None) -> JSON:
    """A verdict as a dictionary that `json.dumps` accepts with ``allow_nan=False``.

    Parameters
    ----------
    certificate
        Where the certificate was written; None if it was not.

    Examples
    --------
    >>> from ig_theory.verdict import Outcome
    >>> one = Verdict("shield", "chain", (BudgetConstraint(3),), Outcome.SAFE)
    >>> found = verdict_dict(one)
    >>> found["outcome"], found["constraint"]["budget"], found["witness"]
    ('SAFE', '3', None)
    """
    found: JSON = {
        "guard": verdict.guard,
        "model": verdict.model,
        "outcome": verdict.outcome.value,
        "constraint": constraint_dict(verdict.constraints[0]) if verdict.constraints else None,
        "constraints": [constraint_dict(c) for c in verdict.constraints],
    }
    for name in (
        "violation", "reward", "optimal_reward", "regret", "kl", "kl_limit",
        "urup", "arsp", "false_interventions",
    ):  # fmt: skip
        found[name] = json_bounds(getattr(verdict, name))
    return found | {
        "kl_ratio": None if verdict.kl_ratio is None else json_number(verdict.kl_ratio),
        "violation_by_time": [json_number(p) for p in verdict.violation_by_time],
        "states_explored": int(verdict.states_explored),
        "witness": None if verdict.witness is None else _steps(verdict.witness),
        "witness_start": None if verdict.witness is None else _start(verdict.witness),
        "certificate": certificate,
        "assumptions": list(verdict.assumptions),
        "error": verdict.error,
        "seconds": round(float(verdict.seconds), 6),
    }


def document(verdicts: Sequence[Verdict], certificates: Sequence[str | None] = ()) -> JSON:
    """What ``--json`` prints and ``verdict.json`` holds: all verdicts and the exit code.

    >>> document([])["exit_code"]
    2
    """
    paths = list(certificates) or [None] * len(verdicts)
    outcome = worst(verdicts)
    return {
        "format": "ig-theory verdicts",
        "version": 1,
        "outcome": outcome.value,
        "exit_code": outcome.exit_code,
        "verdicts": [verdict_dict(v, path) for v, path in zip(verdicts, paths, strict=True)],
    }


def _start(witness: Witness) -> JSON:
    return {
        "state": witness.initial_state_name,
        "state_index": int(witness.initial_state),
        "budgets": [str(z) for z in witness.initial_budgets],
        "probability": json_number(witness.initial_probability),
        "run_probability": json_number(witness.probability),
        "run_probability_exact": exact_text(witness.probability),
        "constraint": int(witness.constraint),
    }


def _steps(witness: Witness) -> list[JSON]:
    """The steps; `cost` and `budget` are those of the constraint that breaks."""
    broken = witness.constraint
    return [
        {
            "time": int(step.time),
            "state": step.state_name,
            "state_index": int(step.state),
            "choice": step.choice_name,
            "choice_index": int(step.choice),
            "cost": json_number(step.costs[broken]),
            "cost_exact": exact_text(step.costs[broken]),
            "budget": json_number(step.budgets[broken]),
            "budget_exact": exact_text(step.budgets[broken]),
            "costs": [str(cost) for cost in step.costs],
            "budgets": [str(budget) for budget in step.budgets],
            "next_state_index": int(step.next_state),
            "probability": json_number(step.probability),
            "probability_exact": exact_text(step.probability),
        }
        for step in witness.steps
    ]
