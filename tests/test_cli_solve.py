"""``ig-theory solve``: every question, what may be wrong with one, and its how-to."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest

from ig_theory.cli import main
from ig_theory.query import QUESTIONS

ROOT = Path(__file__).parents[1]
HOWTO = (ROOT / "docs" / "howto-solve.md").read_text("utf-8")
HALL = ("--model", "slippery-hall", "--budget", "1")
MORE = {"reach": ("--goal", "terminal")}


@pytest.fixture
def run(capsys):
    """Run ``solve``; returns its exit code, standard output and standard error."""

    def call(*arguments):
        code = main(["solve", *(str(argument) for argument in arguments)])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out, said.err

    return call


def fails(run, *arguments):
    code, _, err = run(*arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_for_people_and_for_machines(run, question):
    asked = ("--ask", question, *HALL, *MORE.get(question, ()))
    code, out, err = run(*asked)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("slippery-hall: cost 0")
    assert re.match(r"  (exact|certified): ", lines[2])
    code, out, err = run(*asked, "--json")
    found = json.loads(out, parse_constant=pytest.fail)
    assert (code, err) == (0, "")
    assert found["ask"] == question
    assert found["model"] == "slippery-hall"
    assert found["sentence"] == lines[1]
    assert found["status"] in ("exact", "certified")
    shown = question in ("min-budget",) or QUESTIONS[question].budget
    assert found["constraint"]["budget"] == ("1" if shown else None)
    assert ("within 1" in lines[0]) == shown


@pytest.mark.parametrize("question", [q for q, asked in QUESTIONS.items() if asked.plots])
def test_plots(run, question, tmp_path):
    path = tmp_path / f"{question}.svg"
    asked = ("--ask", question, *HALL, *MORE.get(question, ()))
    code, out, _ = run(*asked, "--plot", path)
    assert code == 0
    assert out.endswith(f"wrote {path}\n")
    assert path.read_text("utf-8").rstrip().endswith("</svg>")
    code, out, _ = run(*asked, "--plot", path, "--json")
    assert json.loads(out)["plot"]["panels"]


def test_rows_are_counted(run):
    _, out, _ = run("--model", "garnet", "--states", 3)
    assert "... 97 more rows" in out
    _, out, _ = run("--model", "garnet", "--states", 0)
    assert "state " not in out
    _, out, _ = run("--model", "garnet", "--json")
    assert len(json.loads(out)["table"]) == 100


def test_exact_numbers_are_text_too(run):
    _, out, _ = run("--ask", "value", *HALL, "--exact", "--json")
    assert json.loads(out)["answer"] == {
        "lower": 3.05078125, "upper": 3.05078125, "exact": "781/256"
    }  # fmt: skip
    _, out, _ = run("--model", "garnet", "--json")
    row = json.loads(out)["table"][0]
    assert (row["budget"], row["start"]) == ("inf", True)


def test_bounds_that_are_not_certified_say_so_and_exit_with_3(run, monkeypatch):
    from dataclasses import replace

    from ig_theory.query import rewards
    from ig_theory.solvers.solution import Status

    solve = rewards.safe_value

    def unsure(*arguments, **more):
        return replace(solve(*arguments, **more), status=Status.UNCERTIFIED)

    monkeypatch.setattr(rewards, "safe_value", unsure)
    code, out, _ = run("--ask", "value", *HALL)
    assert code == 3
    assert "NOT CERTIFIED" in out
    assert run("--ask", "value", *HALL, "--json")[0] == 3


def test_infeasible_is_an_answer(run):
    code, out, _ = run("--ask", "value", "--model", "slippery-hall:exits=false", "--budget", 3)
    assert code == 0
    assert "INFEASIBLE" in out
    assert "it takes 5" in out
    _, out, _ = run(
        "--ask", "value", "--model", "slippery-hall:exits=false", "--budget", 3, "--json"
    )
    found = json.loads(out)
    assert (found["status"], found["answer"]["upper"]) == ("infeasible", "-inf")


def test_the_discount_of_rewards_can_be_set(run):
    garnet = ("--ask", "unconstrained", "--model", "garnet", "--json")
    assert json.loads(run(*garnet)[1])["answer"]["lower"] == "inf"
    found = json.loads(run(*garnet, "--reward-discount", "9/10")[1])["answer"]
    assert 0 < found["lower"] <= found["upper"] < 20
    code, _, err = run("--ask", "lyapunov", *HALL, "--discount", "1/2", "--reward-discount", "1/2")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--model", "none")),
        (("--ask", "why", *HALL), ("--ask", "min-budget")),
        (("--ask", "valeu", *HALL), ("did you mean value",)),
        (("--ask", "value", "--model", "garnet"), ("--budget", "none")),
        (("--ask", "value", "--model", "garnet", "--budget", "1e3"), ("'1e3'",)),
        (("--ask", "value", *HALL, "--delta", "0.1"), ("--delta", "--ask chance")),
        (("--ask", "value", *HALL, "--temperature", "1"), ("--temperature", "--ask soft")),
        (("--ask", "value", *HALL, "--plot", "a.gif"), ("--plot", ".svg")),
        (("--ask", "value", *HALL, "--plot", "/proc/a.svg"), ("/proc/a.svg", "written")),
        (("--ask", "lp", *HALL, "--plot", "a.svg"), ("--plot", "pareto")),
        (("--ask", "value", *HALL, "--reward-discount", "2"), ("--reward-discount", "(0, 1]")),
        (("--ask", "value", *HALL, "--reward-discount", "x"), ("--reward-discount", "'x'")),
        (("--ask", "penalty", *HALL, "--penalties", "a"), ("penalties", "'a'")),
        (("--ask", "penalty", *HALL, "--penalties", ","), ("penalties", "none")),
        (("--ask", "penalty", *HALL, "--penalties", "-1"), (">= 0", "-1")),
        (("--ask", "chance", *HALL, "--delta", "2"), ("delta", "[0, 1]")),
        (("--ask", "chance", *HALL, "--after", "soon"), ("after", "'soon'")),
        (("--ask", "cvar", *HALL, "--alpha", "1"), ("alpha", "[0, 1)")),
        (("--ask", "soft", *HALL, "--temperature", "0"), ("temperature", "value")),
        (("--ask", "reach", *HALL, "--goal", "x"), ("goal", "'x'", "terminal")),
        (("--ask", "reach", *HALL), ("goal", "none")),
        (("--ask", "pareto", *HALL, "--epsilon", "1"), ("epsilon", "horizon")),
        (("--ask", "pareto", *HALL, "--horizon", "2", "--epsilon", "-1"), ("epsilon", "-1")),
        (("--ask", "pareto", *HALL, "--constraint", "cost=0", "--constraint", "budget=2"), ("2",)),
        (("--ask", "value", *HALL, "--states", "-1"), ("--states", "0")),
    ],
    ids=" ".join,
)
def test_malformed_questions(run, arguments, words):
    message = fails(run, *arguments)
    assert all(word in message for word in words), message


def test_nothing_to_draw_is_an_error_and_no_file(run, tmp_path):
    path = tmp_path / "a.svg"
    model = ("--model", "slippery-hall:exits=false", "--budget", 3)
    assert "it takes 5" in fails(run, "--ask", "value", *model, "--plot", path)
    assert not path.exists()


def test_without_a_model_it_lists_them(run):
    code, out, _ = run("--ask", "value")
    assert code == 2
    assert "jailbreak-dialogue" in out
    assert ".prism" in out


def test_interruption_is_130(run, monkeypatch, tmp_path):
    from ig_theory.query import rewards

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(rewards, "safe_value", interrupted)
    code, out, err = run("--ask", "value", *HALL, "--plot", tmp_path / "a.svg")
    assert (code, out, err) == (130, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_help_lists_the_questions_and_imports_nothing_heavy():
    code = (
        "import sys; from ig_theory.cli import main; code = main(['solve', '--help']); "
        "heavy = {'numpy', 'scipy', 'numba', 'matplotlib'}; "
        "sys.exit(code or sorted(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for name, question in QUESTIONS.items():
        assert any(line.split() == [name, *question.line.split()] for line in lines), name


# The how-to.

COMMAND = re.compile(r"^\$ (ig-theory solve .*)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
EXAMPLES = [pytest.param(*pair, id=pair[0][17:]) for pair in COMMAND.findall(HOWTO)]


def test_the_how_to_has_an_example_of_each_question():
    for name, question in QUESTIONS.items():
        assert f"**{name}**" in HOWTO, name
        assert f"--ask {name} " in HOWTO, name
        assert question.answered_by


@pytest.mark.parametrize(("command", "shown"), EXAMPLES)
def test_the_how_to_shows_what_happens(run, command, shown):
    """Words are the same, and numbers up to rounding."""
    code, out, _ = run(*shlex.split(command)[2:])
    assert code == 0
    for there, here in zip_longest(_lines(shown), _lines(out), fillvalue=""):
        assert NUMBER.sub("#", there) == NUMBER.sub("#", here)
        pairs = zip(NUMBER.findall(there), NUMBER.findall(here), strict=True)
        for a, b in pairs:
            assert float(b) == pytest.approx(float(a), rel=1e-6, abs=1e-6), (there, here)


def _lines(text):
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_python_of_the_how_to(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", HOWTO, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", HOWTO, re.DOTALL)
    exec(compile(code, "howto-solve.md", "exec"), {})
    assert capsys.readouterr().out == shown
