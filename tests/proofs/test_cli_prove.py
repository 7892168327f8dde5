"""`ig-theory prove`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ig_theory.cli import main
from proofs_check import registry
from proofs_check.claim import Check, Claim, Finding, Method, Status


def holds() -> Finding:
    return Finding(Status.HOLDS, "seen for all numbers")


def fails() -> Finding:
    raise AssertionError("3 is not 4")


def missing() -> Finding:
    return Finding(Status.NOT_RUN, "prover 9 is not installed")


def stops() -> Finding:
    raise KeyboardInterrupt


def claims(**runs):
    """One claim a check: T6.continuation may hold, fail, be stopped or be missing."""
    return tuple(
        Claim(
            f"T6.{name}", f"the statement {name}", ("γ > 0",), (Check(Method.SMT, "a step", run),)
        )
        for name, run in runs.items()
    )


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch):
    def use(**runs):
        monkeypatch.setattr(registry, "all_claims", lambda: claims(**runs))

    return use


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ({"good": holds}, 0),
        ({"good": holds, "absent": missing}, 0),
        ({"good": holds, "bad": fails}, 1),
        ({"absent": missing}, 2),
        ({"good": holds, "cut": stops}, 130),
    ],
)
def test_exit_codes(known, capsys, runs, code) -> None:
    known(**runs)
    assert main(["prove"]) == code
    capsys.readouterr()


def test_table_says_what_failed_and_what_was_not_run(known, capsys) -> None:
    known(good=holds, bad=fails, absent=missing)
    main(["prove"])
    text = capsys.readouterr().out
    assert "FAILS T6.bad, SMT, a step: 3 is not 4" in text
    assert "not run: 1 × SMT: prover 9 is not installed" in text
    assert "3 claims; 1 hold" in text
    assert max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize("width", [80, 100])
def test_table_fits_the_terminal(width: int) -> None:
    from io import StringIO

    from rich.console import Console

    from proofs_check.table import claim_table

    results = registry.run_claims(registry.all_claims(), {Method.SYMBOLIC})
    out = StringIO()
    Console(file=out, width=width).print(claim_table(results))
    assert max(len(line) for line in out.getvalue().splitlines()) <= width
    assert "T1.threshold" in out.getvalue()
    assert "…" not in out.getvalue().replace("+…+", "").replace("+ … +", "")


def test_json(known, capsys) -> None:
    known(good=holds, bad=fails)
    assert main(["prove", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 1
    assert [(c["id"], c["status"]) for c in document["claims"]] == [
        ("T6.good", "holds"), ("T6.bad", "FAILS"),
    ]  # fmt: skip
    assert document["claims"][0]["checks"][0]["detail"] == "seen for all numbers"


def test_one_claim_in_detail(capsys) -> None:
    assert main(["prove", "--claim", "T3.gap", "--method", "symbolic"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "A budget of D + γh/(1−γ) is enough" in text
    assert "0 < γ < 1" in text
    assert "theorem Grid.T3_gap" in text
    assert "not asked for" in text
    assert "T3.down" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--claim", "T9"], "T9"),
        (["--method", "magic"], "--method: want one of coq, exhaustive, smt"),
        (["--write", "/dev/null/x.md"], "/dev/null/x.md"),
    ],
)
def test_errors_are_one_line(capsys, arguments, said) -> None:
    assert main(["prove", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_writes_the_page_and_runs_nothing(known, capsys, tmp_path: Path) -> None:
    known(good=fails)
    path = tmp_path / "theorems.md"
    assert main(["prove", "--write", str(path)]) == 0
    assert "**T6.good**" in path.read_text("utf-8")
    assert "nothing was run" in capsys.readouterr().out


def test_help_is_light() -> None:
    import subprocess
    import sys

    code = (
        "import sys, contextlib, io\n"
        "from ig_theory.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(['prove', '--help'])\n"
        "print([m for m in ('sympy', 'z3', 'numpy', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
