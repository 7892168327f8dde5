"""``ig-theory verify-cert`` and ``ig-theory replay``: evidence, checked again and shown."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ig_theory.cli.options import JsonOption, ModelOption, option
from ig_theory.cli.output import console, print_json
from ig_theory.errors import CertificateError, IGTheoryError

if TYPE_CHECKING:
    from ig_theory.checker import Claim
    from ig_theory.cmdp import ConstrainedMDP
    from ig_theory.constraint import BudgetConstraint

CertificateArgument = Annotated[
    Path,
    typer.Argument(
        help="A certificate that check --report or solve --certificate wrote.", metavar="CERT"
    ),
]
CheckerOption = Annotated[
    str,
    option(
        "--checker",
        "python: the built-in one; extracted: the program that Coq extracts from its soundness "
        "theorems; both: they must agree.",
        metavar="python|extracted|both",
    ),
]


def verify_cert(
    certificate: CertificateArgument, model: ModelOption = None, checker: CheckerOption = "python",
    json: JsonOption = False,
) -> int:  # fmt: skip
    """Re-check a certificate in exact integers, with code that shares nothing with the solvers.

    Exits with 0 if it proves what it claims (safety, a violation, bounds), with 2 if not.
    """
    from ig_theory.io.catalogue import open_model

    if checker not in ("python", "extracted", "both"):
        raise IGTheoryError.at(
            "--checker", "python, extracted or both", repr(checker), "choose one of them"
        )
    claim = _checked(read_certificate(certificate), open_model(needed(model)), checker)
    if json:
        bounds = {} if claim.lower is None else {"lower": str(claim.lower)}
        bounds |= {} if claim.upper is None else {"upper": str(claim.upper)}
        print_json({"valid": True, "checker": checker, "claim": claim.sentence, **bounds})
    else:
        print(f"valid: {claim.sentence}")
    return 0


def _checked(certificate: dict[str, Any], model: ConstrainedMDP, checker: str) -> Claim:
    """The claim, if every checker that was asked accepts the certificate and they say the same."""
    from ig_theory.checker import check_certificate

    if checker == "python":
        return check_certificate(certificate, model)
    extracted = _extracted()
    if checker == "extracted":
        return extracted(certificate, model)
    claims: list[Claim | CertificateError] = []
    for check in (check_certificate, extracted):
        try:
            claims.append(check(certificate, model))
        except CertificateError as error:
            claims.append(error)
    python, other = claims
    if isinstance(python, CertificateError) and isinstance(other, CertificateError):
        raise python
    if isinstance(python, CertificateError) or isinstance(other, CertificateError):
        first = isinstance(python, CertificateError)
        name, refusal = ("python", python) if first else ("extracted", other)
        raise CertificateError.at(
            "--checker both", "two checkers that agree", f"only {name} rejects it ({refusal})",
            "trust neither answer and report this",
        )  # fmt: skip
    if (python.kind, python.lower, python.upper) != (other.kind, other.lower, other.upper):
        raise CertificateError.at(
            "--checker both", f"the same claim twice, {python.sentence}", other.sentence,
            "trust neither answer and report this",
        )  # fmt: skip
    return python


def _extracted() -> Callable[[Mapping[str, Any], ConstrainedMDP], Claim]:
    """The extracted checker, which another package registers."""
    repair = "install the proofs_check package, or use --checker python"
    for entry in entry_points(group="ig_theory.checkers", name="extracted"):
        try:
            found: Callable[[Mapping[str, Any], ConstrainedMDP], Claim] = entry.load()
        except Exception as error:  # foreign code
            raise IGTheoryError.at(
                "--checker extracted", "code that imports", f"{type(error).__name__}: {error}",
                repair,
            ) from error  # fmt: skip
        return found
    raise IGTheoryError.at("--checker extracted", "a registered checker", "none", repair)


def needed(model: str | None) -> str:
    """The model, which these commands cannot do without."""
    if model is None:
        raise IGTheoryError.at(
            "--model", "the model of the certificate", "none", "give the one that was checked"
        )
    return model


def read_certificate(path: Path) -> dict[str, Any]:
    """A certificate file as a dictionary.

    Raises
    ------
    CertificateError
        If the file cannot be read or is no JSON object.
    """
    repair = "give a file that `ig-theory check --report` wrote"
    try:
        found = json_module.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CertificateError.at(
            str(path), "a file that can be read", error.strerror or error, repair
        ) from error
    except (ValueError, RecursionError) as error:
        raise CertificateError.at(str(path), "a JSON document", str(error), repair) from error
    if not isinstance(found, dict):
        raise CertificateError.at(str(path), "a JSON object", type(found).__name__, repair)
    return found


def replay(
    certificate: CertificateArgument,
    model: ModelOption = None,
    guard: Annotated[
        str | None, option("--guard", "Ask this guard for its probabilities again.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Walk through a counterexample step by step, with the budget after each.

    With --guard, fails if that guard would not take one of the steps.
    """
    from ig_theory.checker import check_certificate
    from ig_theory.guards import open_guard
    from ig_theory.io.catalogue import open_model
    from ig_theory.replay import replay as walk

    found = read_certificate(certificate)
    opened = open_model(needed(model))
    claim = check_certificate(found, opened)
    asked = None
    if guard is not None:
        asked = open_guard(guard, opened, constraints_of(found))[1]
    rows = [asdict(row) for row in walk(found, opened, asked)]
    if json:
        steps = [{key: _plain(value) for key, value in row.items()} for row in rows]
        print_json({"claim": claim.sentence, "guard": guard, "steps": steps})
        return 0
    print(f"{claim.sentence}")
    _show(rows)
    return 0


def constraints_of(certificate: dict[str, Any]) -> tuple[BudgetConstraint, ...]:
    """The constraints that a certificate, already checked, is about."""
    from ig_theory.constraint import BudgetConstraint

    return tuple(BudgetConstraint(**entry) for entry in certificate["constraints"])


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ig_theory.report.numbers import short
    from ig_theory.report.table import number

    asked = any(row["guard_probability"] is not None for row in rows)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("t", "state", "choice", "cost", "z after", "p", *(["p now"] if asked else [])):
        table.add_column(head, justify="left" if head in ("state", "choice") else "right")
    for row in rows:
        chances = [row["probability"], *([row["guard_probability"]] if asked else [])]
        table.add_row(
            str(row["time"]),
            escape(row["state"]),
            escape(row["choice"]),
            ", ".join(map(number, row["costs"])),
            ", ".join(map(number, row["budgets"])),
            *map(short, chances),
        )
    console().print(table)


def _plain(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, tuple) else value
