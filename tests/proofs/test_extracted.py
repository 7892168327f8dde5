"""The extracted checker and the Python one agree: on every kind, and on tampered certificates."""

from __future__ import annotations

import copy
import shutil
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ig_theory.builders import from_dict
from ig_theory.certificate import (
    demand_certificate,
    digest,
    impossibility_certificate,
    reward_certificate,
)
from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError, IGTheoryError
from ig_theory.fingerprint import model_hash
from ig_theory.io import open_model
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.testing.strategies import constrained_mdps, constraints, guards
from ig_theory.verification import verify
from proofs_check import checker_build, development, extracted
from proofs_check.claim import Status

Certificate = dict[str, Any]
Subject = tuple[Certificate, ConstrainedMDP]

ocaml = pytest.mark.skipif(shutil.which("ocamlfind") is None, reason="OCaml is not installed")
coq = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed")


@st.composite
def questions(draw, several=True):
    """A model of any sort with one or two constraints."""
    number = draw(st.integers(1, 2)) if several else 1
    horizon = draw(st.sampled_from([None, None, 0, 1, 3]))
    signed = horizon is not None and draw(st.booleans())
    exact = draw(st.booleans())
    model = draw(constrained_mdps(max_states=4, signed=signed, exact=exact, number_of_costs=number))
    asked = tuple(
        draw(constraints(model.cost_unit, horizons=[horizon], cost=i)) for i in range(number)
    )
    return model, asked


@st.composite
def subjects(draw, kind: str) -> Subject:
    """A certificate of this kind, with its model; pairs or a violation if the kind is `guard`."""
    model, asked = draw(questions(several=kind in ("guard", "reward")))
    try:
        if kind == "demand":
            certificate = demand_certificate(minimal_budget(model, asked[0]))
        elif kind == "impossibility":
            certificate = impossibility_certificate(minimal_budget(model, asked[0]))
        elif kind == "reward":
            certificate = reward_certificate(model, asked, exact=draw(st.booleans()))
        else:
            grid = draw(st.sampled_from([None, None, model.cost_unit / 2, model.cost_unit / 3]))
            verdict = verify(draw(guards()), model, asked, grid=grid, price=False)
            certificate = verdict.certificate
    except IGTheoryError:
        certificate = None
    assume(certificate is not None)
    return certificate, model


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


def nearby(draw: Any, value: Any) -> Any:
    """Something else of the same type, mostly close by."""
    if isinstance(value, bool) or value is None:
        return draw(st.sampled_from([0, 1, True, "1"]))
    if isinstance(value, int):
        return draw(st.sampled_from([value - 1, value + 1, 1 - value, 0, 10**30, None, True, "0"]))
    if isinstance(value, float):
        return draw(st.sampled_from([value * (1 + 1e-12), value * 0.9, -value, 0, None]))
    if isinstance(value, list):
        if not value or draw(st.integers(0, 5)) == 0:
            return draw(st.sampled_from([None, [], [*value, 0], {}]))
        i = draw(st.integers(0, len(value) - 1))
        return draw(st.sampled_from([value[:i] + value[i + 1 :], [*value, value[i]], value[::-1]]))
    if isinstance(value, str):
        try:
            near = draw(st.sampled_from([Fraction(1), Fraction(-1, 7), Fraction(1, 100)]))
            return str(Fraction(value) + near)
        except (ValueError, ZeroDivisionError):
            return draw(st.sampled_from(["open", "closed", "terminal", "anytime", "", "x"]))
    return None


SEALED = ("digest", "model", "format", "version")


@st.composite
def mutants(draw, certificate: Certificate) -> Certificate:
    """One or two entries changed, and sealed again; the proof itself must tell."""
    out = copy.deepcopy(certificate)
    for _ in range(draw(st.integers(1, 2))):
        found = [path for path in paths(out) if path[0] not in SEALED]
        path = draw(st.sampled_from(found))
        inner = out
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = nearby(draw, inner[path[-1]])
    return {**out, "digest": digest(out)}


def judged(check: Any, certificate: Any, model: ConstrainedMDP) -> Any:
    """The claim, without its words; None where it is refused."""
    try:
        claim = check(certificate, model)
    except CertificateError:
        return None
    return claim.kind, claim.lower, claim.upper


def agree(certificate: Any, model: ConstrainedMDP) -> bool:
    """Whether both accept; they must not differ."""
    python = judged(check_certificate, certificate, model)
    assert judged(extracted.check_extracted, certificate, model) == python, certificate
    return python is not None


def compared(kind: str) -> Counter[str]:
    """Compare the checkers on certificates and mutants; count what they said."""
    counted: Counter[str] = Counter()

    # The same draws each time: how many of each kind there are is part of the test.
    @settings(max_examples=100, derandomize=True, database=None)
    @given(st.data())
    def compare(data):
        certificate, model = data.draw(subjects(kind))
        # A demand that no start can pay is refused by both.
        if agree(certificate, model):
            counted[f"{certificate['kind']} certified"] += 1
        for _ in range(4):
            mutant = data.draw(mutants(certificate))
            counted["accepted" if agree(mutant, model) else "rejected"] += 1

    compare()
    return counted


@ocaml
@pytest.mark.parametrize("kind", ["demand", "impossibility", "reward", "guard"])
def test_both_checkers_agree_on_certificates_and_mutants(kind):
    counted = compared(kind)
    for each in ("pairs", "violation") if kind == "guard" else (kind,):
        assert counted[f"{each} certified"] >= 10, counted
    assert counted["accepted"] >= 5, counted
    assert counted["rejected"] >= 120, counted
    assert counted["accepted"] + counted["rejected"] >= 200, counted  # 800 over the kinds


CASES = {
    "dialogue": ("jailbreak-dialogue", BudgetConstraint(3)),
    "discounted": ("slippery-hall", BudgetConstraint("3/2", "9/10", horizon=8)),
    "open": ("latent-chain", BudgetConstraint("5/2", boundary="open", horizon=4)),
    "terminal": ("slippery-hall", BudgetConstraint(3, "9/10", "open", "terminal", horizon=6)),
}


@ocaml
@pytest.mark.parametrize("case", CASES)
def test_named_models_are_certified(case):
    spec, constraint = CASES[case]
    model = open_model(spec)
    for certificate in (
        demand_certificate(minimal_budget(model, constraint)),
        reward_certificate(model, constraint),
    ):
        assert agree(certificate, model)


def moved(certificate: Certificate) -> Iterator[Certificate]:
    """Each whole number of the tables one more, and one less (at most 50 numbers)."""
    tables = ("demand", "strict", "action", "lower", "upper", "rank", "steps", "dead", "choice")
    found = [p for p in paths(certificate) if p[0] in tables]
    numbers = [p for p in found if type(at(certificate, p)) is int]
    for path in numbers[:: max(1, len(numbers) // 50)]:
        for shift in (-1, 1):
            out = copy.deepcopy(certificate)
            at(out, path[:-1])[path[-1]] += shift
            yield {**out, "digest": digest(out)}


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@ocaml
@pytest.mark.parametrize(("discount", "boundary"), [("1", "open"), ("1/2", "open"), (1, "closed")])
def test_numbers_that_are_off_by_one(discount, boundary):
    """Flags of the open boundary, tight demands and bounds: random changes seldom meet them."""
    model = from_dict(
        {
            "a": {"go": (1, 2, {"b": Fraction(1, 3), "c": Fraction(2, 3)}), "wait": (0, 0, "b")},
            "b": {"pay": (2, 1, "c"), "more": (1, 0, "c")},
            "c": {"end": (0, 0, "t")},
        },
        initial="a", exact=True,
    )  # fmt: skip
    enough = BudgetConstraint(3, discount, boundary)
    lost = BudgetConstraint("1/2", discount, boundary)
    certificates = (
        demand_certificate(minimal_budget(model, enough)),
        reward_certificate(model, enough, exact=True),
        impossibility_certificate(minimal_budget(model, lost)),
    )
    said = Counter(agree(mutant, model) for each in certificates for mutant in moved(each))
    assert all(agree(each, model) for each in certificates)
    assert said[False] >= 20, said
    assert said[True] >= 1, said


def pays(cost: int = 1) -> ConstrainedMDP:
    return from_dict({"s": {"pay": (cost, 0, {"s": 1})}}, initial="s")


@ocaml
@pytest.mark.parametrize(
    ("cost", "constraint", "lower", "strict"),
    [
        (1, BudgetConstraint(2, "1/2", "open"), 2, 1),  # z = 2 stays 2 for ever, above 0
        (0, BudgetConstraint(0, 1), 1, 0),  # a free cycle: nothing is lost
        (1, BudgetConstraint(2, "1/2"), 2, 1),
    ],
)
def test_bounds_that_support_themselves_are_refused(cost, constraint, lower, strict):
    model = pays(cost)
    certificate = impossibility_certificate(minimal_budget(pays(), BudgetConstraint(1)))
    entry = {
        "budget": str(constraint.budget), "discount": str(constraint.discount),
        "boundary": constraint.boundary.value, "scope": "anytime", "cost": 0, "horizon": None,
    }  # fmt: skip
    lie = {
        **demand_certificate(minimal_budget(model, constraint)), "constraints": [entry],
        "kind": "impossibility", "denominator": 1, "lower": [[lower]], "strict": [[strict]],
        "rank": [[0]],
    }  # fmt: skip
    lie = {key: value for key, value in lie.items() if key not in ("demand", "action")}
    assert set(lie) == set(certificate)
    assert not agree({**lie, "digest": digest(lie)}, model)


@ocaml
def test_a_branch_that_pays_back_supports_nothing_without_a_discount():
    """Not even with slack: the rule asks for costs >= 0 there, and both checkers keep to it."""
    model = from_dict(
        {"a": {"pay": (2, 0, {"b": 1})}, "b": {"earn": (-1, 0, {"a": 1})}}, initial="a"
    )
    shell = impossibility_certificate(minimal_budget(pays(), BudgetConstraint(1)))
    lie = {
        **shell, "model": model_hash(model), "denominator": 1, "lower": [[6, 4]],
        "strict": [[0, 0]], "rank": [[0, 1]],
    }  # fmt: skip
    assert not agree({**lie, "digest": digest(lie)}, model)


@ocaml
@pytest.mark.parametrize("junk", [None, 3, "text", [], {}, {"format": "ig-theory-certificate"}])
def test_what_is_no_certificate_is_refused(junk):
    assert not agree(junk, open_model("latent-chain"))


@ocaml
def test_a_million_rows_do_not_exhaust_the_stack():
    """A chain of 10^6 states that all demand 1: words made here, no model in Python."""
    count = 1_000_000

    def words() -> Iterator[str]:
        yield f"demand 1 1 1 1 1 1 1 {count}"
        for i in range(1, count + 1):
            yield f"1 0 0 0 1 0 1 {min(i + 1, count)}"
        yield "1 1"

    assert extracted.ask(str(checker_build.program()), words()).accepted


@ocaml
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["nonsense", *["0"] * 500_000],
        ["demand 1 1"],
        ["demand 1 0 1 1 1 1 1 0 0"],
        ["demand 1 1 1 1 1 1 1 1 1 0 0 1 0 1 1", "more"],
        ["demand 1 1 1 1 1 1 1 99999999999999999999 1 0 0"],
    ],
)
def test_what_the_program_cannot_read_is_refused(words):
    with pytest.raises(CertificateError, match="can read"):
        extracted.ask(str(checker_build.program()), words)


@ocaml
def test_the_agreement_of_the_registry_holds():
    assert extracted.agreement().status is Status.HOLDS


def test_without_ocaml_it_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    checker_build.program.cache_clear()
    try:
        with pytest.raises(checker_build.OCamlMissing, match="apt-get install"):
            checker_build.program()
        assert extracted.agreement().status is Status.NOT_RUN
    finally:
        checker_build.program.cache_clear()


@coq
def test_the_checked_in_code_is_what_coq_extracts():
    folder = development.build().folder
    for name in ("checkers.ml", "checkers.mli"):
        assert (folder / name).read_text("utf-8") == checker_build.sources()[name], name


def test_it_shares_no_code_with_the_python_checker():
    import ast
    import inspect

    from proofs_check import (
        translation,
        translation_kinds,
        translation_reading,
        translation_reward,
    )

    modules = (translation, translation_kinds, translation_reading, translation_reward)
    for module in modules:
        tree = ast.parse(inspect.getsource(module))
        imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        ours = {name for name in imported if name and name.startswith("ig_theory")}
        assert ours <= {"ig_theory.cmdp", "ig_theory.errors", "ig_theory.fingerprint"}
