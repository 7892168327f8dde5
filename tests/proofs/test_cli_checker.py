"""``verify-cert --checker``: each checker is asked, and a difference is never a yes."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from ig_theory.certificate import demand_certificate, write_certificate
from ig_theory.checker import Claim
from ig_theory.cli import certificates, main
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError
from ig_theory.io import open_model
from ig_theory.solvers.minimal_budget import minimal_budget

ocaml = pytest.mark.skipif(shutil.which("ocamlfind") is None, reason="OCaml is not installed")


@pytest.fixture
def written(tmp_path):
    model = open_model("latent-chain")
    certificate = demand_certificate(minimal_budget(model, BudgetConstraint(2)))
    write_certificate(certificate, tmp_path / "it.json")
    return str(tmp_path / "it.json")


def verified(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    code = main(["verify-cert", *arguments, "--model", "latent-chain"])
    said = capsys.readouterr()
    return code, said.out, said.err


@ocaml
@pytest.mark.parametrize("checker", ["python", "extracted", "both"])
def test_the_command_line_asks_each_checker(checker, written, capsys):
    code, out, _ = verified(capsys, written, "--checker", checker)
    assert code == 0
    assert out.startswith("valid: from every ")


class Entry:
    """An entry point that another package might register."""

    def __init__(self, check: Any) -> None:
        self.check = check

    def load(self) -> Any:
        if self.check is None:
            raise ImportError("no such module")
        return self.check


def reject(certificate: Any, model: Any) -> Any:
    raise CertificateError("not this one")


@pytest.mark.parametrize(
    ("registered", "words"),
    [
        ([], "install the proofs_check package"),
        ([Entry(None)], "no such module"),
        ([Entry(reject)], "only extracted rejects it"),
        ([Entry(lambda *_: Claim("pairs", "something else"))], "the same claim twice"),
    ],
)
def test_both_fails_closed(registered, words, written, capsys, monkeypatch):
    monkeypatch.setattr(certificates, "entry_points", lambda **_: registered)
    code, out, err = verified(capsys, written, "--checker", "both")
    assert code == 2
    assert words in err
    assert not out


def test_an_unknown_checker_is_refused(written, capsys):
    code, _, err = verified(capsys, written, "--checker", "magic")
    assert code == 2
    assert "python, extracted or both" in err
