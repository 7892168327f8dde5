"""The claims as a table for a terminal, as JSON, and as the page docs/theorems.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from proofs_check.claim import Check, Claim, Method, Status
from proofs_check.registry import carrier

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from proofs_check.registry import CheckResult, ClaimResult

STYLE = {
    Status.HOLDS: "green",
    Status.FAILS: "bold red",
    Status.NOT_RUN: "yellow",
    Status.ON_PAPER: "cyan",
}

TOPICS = {
    "L1": "Budgets",
    "L2": "The safe set",
    "L3": "The shield",
    "T1": "Penalties",
    "T2": "Latents",
    "T3": "Grids",
    "T4": "Certificates",
    "T5": "Intervention",
    "T6": "Continuation",
}
"""What the labels of docs/theory.md are about."""


def claim_table(results: Sequence[ClaimResult]) -> Table:
    """One row a claim: what it says, if what, what is left; and each kind of check.

    Examples
    --------
    >>> claim_table([]).row_count
    0
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_lines=True)
    table.add_column("claim", overflow="fold", max_width=16)
    table.add_column("statement, hypotheses, what remains outside", ratio=1)
    for head in ("how checked", "status"):
        table.add_column(head, no_wrap=True)
    table.add_column("sec", no_wrap=True, justify="right")
    for result in results:
        shown = [r for r in result.results if r.asked]
        if shown:
            table.add_row(result.claim.id, _says(result.claim), *_columns(shown))
    return table


def _says(claim: Claim) -> RenderableType:
    from rich.text import Text

    text = Text(claim.statement)
    if claim.statement.startswith("false:"):
        text.stylize("bold", 0, len("false:"))
    text.append("\nif " + "; ".join(claim.hypotheses), style="dim")
    if claim.outside:
        text.append("\noutside: ", style="cyan").append(claim.outside, style="dim")
    return text


def _columns(shown: Sequence[CheckResult]) -> tuple[RenderableType, ...]:
    """How, status and seconds: a line for each kind of check, which may stand for several."""
    from rich.text import Text

    how, status, seconds = Text(), Text(), Text()
    for number, (method, group) in enumerate(_by_method(shown)):
        end = "\n" if number else ""
        count = f" ×{len(group)}" if len(group) > 1 else ""
        worst = _worst(group)
        how.append(f"{end}{method.value}{count}")
        status.append(f"{end}{worst.value}", style=STYLE[worst])
        spent = sum(result.seconds for result in group)
        seconds.append(end + ("" if method is Method.PAPER else f"{spent:.1f}"))
    return how, status, seconds


def _by_method(shown: Sequence[CheckResult]) -> Iterator[tuple[Method, list[CheckResult]]]:
    for method in Method:
        if group := [result for result in shown if result.check.method is method]:
            yield method, group


def _worst(group: Sequence[CheckResult]) -> Status:
    found = [result.finding.status for result in group]
    order = (Status.FAILS, Status.NOT_RUN, Status.ON_PAPER, Status.HOLDS)
    return min(found, key=order.index)


def claim_details(result: ClaimResult) -> RenderableType:
    """One claim in full: each check, what it shows, and what it found."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    claim = result.claim
    head = Text.assemble(
        (claim.id, "bold"), "  ", (result.status.value, STYLE[result.status]), "\n"
    )
    lines: list[RenderableType] = [head, Padding(Text(claim.statement), (0, 0, 1, 2))]
    facts = [("if", "; ".join(claim.hypotheses)), ("outside", claim.outside or "nothing")]
    if claim.used_by:
        facts.append(("used by", ", ".join(claim.used_by)))
    lines += [_hanging(name, Text(said)) for name, said in facts]
    lines += [_hanging(r.check.method.value, _found(r)) for r in result.results]
    return Padding(Group(*lines), (0, 0, 1, 0))


def _found(result: CheckResult) -> RenderableType:
    from rich.text import Text

    status, detail, covers = result.finding.status, result.finding.detail, result.check.covers
    took = "" if result.check.run is None or not result.asked else f", {result.seconds:.1f} s"
    text = Text.assemble((status.value, STYLE[status]), took, ": ", covers)
    if detail != covers:
        text.append(f"\n{detail}", style="dim")
    return text


def _hanging(name: str, said: RenderableType) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=16, style="bold")
    grid.add_column(ratio=1)
    grid.add_row(f"  {name}", said)
    return grid


def summary(results: Sequence[ClaimResult]) -> list[str]:
    """What can be said of all of it, and plainly what was not run and why.

    Examples
    --------
    >>> summary([])
    ['0 claims; nothing was run']
    """
    count = Counter(result.status for result in results)
    checks = [r for result in results for r in result.results if r.check.run is not None]
    done = [r for r in checks if r.finding.status in (Status.HOLDS, Status.FAILS)]
    words = [
        (Status.HOLDS, "hold"),
        (Status.FAILS, "FAIL"),
        (Status.NOT_RUN, "not run"),
        (Status.ON_PAPER, "on paper, in whole or in part"),
    ]
    told = [f"{count[status]} {said}" for status, said in words if count[status]]
    ran = f"{len(done)} of {len(checks)} checks ran" if done else "nothing was run"
    claims = "1 claim" if len(results) == 1 else f"{len(results)} claims"
    lines = ["; ".join([claims, *told, ran])]
    lines += [
        f"FAILS {result.claim.id}, {r.check.method.value}, {r.check.covers}: {r.finding.detail}"
        for result in results
        for r in result.results
        if r.finding.status is Status.FAILS
    ]
    missing = [r for r in checks if r.finding.status is Status.NOT_RUN]
    why = Counter((r.check.method.value, r.finding.detail) for r in missing if r.asked)
    lines += [f"not run: {n} × {method}: {reason}" for (method, reason), n in why.items()]
    left = Counter(r.check.method.value for r in missing if not r.asked)
    if left:
        lines.append("not asked for: " + ", ".join(f"{n} × {method}" for method, n in left.items()))
    return lines


def as_json(results: Sequence[ClaimResult]) -> dict[str, Any]:
    """A document for machines: every claim with every check."""
    claims = [
        {
            "id": result.claim.id,
            "statement": result.claim.statement,
            "hypotheses": list(result.claim.hypotheses),
            "status": result.status.value,
            "outside": result.claim.outside,
            "used_by": list(result.claim.used_by),
            "checks": [
                {
                    "method": r.check.method.value,
                    "covers": r.check.covers,
                    "status": r.finding.status.value,
                    "detail": r.finding.detail,
                    "seconds": round(r.seconds, 3),
                }
                for r in result.results
            ],
        }
        for result in results
    ]
    return {"format": "ig-theory claims", "version": 1, "claims": claims}


_HEAD = """\
# Theorems, and how each is checked

Generated from the claims in `proofs_check/claims` by `ig-theory prove --write docs/theorems.md`; a
test fails if this page and the claims differ. `ig-theory prove` runs every check but those on
paper and prints what it found; `ig-theory prove --claim T4.safety` tells about one claim. The same
statements in running text, with their symbols, are in [theory.md](theory.md); the docstrings of the
code that relies on a claim carry its name, as in `THEORY T4.safety`.

A check is never called by a stronger name than its own:

"""


def as_markdown(claims: Sequence[Claim]) -> str:
    """The page docs/theorems.md.

    Examples
    --------
    >>> as_markdown([]).splitlines()[0]
    '# Theorems, and how each is checked'
    """
    lines = [_HEAD + "\n".join(f"* **{m.value}**: {m.says}." for m in Method)]
    lines.append("\n" + _tally(claims))
    for label, topic in TOPICS.items():
        here = [claim for claim in claims if claim.id.startswith(f"{label}.")]
        if here:
            lines.append(f"\n## {label}: {topic}\n")
            lines.append(
                "| claim | statement | hypotheses | how it is checked | what remains outside |"
            )
            lines.append("|---|---|---|---|---|")
            lines += [_row(claim) for claim in here]
    return "\n".join(lines) + "\n"


def _tally(claims: Sequence[Claim]) -> str:
    kinds = Counter(_kind(claim) for claim in claims)
    told = ", ".join(f"{kinds[kind]} {words}" for kind, words in _CARRIED.items() if kinds[kind])
    return f"What carries the {len(claims)} claims: {told}."


_CARRIED = {
    "Coq": "Coq",
    "exhaustive": "an exhaustive check of a finite class",
    "SMT": "SMT",
    "symbolic": "a symbolic identity",
    "counterexample": "an exact counterexample",
    "parts": "paper, with machine checks of parts",
    "paper": "paper alone",
}


def _kind(claim: Claim) -> str:
    method = carrier(claim)
    return "parts" if method is Method.PAPER and len(claim.checks) > 1 else method.value


def _row(claim: Claim) -> str:
    how = "<br>".join(f"**{check.method.value}**: {_covers(check)}" for check in claim.checks)
    used = ", ".join(f"`{name}`" for name in claim.used_by)
    statement = _cell(claim.statement) + (f"<br>used by {used}" if used else "")
    cells = (
        f"**{claim.id}**",
        statement,
        _cell("; ".join(claim.hypotheses)),
        how,
        _cell(claim.outside) or "nothing",
    )
    return f"| {' | '.join(cells)} |"


def _covers(check: Check) -> str:
    name, colon, rest = check.covers.partition(":")
    if name.startswith("theorem "):
        return f"`{name.removeprefix('theorem ')}`{colon}{_cell(rest)}"
    return _cell(check.covers)


def _cell(text: str) -> str:
    """Text that no Markdown reader takes for markup."""
    for mark in "\\|*<":
        text = text.replace(mark, f"\\{mark}")
    return text
