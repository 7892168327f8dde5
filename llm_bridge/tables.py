"""Tables of a comparison, for terminals of 80 columns and more, and as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from ig_theory.report.numbers import NEGLIGIBLE, json_number, short
from llm_bridge.compare import Record, Sampled
from llm_bridge.compare_exact import ExactRow

WIDE = 100
"""Columns from which on errors of means are shown, and names are not folded."""

NARROW_NAME = 13


def sampled_table(rows: Sequence[Sampled], title: str, width: int = WIDE) -> Table:
    """One row a guard: means, and how many responses kept the budget with an exact interval.

    Examples
    --------
    >>> sampled_table([], "nothing").row_count
    0
    """
    table = _table(title)
    for head in ("guard", "reward", "cost", "kept the budget", "95 % interval", "s/resp", "fallb."):
        _column(table, head)
    for row in rows:
        reward = number(row.reward)
        if width >= WIDE and math.isfinite(row.reward_error):
            reward += f" ±{number(row.reward_error, 2)}"
        kept = row.words
        if row.violations:
            kept = f"{row.responses - row.violations} of {row.responses} ({percent(row.safe)})"
        table.add_row(
            folded(row.guard, width), reward, number(row.cost), kept,
            f"{row.low:.3f}..{row.high:.3f}", number(row.seconds, 3), percent(row.fallback),
            style="red" if row.violations else "",
        )  # fmt: skip
    return table


def exact_table(rows: Sequence[ExactRow], title: str, width: int = WIDE) -> Table:
    """One row a guard: exact numbers of the guard's law on the token trees."""
    table = _table(title)
    proof_head = "certificate" if width >= WIDE else "proof"
    heads = ("guard", "P(violate)", "reward", "regret", "KL", "×limit", "fallb.", proof_head)
    for head in heads:
        _column(table, head)
    for row in rows:
        chance = "–" if not row.prompts else "0" if row.zero else short(row.violation)
        proof = "checked" if row.proved == row.prompts else f"{row.proved} of {row.prompts}"
        table.add_row(
            folded(row.guard, width), chance, number(row.reward), number(row.regret),
            number(row.kl), number(row.ratio), percent(row.fallback), proof if row.prompts else "–",
            style="green" if row.zero else "red" if row.prompts else "",
        )  # fmt: skip
    return table


def notes(
    found: Sequence[Sampled], exact: Sequence[ExactRow], records: Sequence[Record]
) -> Iterator[str]:
    """What the numbers mean and do not mean, and what failed."""
    if any(row.responses for row in found):
        yield (
            "note: sampled responses prove nothing; the interval (Clopper-Pearson) is of the "
            "probability to keep the budget"
        )
    if exact:
        yield (
            "note: reward counts until the end or the first violation; regret is to the best "
            "almost surely safe guard, and below 0 only for a guard that violates"
        )
        yield (
            "note: KL to the base model in nats; ×limit is its ratio to the least that an almost "
            "surely safe guard can have; below 1 only for a guard that violates"
        )
    seen = set()
    for row in records:
        told = (row["guard"], row.get("error"))
        if told[1] is not None and told not in seen:
            seen.add(told)
            yield f"error: {row['kind']} {row['guard']} on prompt {row['prompt']}: {told[1]}"
        if row.get("fault") and (row["guard"], row["fault"]) not in seen:
            seen.add((row["guard"], row["fault"]))
            yield f"note: {row['guard']} on prompt {row['prompt']} fell back: {row['fault']}"


def sampled_dict(row: Sampled) -> dict[str, Any]:
    """For machines."""
    return _strict(asdict(row)) | {"safe": json_number(row.safe), "verdict": row.words}


def exact_dict(row: ExactRow) -> dict[str, Any]:
    """For machines."""
    return _strict(asdict(row)) | {"verdict": row.words}


def number(value: float, digits: int = 4) -> str:
    """A mean for people; a dash for none.

    Examples
    --------
    >>> number(1.23456), number(math.nan), number(-1e-12)
    ('1.235', '–', '0')
    """
    if math.isnan(value):
        return "–"
    return "0" if abs(value) < NEGLIGIBLE else short(value, digits, near_one=False)


def percent(share: float) -> str:
    """A share for people; only 0 is written 0 %, and only 1 is written 100 %.

    Examples
    --------
    >>> percent(0.0), percent(0.0004), percent(0.5), percent(0.999), percent(1.0)
    ('0 %', '<1 %', '50 %', '>99 %', '100 %')
    """
    if math.isnan(share):
        return "–"
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{share:.0%}".replace("%", " %")


def folded(name: str, width: int) -> str:
    """A name for rich; in a narrow terminal, lines of at most 13 characters cut at hyphens.

    Examples
    --------
    >>> folded("best-of-n-lagrangian", 80)
    'best-of-n-\\nlagrangian'
    """
    if width >= WIDE:
        return escape(name)
    lines = [""]
    for part in re.findall(r"[^-:]+[-:]?", name):
        if lines[-1] and len(lines[-1] + part) > NARROW_NAME:
            lines.append("")
        lines[-1] += part
    return escape("\n".join(lines))


def _strict(given: dict[str, Any]) -> dict[str, Any]:
    return {
        key: json_number(value) if isinstance(value, float) else value
        for key, value in given.items()
    }


def _table(title: str) -> Table:
    return Table(
        title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip


def _column(table: Table, head: str) -> None:
    words = head in ("guard", "kept the budget", "certificate", "proof")
    table.add_column(
        head, justify="left" if words else "right", overflow="fold", no_wrap=head != "guard"
    )
