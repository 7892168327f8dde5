"""The JSON of verdicts is strict, and keeps exact numbers exact."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
from hand_made_verdicts import ALL, FAULTY, SAFE, UNCLEAR, VIOLATED, witness

from ig_theory.report.as_json import document, verdict_dict
from ig_theory.report.numbers import chance, json_bounds, quantity, short
from ig_theory.verdict import Bounds

PROMISED = {
    "guard", "model", "constraint", "constraints", "outcome", "violation", "reward",
    "optimal_reward", "regret", "kl", "kl_limit", "kl_ratio", "urup", "arsp",
    "false_interventions", "states_explored", "witness", "certificate", "assumptions", "error",
    "seconds",
}  # fmt: skip


@pytest.mark.parametrize("one", ALL, ids=lambda v: v.outcome.value)
def test_every_promised_key_is_there_and_strict_json_reads_it(one):
    text = json.dumps(verdict_dict(one), allow_nan=False)
    assert set(json.loads(text)) >= PROMISED


def test_exact_numbers_are_text_beside_the_float():
    found = verdict_dict(VIOLATED)
    assert found["violation"] == {"lower": 1 / 3, "upper": 1 / 3, "exact": "1/3"}
    assert found["kl"] == {"lower": "inf", "upper": "inf", "exact": None}
    assert found["constraint"]["budget"] == "3/10"
    assert found["witness"][-1]["budget_exact"] == "-1/10"
    assert found["witness"][-1]["budget"] == -0.1
    assert [step["state"] for step in found["witness"]] == [f"turn {t}" for t in range(4)]
    assert found["witness_start"]["run_probability_exact"] == "1/32"


def test_derived_numbers():
    found = verdict_dict(SAFE, "shield.certificate.json")
    assert found["regret"] == {"lower": 0.25, "upper": 0.25, "exact": None}
    assert found["kl_ratio"] == 2
    assert found["certificate"] == "shield.certificate.json"
    assert found["witness"] is None


def test_rational_bounds_are_rounded_outwards():
    found = json_bounds(Bounds(Fraction(1, 10), Fraction(1, 3)))
    assert Fraction(found["lower"]) <= Fraction(1, 10)
    assert Fraction(found["upper"]) >= Fraction(1, 3)
    assert found["exact"] is None


def test_a_rational_of_many_thousand_digits_does_not_fail():
    long = Fraction(1, 3**20_000)
    assert json_bounds(Bounds(long, long)) == {"lower": 0.0, "upper": 0.0, "exact": None}
    assert short(long) == "<1e-300"


@pytest.mark.parametrize(
    ("verdicts", "outcome", "code"),
    [
        ([], "ERROR", 2),
        ([SAFE], "SAFE", 0),
        ([SAFE, UNCLEAR], "INCONCLUSIVE", 3),
        ([UNCLEAR, VIOLATED, SAFE], "VIOLATED", 1),
        ([VIOLATED, FAULTY, SAFE], "ERROR", 2),
    ],
)
def test_the_worst_outcome_is_that_of_the_run(verdicts, outcome, code):
    found = document(verdicts)
    assert (found["outcome"], found["exit_code"]) == (outcome, code)


def test_a_witness_without_steps_is_an_empty_list():
    found = verdict_dict(VIOLATED.__class__(**{**vars(VIOLATED), "witness": witness(0)}))
    assert found["witness"] == []


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (short(0.0), "0"),
        (short(-0.0), "0"),
        (short(1e-300), "1.0e-300"),
        (short(1 - 1e-12), ">0.9999"),
        (short(1 + 1e-12), "1.000"),
        (short(Fraction(10**40)), "1.000e+40"),
        (short(123456.0), "1.235e+05"),
        (short(math.nan), "nan"),
        (short(-math.inf), "-∞"),
        (chance(Bounds(0.0, 0.0)), "0"),
        (chance(Bounds(1e-14, 1e-14)), "1.0e-14"),
        (chance(Bounds(0.0, 1e-14)), "≤1.0e-14"),
        (chance(Bounds(0.25, 0.250001)), "0.25"),
        (quantity(Bounds(-math.inf, math.inf)), "-∞..∞"),
        (quantity(Bounds(math.inf, math.inf)), "∞"),
    ],
)
def test_numbers_for_people(text, want):
    assert text == want
