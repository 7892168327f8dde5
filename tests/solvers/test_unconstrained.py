"""The optimum without a budget: every method, both paths, and brute force in rationals agree."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import solve
from small_models import models

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ConstraintError, SolverError
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.discounted_states import DiscountedStates
from ig_theory.solvers.totals.small_states import eliminate
from ig_theory.solvers.unconstrained import unconstrained
from simulators.garnet import garnet

BETAS = [Fraction(1), Fraction(9, 10), Fraction(1, 3)]
rewards = st.lists(st.integers(-2, 2), min_size=12, max_size=12)


def gains(model: ConstrainedMDP, numbers: list[int], sign: int) -> np.ndarray:
    """Small rewards, 0 at terminal states; of any sign (0), all >= 0, or all <= 0."""
    out = np.empty(model.C, dtype=object)
    for c in range(model.C):
        number = Fraction(numbers[c % len(numbers)], 2)
        ended = model.terminal[model.choice_state[c]]
        out[c] = Fraction(0) if ended else number if sign == 0 else sign * abs(number)
    return out


def policies(model: ConstrainedMDP):
    ranges = [range(*map(int, model.choice_ptr[s : s + 2])) for s in range(model.S)]
    return itertools.product(*ranges)


def chain_of(model: ConstrainedMDP, policy, gain) -> dict:
    chain = {}
    for s, c in enumerate(policy):
        low, high = model.branch_ptr[c : c + 2]
        branches = [(model.branch_prob[b], int(model.branch_state[b])) for b in range(low, high)]
        chain[s] = (gain[c], branches)
    return chain


@given(models(exact=True, latent=False), rewards, st.sampled_from(BETAS[1:]))
def test_discounted_optimum_is_that_of_brute_force(model, numbers, beta):
    gain = gains(model, numbers, 0)
    found = unconstrained(model, gain=gain, discount=beta, exact=True).solution
    values = [solve(chain_of(model, p, gain), beta) for p in policies(model)]
    assert found.status is Status.EXACT
    for s in range(model.S):
        assert found.lower[s] == found.upper[s] == max(v[s] for v in values)
    filled = np.where(found.policy < 0, model.choice_ptr[:-1], found.policy)
    assert list(solve(chain_of(model, filled, gain), beta).values()) == list(found.lower)


@given(models(exact=True, latent=False), rewards, st.sampled_from([0, 1, -1]),
       st.sampled_from(BETAS))  # fmt: skip
def test_all_methods_and_both_paths_enclose_the_exact_value(model, numbers, sign, beta):
    gain = gains(model, numbers, sign)
    ways = [{"compiled": False}, {"compiled": True}]
    if beta < 1:
        ways = [{"compiled": False}] + [
            {"compiled": True, "method": method} for method in ("mpi", "pi", "vi")
        ]
    try:
        exact = unconstrained(model, gain=gain, discount=beta, exact=True).solution
    except SolverError:
        for way in ways:
            with pytest.raises(SolverError, match="both signs"):
                unconstrained(model, gain=gain, discount=beta, **way)
        return
    for way in ways:
        found = unconstrained(model, gain=gain, discount=beta, **way).solution
        assert found.status is Status.CERTIFIED, way
        for s in range(model.S):
            assert found.lower[s] <= exact.lower[s] <= found.upper[s]
            assert found.lower[s] == found.upper[s] or found.upper[s] - found.lower[s] <= 1e-6
            assert (found.policy[s] >= 0) == (not model.terminal[s])
            if not model.terminal[s]:
                assert model.choice_state[found.policy[s]] == s


@given(models(exact=True, latent=False), rewards, st.sampled_from(BETAS), st.integers(0, 4))
def test_finite_horizon_is_the_recursion(model, numbers, beta, horizon):
    gain = gains(model, numbers, 0)
    exact = unconstrained(model, gain=gain, discount=beta, horizon=horizon, exact=True).solution
    value = [Fraction(0)] * model.S
    for t in reversed(range(horizon)):
        after = value
        worth = [
            gain[c] + beta * sum(p * after[u] for p, u in chain_of(model, [c], gain)[0][1])
            for c in range(model.C)
        ]
        value = [max(worth[slice(*model.choice_ptr[s : s + 2])]) for s in range(model.S)]
        assert list(exact.lower[t]) == value
    found = unconstrained(model, gain=gain, discount=beta, horizon=horizon).solution
    for s in range(model.S):
        assert found.lower[0, s] <= value[s] <= found.upper[0, s]
    assert found.status is Status.CERTIFIED
    assert (found.policy[-1] == -1).all()


LOOP = {"s": {"work": (0, 1, "s"), "leave": (0, 5, "t")}}


@pytest.mark.parametrize("way", [{"exact": True}, {"compiled": False}, {"compiled": True}])
def test_infinities_and_free_cycles(way):
    endless = unconstrained(from_dict(LOOP, initial="s"), **way)
    assert endless.start.lower == endless.start.upper == math.inf
    assert endless.solution.policy[0] == 0
    # A free cycle is worth nothing by itself; leaving it pays.
    free = {"a": {"to b": (0, 0, "b")}, "b": {"to a": (0, 0, "a"), "leave": (0, 2, "t")}}
    found = unconstrained(from_dict(free, initial="a"), **way)
    assert float(found.start.lower) == pytest.approx(2)
    assert found.solution.policy.tolist() == [0, 2, -1]
    # Where leaving costs, staying is best.
    free["b"]["leave"] = (0, -2, "t")
    found = unconstrained(from_dict(free, initial="a"), **way)
    assert float(found.start.lower) == pytest.approx(0, abs=1e-12)
    assert found.solution.policy.tolist() == [0, 1, -1]
    # No way out of paying: minus infinity. A way out: what it costs.
    doomed = {"s": {"pay": (0, -1, "s"), "leave": (0, -9, "t")}, "u": {"pay": (0, -1, "u")}}
    found = unconstrained(from_dict(doomed, initial={"s": 1}), **way).solution
    names = from_dict(doomed, initial="s").state_names
    assert float(found.lower[names.index("s")]) == pytest.approx(-9)
    assert found.lower[names.index("u")] == found.upper[names.index("u")] == -math.inf
    # Infinity with positive probability is infinity, wherever the rest surely ends.
    risky = {"s": {"try": (0, -7, {"gold": "1/8", "t": "7/8"}), "leave": (0, 3, "t")},
             "gold": {"dig": (0, 1, "gold")}}  # fmt: skip
    found = unconstrained(from_dict(risky, initial="s"), **way)
    assert found.start.lower == math.inf
    assert found.solution.policy[0] == 0


def test_infinity_reaches_states_that_pass_through_a_cycle():
    third = {"s": "1/3", "gold": "1/3", "r": "1/3"}
    model = from_dict(
        {"s": {"go": (0, 0, third)}, "gold": {"dig": (0, 1, "gold")}, "r": {"go": (0, 0, "s")}},
        initial="r",
    )
    for compiled in (False, True):
        found = unconstrained(model, compiled=compiled)
        assert found.solution.status is Status.CERTIFIED
        assert (found.solution.lower == math.inf).all()


@settings(max_examples=10)
@given(st.integers(20, 120), st.integers(0, 10**6), st.booleans(),
       st.sampled_from([Fraction(99, 100), Fraction(1, 2), Fraction(9999, 10000)]))  # fmt: skip
@example(100, 7, True, Fraction(9999, 10000))
def test_methods_agree_on_garnets(states, seed, recurrent, beta):
    model = garnet(states, seed=seed)
    if recurrent:
        model = recurring(model)
    # Rounding alone is 1e-6 of values near 1e4.
    width = 1e-6 if beta < Fraction(999, 1000) else 1e-4
    how = {"discount": beta, "tolerance": width}
    small = unconstrained(model, compiled=False, **how).solution
    for method in ("mpi", "pi"):
        found = unconstrained(model, compiled=True, method=method, **how).solution
        assert found.status is small.status is Status.CERTIFIED
        assert (found.lower <= small.upper).all()
        assert (small.lower <= found.upper).all()
        value = np.array(DiscountedStates(model, beta).evaluate(found.policy, [model.reward]))
        assert (value[0, 0] <= small.upper).all()
        assert (value[1, 0] >= found.lower).all()
        assert (value[1, 0] - value[0, 0] <= width).all()


def recurring(model: ConstrainedMDP) -> ConstrainedMDP:
    """The same Garnet without a goal: its last state leads back to the first."""
    successor = model.branch_state.copy()
    successor[-1] = 0
    return ConstrainedMDP(
        model.choice_ptr, model.branch_ptr, successor, model.branch_prob, model.reward,
        model.cost, model.initial, np.zeros(model.S, dtype=bool),
    )  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True])
def test_undiscounted_garnet_paths_agree(compiled):
    model = garnet(60, seed=3)
    # Every step costs: the shortest way to the goal.
    running = ~model.terminal[model.choice_state]
    found = unconstrained(model, gain=-1.0 * running, discount=1, compiled=compiled)
    exact = unconstrained(model, gain=-1.0 * running, discount=1, exact=True)
    assert found.start.lower <= exact.start.lower <= found.start.upper
    assert found.start.width <= 1e-9


def test_a_slow_line_is_solved_by_sweeps():
    # A long line walked by small steps has many slow modes and no common one.
    states = {f"s{i}": {"go": (0, i % 3, {f"s{i + 1}": "1/10", f"s{i}": "9/10"})}
              for i in range(300)}  # fmt: skip
    model = from_dict(states, initial="s0")
    found = unconstrained(model, discount="999/1000", compiled=True)
    plain = unconstrained(model, discount="999/1000", compiled=False)
    assert found.solution.status is Status.CERTIFIED
    assert found.start.lower <= plain.start.upper
    assert plain.start.lower <= found.start.upper


def test_a_warm_start_changes_the_work_and_not_the_answer():
    model = garnet(500, seed=5)
    cold = unconstrained(model, discount="99/100")
    warm = unconstrained(model, discount="99/100", start=cold.solution.lower)
    wild = unconstrained(model, discount="99/100", start=np.full(model.S, -1e5))
    assert warm.solution.iterations < cold.solution.iterations
    for other in (warm, wild):
        assert other.solution.status is Status.CERTIFIED
        assert other.start.lower <= cold.start.upper
        assert cold.start.lower <= other.start.upper


def test_what_cannot_be_reached_is_said():
    model = garnet(200, seed=5)
    found = unconstrained(model, discount="99/100", tolerance=1e-15, compiled=True).solution
    assert found.status is Status.UNCERTIFIED
    assert (found.upper - found.lower <= 1e-9).all()


def test_elimination_solves():
    rows = [{0: Fraction(1), 1: Fraction(-1, 2)}, {0: Fraction(-1, 3), 1: Fraction(1)}]
    assert eliminate(rows, [Fraction(1), Fraction(0)]) == [Fraction(6, 5), Fraction(2, 5)]


def test_bad_input_is_one_clear_error():
    model = from_dict(LOOP, initial="s")
    wrong = [
        ({"method": "sor"}, "method: want mpi or vi or pi"),
        ({"tolerance": 0.0}, "tolerance: want a number > 0"),
        ({"tolerance": float("nan")}, "tolerance: want a number > 0"),
        ({"discount": 0}, "discount: want a number in"),
        ({"discount": "3/2"}, "discount: want a number in"),
        ({"horizon": -1}, "horizon: want a whole number"),
        ({"gain": np.zeros(2)}, "gain: want one number a choice"),
        ({"gain": np.array([1.0, np.nan, 0.0])}, "gain of choice 1"),
        ({"gain": np.array([1.0, 0.0, 1.0])}, "of a terminal state: want 0"),
    ]
    for arguments, message in wrong:
        with pytest.raises(SolverError, match=message):
            unconstrained(model, **arguments)
    with pytest.raises(ConstraintError, match="discount"):
        unconstrained(model, discount=0.5)
    with pytest.raises(SolverError, match="at most 400 states"):
        unconstrained(garnet(500), discount="1/2", exact=True)
    mixed = from_dict({"s": {"a": (0, 1, "u")}, "u": {"b": (0, -1, "s")}}, initial="s")
    with pytest.raises(SolverError, match="around state s: want rewards of one sign"):
        unconstrained(mixed)


def test_a_small_problem_does_not_load_the_compiler():
    code = (
        "import sys\n"
        "from ig_theory.builders import from_dict\n"
        "from ig_theory.solvers.unconstrained import unconstrained\n"
        f"model = from_dict({LOOP!r}, initial='s')\n"
        "for beta in ('9/10', '1'):\n"
        "    unconstrained(model, discount=beta)\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
