"""The terminal report: one row a guard, then a trace and notes for each that is not SAFE."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

from rich import box
from rich.markup import escape
from rich.table import Table

from ig_theory.report.numbers import chance, quantity, short
from ig_theory.verdict import Number, Outcome, Verdict, Witness, WitnessStep

STYLE = {
    Outcome.SAFE: "bold green",
    Outcome.VIOLATED: "bold red",
    Outcome.INCONCLUSIVE: "bold yellow",
    Outcome.ERROR: "bold magenta",
}

MOST_STEPS = 6
"""A longer trace is shown by its first and last steps."""


COLUMNS = (
    "guard", "outcome", "P(viol)", "reward", "regret", "KL", "×limit",
    "URUP", "ARSP", "false\ninterv", "states", "sec",
)  # fmt: skip
LEAST_NEEDED = ("URUP", "ARSP", "false\ninterv", "sec")
"""Left out of the narrow table, for terminals of 80 columns."""


def verdict_table(
    verdicts: Sequence[Verdict], title: str | None = None, narrow: bool = False
) -> Table:
    """The table of verdicts, for a terminal of 98 columns; 80 will do for the narrow one.

    Examples
    --------
    >>> verdict_table([]).row_count, len(verdict_table([], narrow=True).columns)
    (0, 8)
    """
    table = Table(
        title=None if title is None else escape(title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    shown = [not (narrow and head in LEAST_NEEDED) for head in COLUMNS]
    for head in itertools.compress(COLUMNS, shown):
        words = head in ("guard", "outcome")
        table.add_column(
            head, justify="left" if words else "right", overflow="fold", no_wrap=head != "guard"
        )
    for verdict in verdicts:
        table.add_row(*itertools.compress(_row(verdict), shown))
    return table


def verdict_notes(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Lines in rich markup below the table: traces, errors, and what the verdicts rest on."""
    for verdict in verdicts:
        name = f"[{STYLE[verdict.outcome]}]{verdict.outcome.value}[/] {escape(verdict.guard)}"
        if verdict.outcome is Outcome.ERROR:
            yield f"{name}: {escape(verdict.error or 'no reason was given')}"
        elif verdict.witness is not None:
            yield f"{name}: {escape(start_text(verdict.witness))}"
            yield from (f"    {escape(line)}" for line in trace_lines(verdict.witness))
        elif verdict.outcome is Outcome.INCONCLUSIVE:
            yield f"{name}: {escape(verdict.error or 'the bounds do not separate')}"
    for text, guards in shared_assumptions(verdicts):
        whose = "all guards" if len(guards) == len(verdicts) else ", ".join(guards)
        yield f"[dim]note ({escape(whose)}): {escape(text)}[/dim]"


def shared_assumptions(verdicts: Sequence[Verdict]) -> list[tuple[str, list[str]]]:
    """Each assumption once, with the guards whose verdict rests on it."""
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        for text in verdict.assumptions:
            found.setdefault(text, []).append(verdict.guard)
    return list(found.items())


def start_text(witness: Witness) -> str:
    """The first line of a trace: how long, how likely, and where it starts."""
    count = len(witness.steps)
    budget = witness.initial_budgets[witness.constraint]
    steps = "at the start" if count == 0 else f"after {count} step{'s' * (count > 1)}"
    which = f" (constraint {witness.constraint})" if len(witness.initial_budgets) > 1 else ""
    return (
        f"breaks the budget{which} {steps}, with probability {likely(witness.probability)}; "
        f"starts in {witness.initial_state_name} with z = {budget}"
    )


def trace_lines(witness: Witness, most: int = MOST_STEPS) -> list[str]:
    """The steps of a trace, one a line; the middle of a long one is left out.

    Examples
    --------
    >>> step = WitnessStep(0, 0, "s", 0, "go", (Fraction(2),), (Fraction(-1),), 0, 1.0)
    >>> trace_lines(Witness(0, "s", (Fraction(1),), 1.0, (step,), 1.0, 0))
    ['t=0  s: go  cost 2 -> z = -1  (p = 1)']
    """
    steps = witness.steps
    lines = [_step_line(step, witness.constraint) for step in steps]
    if len(lines) <= most:
        return lines
    head, tail = most // 2, most - most // 2 - 1
    return [*lines[:head], f"...  {len(lines) - head - tail} more steps", *lines[-tail:]]


def likely(probability: Number) -> str:
    """A probability, exact beside the decimal where it is a short rational."""
    if isinstance(probability, Fraction) and 1 < probability.denominator < 10**6:
        return f"{probability} = {short(probability)}"
    return short(probability)


def _step_line(step: WitnessStep, broken: int) -> str:
    return (
        f"t={step.time}  {step.state_name}: {step.choice_name}  cost {number(step.costs[broken])}"
        f" -> z = {number(step.budgets[broken])}  (p = {short(step.probability)})"
    )


def number(exact: Fraction) -> str:
    """An exact number as text if that is short, else about equal to a decimal."""
    return str(exact) if len(str(exact.denominator)) <= 6 else f"~{float(exact):.6g}"


def _row(verdict: Verdict) -> tuple[str, ...]:
    style = STYLE[verdict.outcome]
    return (
        escape(folded(verdict.guard)),
        f"[{style}]{verdict.outcome.value}[/]",
        chance(verdict.violation, 3),
        quantity(verdict.reward, 3),
        quantity(verdict.regret, 3),
        quantity(verdict.kl, 3),
        "–" if verdict.kl_ratio is None else short(verdict.kl_ratio, 3, near_one=False),
        chance(verdict.urup, 3),
        chance(verdict.arsp, 3),
        chance(verdict.false_interventions, 3),
        count(verdict.states_explored),
        f"{verdict.seconds:.2f}" if verdict.seconds < 99.995 else f"{verdict.seconds:.0f}",
    )


def folded(name: str, width: int = 18) -> str:
    """A long guard name on two lines, broken after its colon.

    >>> folded("value-filter:threshold=0.9")
    'value-filter:\\n threshold=0.9'
    """
    head, colon, tail = name.partition(":")
    return f"{head}:\n {tail}" if colon and len(name) > width else name


def count(states: int) -> str:
    """A number of states, short: 12345 is 12.3k.

    >>> count(999), count(12_345), count(2_000_000)
    ('999', '12.3k', '2.0M')
    """
    if states < 10_000:
        return str(states)
    return f"{states / 1e3:.1f}k" if states < 999_950 else f"{states / 1e6:.1f}M"
