"""``ig-theory verify-cert`` and ``ig-theory replay``: evidence, checked again and shown."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ig_theory.cli.options import JsonOption, ModelOption, option
from ig_theory.cli.output import print_json
from ig_theory.errors import CertificateError, IGTheoryError

CertificateArgument = Annotated[
    Path, typer.Argument(help="A certificate that check --report wrote.", metavar="CERT")
]


def verify_cert(
    certificate: CertificateArgument, model: ModelOption = None, json: JsonOption = False
) -> int:
    """Re-check a certificate in exact integers, with code that shares nothing with the solvers.

    Exits with 0 if it proves what it claims (safety, or a violation), with 2 if not.
    """
    from ig_theory.checker import check_certificate
    from ig_theory.io.catalogue import open_model

    claim = check_certificate(read_certificate(certificate), open_model(needed(model)))
    if json:
        print_json({"valid": True, "claim": claim.sentence})
    else:
        print(f"valid: {claim.sentence}")
    return 0


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
    """Walk through a counterexample step by step, with the budget after each."""
    raise NotImplementedError
