"""``ig-theory compare``: exact and sampled rows, files that stay whole, tables and plots."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from ig_theory.checker import check_certificate
from ig_theory.cli import main
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.guards import open_guard
from ig_theory.query import ask
from ig_theory.verification import verify
from llm_bridge import cli_compare, compare_exact
from llm_bridge.cli_guards import Search, make_decoder
from llm_bridge.cli_setup import load_setup
from llm_bridge.compare import Records, sampled
from llm_bridge.compare_exact import Exact, LawGuard
from llm_bridge.decoding.exact import exact_law
from llm_bridge.decoding.tree_world import TreeWorld
from simulators.rollout import clopper_pearson

NANO = ("--model", "tiny:size=nano")
EXACT = (*NANO, "--budget", 2, "--tree", "--limit", 1)
SAMPLED = (*NANO, "--budget", 2, "--guards", "base,best-of-n:n=8,certified", "--samples", 8)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main(["compare", *(str(argument) for argument in arguments)])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out, said.err

    return call


@pytest.fixture(scope="module")
def setup():
    return load_setup("tiny:size=nano", None, None, BudgetConstraint(2, horizon=3))


@pytest.fixture(scope="module")
def exact(setup):
    found = setup.tree("help")
    return Exact(found, TreeWorld(found, setup.constraint, setup.model.end), 100_000)


SMALL = Search(blocks=2, width=1, retries=1)


def decoder(name, setup, exact, search=SMALL):
    return make_decoder(name, setup, search, lambda: exact.found)


# Exact rows.


def test_the_law_of_a_decoder_is_a_guard_of_the_tree(setup, exact):
    """Violation, reward and divergence of the verdict are those of the law."""
    base = chances(exact_law(decoder("base", setup, exact), exact.world))
    for name in ("best-of-n", "beam-augmented", "inference-guard", "certified"):
        law = exact_law(decoder(name, setup, exact), exact.world)
        verdict = verify(
            LawGuard.of(law, exact.found), exact.found.mdp, setup.constraint, price=True
        )
        assert verdict.violation.middle == pytest.approx(float(law.violation), abs=1e-12)
        if law.violation == 0:
            kl = math.fsum(p * math.log(p / base[said]) for said, p in chances(law).items() if p)
            assert verdict.reward.middle == pytest.approx(law.reward, abs=1e-9)
            assert verdict.kl.middle == pytest.approx(kl, abs=1e-9)


def chances(law):
    """Of each response, however it ended."""
    found = {}
    for beam, chance in zip(law.beams, law.probabilities, strict=True):
        found[beam.tokens] = found.get(beam.tokens, 0.0) + chance
    return found


def test_what_is_safe_is_proved_and_what_is_not_has_its_probability(setup, exact):
    rows = {
        name: exact.row(decoder(name, setup, exact))
        for name in ("base", "best-of-n", "inference-guard", "certified", "shield")
    }
    for name in ("certified", "shield"):
        assert (rows[name]["outcome"], rows[name]["violation"]["upper"]) == ("SAFE", 0.0)
        assert rows[name]["certificate"] in ("pairs", "demand")
    for name in ("base", "best-of-n", "inference-guard"):
        assert rows[name]["outcome"] == "VIOLATED"
        assert 0 < rows[name]["violation"]["lower"] < 0.2
        assert rows[name]["certificate"] == "violation"
    assert rows["best-of-n"]["violation"]["lower"] > rows["base"]["violation"]["upper"]
    # No almost surely safe guard is nearer to the base, and none earns more than the best one.
    best = ask("value", exact.found.mdp, setup.constraint).value
    limit = ask("least-intrusive", exact.found.mdp, setup.constraint).value
    for name in ("certified", "shield"):
        assert rows[name]["kl"]["upper"] >= float(limit.lower)
        assert rows[name]["kl_limit"]["lower"] == pytest.approx(limit.middle, abs=1e-9)
        regret = best.middle - rows[name]["reward"]["lower"]
        assert rows[name]["regret"]["lower"] == pytest.approx(regret, abs=1e-6)
        assert regret > 0


def test_step_guards_are_those_of_the_theory(setup, exact):
    row = exact.row(decoder("value-filter:threshold=0.9", setup, exact))
    guard = open_guard("value-filter:threshold=0.9", exact.found.mdp, setup.constraint)[1]
    verdict = verify(guard, exact.found.mdp, setup.constraint, price=True)
    assert row["kl"]["lower"] == verdict.kl.lower
    assert row["reward"]["upper"] == verdict.reward.upper


def test_a_law_that_disagrees_with_the_verdict_is_an_error(setup, exact, monkeypatch):
    made = decoder("best-of-n", setup, exact)
    right = LawGuard.of.__func__

    def wrong(cls, law, found):
        guard = right(cls, law, found)
        return LawGuard(found, np.where(guard.mass > 0, 1.0, 0.0))

    monkeypatch.setattr(LawGuard, "of", classmethod(wrong))
    with pytest.raises(SolverError, match=r"P\(violate\)"):
        exact.row(made)


def test_a_certificate_that_does_not_check_is_an_error(setup, exact, monkeypatch):
    def forged(certificate, model):
        return check_certificate(certificate | {"digest": "0"}, model)

    monkeypatch.setattr(compare_exact, "check_certificate", forged)
    with pytest.raises(SolverError, match="certificate of shield"):
        exact.row(decoder("shield", setup, exact))


def test_silence_is_no_policy_and_has_no_proof(setup):
    """Nothing is within a budget that every token costs: the certified guard says nothing."""
    dear = load_setup(
        "tiny:size=nano", "words:help,note,plain", None, BudgetConstraint(0, horizon=1)
    )
    found = dear.tree("help")
    world = TreeWorld(found, dear.constraint, None)
    with_words = Exact(found, world, 1000)
    from llm_bridge.decoding.certified import certified_inference_guard

    made = certified_inference_guard(2, 1, 1, 1, continuations=((5,),))  # "help", which costs
    row = with_words.row(made)
    assert (row["outcome"], row["violation"]["upper"]) == ("ABSTAINS", 0.0)
    assert (row["certificate"], row["abstained"], row["kl"]["lower"]) == (None, 1.0, "inf")


def test_all_guards_have_exact_numbers(run):
    code, out, err = run(*EXACT, "--json")
    found = json.loads(out, parse_constant=pytest.fail)
    assert (code, err, found["complete"]) == (0, "", True)
    rows = {row["guard"]: row for row in found["exact"]}
    assert len(rows) == 14
    assert rows["certified"]["verdict"] == "P = 0, certificate checked"
    assert rows["shield"]["verdict"] == "P = 0, certificate checked"
    assert rows["base"]["verdict"] == "violates, certificate checked"
    assert 0 < rows["inference-guard"]["violation"] < rows["beam-augmented"]["violation"]
    assert rows["least-intrusive"]["ratio"] == pytest.approx(1, abs=1e-6)
    for row in rows.values():
        if row["zero"]:
            assert row["ratio"] >= 1 - 1e-9
            assert row["regret"] >= 0


# Sampled rows.


def test_no_violation_is_never_called_safe(run):
    code, out, _ = run(*SAMPLED, "--limit", 1)
    assert code == 0
    assert "no violation in 8" in out
    assert "sampled responses prove nothing" in out
    assert "certificate" not in out
    assert "P = 0" not in out
    found = json.loads(run(*SAMPLED, "--limit", 1, "--json")[1])
    last = found["sampled"][-1]
    assert (last["verdict"], last["violations"]) == ("no violation in 8", 0)
    assert (last["low"], last["high"]) == clopper_pearson(8, 8)
    assert found["exact"] == []


def test_means_are_those_of_the_records(run):
    found = json.loads(run(*SAMPLED, "--json")[1])
    assert len(found["records"]) == 3 * 5 * 8
    for row in found["sampled"]:
        mine = [r for r in found["records"] if r["guard"] == row["guard"]]
        bad = sum(Fraction(r["cost"]) > 2 for r in mine)
        assert row["violations"] == bad
        assert (row["low"], row["high"]) == clopper_pearson(40 - bad, 40)
        assert row["reward"] == pytest.approx(np.mean([r["reward"] for r in mine]))
        assert row["cost"] == pytest.approx(np.mean([float(Fraction(r["cost"])) for r in mine]))
    assert found["sampled"][-1]["violations"] == 0


def test_sampled_shares_agree_with_the_exact_law(run):
    asked = (*NANO, "--budget", 0, "--tree", "--limit", 1, "--samples", 200, "--json")
    found = json.loads(run(*asked, "--guards", "base,best-of-n,certified,shield")[1])
    for one, other in zip(found["sampled"], found["exact"], strict=True):
        low, high = clopper_pearson(one["violations"], one["responses"], 0.9999)
        assert low <= other["violation"] <= high


def test_failures_are_rows_and_the_rest_goes_on(run, tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def broken(text):\n    raise KeyError('no')\n")
    code, out, _ = run(
        *NANO, "--budget", 2, "--guards", "base,certified", "--limit", 2,
        "--cost", f"{file}:broken",
    )  # fmt: skip
    assert code == 2
    assert "error: sampled base on prompt 1:" in out
    assert "fell back" in out
    assert "no response" in out


# Files.


def test_interrupted_work_is_kept_whole_and_goes_on(run, tmp_path, monkeypatch):
    path, whole = tmp_path / "rows.jsonl", tmp_path / "whole.jsonl"
    decode, made = cli_compare.decode, []

    def interrupted(*arguments):
        if len(made) == 7:
            raise KeyboardInterrupt
        made.append(decode(*arguments))
        return made[-1]

    monkeypatch.setattr(cli_compare, "decode", interrupted)
    code, out, err = run(*SAMPLED, "--limit", 1, "--out", path)
    assert (code, err) == (130, "interrupted\n")
    assert "interrupted: 7 of 24 rows are done" in out
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 8
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]
    monkeypatch.setattr(cli_compare, "decode", decode)
    assert run(*SAMPLED, "--limit", 1, "--out", path)[0] == 0
    assert run(*SAMPLED, "--limit", 1, "--out", whole)[0] == 0
    again, once = ([json.loads(line) for line in p.read_text().splitlines()] for p in (path, whole))
    assert again[:8] == lines
    assert [r.get("tokens") for r in again] == [r.get("tokens") for r in once]


def test_interrupted_writing_leaves_the_last_whole_file(tmp_path, monkeypatch):
    from llm_bridge import compare

    records = Records({"a": 1}, tmp_path / "rows.jsonl")
    row = {"kind": "sampled", "guard": "base", "prompt": "1", "sample": 0, "error": None}
    records.add(row)
    before = (tmp_path / "rows.jsonl").read_text()

    def half(path, text):
        with compare_files.replacing(path) as temporary:
            temporary.write_text(text[:10])
            raise KeyboardInterrupt

    import ig_theory.report.files as compare_files

    monkeypatch.setattr(compare, "write_whole", half)
    with pytest.raises(KeyboardInterrupt):
        records.add(row)
    assert (tmp_path / "rows.jsonl").read_text() == before
    assert Records({"a": 1}, tmp_path / "rows.jsonl").rows == [row]


def test_a_file_of_other_settings_is_refused(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    assert run(*SAMPLED, "--limit", 1, "--out", path)[0] == 0
    code, out, err = run(*SAMPLED, "--limit", 1, "--out", path, "--seed", 1)
    assert (code, out) == (2, "")
    assert "another seed" in err
    path.write_text("something else")
    assert run(*SAMPLED, "--out", path)[0] == 2
    assert path.read_text() == "something else"


def test_a_file_of_prompts(run, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("help\n\nplease note\n")
    found = json.loads(run(*SAMPLED, "--prompts", file, "--json")[1])
    assert found["prompts"] == ["1", "3"]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_plots(run, tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    asked = (*EXACT, "--guards", "base,certified,shield", "--plot", path)
    code, out, _ = run(*asked)
    assert code == 0
    assert out.endswith(f"wrote {path}\n")
    content = path.read_bytes()
    if ending == "svg":
        for name in (b"base", b"certified", b"shield", b"exactly 0"):
            assert name in content or b"<path" in content
        run(*asked)
        assert path.read_bytes()[:100] == content[:100]
    else:
        assert content.startswith(b"\x89PNG")


def test_tables_fit_80_columns(run, monkeypatch):
    from ig_theory.cli import output

    monkeypatch.setattr(output, "PIPE_WIDTH", 80)
    _, out, _ = run(*EXACT, "--quiet")
    assert max(len(line.rstrip()) for line in out.splitlines()[1:]) <= 80
    assert "inference-\n" not in out
    assert "…" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--budget",)),
        (("--budget", "2", "--guards", "bse"), ("did you mean 'base'",)),
        (("--budget", "2", "--guards", ","), ("--guards", "at least one")),
        (("--budget", "2", "--guards", "base,base"), ("base twice",)),
        (("--budget", "2", "--guards", "shield"), ("--tree",)),
        (("--budget", "2", "--prompts", "no.txt"), ("no.txt",)),
        (("--budget", "2", "--plot", "a.gif"), ("--plot", ".svg")),
        (("--budget", "2", "--out", "/proc/a.jsonl"), ("/proc/a.jsonl", "written")),
        (("--budget", "2", "--limit", "0"), ("--limit",)),
        (("--budget", "2", "--cost", "rude"), ("--cost", "'rude'")),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_one_line(run, arguments, words):
    code, out, err = run(*NANO, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err


def test_no_response_has_the_widest_interval():
    row = sampled("base", [{"guard": "base", "kind": "sampled", "error": "no"}])
    assert (row.low, row.high, row.failed, row.words) == (0.0, 1.0, 1, "no response")
