"""Certificates check as they are, and no tampered one does: re-sealed or not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from ig_theory.builders import from_dict
from ig_theory.certificate import (
    demand_certificate,
    digest,
    write_certificate,
)
from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP, LatentMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError
from ig_theory.fingerprint import model_hash
from ig_theory.guard import GuardView
from ig_theory.guards import open_guard
from ig_theory.io import open_model
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.verification import verify

CASES = {
    "dialogue": ("jailbreak-dialogue", BudgetConstraint(3)),
    "chain": ("latent-chain", BudgetConstraint(2)),
    "hall": ("slippery-hall", BudgetConstraint(3)),
    "discounted": ("slippery-hall", BudgetConstraint("3/2", "9/10", horizon=8)),
    "open": ("latent-chain", BudgetConstraint("5/2", boundary="open")),
    "open-horizon": ("latent-chain", BudgetConstraint("5/2", boundary="open", horizon=4)),
    "terminal": ("latent-chain", BudgetConstraint(2, scope="terminal", horizon=6)),
    "open-terminal": ("slippery-hall", BudgetConstraint(3, "9/10", "open", "terminal", horizon=6)),
}


def certified(case: str, guard: str) -> tuple[dict[str, Any], ConstrainedMDP]:
    spec, constraint = CASES[case]
    model = open_model(spec)
    verdict = verify(open_guard(guard, model, constraint)[1], model, constraint, guard_name=guard)
    assert verdict.certificate is not None
    return verdict.certificate, model


def of_kind(case: str, kind: str) -> tuple[dict[str, Any], ConstrainedMDP]:
    if kind == "demand":
        spec, constraint = CASES[case]
        model = open_model(spec)
        return demand_certificate(minimal_budget(model, constraint)), model
    return certified(case, "shield" if kind == "pairs" else "unguarded")


def resealed(certificate: dict[str, Any]) -> dict[str, Any]:
    return {**certificate, "digest": digest(certificate)}


def rejected(certificate: dict[str, Any], model: ConstrainedMDP) -> bool:
    try:
        check_certificate(certificate, model)
    except CertificateError:
        return True
    return False


@pytest.mark.parametrize("kind", ["pairs", "demand", "violation"])
@pytest.mark.parametrize("case", CASES)
def test_a_certificate_checks_after_a_round_trip(case, kind, tmp_path):
    certificate, model = of_kind(case, kind)
    write_certificate(certificate, tmp_path / "it.json")
    again = json.loads((tmp_path / "it.json").read_text())
    assert again == certificate
    assert check_certificate(again, model).kind == kind


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*path, i))
    else:
        yield path


def changed(certificate: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    out = copy.deepcopy(certificate)
    inner = out
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return out


@pytest.mark.parametrize("kind", ["pairs", "demand", "violation"])
@pytest.mark.parametrize("case", CASES)
def test_every_unsealed_change_is_rejected(case, kind):
    certificate, model = of_kind(case, kind)
    count = 0
    paths = list(leaves(certificate))
    for path in paths[:: max(1, len(paths) // 40)]:
        for junk in (None, -1, "x", 10**9, [], 0.5):
            mutant = changed(certificate, path, junk)
            if mutant != certificate:
                assert rejected(mutant, model), (path, junk)
                count += 1
    assert count >= 100


def demand_lies(certificate: dict[str, Any], model: ConstrainedMDP) -> Iterator[dict[str, Any]]:
    """Demands below the least fixed point, infinite or negative ones, absent actions."""
    for t, row in enumerate(certificate["demand"]):
        for s, demand in enumerate(row):
            if demand is None:
                continue
            yield changed(certificate, ("demand", t, s), -1)
            if demand > 0 and t == len(certificate["demand"]) - 1:
                yield changed(certificate, ("demand", t, s), demand - 1)
            if certificate["strict"][t][s] == 1:  # in these cases every demand can be spent
                yield changed(certificate, ("strict", t, s), 0)
            if not model.terminal[s] and not (t == 0 and len(certificate["demand"]) > 1):
                yield changed(certificate, ("action", t, s), 99)
                yield changed(certificate, ("action", t, s), None)


def pair_lies(certificate: dict[str, Any], model: ConstrainedMDP) -> Iterator[dict[str, Any]]:
    """Sets that are not closed, hold more than is reached, or budgets that are not the run's."""
    for i, pair in enumerate(certificate["pairs"]):
        fewer = certificate["pairs"][:i] + certificate["pairs"][i + 1 :]
        yield {**certificate, "pairs": fewer}
        yield {**certificate, "pairs": [*certificate["pairs"], pair]}
        if pair[3]:
            yield changed(certificate, ("pairs", i, 3), [])
            yield changed(certificate, ("pairs", i, 3), [*pair[3], 99])
    for i, vector in enumerate(certificate["budgets"]):
        for shift in (-100, Fraction(1, 7)):
            moved = [str(Fraction(b) + shift) for b in vector]
            yield changed(certificate, ("budgets", i), moved)


def run_lies(certificate: dict[str, Any], model: ConstrainedMDP) -> Iterator[dict[str, Any]]:
    """Runs that stop early, pay something else, or go where the model does not."""
    steps = certificate["steps"]
    yield {**certificate, "steps": steps[:-1]}
    yield {**certificate, "steps": [*steps, steps[-1]]}
    yield {**certificate, "broken": 1}
    yield {**certificate, "initial_state": model.S - 1}
    yield {**certificate, "initial_probability": 0.0}
    yield {**certificate, "probability": 2.0}
    for i, step in enumerate(steps):
        yield changed(certificate, ("steps", i, "choice"), 99)
        yield changed(certificate, ("steps", i, "costs"), ["7/3"])
        yield changed(certificate, ("steps", i, "budgets"), ["-5"])
        yield changed(certificate, ("steps", i, "probability"), 0.0)
        if step["next_state"] != model.S - 1 and i + 1 < len(steps):
            yield changed(certificate, ("steps", i, "next_state"), model.S - 1)


@pytest.mark.parametrize("exact", [True, False])
def test_a_step_that_is_no_branch_is_refused_however_improbable(exact):
    """The tolerance for floats is for probabilities, not for where a choice leads."""
    states = {"s": {"stay": (0, 0, {"s": 1}), "go": (0, 0, {"u": 1})}, "u": {"pay": (5, 0, "u")}}
    model = from_dict(states, initial="s", exact=exact)
    constraint = BudgetConstraint(3)
    verdict = verify(_last_choice, model, constraint, exact=exact, price=False)
    assert verdict.certificate is not None
    assert check_certificate(verdict.certificate, model).kind == "violation"
    tiny = str(Fraction(1, 10**10)) if exact else 1e-10
    lie = changed(verdict.certificate, ("steps", 0, "choice"), 0)
    lie = changed({**lie, "probability": tiny}, ("steps", 0, "probability"), tiny)
    assert lie["steps"][0]["next_state"] == 1
    assert rejected(resealed(lie), model)


def test_exact_probabilities_are_compared_exactly():
    states = {"s": {"go": (0, 0, {"u": "1/2", "t": "1/2"})}, "u": {"pay": (5, 0, "u")}}
    model = from_dict(states, initial="s", exact=True)
    verdict = verify(_last_choice, model, BudgetConstraint(3), exact=True, price=False)
    assert verdict.certificate is not None
    more = str(Fraction(1, 2) + Fraction(1, 10**12))
    lie = changed(verdict.certificate, ("steps", 0, "probability"), more)
    assert not rejected(resealed(verdict.certificate), model)
    assert rejected(resealed({**lie, "probability": more}), model)


@pytest.mark.parametrize("number", ["1e999999999", "1E999999999", "-1e999999999"])
def test_a_short_text_of_a_huge_number_is_refused_at_once(number):
    certificate, model = certified("dialogue", "shield")
    lie = changed(certificate, ("constraints", 0, "budget"), number)
    with pytest.raises(CertificateError, match="rational as text"):
        check_certificate(resealed(lie), model)


def _last_choice(view: GuardView) -> Any:
    """The last choice of every state, surely."""
    last = view.enabled.cumsum(axis=1) == view.enabled.sum(axis=1, keepdims=True)
    return (last & view.enabled).astype(float)


LIES: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
    "demand": demand_lies,
    "pairs": pair_lies,
    "violation": run_lies,
}


def constraint_lies(certificate: dict[str, Any]) -> Iterator[dict[str, Any]]:
    where = ("constraints", 0)
    for key, value in (
        ("budget", "-1"), ("budget", "0.5"), ("discount", "0"), ("discount", "2"),
        ("boundary", "ajar"), ("scope", "never"), ("cost", 7), ("horizon", -1), ("horizon", "3"),
    ):  # fmt: skip
        yield changed(certificate, (*where, key), value)


def test_re_sealed_lies_are_rejected():
    """At least 200 lies with a fresh digest: only the proof itself can tell."""
    count = 0
    for case in CASES:
        for kind, lies in LIES.items():
            certificate, model = of_kind(case, kind)
            for mutant in (*lies(certificate, model), *constraint_lies(certificate)):
                assert rejected(resealed(mutant), model), (case, kind)
                count += 1
    assert count >= 200


def reseal_for(certificate: dict[str, Any], model: ConstrainedMDP) -> dict[str, Any]:
    return resealed({**certificate, "model": model_hash(model)})


def with_cost(model: ConstrainedMDP, choice: int, more: int) -> ConstrainedMDP:
    cost = model.cost.copy()
    cost[0, choice] += more
    base = {"base": None} if isinstance(model, LatentMDP) else {}
    return replace(model, cost=cost, **base)


@pytest.mark.parametrize("case", CASES)
def test_a_certificate_of_another_model_is_rejected(case):
    """Even if it names the other model's hash: the chosen choices cost more there."""
    certificate, model = of_kind(case, "demand")
    last = certificate["demand"][-1]
    count = 0
    for s, place in enumerate(certificate["action"][-1]):
        if place is None or model.terminal[s] or last[s] is None:
            continue
        dearer = with_cost(model, int(model.choice_ptr[s]) + place, 1000)
        assert rejected(certificate, dearer)
        assert rejected(reseal_for(certificate, dearer), dearer)
        count += 1
    assert count


def test_a_larger_budget_is_not_claimed_by_a_smaller_one():
    certificate, model = of_kind("hall", "demand")
    least = max(d for s, d in enumerate(certificate["demand"][0]) if model.initial[s] > 0)
    if least:
        poorer = changed(certificate, ("constraints", 0, "budget"), str(Fraction(least - 1)))
        assert rejected(resealed(poorer), model)
    richer = changed(certificate, ("constraints", 0, "budget"), str(Fraction(least + 5)))
    assert check_certificate(resealed(richer), model).kind == "demand"


@pytest.mark.parametrize("junk", [None, 3, "text", [], {}, {"format": "ig-theory-certificate"}])
def test_what_is_no_certificate_is_refused(junk):
    with pytest.raises(CertificateError):
        check_certificate(junk, open_model("latent-chain"))


def test_the_checker_shares_nothing_with_the_solvers():
    import ast
    from pathlib import Path

    from ig_theory import checker

    files = list(Path(checker.__file__).parent.glob("*.py"))
    trees = [ast.parse(file.read_text("utf-8")) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
    imported |= {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    ours = {name for name in imported if name.startswith("ig_theory")}
    inside = {f"ig_theory.checker.{file.stem}" for file in files}
    assert ours - inside == {"ig_theory.cmdp", "ig_theory.errors", "ig_theory.fingerprint"}
    assert len(files) >= 8


@pytest.mark.parametrize("guard", ["shield", "unguarded"])
def test_an_exact_verdict_on_a_float_model_is_certified_for_that_model(guard):
    model = open_model("slippery-hall:length=3,slip=1/3")
    assert not model.exact
    limit = BudgetConstraint(1)
    made = open_guard(guard, model, limit)[1]
    verdict = verify(made, model, limit, exact=True)
    assert check_certificate(verdict.certificate, model).kind in ("pairs", "violation")
