"""Storm as an oracle for the tests beside this file, which are skipped where it is missing.

Models go to Storm as DRN files that we write: in exact mode nothing is rounded on the way.
Costs are handed over as whole multiples of the cost unit, which is what Storm can bound.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

stormpy = pytest.importorskip(
    "stormpy", reason='Storm is not installed: pip install "ig-theory[storm]"'
)

from ig_theory.arrays import from_arrays  # noqa: E402
from ig_theory.augmentation import BROKEN, KEPT, explore  # noqa: E402
from ig_theory.builders import rationalised  # noqa: E402
from ig_theory.constraint import BudgetConstraint  # noqa: E402
from ig_theory.io import open_model  # noqa: E402
from ig_theory.io.storm_drn import save_drn  # noqa: E402
from ig_theory.solvers.totals.total_reward import best_total  # noqa: E402

stormpy.developer.set_log_level(stormpy.developer.LogLevel.OFF)

SVI = stormpy.developer.MinMaxMethod.SOUND_VALUE_ITERATION
TOLERANCE = 1.1e-6
"""Storm's sound answers are within 1e-6; the rest is for adding it."""

_BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# Models that ship with Storm's Python package, each with a label to reach.
EXAMPLES = {
    "coin2-2": ("mdp/coin2-2.nm:cost=steps", "finished"),
    "csma2-2": ("mdp/csma2-2.nm:cost=time", "all_delivered"),
    "die_c1": ("mdp/die_c1.nm:cost=coin_flips", "done"),
    "die_selection": ("mdp/die_selection.nm:cost=coin_flips", "done"),
    "firewire3": ("mdp/firewire3-0.5.nm:cost=time", "elected"),
    "firewire": ("mdp/firewire.nm:const:delay=3,const:fast=1/2,cost=time_sending", "elected"),
    "leader3": ("mdp/leader3.nm:cost=1", "elected"),
    "leader4": ("mdp/leader4.nm:cost=rounds", "elected"),
    "maze_2": ("mdp/maze_2.nm:cost=", "goal"),
    "multigoal": ("mdp/maze_2_multigoal.nm:cost=", "goalalt1"),
    "scheduler": ("mdp/scheduler_generation.nm:cost=1", "target"),
    "slipgrid": ("mdp/slipgrid.nm:cost=", "target"),
    "tiny": ("mdp/tiny_rewards.nm:cost=", "target"),
    "two_dice": ("mdp/two_dice.nm:cost=coinflips", "seven"),
    "wlan0": ("mdp/wlan0-2-2.nm:cost=1", "twoCollisions"),
    "brp": ("dtmc/brp.pm:const:N=16,const:MAX=2,cost=", "target"),
    "brp.jani": ("dtmc/brp.jani:const:N=16,const:MAX=2,cost=1", "deadlock"),
    "die": ("dtmc/die.pm:cost=coin_flips", "six"),
    "die.jani": ("dtmc/die.jani:cost=1", "((s = 7) & (d = 6))"),
    "leader3_5": ("dtmc/leader3_5.pm:cost=num_rounds", "elected"),
    "nand": ("dtmc/nand-5-2.pm:cost=", "target"),
}

SMALL = ("die_c1", "maze_2", "multigoal", "scheduler", "slipgrid", "tiny", "die.jani", "wlan0")

# Families of our own: one where nothing is safe, one where everything is, grids.
FAMILIES = {
    "garnet": ("garnet:states=60,choices=3,branches=3,seed=3,exact=true", "goal"),
    "sheltered": ("sheltered-garnet:states=60,levels=2,seed=5,exact=true", "goal"),
    "sheltered2": ("sheltered-garnet:states=40,choices=2,branches=2,seed=6,exact=true", "shelter"),
    "frozenlake": ("frozenlake:4x4", ""),
    "cliffwalking": ("cliffwalking:slippery=true", ""),
}


def example(path):
    """The place of a file that ships with Storm's Python package."""
    from stormpy.examples.files import testfile_dir

    return f"{testfile_dir}/{path}"


def opened(name):
    """A model in exact mode with costs in whole units, and its goal (also its one label).

    Without a label to reach, the goal is the terminal states.
    """
    spec, label = (EXAMPLES | FAMILIES)[name]
    model = rationalised(open_model(example(spec) if name in EXAMPLES else spec))
    goal = model.labels[label] if label else model.terminal
    return replace(model, cost_unit=Fraction(1), cost_names=None, labels={"goal": goal}), goal


def storm_model(model, *, exact=True):
    """Our model as Storm's."""
    kind = stormpy.Rational if exact else float
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "model.drn"))
        save_drn(model, path)
        sparse = stormpy.build_model_from_drn[kind](path)
    for label in model.labels:
        if not sparse.labeling.contains_label(label):  # a DRN file cannot list empty ones
            sparse.labeling.add_label(label)
    return sparse


def ask(model, query, *, exact=True, method=None, everywhere=False):
    """Storm's answer at the initial state: Fraction, float or bool; or at all states."""
    sparse = model if hasattr(model, "nr_states") else storm_model(model, exact=exact)
    environment = stormpy.environments.exact() if exact else stormpy.environments.sound()
    solver = environment.solver().min_max()
    if not exact:
        solver.precision = stormpy.Rational("1/1000000")
        solver.relative_termination_criterion = False
        solver.method = SVI if method is None else method
    result = stormpy.model_checking(
        sparse, stormpy.parse_property(query), environment=environment,
        only_initial_states=not everywhere,
    )  # fmt: skip
    start = int(sparse.initial_states[0])
    if hasattr(result, "forall_true"):  # of the initial states, which is one
        return result.forall_true()
    read = (lambda x: Fraction(str(x))) if exact else float
    if everywhere:
        return [read(result.get_value(s)) for s in range(sparse.nr_states)]
    return read(result.get_value(start))


def stopped_at(model, goal):
    """The same model with the goal's states terminal: nothing happens after them."""
    ends = goal | model.terminal
    keep = ~ends[model.choice_state]
    keep[model.choice_ptr[:-1][ends]] = True  # one choice of each end, to become its loop
    owner = model.choice_state[keep]
    loops = ends[owner]
    rows = zip(model.branch_ptr[:-1][keep], model.branch_ptr[1:][keep], owner, loops, strict=True)
    branches = [
        [(int(s), Fraction(1))] if loop
        else list(zip(model.branch_state[low:high].tolist(), model.branch_prob[low:high],
                      strict=True))
        for low, high, s, loop in rows
    ]  # fmt: skip
    count = np.bincount(owner, minlength=model.S)
    flat = [pair for row in branches for pair in row]
    return from_arrays(
        np.concatenate([[0], np.cumsum(count)]),
        np.concatenate([[0], np.cumsum([len(row) for row in branches])]),
        [s for s, _ in flat], [Fraction(p) for _, p in flat],
        cost=np.where(loops, 0, model.cost[0][keep])[None, :],
        reward=[Fraction(0) if loop else r
                for r, loop in zip(model.reward[keep].tolist(), loops, strict=True)],
        initial=model.initial.tolist(), terminal=ends, exact=True, labels={"goal": goal},
        reward_discount=model.reward_discount, cost_unit=1,
    )  # fmt: skip


def bounded_reach(model, goal, budget):
    """Bounds of the best probability to reach the goal within the budget, by our product."""
    product = explore(stopped_at(model, goal), BudgetConstraint(budget))
    arrived = (product.outcome == KEPT) & goal[product.state]
    gain = np.zeros(len(product.choice))
    solution = best_total(
        product, gain, arrived.astype(np.float64), Fraction(1), np.ones(len(gain), dtype=bool)
    )
    return _at_start(product, solution)


def bounded_reward(model, budget):
    """Bounds of the best reward until the budget would be exceeded, by our product."""
    product = explore(model, BudgetConstraint(budget))
    assert not (product.outcome == BROKEN).any()
    earned = product.model.reward[product.choice].astype(np.float64)
    gain = np.where(product.broken > 0, 0.0, earned)
    leaf = np.zeros(len(product))
    solution = best_total(product, gain, leaf, Fraction(1), np.ones(len(gain), dtype=bool))
    return _at_start(product, solution)


def _at_start(product, solution):
    (start,) = product.initial
    return float(solution.lower[start]), float(solution.upper[start])


def peer():
    """The benchmark peer, which asks Storm in a process of its own."""
    return _loaded("storm_peer")


def worker():
    """What the peer runs there; its models can be built here too."""
    return _loaded("storm_worker")


def _loaded(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _BENCHMARKS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look there
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def with_rewards(model, seed, *, paying_only):
    """The model with rewards drawn from 0, 1/4, .., 2.

    Storm refuses rewards that can be collected for ever within a budget, so there only choices
    that cost something earn.
    """
    rng = np.random.default_rng(seed)
    drawn = [Fraction(int(n), 4) for n in rng.integers(0, 9, model.C)]
    silent = model.terminal[model.choice_state]
    if paying_only:
        silent = silent | (model.cost[0] == 0)
    reward = np.array(
        [Fraction(0) if s else r for s, r in zip(silent, drawn, strict=True)], dtype=object
    )
    return replace(model, reward=reward)


SAFE = {
    "sheltered": ("sheltered-garnet:states=60,seed=1,reward_discount=9/10", 8),
    "levels": ("sheltered-garnet:states=80,levels=1,branches=3,seed=2,reward_discount=4/5", 4),
    "frozenlake": ("frozenlake:4x4,reward_discount=9/10", 1),
    "cliffwalking": ("cliffwalking:slippery=true,reward_discount=9/10", 2),
    "taxi": ("taxi:reward_discount=9/10", 1),
}


def safe_case(name):
    """A model of `SAFE` from one of its initial states, and a budget in cost units."""
    spec, budget = SAFE[name]
    model = open_model(spec)
    only = [Fraction(int(s == int(np.argmax(model.initial)))) for s in range(model.S)]
    return replace(model, initial=np.array(only, dtype=model.initial.dtype)), budget


def storms_safe_choices(model, budget):
    """The pairs product cut down to the pairs and choices that Storm finds safe, and its start."""
    storm_peer = peer()
    rows, _ = storm_peer.all_pairs(model, budget, 0)
    sparse = worker().storm_model(rows)
    everywhere = stormpy.datastructures.BitVector(sparse.nr_states, True)
    verdict, _ = stormpy.developer.perform_prob01_min(
        sparse, everywhere, sparse.labeling.get_states("goal")
    )
    safe = np.zeros(sparse.nr_states, dtype=bool)
    safe[list(verdict)] = True
    owner = np.repeat(np.arange(len(safe)), np.diff(rows["choice_ptr"]))
    stays = np.logical_and.reduceat(safe[rows["branch_state"]], rows["branch_ptr"][:-1])
    levels = budget + 1
    origin = np.concatenate(
        [np.tile(np.arange(low, high), levels)
         for low, high in zip(model.choice_ptr[:-1], model.choice_ptr[1:], strict=True)]
    )  # fmt: skip
    reward = np.append(model.reward.astype(float)[origin], 0.0)
    # Unsafe pairs become loops, which no safe choice leads to.
    keep = (stays & safe[owner]) | ~safe[owner]
    keep &= safe[owner] | np.append(True, owner[1:] != owner[:-1])
    size = np.diff(rows["branch_ptr"])[keep]
    loop = ~safe[owner[keep]]
    first = rows["branch_ptr"][:-1][keep]
    size = np.where(loop, 1, size)
    branch = np.repeat(first, size) + storm_peer.within(size)
    looping = np.repeat(loop, size)
    count = np.bincount(owner[keep], minlength=len(safe))
    return safe, {
        "choice_ptr": np.concatenate([[0], np.cumsum(count)]),
        "branch_ptr": np.concatenate([[0], np.cumsum(size)]),
        "branch_state": np.where(
            looping, np.repeat(owner[keep], size), rows["branch_state"][branch]
        ),
        "branch_prob": np.where(looping, 1.0, rows["branch_prob"][branch]),
        "reward": np.where(loop, 0.0, reward[keep]),
        "initial": rows["initial"],
    }  # fmt: skip
