"""Unconstrained optima against QuantEcon, mdpsolver and Storm: answers first, then CPU seconds.

Run by ``make bench``; the name keeps these out of the ordinary test run. Two families: the
Garnet as it is, with a goal, and the same without one (its last state leads back to the first).
With a goal, bounds on the span of the moves do not tighten by themselves, and peers that wait
for them take as many sweeps as value iteration.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import storm_peer

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.discounted_states import DiscountedStates
from ig_theory.solvers.unconstrained import unconstrained
from simulators.garnet import garnet

BETA, TOLERANCE = Fraction(99, 100), 1e-6


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median CPU time of some calls, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return statistics.median(times)


def model_of(states: int, goal: bool) -> ConstrainedMDP:
    model = garnet(states, seed=1, reward_discount=BETA)
    if goal:
        return model
    successor = model.branch_state.copy()
    successor[-1] = 0
    return replace(model, branch_state=successor, terminal=np.zeros(model.S, dtype=bool), labels={})


def quantecon_of(model: ConstrainedMDP) -> Any:
    sparse = pytest.importorskip("scipy.sparse")
    markov = pytest.importorskip("quantecon.markov")
    shape = (model.C, model.S)
    moves = sparse.csr_matrix((model.branch_prob, model.branch_state, model.branch_ptr), shape)
    return markov.DiscreteDP(
        model.reward, moves, float(BETA), model.choice_state, model.choice_action
    )


def mdpsolver_of(model: ConstrainedMDP) -> Any:
    package = pytest.importorskip("mdpsolver")
    rows = np.split(np.arange(model.C), model.choice_ptr[1:-1])

    def lists(values: Any) -> list[Any]:
        each = [part.tolist() for part in np.split(values, model.branch_ptr[1:-1])]
        return [[each[c] for c in row] for row in rows]

    peer = package.model()
    peer.mdp(
        discount=float(BETA), rewards=[model.reward[row].tolist() for row in rows],
        tranMatProbs=lists(model.branch_prob), tranMatColumns=lists(model.branch_state),
    )  # fmt: skip
    return peer


@pytest.mark.parametrize("goal", [True, False])
@pytest.mark.parametrize("states", [10_000, 100_000])
def test_unconstrained_against_its_peers(states, goal):
    model = model_of(states, goal)
    found = unconstrained(model, tolerance=TOLERANCE).solution
    assert found.status is Status.CERTIFIED
    middle = (found.lower + found.upper) / 2
    ours = seconds(lambda: unconstrained(model, tolerance=TOLERANCE), 9)
    prepared = DiscountedStates(model, BETA)
    alone = seconds(lambda: prepared.solve(model.reward, "mpi", TOLERANCE), 9)
    print(
        f"\nGarnet, {model.S} states, {model.B} branches, {'with' if goal else 'no'} goal, "
        f"gamma {BETA}, {TOLERANCE:g}; CPU seconds (times ours)\n"
        f"  ours (mpi, certified)  {ours:.4f}        {found.iterations} sweeps; "
        f"{alone:.4f} without reading the model"
    )
    economics = quantecon_of(model)
    solve = {
        "QuantEcon mpi": lambda: economics.solve(
            method="modified_policy_iteration", epsilon=TOLERANCE, max_iter=100_000
        ),
    }
    if states <= 10_000:
        solve["QuantEcon vi"] = lambda: economics.solve(
            method="value_iteration", epsilon=TOLERANCE, max_iter=100_000
        )
    for name, call in solve.items():
        answer = call()
        report(name, seconds(call, 3), ours, float(np.abs(answer.v - middle).max()))
    for algorithm in ("mpi", "vi"):
        times, answer = [], None
        for _ in range(3):
            peer = mdpsolver_of(model)  # a fresh one: a second solve starts from the first's answer
            started = time.process_time()
            peer.solve(algorithm=algorithm, tolerance=TOLERANCE, parallel=False)
            times.append(time.process_time() - started)
            answer = np.array(peer.getValueVector())
        error = float(np.abs(answer - middle).max())
        report(f"mdpsolver {algorithm}", statistics.median(times), ours, error)
    pytest.importorskip("stormpy")
    run = storm_peer.unconstrained(model)
    assert run.values is not None
    error = float(np.abs(run.values - middle).max())
    report("Storm", run.seconds, ours, error)


def report(name: str, spent: float, ours: float, error: float) -> None:
    assert error < 1e-3, (name, error)
    print(f"  {name:<22} {spent:.4f} ({spent / ours:5.1f}x)  off by at most {error:.1e}")


@pytest.mark.parametrize("method", ["mpi", "pi", "vi"])
def test_growth_with_states(method):
    print(f"\n{method}: CPU seconds, sweeps and nanoseconds a branch and sweep")
    for states in (1_000, 10_000, 100_000):
        model = model_of(states, goal=False)
        call = lambda model=model: unconstrained(model, method=method)  # noqa: E731
        spent, sweeps = seconds(call, 3), call().solution.iterations
        assert call().solution.status is Status.CERTIFIED
        each = 1e9 * spent / sweeps / model.B
        print(f"  {model.S:>7} states {spent:.4f} s, {sweeps} sweeps, {each:.2f} ns")


def test_small_problems_and_the_first_call():
    model = garnet(20, seed=1, reward_discount=BETA)
    plain = seconds(lambda: unconstrained(model, compiled=False), 5)
    swept = seconds(lambda: unconstrained(model, compiled=True), 5)
    code = (
        "import time\n"
        "from simulators.garnet import garnet\n"
        "from ig_theory import kernels\n"
        "from ig_theory.solvers.unconstrained import unconstrained\n"
        "model = garnet(2_000, seed=1)\n"  # large enough not to run as plain Python
        "started = time.process_time()\n"
        "unconstrained(model, discount='99/100', compiled=True)\n"
        "print(time.process_time() - started)\n"
    )
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": empty},
        )  # fmt: skip
    print(
        f"\n{model.B} branches: plain {plain * 1e3:.1f} ms, compiled {swept * 1e3:.1f} ms; "
        f"compiling everything on the first call of all: {float(done.stdout):.1f} s"
    )
