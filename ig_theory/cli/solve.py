"""``ig-theory solve``: what the best guard could do, without a guard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ig_theory.cli.answers import show
from ig_theory.cli.listing import model_lines, question_lines
from ig_theory.cli.options import (
    STATE_LIMIT,
    BoundaryOption,
    BudgetOption,
    ConstraintOption,
    CostOption,
    DiscountOption,
    ExactOption,
    HorizonOption,
    JsonOption,
    ModelOption,
    ScopeOption,
    StateLimitOption,
    numbers,
    option,
    read_constraints,
)
from ig_theory.cli.output import print_json, progress
from ig_theory.errors import IGTheoryError
from ig_theory.query.questions import QUESTIONS, Question, find
from ig_theory.query.questions import ask as answered

if TYPE_CHECKING:
    from ig_theory.cmdp import ConstrainedMDP
    from ig_theory.constraint import BudgetConstraint
    from ig_theory.query.answer import Answer

MOST_ROWS = 20
"""Rows shown in the terminal; --json gives all."""


def solve(
    ask: Annotated[str, option("--ask", "The question; see above.", metavar="QUESTION")]
    = "min-budget",
    model: ModelOption = None,
    budget: BudgetOption = None,
    discount: DiscountOption = "1",
    boundary: BoundaryOption = "closed",
    scope: ScopeOption = "anytime",
    horizon: HorizonOption = None,
    cost: CostOption = "0",
    constraint: ConstraintOption = None,
    penalties: Annotated[
        str | None, option("--penalties", "penalty: the n to try.", metavar="N,N,…")
    ] = None,
    temperature: Annotated[
        str | None, option("--temperature", "soft: one or more.", metavar="T,T,…")
    ] = None,
    delta: Annotated[
        str | None, option("--delta", "chance: allowed P(violate).", metavar="P,P,…")
    ] = None,
    after: Annotated[
        str | None, option("--after", "chance: after a violation.", metavar="stop|free")
    ] = None,
    alpha: Annotated[
        str | None,
        typer.Option(
            "--alpha", "--confidence", help="cvar: the level, like 0.95.", metavar="LEVEL",
            envvar="IG_THEORY_ALPHA", show_envvar=False,
        ),
    ] = None,
    goal: Annotated[str | None, option("--goal", "reach: its label.", metavar="LABEL")] = None,
    reward_discount: Annotated[
        str | None,
        option("--reward-discount", "Of rewards; the model's if absent.", metavar="NUMBER"),
    ] = None,
    epsilon: Annotated[
        str | None,
        option("--epsilon", "pareto: how wide bounds may get by merging rows.", metavar="NUMBER"),
    ] = None,
    exact: ExactOption = False,
    state_limit: StateLimitOption = STATE_LIMIT,
    states: Annotated[int, option("--states", "Most rows to show.", min=0)] = MOST_ROWS,
    plot: Annotated[
        Path | None, option("--plot", "Draw the answer.", metavar="FILE.svg|png|pdf")
    ] = None,
    certificate: Annotated[
        Path | None,
        option(
            "--certificate", "min-budget, value: write a proof of it, for verify-cert.",
            metavar="FILE",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:  # fmt: skip
    """Ask what policies can do: budgets, rewards, probabilities, with bounds."""
    asked = _asked(ask)
    _say_what_is_missing(model, budget, constraint, ask, asked, json)
    settings = {
        "penalties": numbers(penalties), "temperatures": numbers(temperature),
        "deltas": numbers(delta), "after": after, "alpha": alpha, "goal": goal,
        "epsilon": epsilon,
    }  # fmt: skip
    options = _options(ask, asked, settings, state_limit, _plottable(plot, ask, asked))
    # Where the answer depends on no budget, none is shown; min-budget says if one is enough.
    named = budget is not None or any("budget" in text for text in constraint or ())
    budget_given = asked.budget or (ask == "min-budget" and named)
    if certificate is not None:
        _certifiable(ask, budget_given)
    constraints = read_constraints(
        constraint,
        {
            "budget": "0" if budget is None and not asked.budget else budget,
            "discount": discount, "boundary": boundary, "scope": scope, "horizon": horizon,
            "cost": cost,
        },
    )  # fmt: skip
    from ig_theory.io.catalogue import open_model

    with progress(json) as tell:
        if tell is not None:
            tell(f"{ask} on {model}")
        opened = open_model(str(model))
        solved = _changed(opened, exact, reward_discount)
        answer = answered(ask, solved, constraints, **options)
        if plot is not None:
            _draw(answer, plot, str(model), constraints, budget_given)
        kind = None
        if certificate is not None:
            kind = _certify(certificate, ask, opened, solved, constraints, exact)
    if json:
        from ig_theory.report.answers import answer_dict

        document = answer_dict(answer, str(model), budget_given)
        if certificate is not None:
            document["certificate"] = str(certificate)
        print_json(document)
    else:
        show(answer, str(model), states, budget_given)
        if plot is not None:
            print(f"wrote {plot}")
        if certificate is not None:
            print(f"wrote {certificate} ({kind} certificate)")
    return 3 if answer.status.value == "not certified" else 0


solve.__doc__ = "\n".join(
    [
        str(solve.__doc__),
        "",
        "\b",
        "QUESTION is one of:",
        *question_lines(),
        "",
        "--certificate writes what verify-cert checks in exact numbers without any solver. "
        "min-budget: a demand certificate if the budget is enough, an impossibility certificate "
        "if not. value: bounds on the reward, or the impossibility certificate if no policy is "
        "safe.",
        "",
        "Exits with 0 when answered (infeasible is an answer), with 3 when the bounds are not "
        "certified.",
    ]
)


def _asked(ask: str) -> Question:
    try:
        return find(ask)
    except IGTheoryError as error:
        raise IGTheoryError(str(error).replace("question", "--ask", 1)) from None


def _say_what_is_missing(
    model: str | None, budget: str | None, constraint: list[str] | None, ask: str,
    asked: Question, json: bool,
) -> None:  # fmt: skip
    if model is None:
        if not json:
            print("A model can be:")
            print("\n".join(model_lines()))
        example = f"ig-theory solve --ask {ask} --model jailbreak-dialogue --budget 3"
        raise IGTheoryError.at("--model", "a model", "none", f"give one, e.g. {example}")
    if asked.budget and budget is None and not any("budget" in text for text in constraint or ()):
        raise IGTheoryError.at(
            "--budget", f"a number, for {ask} depends on it", "none", "give it like --budget 3"
        )


def _plottable(plot: Path | None, ask: str, asked: Question) -> bool:
    """Whether a plot is wanted; an error, before anything is solved, if it cannot be had."""
    if plot is None:
        return False
    from ig_theory.report.curves import plottable

    if not asked.plots:
        having = ", ".join(name for name, question in QUESTIONS.items() if question.plots)
        raise IGTheoryError.at("--plot", f"a question with a plot ({having})", ask, "leave it out")
    plottable(plot)
    return True


def _options(
    ask: str, asked: Question, settings: dict[str, Any], state_limit: int, curve: bool
) -> dict[str, Any]:
    given = {name: value for name, value in settings.items() if value is not None}
    flags = {"temperatures": "temperature", "deltas": "delta"}
    for name in given:
        if name not in asked.options:
            having = ", ".join(q for q, question in QUESTIONS.items() if name in question.options)
            raise IGTheoryError.at(
                f"--{flags.get(name, name)}", f"--ask {having}", f"--ask {ask}", "leave it out"
            )
    if "limit" in asked.options:
        given["limit"] = state_limit
    if "curve" in asked.options:
        given["curve"] = curve
    return given


def _certifiable(ask: str, budget_given: bool) -> None:
    from ig_theory.certificate.answers import CERTIFIED

    if ask not in CERTIFIED:
        questions = ", ".join(CERTIFIED)
        raise IGTheoryError.at(
            "--certificate", f"--ask {questions}", f"--ask {ask}", "leave it out"
        )
    if not budget_given:
        raise IGTheoryError.at(
            "--certificate", "a --budget, which it proves enough or not", "none", "give one"
        )


def _certify(
    path: Path, ask: str, opened: ConstrainedMDP, solved: ConstrainedMDP,
    constraints: tuple[BudgetConstraint, ...], exact: bool,
) -> str:  # fmt: skip
    """Write the proof, which is about the model as it was opened; returns its kind."""
    from ig_theory.certificate import answer_certificate, write_certificate

    found = answer_certificate(
        ask, opened, constraints, reward_discount=solved.reward_discount, exact=exact
    )
    write_certificate(found, path)
    return str(found["kind"])


def _changed(opened: ConstrainedMDP, exact: bool, reward_discount: str | None) -> ConstrainedMDP:
    """The model as it is solved: in rationals, or with another discount of rewards."""
    if exact and not opened.exact:
        from ig_theory.builders import rationalised

        opened = rationalised(opened)
    if reward_discount is None:
        return opened
    from dataclasses import replace

    from ig_theory.cmdp import LatentMDP
    from ig_theory.constraint import rational

    beta = rational(reward_discount, "--reward-discount")
    if not 0 < beta <= 1:
        raise IGTheoryError.at("--reward-discount", "a number in (0, 1]", beta, "1 discounts none")
    changed: dict[str, Any] = {"reward_discount": beta}
    if isinstance(opened, LatentMDP):
        changed["base"] = None  # it follows from the latents
    return replace(opened, **changed)


def _draw(
    answer: Answer, plot: Path, model: str, constraints: tuple[BudgetConstraint, ...],
    budget_given: bool,
) -> None:  # fmt: skip
    from ig_theory.cli.answers import heading
    from ig_theory.report.curves import write_plot

    if answer.plot is None:
        why = "; ".join(answer.findings) or "nothing finite"
        raise IGTheoryError.at("--plot", "an answer that can be drawn", why, "leave it out")
    write_plot(answer.plot, plot, heading(model, constraints, budget_given))
