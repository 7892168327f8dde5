"""The Coq development: all of it is proved from the allowed axioms; what is not proved fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ig_theory.cache import CACHE_VARIABLE
from proofs_check import coqc, development
from proofs_check.claim import Method, Status

needs_coq = pytest.mark.skipif(
    shutil.which("coqc") is None,
    reason="coqc is not installed, so no Coq proof is checked: apt-get install coq",
)

PROVED = "Theorem easy : True. Proof. exact I. Qed.\n"
CLASSICAL = (
    "Require Import Classical.\n"
    "Theorem middle : forall p : Prop, p \\/ ~ p. Proof. exact classic. Qed.\n"
)

# The theorems without which the project's claims have no proof; the registry names more.
CORE = [
    "Budget.L1_closed_form", "Budget.L1_horizon", "BudgetSeries.L1_series", "BudgetSeries.L1_open",
    "Clip.clip_exact", "Game.L2_gfp", "Demand.L2_complete", "FixedPoints.L2_least_fixed_point",
    "FixedPoints.L2_unique", "Deterministic.L2_deterministic", "Deterministic.L2_probability",
    "Paths.L2_paths_grow", "Shield.L3_safe", "Shield.L3_permissive", "PenaltyGreedy.T1_greedy_safe",
    "PenaltySharp.T1_sharp", "Latent.T2_sound", "Latent.T2_exact", "Latent.T2_fibre",
    "LatentError.T2_fibre_error", "LatentValue.T2_optimum", "Tracking.T2_error",
    "Aliasing.alias_latent_unsafe", "Grid.T3_down", "Grid.T3_up", "Rounding.T3_path_gap",
    "GridHorizon.T3_gap_horizon", "GridHorizon.T3_lattice", "GridChain.T3_sharp",
    "SafetyCertificate.T4_prob", "Impossibility.T4_lower", "Impossibility.T4_lower_rank",
    "ZeroCycle.T4_cycle_impossibility", "ZeroCycle.T4_cycle_safety", "Reward.reward_upper",
    "RewardForever.T4_reward_upper_forever", "RewardEnds.T4_reward_lower_ends",
    "RewardEnds.T4_reward_upper_ends", "Several.multi_cert",
]  # fmt: skip


@pytest.fixture
def small_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@needs_coq
def test_every_theorem_is_proved_from_allowed_axioms() -> None:
    built = development.build()
    allowed = development.allowed_axioms()
    findings = {name: development.judge(name, built, allowed) for name in built.axioms}
    assert {n: f.detail for n, f in findings.items() if f.status is not Status.HOLDS} == {}
    assert [name for name in CORE if name not in findings] == []


@needs_coq
def test_no_allowed_axiom_is_unused() -> None:
    used = {axiom for axioms in development.build().axioms.values() for axiom in axioms}
    assert used == development.allowed_axioms()


@needs_coq
def test_most_theorems_assume_nothing() -> None:
    """The safe set, shields, certificates and grids need no axiom; only limits do."""
    axioms = development.build().axioms
    for name in ("Game.L2_gfp", "Shield.L3_exactly", "SafetyCertificate.T4_prob", "Grid.T3_down"):
        assert axioms[name] == ()


@needs_coq
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Theorem t : False. Proof. Admitted.\n", "Admitted"),
        ("Theorem t : False. Proof. admit. Abort.\n", "admit"),
        ("Axiom a : False.\nTheorem t : False. Proof. exact a. Qed.\n", "Axiom"),
        ("Parameter a : False.\n", "Parameter"),
        ("Unset Guard Checking.\n", "Unset Guard Checking"),
    ],
)
def test_a_skipped_proof_fails(small_cache: Path, text: str, word: str) -> None:
    with pytest.raises(development.DevelopmentError, match=f"B.v: want proofs only, got {word}"):
        development.build(texts={"A.v": PROVED, "B.v": text})
    assert not small_cache.exists()


@needs_coq
def test_words_in_comments_are_no_skipped_proofs(small_cache: Path) -> None:
    built = development.build(texts={"A.v": "(* no Axiom (* nor *) is Admitted *)\n" + PROVED})
    assert built.axioms == {"A.easy": ()}
    assert built.folder.parent == small_cache


@needs_coq
@pytest.mark.parametrize(
    "text",
    [
        "Hypothesis h : False.\nTheorem t : False. Proof. exact h. Qed.\n",
        "Module Type M. Variable h : False. End M. Declare Module N : M.\n"
        "Theorem t : False. Proof. exact N.h. Qed.\n",
        "Require Import PropExtensionality.\n"
        "Theorem t : forall p q, p <-> q -> p = q.\n"
        "Proof. exact propositional_extensionality. Qed.\n",
    ],
    ids=["hypothesis outside a section", "declared module", "an axiom of Coq's library"],
)  # fmt: skip
def test_an_axiom_off_the_list_fails(small_cache: Path, text: str) -> None:
    built = development.build(texts={"A.v": text})
    finding = development.judge("A.t", built, development.allowed_axioms())
    assert finding.status is Status.FAILS
    assert "not in axioms.txt" in finding.detail


@needs_coq
def test_an_allowed_axiom_is_named(small_cache: Path) -> None:
    built = development.build(texts={"A.v": CLASSICAL})
    finding = development.judge("A.middle", built, development.allowed_axioms())
    assert finding.status is Status.HOLDS
    assert finding.detail.endswith("axioms: classic")
    assert development.judge("A.middle", built, frozenset()).status is Status.FAILS


@needs_coq
@pytest.mark.parametrize(
    ("texts", "where"),
    [
        ({"A.v": "Theorem t : False. Proof. exact I. Qed.\n"}, "A.v"),
        ({"A.v": "From IGTheory Require Import Gone.\n" + PROVED}, "A.v"),
        (
            {
                "A.v": "From IGTheory Require Import B.\n",
                "B.v": "From IGTheory Require Import A.\n",
            },
            "A.v",
        ),
    ],
    ids=["false proof", "missing file", "circle"],
)
def test_a_file_that_coq_rejects_fails_and_leaves_nothing(
    small_cache: Path, texts: dict[str, str], where: str
) -> None:
    for _ in range(2):  # the second time the failure is remembered
        with pytest.raises(development.DevelopmentError, match=f"proofs_check/coq/{where}"):
            development.build(texts=texts)
    assert [path.suffix for path in small_cache.iterdir()] == [".lock"]


@needs_coq
def test_axioms_are_told_theorem_by_theorem(small_cache: Path) -> None:
    built = development.build(texts={"A.v": CLASSICAL + PROVED, "B.v": PROVED})
    classic = ("Classical_Prop.classic",)
    assert built.axioms == {"A.middle": classic, "A.easy": (), "B.easy": ()}


@needs_coq
def test_files_are_compiled_after_those_they_need(small_cache: Path) -> None:
    above = "From IGTheory Require Import B.\nTheorem t : True. Proof. exact easy. Qed.\n"
    built = development.build(texts={"A.v": above, "B.v": PROVED})
    assert built.axioms == {"A.t": (), "B.easy": ()}


@needs_coq
def test_a_finished_build_is_found_again_and_changes_with_the_sources(small_cache: Path) -> None:
    first = development.build(texts={"A.v": PROVED})
    said: list[str] = []
    assert development.build(said.append, texts={"A.v": PROVED}) == first
    assert said == []
    other = development.build(said.append, texts={"A.v": PROVED + "\n"})
    assert other.folder != first.folder
    assert len(said) == 1


@needs_coq
def test_processes_that_build_at_once_agree(small_cache: Path) -> None:
    program = (
        "from proofs_check import development\n"
        f"print(development.build(texts={{'A.v': {PROVED!r}}}).folder)\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert len(set(said)) == 1
    assert [path.name for path in small_cache.iterdir() if path.is_dir()] == [Path(said[0]).name]


def test_without_coq_nothing_holds_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    finding = development.theorem("Game.L2_gfp")
    assert finding.status is Status.NOT_RUN
    assert "coqc is not installed" in finding.detail
    assert development.main() == 2


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(coqc, "version", lambda: "8.16.1")
    with pytest.raises(development.DevelopmentError, match="name another one in IG_THEORY_CACHE"):
        development.build(texts={"A.v": PROVED})


def test_a_check_names_its_theorem() -> None:
    check = development.theorem_check("Game.L2_gfp", "in words")
    assert check.method is Method.COQ
    assert check.covers == "theorem Game.L2_gfp: in words"


def test_what_coq_is_not_known_to_say_is_no_axiom_of_the_list() -> None:
    said = "== A.t\nAxioms:\nClassical_Prop.classic is assumed to be guarded.\n"
    (found,) = coqc.read_assumptions(said)["A.t"]
    assert found not in development.allowed_axioms()
    assert coqc.read_assumptions("== A.t\n") == {"A.t": ["no answer"]}


def test_every_file_says_what_it_proves() -> None:
    """A header in plain words; no query, whose output would be lost; no file too long to read."""
    for name, text in development.sources().items():
        assert text.startswith("(* "), name
        assert "Print Assumptions" not in text, name
