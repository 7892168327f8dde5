"""Compiled and plain kernels give the same numbers, and small problems do not compile."""

from __future__ import annotations

import numpy as np
import pytest

from ig_theory import jit, kernels
from ig_theory.constraint import BudgetConstraint
from ig_theory.guards import open_guard
from ig_theory.jit import Kernel, compiled, plain
from ig_theory.solvers import table_kernels
from ig_theory.solvers.kernels import budget, intrusion, reward
from ig_theory.solvers.least_intrusive import least_intrusive
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.value_table import value_table
from ig_theory.verification import verify
from simulators.garnet import garnet, sheltered_garnet


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch):
    """Makes every kernel of these modules run one way."""
    modules = (budget, intrusion, kernels, reward, table_kernels)

    def force(way: str) -> None:
        for module in modules:
            for name, kernel in list(vars(module).items()):
                if isinstance(kernel, Kernel):
                    other = plain(kernel) if way == "plain" else kernel
                    monkeypatch.setattr(module, name, _quiet(other) if way == "plain" else other)
        if way == "compiled":
            monkeypatch.setattr(jit, "SMALL", -1)

    return force


def _quiet(function):
    def run(*arguments):
        with np.errstate(all="ignore"):
            return function(*arguments)

    return run


def answers():
    model = sheltered_garnet(24, seed=4, reward_discount="9/10")
    constraint = BudgetConstraint(6)
    guard = open_guard("least-intrusive", model, constraint)[1]
    verdict = verify(guard, model, constraint, guard_name="least-intrusive")
    table = value_table(model, constraint)
    plainly = value_table(garnet(24, seed=4), constraint, beyond="stop")
    return (
        verdict.outcome, verdict.states_explored, verdict.reward, verdict.kl, verdict.kl_limit,
        least_intrusive(model, constraint).initial, table.value.tolist(), table.which.tolist(),
        plainly.value.tolist(), minimal_budget(model, constraint).demand.tolist(),
    )  # fmt: skip


def test_both_ways_give_the_same_answers(forced, monkeypatch):
    with monkeypatch.context():
        forced("compiled")
        one = answers()
    forced("plain")
    two = answers()
    assert one[:2] == two[:2]
    for ours, theirs in zip(one[2:6], two[2:6], strict=True):
        assert ours.lower == pytest.approx(theirs.lower, rel=1e-9)
        assert ours.upper == pytest.approx(theirs.upper, rel=1e-9)
    # The table's loops add in one order, so that even the last bit agrees.
    assert one[6:] == two[6:]


def test_a_kernel_is_compiled_when_it_is_worth_it(monkeypatch):
    kernel = compiled(_double)
    assert kernel(np.arange(3.0)).tolist() == [0, 2, 4]
    assert not kernel.signatures
    assert len(kernel(np.zeros(jit.SMALL + 1))) == jit.SMALL + 1
    assert len(kernel.signatures) == 1
    impatient = compiled(_double)
    monkeypatch.setattr(jit, "PATIENCE", -1.0)
    impatient(np.arange(3.0))
    assert impatient.signatures


def _double(x):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = 2 * x[i]
    return out
