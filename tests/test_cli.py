"""The command line: exit codes, one clear message for whatever is wrong, whole files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ig_theory.cli import main
from ig_theory.io import load_model

ROOT = Path(__file__).parents[1]
MODEL = ("--model", "latent-chain:length=3")
BUDGET = ("--budget", "1")
ON_CHAIN = (*MODEL, *BUDGET)

GUARD = """
import numpy as np

def base(view):
    return view.base

def nan(view):
    return view.base * np.nan

def factory(model, constraint):
    return base

def interrupting(view):
    raise KeyboardInterrupt

number = 3
"""


@pytest.fixture
def guards(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(GUARD)
    return path


@pytest.fixture
def run(capsys):
    """Run a command; returns its exit code, standard output and standard error."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out, said.err

    return call


def fails(run, *arguments):
    """The one line that a failing command says."""
    code, _, err = run(*arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


# Exit codes and outcomes.


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("shield", *ON_CHAIN), 0, "SAFE"),
        (("unguarded", *ON_CHAIN), 1, "VIOLATED"),
        (("shield", "unguarded", *ON_CHAIN), 1, "VIOLATED"),
        (("shield", "no-such-guard", "unguarded", *ON_CHAIN), 2, "ERROR"),
    ],
)
def test_the_worst_outcome_is_the_exit_code(run, arguments, code, word):
    found, out, _ = run("check", *arguments)
    assert found == code
    assert word in out
    assert all(name in out for name in arguments[:-4])


def test_bounds_that_overlap_are_inconclusive(run):
    code, out, _ = run(
        "check", "shield", "--model", "slippery-hall", "--budget", "3", "--discount", "9/10",
        "--state-limit", "2",
    )  # fmt: skip
    assert code == 3
    assert "INCONCLUSIVE" in out


@pytest.mark.parametrize("name", ["base", "factory"])
def test_a_guard_or_a_factory_in_a_file(run, guards, name):
    code, out, _ = run("check", f"{guards}:{name}", *ON_CHAIN)
    assert code == 1
    assert "VIOLATED" in out


def test_a_faulty_guard_is_an_error_row_and_the_others_are_still_judged(run, guards):
    code, out, _ = run("check", f"{guards}:nan", "shield", *ON_CHAIN)
    assert code == 2
    assert "not finite" in out
    assert re.search(r"shield +SAFE", out)


def test_without_a_model_it_says_which(run):
    code, out, err = run("check")
    assert code == 2
    assert "no model" in err
    for name in ("jailbreak-dialogue", "frozenlake", "path.py" if "path.py" in out else "PATH.py"):
        assert name in out


def test_without_a_guard_it_says_which(run):
    code, out, err = run("check", *ON_CHAIN)
    assert code == 2
    assert "no guard" in err
    for name in ("shield", "penalty", "least-intrusive"):
        assert name in out


@pytest.mark.parametrize("budget", ["3/10", "0.3", ".3"])
def test_fractions_and_decimals_are_exact(run, budget):
    code, out, _ = run("check", "shield", *MODEL, "--budget", budget, "--json")
    assert code == 0
    assert json.loads(out)["verdicts"][0]["constraint"]["budget"] == "3/10"


def test_several_constraints(run):
    code, out, _ = run(
        "check", "unguarded", *MODEL, "--discount", "9/10", "--constraint", "budget=100",
        "--constraint", "budget=1,discount=1,boundary=open", "--json",
    )  # fmt: skip
    (found,) = json.loads(out)["verdicts"]
    assert code == 1
    assert [c["budget"] for c in found["constraints"]] == ["100", "1"]
    assert [c["discount"] for c in found["constraints"]] == ["9/10", "1"]
    assert found["witness_start"]["constraint"] == 1


def test_options_come_from_the_environment_too(run, monkeypatch):
    monkeypatch.setenv("IG_THEORY_MODEL", "latent-chain:length=3")
    monkeypatch.setenv("IG_THEORY_BUDGET", "1")
    monkeypatch.setenv("IG_THEORY_JSON", "1")
    code, out, _ = run("check", "shield")
    assert code == 0
    assert json.loads(out)["outcome"] == "SAFE"


# Malformed input: one line, exit code 2.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "shield", *MODEL), ("--budget", "none")),
        (("check", "shield", *MODEL, "--budget", "three"), ("budget", "'three'")),
        (("check", "shield", *MODEL, "--budget", "nan"), ("budget", "'nan'")),
        (("check", "shield", *MODEL, "--budget", "inf"), ("budget", "'inf'")),
        (("check", "shield", *MODEL, "--budget", "-1"), ("budget", "-1")),
        (("check", "shield", *MODEL, "--budget", "1/0"), ("budget", "1/0")),
        (("check", "shield", *ON_CHAIN, "--discount", "2"), ("discount", "2")),
        (("check", "shield", *ON_CHAIN, "--discount", "0"), ("discount", "0")),
        (("check", "shield", *ON_CHAIN, "--boundary", "ajar"), ("boundary", "'ajar'")),
        (("check", "shield", *ON_CHAIN, "--scope", "terminal"), ("scope", "horizon")),
        (("check", "shield", *ON_CHAIN, "--horizon", "-1"), ("horizon", "-1")),
        (("check", "shield", *ON_CHAIN, "--horizon", "x"), ("horizon", "x")),
        (("check", "shield", *ON_CHAIN, "--cost", "nope"), ("cost", "nope")),
        (("check", "shield", *ON_CHAIN, "--grid", "small"), ("--grid", "small")),
        (("check", "shield", *ON_CHAIN, "--state-limit", "0"), ("--state-limit", "1")),
        (("check", "shield", *MODEL, "--constraint", "bugdet=3"), ("bugdet", "budget")),
        (("check", "shield", *MODEL, "--constraint", "budget=3,horizon=soon"), ("'soon'",)),
        (("check", "shield", *BUDGET, "--model", "no-such-model"), ("no-such-model", "one of")),
        (("check", "shield", *BUDGET, "--model", "latent-chain:size=1"), ("size", "length")),
        (("check", "shield", *BUDGET, "--model", "missing.json"), ("missing.json", "no such")),
        (("check", "shield", *BUDGET, "--model", "missing.py:make"), ("missing.py",)),
        (("check", "shield", *ON_CHAIN, "--no-such-option"), ("--no-such-option",)),
        (("no-such-command",), ("no-such-command",)),
        (("solve", *ON_CHAIN, "--ask", "why"), ("--ask", "min-budget")),
        (("solve",), ("--model",)),
        (("convert", "latent-chain"), ("DST",)),
        (("convert", "latent-chain", "model.txt"), (".json", ".npz")),
        (("verify-cert", "missing.json", *MODEL), ("missing.json",)),
        (("replay", "missing.json", *MODEL), ("missing.json",)),
        (("simulate", "no-such-guard", *ON_CHAIN), ("no-such-guard",)),
        (("simulate", "shield", *ON_CHAIN, "--runs", "0"), ("--runs",)),
    ],
    ids=" ".join,
)
def test_malformed_arguments(run, arguments, words):
    message = fails(run, *arguments)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("no-such-guard", ("no-such-guard",)),
        ("{path}:absent", ("absent",)),
        ("{path}:number", ("number",)),
        ("{path}/none.py:base", ("none.py",)),
        ("penalty:n=many", ("many",)),
        ("penalty:weight=3", ("weight",)),
        ("no_such_module:guard", ("no_such_module",)),
    ],
)
def test_guards_that_cannot_be_had(run, guards, spec, words):
    code, out, _ = run("check", spec.format(path=guards), *ON_CHAIN)
    assert code == 2
    assert "ERROR" in out
    assert all(word in out for word in words)


@pytest.mark.parametrize(
    "text", ["def guard(view:\n", "raise RuntimeError('no')\n", "import nope\n"]
)
def test_guard_files_that_do_not_run(run, tmp_path, text):
    path = tmp_path / "broken.py"
    path.write_text(text)
    code, out, _ = run("check", f"{path}:guard", *ON_CHAIN)
    assert code == 2
    assert "ERROR" in out
    assert "broken.py" in out


@pytest.mark.parametrize("suffix", [".json", ".npz"])
@pytest.mark.parametrize("keep", [0, 1, 40, 400])
def test_model_files_that_are_cut(run, tmp_path, suffix, keep):
    path = tmp_path / f"model{suffix}"
    assert run("convert", "latent-chain:length=3", path)[0] == 0
    path.write_bytes(path.read_bytes()[:keep])
    assert path.name in fails(run, "check", "shield", *BUDGET, "--model", path)


@pytest.mark.parametrize(
    "text", ["null", "[]", "{}", '{"a": NaN}', '"x"', "\x00", "[" * 100_000, "[1e999]"]
)
@pytest.mark.parametrize("command", [("check", "shield", *BUDGET, "--model"), ("convert",)])
def test_files_that_hold_something_else(run, tmp_path, text, command):
    path = tmp_path / "other.json"
    path.write_text(text)
    more = [tmp_path / "out.npz"] if command[0] == "convert" else []
    assert "other.json" in fails(run, *command, path, *more)
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("command", ["verify-cert", "replay"])
@pytest.mark.parametrize("text", ["", "null", "{}", '{"kind": 3}', "[" * 100_000])
def test_files_that_are_no_certificate(run, tmp_path, command, text):
    path = tmp_path / "certificate.json"
    path.write_text(text)
    fails(run, command, path, *MODEL)


def test_an_error_is_json_too_when_json_was_promised(run):
    code, out, err = run("check", "shield", *MODEL, "--budget", "three", "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == 2
    assert "'three'" in found["error"]
    assert err.startswith("error: ")


def test_an_unexpected_error_is_one_line_with_a_hint(run, monkeypatch):
    def broken(spec):
        raise ZeroDivisionError("a bug\nof ours")

    monkeypatch.setattr("ig_theory.io.catalogue.open_model", broken)
    message = fails(run, "check", "shield", *ON_CHAIN)
    assert "ZeroDivisionError: a bug of ours" in message
    assert "--debug" in message
    with pytest.raises(ZeroDivisionError):
        main(["check", "shield", *ON_CHAIN, "--debug"])


# Reports, certificates, and interruption.


def test_a_report_and_its_certificates(run, tmp_path):
    folder = tmp_path / "report"
    code, out, _ = run(
        "check", "shield", "unguarded", *ON_CHAIN, "--report", folder, "--json"
    )  # fmt: skip
    found = json.loads(out)
    assert code == 1
    assert json.loads((folder / "verdict.json").read_text("utf-8"))["exit_code"] == 1
    cases = list(ET.parse(folder / "junit.xml").iter("testcase"))
    assert [case.find("failure") is None for case in cases] == [True, False]
    page = (folder / "report.html").read_text("utf-8")
    assert page.count("<svg") == 3
    assert "http" not in page
    for verdict, word in zip(found["verdicts"], ("shield", "unguarded"), strict=True):
        assert Path(verdict["certificate"]).name == f"{word}.certificate.json"
        code, out, _ = run("verify-cert", verdict["certificate"], *MODEL)
        assert code == 0
        assert out.startswith("valid: ")


def test_a_certificate_is_of_one_model_only(run, tmp_path):
    run("check", "shield", *ON_CHAIN, "--report", tmp_path)
    path = tmp_path / "shield.certificate.json"
    assert run("verify-cert", path, *MODEL, "--json")[0] == 0
    fails(run, "verify-cert", path, "--model", "latent-chain:length=4")


def test_a_counterexample_replays(run, tmp_path):
    run("check", "unguarded", *ON_CHAIN, "--report", tmp_path)
    path = tmp_path / "unguarded.certificate.json"
    for more in ((), ("--guard", "unguarded")):
        code, out, _ = run("replay", path, *MODEL, *more)
        assert code == 0
        assert "-1" in out


def test_interruption_is_130_and_leaves_no_file(run, guards, tmp_path):
    folder = tmp_path / "report"
    code, out, err = run("check", "shield", f"{guards}:interrupting", *ON_CHAIN, "--report", folder)
    assert code == 130
    assert err == "interrupted\n"
    assert out == ""
    assert not folder.exists()


def test_models_convert_without_loss(run, tmp_path):
    first, second, third = (tmp_path / name for name in ("a.json", "b.npz", "c.json"))
    for source, target in (("latent-chain:length=3", first), (first, second), (second, third)):
        assert run("convert", source, target)[0] == 0
    assert first.read_bytes() == third.read_bytes()
    assert load_model(second).S == load_model(first).S


# Other commands.


@pytest.mark.parametrize("ask", ["min-budget", "value", "least-intrusive"])
def test_solve(run, ask):
    code, out, _ = run("solve", "--ask", ask, *ON_CHAIN, "--json")
    assert code == 0
    assert json.loads(out)["ask"] == ask
    code, out, _ = run("solve", "--ask", ask, *ON_CHAIN)
    assert code == 0
    assert out.strip()


def test_solve_says_when_no_budget_is_enough(run):
    _, out, _ = run("solve", "--model", "garnet:states=20,seed=1", "--json")
    assert json.loads(out)["answer"]["lower"] == "inf"
    assert "no budget is enough" in run("solve", "--model", "garnet:states=20,seed=1")[1]


def test_simulate_is_reproducible_and_never_proves(run):
    first = run("simulate", "unguarded", *ON_CHAIN, "--runs", "200", "--seed", "7", "--json")
    again = run("simulate", "unguarded", *ON_CHAIN, "--runs", "200", "--seed", "7", "--json")
    assert first == again
    assert first[0] == 1
    safe = run("simulate", "shield", *ON_CHAIN, "--runs", "200", "--json")
    assert safe[0] == 3
    assert json.loads(safe[1])["violation"]["upper"] > 0


# The process itself.


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from ig_theory.cli import main; code = main(['--help']); "
        "heavy = {'numpy', 'scipy', 'numba', 'matplotlib', 'networkx', 'sympy', 'gymnasium'}; "
        "sys.exit(code or sorted(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("demo", "check", "solve", "simulate", "verify-cert", "convert", "replay"):
        assert command in done.stdout


def test_the_installed_command_and_a_closed_pipe():
    command = [sys.executable, "-m", "ig_theory", "check", "unguarded", *ON_CHAIN, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["outcome"] == "VIOLATED"
    assert done.stderr == ""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        broken = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert broken.returncode == 2
    assert b"Traceback" not in broken.stderr
