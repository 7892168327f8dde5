"""The registry against the code, the documents, and its own rules."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from pydoc import locate

import pytest

from proofs_check import coqc, development, registry
from proofs_check.claim import Check, Claim, Finding, Method, Status
from proofs_check.registry import ProofError, all_claims, carrier, find_claims, run_claims
from proofs_check.table import TOPICS, as_markdown

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = {claim.id: claim for claim in all_claims()}
SOURCES = ("ig_theory", "simulators", "proofs_check", "llm_bridge", "tests")
NAMED = re.compile(r"THEORY\s+((?:[LT]\d[\w.-]*(?:,\s+)?)+)")
"""Every label that a text names after the word THEORY, old and misspelt ones included."""


def named(text: str) -> set[str]:
    """The claims that a text names.

    >>> sorted(named("so (THEORY T1.gap, T1.late). THEORY L2"))
    ['L2', 'T1.gap', 'T1.late']
    """
    found = NAMED.findall(text)
    return {name.rstrip(".-") for group in found for name in re.split(r",\s+", group) if name}


def docstrings() -> Iterator[tuple[Path, str]]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path == Path(__file__):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    text = ast.get_docstring(node)
                    if text:
                        yield path.relative_to(ROOT), text


def test_labels_are_read_as_they_are_written() -> None:
    assert named("THEORY L2.demand, L3.safe). (THEORY\n    T1.no-threshold)") == {
        "L2.demand", "L3.safe", "T1.no-threshold",
    }  # fmt: skip
    assert named("of THEORY T4.reward. THEORY T1 (iv); THEORY_T9") == {"T4.reward", "T1"}


def test_every_label_in_a_docstring_is_a_claim() -> None:
    unknown = {
        (str(path), label) for path, text in docstrings() for label in named(text) - CLAIMS.keys()
    }
    assert not unknown
    assert sum(len(named(text)) for _, text in docstrings()) > 40, "no labels were read"


def test_every_label_in_a_message_is_a_claim() -> None:
    for path in sorted((ROOT / "ig_theory").rglob("*.py")):
        assert not named(path.read_text("utf-8")) - CLAIMS.keys(), path


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id)
def test_the_code_that_relies_on_a_claim_says_so(claim: Claim) -> None:
    for name in claim.used_by:
        code = locate(name)
        assert code is not None, f"{claim.id} is used by {name}, which does not exist"
        assert claim.id in named(code.__doc__ or ""), f"{name} does not name {claim.id}"


def test_no_code_relies_on_a_claim_unknown_to_the_claim() -> None:
    """A module of ig_theory whose docstrings name a claim is among those that use it."""
    for path, text in docstrings():
        if path.parts[0] not in ("ig_theory", "simulators"):
            continue
        module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for label in named(text):
            assert label in CLAIMS, f"{module} names {label}"
            users = CLAIMS[label].used_by
            assert any(f"{user}.".startswith(f"{module}.") for user in users), (
                f"{module} names {label}, whose used_by is {users}"
            )


def test_theory_page_and_registry_have_the_same_labels() -> None:
    page = (ROOT / "docs/theory.md").read_text("utf-8")
    assert set(re.findall(r"\b[LT]\d\.[a-z-]*[a-z]", page)) == CLAIMS.keys()
    for path in sorted((ROOT / "docs").glob("*.md")):
        assert not named(path.read_text("utf-8")) - CLAIMS.keys(), path


def test_theorems_page_is_that_of_the_registry() -> None:
    page = (ROOT / "docs/theorems.md").read_text("utf-8")
    assert page == as_markdown(all_claims()), "run: ig-theory prove --write docs/theorems.md"


def test_claims_are_well_formed() -> None:
    assert len(CLAIMS) == len(all_claims()) >= 43
    order = list(Method)
    for claim in all_claims():
        ranks = [order.index(check.method) for check in claim.checks]
        assert ranks == sorted(ranks), f"{claim.id}: the strongest check comes first"
        assert claim.checks, f"{claim.id}: {claim.hypotheses}"
        assert claim.hypotheses
        assert re.fullmatch(r"[LT]\d\.[a-z]+(-[a-z]+)*", claim.id)
        assert claim.id.partition(".")[0] in TOPICS
        for check in claim.checks:
            assert (check.run is None) == (check.method is Method.PAPER)
            assert check.covers
            assert "\n" not in check.covers


def test_weaker_checks_are_not_called_stronger() -> None:
    """What no proof carries says what is left; a refutation is carried by its instance."""
    for claim in all_claims():
        method, refuted = carrier(claim), claim.statement.startswith("false:")
        if refuted:
            assert method is Method.COUNTEREXAMPLE, claim.id
        elif method is not Method.COQ:
            assert claim.outside, f"{claim.id} rests on {method.value}: say what remains outside"


def test_the_promised_claims_have_a_proof_in_coq() -> None:
    proved = (
        "L1.identity", "L1.series", "L1.horizon", "L1.clip", "L2.game", "L2.demand", "L2.least",
        "L2.probability", "L2.deterministic", "L3.safe", "L3.permissive", "T1.threshold",
        "T2.sound", "T2.exact", "T2.aliasing", "T2.fibre", "T3.down", "T3.up", "T3.path", "T3.gap",
        "T4.safety", "T4.impossibility", "T4.ranking", "T4.reward", "T4.several", "T6.continuation",
        "T5.bellman", "T5.limit", "T5.temperature",
    )  # fmt: skip
    for name in proved:
        theorems = [check for check in CLAIMS[name].checks if check.covers.startswith("theorem ")]
        assert theorems, name
        assert all(check.method is Method.COQ for check in theorems)


QUICK = (Method.SMT, Method.SYMBOLIC, Method.COUNTEREXAMPLE)


@pytest.mark.parametrize("method", QUICK, ids=lambda method: method.value)
def test_quick_checks_of_all_claims_hold(method: Method) -> None:
    results = [r for c in run_claims(all_claims(), {method}) for r in c.results if r.asked]
    ran = [r.finding for r in results if r.check.method is method]
    allowed = {Status.HOLDS, Status.NOT_RUN} if method is Method.SMT else {Status.HOLDS}
    assert len(ran) >= 10
    assert {finding.status for finding in ran} <= allowed, [
        f for f in ran if f.status not in allowed
    ]


def theorems_named() -> set[str]:
    covers = [check.covers for claim in all_claims() for check in claim.checks]
    return {re.split(r"[ :]+", text)[1] for text in covers if text.startswith("theorem ")}


def test_every_theorem_named_is_stated_in_the_sources() -> None:
    stated = {
        f"{file.removesuffix('.v')}.{name}"
        for file, text in development.sources().items()
        for name in coqc.theorems(text)
    }
    assert theorems_named() <= stated, theorems_named() - stated


@pytest.mark.skipif(
    shutil.which("coqc") is None, reason="coqc is not installed: no proof is checked"
)
def test_every_theorem_named_is_proved() -> None:
    found = [development.theorem(name) for name in sorted(theorems_named())]
    assert [f.detail for f in found if f.status is not Status.HOLDS] == []


def claim_of(*checks: Check, statement: str = "so it is") -> Claim:
    return Claim("L1.made-up", statement, ("always",), checks)


def holds() -> Finding:
    return Finding(Status.HOLDS, "seen")


def missing() -> Finding:
    return Finding(Status.NOT_RUN, "no tool")


def breaks() -> Finding:
    raise AssertionError("1 != 2")


def crashes() -> Finding:
    raise ZeroDivisionError("by zero")


@pytest.fixture(autouse=True)
def no_coq_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_build_coq", lambda say: None)


@pytest.mark.parametrize(
    ("checks", "want"),
    [
        ([(Method.COQ, holds), (Method.SMT, holds)], Status.HOLDS),
        ([(Method.COQ, missing), (Method.SMT, holds)], Status.NOT_RUN),
        ([(Method.COQ, holds), (Method.COQ, missing)], Status.NOT_RUN),
        ([(Method.COQ, holds), (Method.SMT, missing)], Status.HOLDS),
        ([(Method.COQ, holds), (Method.SMT, breaks)], Status.FAILS),
        ([(Method.COQ, holds), (Method.SYMBOLIC, crashes)], Status.FAILS),
        ([(Method.SYMBOLIC, holds), (Method.PAPER, None)], Status.ON_PAPER),
        ([(Method.SYMBOLIC, breaks), (Method.PAPER, None)], Status.FAILS),
        ([(Method.PAPER, None)], Status.ON_PAPER),
    ],
)
def test_status_of_a_claim(checks, want: Status) -> None:
    claim = claim_of(*(Check(method, "this", run) for method, run in checks))
    (result,) = run_claims([claim])
    assert result.status is want


def test_a_refutation_rests_on_its_instance() -> None:
    claim = claim_of(
        Check(Method.SMT, "what is true instead", holds),
        Check(Method.COUNTEREXAMPLE, "one model", missing),
        statement="false: it is so",
    )
    assert run_claims([claim])[0].status is Status.NOT_RUN


def test_only_the_methods_asked_for_run() -> None:
    claim = claim_of(Check(Method.COQ, "a", breaks), Check(Method.SMT, "b", holds))
    (result,) = run_claims([claim], {Method.SMT})
    assert [r.asked for r in result.results] == [False, True]
    assert result.status is Status.NOT_RUN


def test_find_claims() -> None:
    assert [c.id for c in find_claims(["T6", "L3.safe"])] == ["L3.safe", "T6.continuation"]
    with pytest.raises(ProofError, match=r"T9\.x"):
        find_claims(["T9.x"])
