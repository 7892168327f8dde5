"""The Python checker against the extracted one on demand certificates: answers, then seconds.

Run by ``make bench``; the name keeps these out of the ordinary test run. Times are CPU seconds, the
best of some runs; reading and checking are told apart.
"""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

import pytest

from ig_theory.certificate import demand_certificate
from ig_theory.checker import check_certificate
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.minimal_budget import minimal_budget
from proofs_check.checker_build import program
from proofs_check.extracted import ask
from proofs_check.translation import translate
from simulators.garnet import sheltered_garnet

pytestmark = pytest.mark.skipif(shutil.which("ocamlfind") is None, reason="needs OCaml")


def timed(call: Any, repeats: int) -> tuple[float, Any]:
    best, answer = float("inf"), None
    for _ in range(repeats):
        started = time.process_time()
        answer = call()
        best = min(best, time.process_time() - started)
    return best, answer


@pytest.mark.parametrize(("states", "repeats"), [(1_000, 5), (10_000, 3), (100_000, 2)])
def test_demand_certificates(states, repeats):
    model = sheltered_garnet(states=states, choices=4, seed=1)
    certificate = demand_certificate(minimal_budget(model, BudgetConstraint(50)))
    text = json.dumps(certificate)
    checker = str(program())
    read, again = timed(lambda: json.loads(text), repeats)
    assert again == certificate
    python, claim = timed(lambda: check_certificate(certificate, model), repeats)
    assert claim.kind == "demand"
    translation, translated = timed(lambda: translate(certificate, model), repeats)
    answers = [ask(checker, translated.words) for _ in range(repeats)]
    assert all(answer.accepted for answer in answers)
    parse = min(answer.parse for answer in answers)
    check = min(answer.check for answer in answers)
    print(
        f"\n{states:>9,} states, {model.B:,} branches, JSON {len(text) / 1e6:.2f} MB: "
        f"read JSON {read:.3f} s; Python check {python:.3f} s; extracted: translate "
        f"{translation:.3f} s, parse {parse:.3f} s, check {check:.3f} s"
    )
