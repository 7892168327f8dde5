"""Reading the numbers of a constraint: exact or refused, and never slow."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ig_theory.constraint import BudgetConstraint, rational
from ig_theory.errors import ConstraintError


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("0.3", Fraction(3, 10)),
        ("3/10", Fraction(3, 10)),
        (" +.5 ", Fraction(1, 2)),
        ("-2", Fraction(-2)),
        (7, Fraction(7)),
        (np.int64(7), Fraction(7)),
        (np.uint8(200), Fraction(200)),
        (Fraction(1, 3), Fraction(1, 3)),
    ],
)
def test_exact_numbers_are_read_exactly(given: Any, meant: Fraction) -> None:
    assert rational(given, "budget") == meant


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.3, "the float 0.3; write it as text, '0.3'"),
        (np.float64(0.3), "the float 0.3"),
        (np.float32(0.5), "the float 0.5"),
        (float("nan"), "the float nan"),
        (True, "True"),
        (np.True_, "np.True_"),
        (Decimal("0.3"), "Decimal('0.3')"),
        ("1/0", "'1/0'"),
        ("1e3", "'1e3'"),
        ("1_000", "'1_000'"),
        ("inf", "'inf'"),
        ("", "''"),
        ("9" * 5000, "'999"),
        (None, "None"),
    ],
)
@pytest.mark.parametrize("where", ["budget", "discount"])
def test_anything_else_is_refused_by_its_name(given: Any, said: str, where: str) -> None:
    with pytest.raises(ConstraintError) as caught:
        BudgetConstraint(**{"budget": 1, where: given})
    message = str(caught.value)
    assert message.startswith(f"{where}: want an exact rational, got ")
    assert said in message
    assert len(message) < 200


def test_a_huge_exponent_is_refused_at_once() -> None:
    """As a Fraction it would have a billion digits."""
    command = [sys.executable, "-m", "ig_theory", "check", "shield"]
    arguments = ["--model", "latent-chain", "--budget", "1e999999999"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "budget" in done.stderr
    assert "'1e999999999'" in done.stderr
