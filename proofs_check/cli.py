"""``ig-theory prove``: run the checks of the claims, and print one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ig_theory.cli.options import JsonOption, QuietOption, option
from ig_theory.cli.output import console, print_json, progress
from ig_theory.errors import IGTheoryError
from proofs_check.claim import Method, Status

if TYPE_CHECKING:
    from proofs_check.registry import ClaimResult

HOLDS, FAILS, NOTHING = 0, 1, 2


def prove(
    claim: Annotated[
        list[str] | None,
        option("--claim", "Only this claim (T4.safety) or topic (T4), in detail.", metavar="ID"),
    ] = None,
    method: Annotated[
        list[str] | None,
        option(
            "--method",
            "Only this kind of check: coq, exhaustive, smt, symbolic, counterexample.",
            metavar="METHOD",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        option("--write", "Write the page docs/theorems.md here and run nothing.", metavar="FILE"),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check every theorem that the verdicts rest on: exit 0 if none fails, 1 if one does."""
    from proofs_check.registry import all_claims, find_claims, run_claims

    if write is not None:
        return _write(write, quiet or json)
    methods = None if not method else frozenset(_method(name) for name in method)
    claims = find_claims(claim) if claim else all_claims()
    with progress(quiet or json) as tell:
        results = run_claims(claims, methods, tell)
    code = exit_code(results)
    if json:
        from proofs_check.table import as_json

        print_json(as_json(results) | {"coq": _coq_build(results), "exit_code": code})
    else:
        _print(results, bool(claim), quiet)
    return code


def exit_code(results: Sequence[ClaimResult]) -> int:
    """0 if no check fails, 1 if one does, 2 if no check was run.

    Examples
    --------
    >>> exit_code([])
    2
    """
    found = [result.finding.status for claim in results for result in claim.results]
    if Status.FAILS in found:
        return FAILS
    return HOLDS if Status.HOLDS in found else NOTHING


def _method(name: str) -> Method:
    names = {m.value.lower(): m for m in Method if m is not Method.PAPER}
    if name.lower() not in names:
        raise IGTheoryError.at("--method", f"one of {', '.join(names)}", name, "choose one")
    return names[name.lower()]


def _print(results: Sequence[ClaimResult], details: bool, quiet: bool) -> None:
    from proofs_check.table import claim_details, claim_table, summary

    out = console()
    if details:
        for result in results:
            out.print(claim_details(result))
    else:
        out.print(claim_table(results))
    for line in [] if quiet else summary(results):
        out.print(line, soft_wrap=True)
    if (built := _coq_build(results)) and not quiet:
        out.print(
            f"the Coq files were compiled in {built['seconds']} s, by Coq {built['version']}, "
            "and are kept in a cache",
            soft_wrap=True,
        )


def _coq_build(results: Sequence[ClaimResult]) -> dict[str, Any] | None:
    """What the development was compiled with, if any theorem was checked."""
    from proofs_check import development

    checks = [r for result in results for r in result.results if r.check.method is Method.COQ]
    if not any(r.finding.status is Status.HOLDS for r in checks):
        return None
    built = development.build()  # done already: this finds it
    return {"version": built.version, "seconds": built.seconds}


def _write(path: Path, quiet: bool) -> int:
    from ig_theory.report.files import write_whole
    from proofs_check.registry import all_claims
    from proofs_check.table import as_markdown

    write_whole(path, as_markdown(all_claims()))
    if not quiet:
        print(f"wrote {path}; nothing was run")
    return HOLDS
