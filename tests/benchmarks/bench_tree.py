"""Token trees: nodes a second, and what the theory costs on them.

Run by ``make bench``; the name keeps these out of the ordinary test run. Wall-clock seconds, as the
expansion may use every core.
"""

# ruff: noqa: E402 - the extra may be missing

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from ig_theory.constraint import BudgetConstraint
from ig_theory.guards import open_guard
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from llm_bridge.language_model import LanguageModel
from llm_bridge.packaged import is_packaged
from llm_bridge.tiny import PairCosts, TokenWorth, tiny_model
from llm_bridge.tiny.grammar import BEGIN
from llm_bridge.tree import expand, latent_mdp


def timed(call: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = call()
    return time.perf_counter() - started, answer


def told(name: str, seconds: float, nodes: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n{name}: {seconds:.2f} s, {nodes / seconds:,.0f} nodes/s, peak {peak:.2f} GiB", end="")


def solved(mdp: Any, budget: int) -> None:
    constraint = BudgetConstraint(budget)
    for run in ("first", "again"):  # the first run may compile or load kernels
        seconds, _ = timed(lambda: minimal_budget(mdp, constraint))
        told(f"  minimal_budget ({run})", seconds, mdp.S)
    _, guard = open_guard("shield", mdp, constraint)
    seconds, verdict = timed(lambda: verify(guard, mdp, constraint, price=False))
    assert verdict.outcome is Outcome.SAFE
    told("  verify shield", seconds, mdp.S)
    seconds, verdict = timed(lambda: verify(lambda view: view.base, mdp, constraint, price=False))
    told(f"  verify unguarded, P(violate) {verdict.violation.middle:.6g}", seconds, mdp.S)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_million_nodes_of_the_tiny_model(dtype):
    model = tiny_model("small", dtype=dtype)
    expand(model, [BEGIN], 3)
    seconds, tree = timed(lambda: expand(model, [BEGIN], 6))
    told(f"tiny {dtype}, expand", seconds, len(tree))
    assert len(tree) == 1_222_222
    assert abs(tree.total() - 1) < 1e-12
    assert seconds < 60


@pytest.mark.parametrize("horizon", [4, 5])
def test_the_theory_on_the_tiny_model(horizon):
    model = tiny_model("small", dtype="float64")
    tree = expand(model, [BEGIN], horizon)
    seconds, made = timed(lambda: latent_mdp(tree, model, PairCosts(), TokenWorth()))
    told(f"tiny, horizon {horizon}: latent_mdp", seconds, len(tree))
    solved(made.mdp, 2)


@dataclass(frozen=True)
class Word:
    """Charges each occurrence of one token."""

    token: int
    name: str = "word"
    unit: Fraction = Fraction(1)
    uses_hidden: bool = False
    nonnegative: bool = True

    def __call__(self, steps):
        return (steps.new == self.token).astype(np.int64)


@pytest.mark.skipif(not is_packaged(), reason="needs the packaged weights")
def test_the_packaged_model():
    model = LanguageModel.load()
    prompt = model.chat("Name a colour.")
    expand(model, prompt, 2, top_k=4)
    seconds, tree = timed(lambda: expand(model, prompt, 6, top_k=4))
    told(f"SmolLM2, top 4, horizon 6, {int(tree.known.sum())} forwards: expand", seconds, len(tree))
    word = Word(int(np.bincount(tree.token[1:]).argmax()))
    seconds, made = timed(lambda: latent_mdp(tree, model, word, other=1))
    told("SmolLM2: latent_mdp", seconds, len(tree))
    solved(made.mdp, 1)
