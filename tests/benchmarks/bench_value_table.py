"""Budget-constrained optima and minimal budgets against Storm: answers first, then CPU seconds.

Run by ``make bench``. The table returns V at every state and every budget, a policy and bounds;
Storm returns one number (or the values of one explicit product). A row of the output says
``ours``: median CPU seconds on one thread, and wall seconds on two; ``Storm``: CPU seconds of
the check alone, its own build and that of the product not counted.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np
import pytest
import storm_peer

from ig_theory.budget import INFINITE
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.solution import Status
from ig_theory.solvers.value_table import Beyond, ValueTable, reaching, value_table
from simulators.garnet import garnet, sheltered_garnet
from simulators.grid import slippery_grid

GAP = 1e-6


def measured(call: Callable[[], Any], repeats: int = 3) -> tuple[Any, float, float]:
    """The answer, and the median CPU and wall seconds, after one call that does not count."""
    call()
    cpu, wall = [], []
    for _ in range(repeats):
        marks = time.process_time(), time.perf_counter()
        answer = call()
        cpu.append(time.process_time() - marks[0])
        wall.append(time.perf_counter() - marks[1])
    return answer, statistics.median(cpu), statistics.median(wall)


def solved(
    model: ConstrainedMDP, budget: int, beyond: Beyond, gain: Any = None
) -> tuple[ValueTable, float, float]:
    """The table, CPU seconds on one thread, and wall seconds on two."""
    limit = BudgetConstraint(budget)

    def solve(threads: int) -> ValueTable:
        return value_table(model, limit, beyond=beyond, gain=gain, tolerance=GAP, threads=threads)

    table, one, _ = measured(lambda: solve(1))
    again, _, two = measured(lambda: solve(2))
    assert (again.value == table.value).all()
    assert table.status is Status.CERTIFIED
    return table, one, two


def line(name: str, model: ConstrainedMDP, budget: int, one: float, two: float, table: Any) -> str:
    return (
        f"\n{name} S={model.S} d={budget}: ours {one:.3f} s CPU, {two:.3f} s wall on two, "
        f"gap {table.gap:.1e}, {table.passes:.2f} passes"
    )


@pytest.mark.parametrize("budget", [10, 50, 200])
@pytest.mark.parametrize("states", [10_000, 100_000])
def test_cost_bounded_reachability(states, budget):
    model = garnet(states, seed=1)
    table, one, two = solved(model, budget, Beyond.STOP, reaching(model, "goal"))
    storm = storm_peer.cost_bounded_reach(model, "goal", budget)
    assert abs(storm.answer - table.initial.middle) <= 2 * GAP
    assert table.gap <= GAP
    print(
        line("reach", model, budget, one, two, table)
        + f"; Storm {storm.seconds:.2f} s CPU, {storm.wall_seconds:.2f} s wall: "
        f"{storm.seconds / one:.1f}x CPU, {storm.wall_seconds / two:.1f}x wall; "
        f"table {(table.value.nbytes + table.which.nbytes) / 2**20:.0f} MiB, "
        f"{(table.value.nbytes + table.which.nbytes) / (8 * model.S * (budget + 1)):.3f} x 8S(d+1)"
    )


@pytest.mark.parametrize("budget", [50, 200])
@pytest.mark.parametrize("states", [10_000, 100_000])
def test_reward_until_the_budget_breaks(states, budget):
    model = garnet(states, seed=1)
    table, one, two = solved(model, budget, Beyond.STOP)
    storm = storm_peer.reward_until_bound(model, budget)
    # Storm's sound engine is off by more than it says; the next test tells which is right.
    assert storm.answer == pytest.approx(table.initial.middle, rel=2e-5)
    print(
        line("reward", model, budget, one, two, table)
        + f"; Storm {storm.seconds:.2f} s CPU: {storm.seconds / one:.1f}x CPU, "
        f"{storm.wall_seconds / two:.1f}x wall, its answer off by "
        f"{abs(storm.answer - table.initial.middle):.1e} of {table.initial.middle:.2f}"
    )


def test_reward_until_the_budget_breaks_by_plain_value_iteration():
    """The answer where Storm's differs by more than it says."""
    model, budget = garnet(10_000, seed=1), 10
    table = value_table(model, BudgetConstraint(budget), beyond=Beyond.STOP)
    cost, value = model.cost[0], np.zeros((budget + 1, model.S))
    for z in range(budget + 1):
        moved = np.inf
        while moved > 1e-13:
            ahead = value[np.maximum(z - cost, 0)[model.branch_choice], model.branch_state]
            total = model.reward + np.add.reduceat(model.branch_prob * ahead, model.branch_ptr[:-1])
            total[(cost > z) | model.terminal[model.choice_state]] = 0.0
            row = np.maximum.reduceat(total, model.choice_ptr[:-1])
            moved, value[z] = float(np.abs(row - value[z]).max()), row
    off = float(np.abs(value - table.value).max())
    storm = storm_peer.reward_until_bound(model, budget)
    assert off <= float(table.error.max())
    print(
        f"\nreward S={model.S} d={budget}: plain value iteration is within {off:.1e} of the table, "
        f"Storm's answer {abs(storm.answer - value[budget, 0]):.1e} from plain value iteration"
    )


FAMILIES = {
    "sheltered Garnet": lambda states: sheltered_garnet(states, seed=1, reward_discount="19/20"),
    "slippery grid": lambda states: slippery_grid(isqrt(states), isqrt(states), seed=1),
}


@pytest.mark.parametrize(
    ("states", "budget"), [(1_000, 10), (10_000, 10), (10_000, 50), (10_000, 200), (100_000, 50)]
)
@pytest.mark.parametrize("family", list(FAMILIES))
def test_almost_surely_safe_optimum(family, states, budget):
    model = FAMILIES[family](states)
    table, one, two = solved(model, budget, Beyond.FORBID)
    storm = storm_peer.safe_reward(model, BudgetConstraint(budget))
    assert storm.answer == pytest.approx(table.initial.middle, rel=2e-6)
    print(
        line(f"safe reward, {family}", model, budget, one, two, table)
        + f"; Storm on the product of {storm.states} states {storm.seconds:.2f} s CPU (build "
        f"{storm.build_seconds + storm.product_seconds:.0f} s): {storm.seconds / one:.1f}x CPU"
    )


@pytest.mark.parametrize(("states", "budget"), [(100_000, 200), (1_000_000, 50)])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_almost_surely_safe_optimum_beyond_the_peer(family, states, budget):
    """Products that the peer would have to build: 20 and 50 million states."""
    model = FAMILIES[family](states)
    table, one, two = solved(model, budget, Beyond.FORBID)
    print(line(f"safe reward, {family}", model, budget, one, two, table))


@pytest.mark.parametrize(
    ("states", "budget"), [(10_000, 50), (10_000, 200), (100_000, 50), (1_000_000, None)]
)
@pytest.mark.parametrize("family", [sheltered_garnet])
def test_minimal_budgets(family, states, budget):
    model = family(states, seed=1)
    safe, one, _ = measured(lambda: minimal_budget(model, BudgetConstraint(0)))
    text = f"\nminimal budgets S={states}: ours {one:.4f} s CPU"
    if budget is not None:
        storm = storm_peer.qualitative_safety(model, budget)
        demand = np.where(safe.demand >= INFINITE, budget + 1, np.minimum(safe.demand, budget + 1))
        assert (storm.values == demand).all()
        text += (
            f"; Storm's qualitative check of all pairs to d={budget} {storm.seconds:.2f} s CPU: "
            f"{storm.seconds / one:.0f}x"
        )
    print(text)


GROWTH = [
    *[(s, 50, 4) for s in (1_000, 10_000, 100_000)],
    *[(10_000, d, 4) for d in (10, 100, 1_000)],
    *[(10_000, 50, b) for b in (1, 10, 100)],
]


@pytest.mark.parametrize(("states", "budget", "branches"), GROWTH)
def test_growth(states, budget, branches):
    model = garnet(states, branches=branches, seed=1)
    gain = reaching(model, "goal")
    table, one, _ = measured(
        lambda: value_table(
            model, BudgetConstraint(budget), beyond=Beyond.STOP, gain=gain, threads=1
        )
    )
    reads = table.passes * model.B * (budget + 1)
    print(
        f"\ngrowth S={states} d={budget} branches={branches}: {one:.3f} s CPU, "
        f"{table.passes:.2f} passes, {1e9 * one / reads:.2f} ns a branch read, "
        f"{1e9 * one / (model.B * (budget + 1)):.2f} ns a branch and level"
    )


def test_bandwidth():
    """What the push kernel moves, against a copy of a large array."""
    model, budget = garnet(100_000, seed=1), 100
    gain = reaching(model, "goal")
    table = value_table(model, BudgetConstraint(budget), beyond=Beyond.STOP, gain=gain, threads=1)
    from ig_theory.solvers.table_levels import Levels

    work, paid = Levels.of(table.options, table.value.copy()), table.options.paid
    _, push, _ = measured(lambda: work.push(50, 0, 3), 20)
    # Read once each: owner, since, gain, ptr, place, node, prob; a best value read per option,
    # and one gathered value per branch, which is in the cache.
    streamed = len(paid.gain) * (4 + 4 + 8 + 4 + 1 + 8) + len(paid.node) * (4 + 8)
    source = np.ones(20_000_000)
    target = np.empty_like(source)
    _, copy, _ = measured(lambda: np.copyto(target, source), 10)
    print(
        f"\npush: {1e9 * push / len(paid.node):.2f} ns a branch, {streamed / push / 1e9:.1f} GB/s "
        f"streamed and {8 * len(paid.node) / push / 1e9:.1f} GB/s gathered; copy "
        f"{2 * source.nbytes / copy / 1e9:.1f} GB/s"
    )


@pytest.mark.parametrize(("states", "budget"), [(100_000, 200), (1_000_000, 50)])
def test_peak_memory(states, budget):
    """In a process of its own: the growth of the peak resident set over the model's."""
    program = f"""
import resource
from simulators.garnet import garnet
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.value_table import reaching, value_table
small = garnet(100, seed=1)
value_table(small, BudgetConstraint(3), beyond="stop", gain=reaching(small, "goal"))
model = garnet({states}, seed=1)
gain = reaching(model, "goal")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
def resident(key):
    with open("/proc/self/status") as file:
        return next(int(l.split()[1]) for l in file if l.startswith(key)) / 1024
before = resident("VmRSS")
table = value_table(model, BudgetConstraint({budget}), beyond="stop", gain=gain)
print(before, resident("VmHWM"), table.gap)
"""
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    before, peak, gap = (float(word) for word in out.split())
    wanted = 8 * states * (budget + 1) / 2**20
    assert gap <= GAP
    print(
        f"\nmemory S={states} d={budget}: model and Python {before:.0f} MiB, peak {peak:.0f} MiB: "
        f"{(peak - before) / wanted:.2f} x 8S(d+1)"
    )


def test_compile_time():
    """The first call where nothing is cached, and where the compiled code is on disk."""
    program = """
import time
from simulators.garnet import garnet
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.value_table import value_table
model = garnet({states}, seed=1)
started = time.perf_counter()
value_table(model, BudgetConstraint(3), beyond="forbid")
print(time.perf_counter() - started)
"""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        for states, name in ((30, "small, cold"), (3_000, "large, cold"), (3_000, "large, warm")):
            run = subprocess.run(
                [sys.executable, "-c", program.format(states=states)],
                capture_output=True, text=True, check=True, env=environment,
            )  # fmt: skip
            print(f"\nfirst call, {name}: {float(run.stdout):.2f} s")


def teardown_module() -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\npeak of the whole run {peak:.1f} GiB")
