"""Storm as a peer: one query on one of our models, in a fresh process, timed there.

Every function returns a `StormRun`. The model goes to the process in an npz file; what is timed
is the check alone, in CPU seconds; building Storm's model (and a product, where there is one) is
reported apart. Memory is the growth of the peak resident set during the check, in MB, after the
allocator has given back what building left over. Storm runs on one thread.

What Storm means, found by experiment (``tests/storm/test_storm_semantics.py``):

* ``Pmax=? [F{"cost"}<=d "goal"]``: the goal is met while the cost paid so far is at most d. The
  cost of a step counts on leaving the state, so a goal state is met before its own costs.
* ``R{"rew"}max=? [C{"cost"}<=d]``: see `reward_until_bound`.
* ``R{"rew"}max=? [Cdiscount=b]``: the discounted total reward, of either sign, at all states.
  Storm stops on the Bellman residual there: measured errors are below 5e-7, none is certified.
* Cost bounds count whole numbers; costs are handed over as multiples of ``cost_unit``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ig_theory.cmdp import ConstrainedMDP
    from ig_theory.constraint import BudgetConstraint

Array = npt.NDArray[Any]

WORKER = Path(__file__).with_name("storm_worker.py")
"""The program of the other process."""


@dataclass(frozen=True, eq=False)
class StormRun:
    """What one query gave and took.

    Attributes
    ----------
    answer : float
        At the initial state.
    values : [N] or None
        At all states of the checked model, where Storm answers for all.
    seconds, wall_seconds : float
        CPU and wall time of the check alone.
    build_seconds : float
        CPU time to make Storm's model out of arrays.
    product_seconds : float
        CPU time of our own product, 0 where there is none.
    peak_mb, model_mb : float
        Growth of the peak resident set during the check, and during the build.
    states, transitions : int
        Of the model that was checked.
    version : str
        Storm's (stormpy's).
    """

    answer: float
    values: Array | None
    seconds: float
    wall_seconds: float
    build_seconds: float
    product_seconds: float
    peak_mb: float
    model_mb: float
    states: int
    transitions: int
    version: str


def cost_bounded_reach(
    model: ConstrainedMDP, goal: Array | str, budget: int, *, sound: bool = True, cost: int = 0
) -> StormRun:
    """``Pmax=? [F{"cost"}<=budget "goal"]``; the budget in multiples of the cost unit."""
    members = model.labels[goal] if isinstance(goal, str) else goal
    query = f'Pmax=? [F{{"cost"}}<={budget} "goal"]'
    return _run(_rows(model, cost) | {"goal": members}, query, sound=sound)


def reward_until_bound(
    model: ConstrainedMDP, budget: int, *, sound: bool = True, cost: int = 0
) -> StormRun:
    """``R{"rew"}max=? [C{"cost"}<=budget]``; the budget in multiples of the cost unit.

    A step's reward counts iff the total cost after the step is at most the budget; the step that
    would exceed it earns nothing and ends the count, so ``V(s, z)`` is the largest of
    ``r + sum P V(s', z - c)`` over choices with ``c <= z`` and of 0 if some choice has ``c > z``.
    Zero-cost loops are followed: without reward they are worth 0 (a policy may stay there rather
    than pay), with a positive reward Storm refuses ("unable to compute finite upper bounds").
    Nothing here is safe: policies that overspend are only not paid for it.
    """
    return _run(_rows(model, cost), f'R{{"rew"}}max=? [C{{"cost"}}<={budget}]', sound=sound)


def unconstrained(
    model: ConstrainedMDP, discount: Fraction | str | None = None, *, sound: bool = True
) -> StormRun:
    """The largest discounted total reward, budgets ignored (model's own discount if None)."""
    beta = Fraction(discount) if discount is not None else model.reward_discount
    return _run(_rows(model, 0), f'R{{"rew"}}max=? [{_total(beta)}]', sound=sound)


def safe_reach(
    model: ConstrainedMDP, constraint: BudgetConstraint, goal: Array | str, *, sound: bool = True
) -> StormRun:
    """``Pmax=? [F "goal"]`` over the almost surely safe policies, on the explicit safe product."""
    members = model.labels[goal] if isinstance(goal, str) else goal
    rows, seconds = _safe_rows(model, constraint, members)
    return _run(rows, 'Pmax=? [F "goal"]', sound=sound, product_seconds=seconds)


def safe_reward(
    model: ConstrainedMDP, constraint: BudgetConstraint, *, sound: bool = True
) -> StormRun:
    """The largest (discounted) total reward of the almost surely safe policies, likewise."""
    rows, seconds = _safe_rows(model, constraint, np.zeros(model.S, dtype=bool))
    query = f'R{{"rew"}}max=? [{_total(model.reward_discount)}]'
    return _run(rows, query, sound=sound, product_seconds=seconds)


def qualitative_safety(model: ConstrainedMDP, budget: int, *, cost: int = 0) -> StormRun:
    """All pairs (s, z) with z = 0..budget from which the budget can be kept almost surely.

    Storm's graph algorithm (``prob0`` of ``Pmin [F "broken"]``) on the explicit product of all
    pairs; node ``s * (budget + 1) + z``. `StormRun.values` are the least budgets int64[S]: the
    first z that is safe, ``budget + 1`` where none is. Undiscounted.
    """
    rows, seconds = all_pairs(model, budget, cost)
    run = _run(rows, "prob01", sound=True, product_seconds=seconds)
    assert run.values is not None
    safe = run.values[:-1].reshape(model.S, budget + 1)
    least = np.where(safe.any(axis=1), safe.argmax(axis=1), budget + 1)
    return StormRun(**{**run.__dict__, "values": least, "answer": float(least[_start(model)])})


def _total(discount: Fraction) -> str:
    return "C" if discount == 1 else f"Cdiscount={discount}"


def _start(model: ConstrainedMDP) -> int:
    (start,) = np.flatnonzero((model.initial > 0).astype(bool))
    return int(start)


def _rows(model: ConstrainedMDP, cost: int) -> dict[str, Array]:
    """The model as arrays that the other process reads."""
    return {
        "choice_ptr": model.choice_ptr,
        "branch_ptr": model.branch_ptr,
        "branch_state": model.branch_state,
        "branch_prob": model.branch_prob.astype(np.float64),
        "cost": model.cost[cost],
        "reward": model.reward.astype(np.float64),
        "initial": np.array(_start(model)),
    }


def _safe_rows(
    model: ConstrainedMDP, constraint: BudgetConstraint, goal: Array
) -> tuple[dict[str, Array], float]:
    """The safe product: kept nodes and the choices that stay among them; leaves are loops."""
    from ig_theory.solvers.totals.safe_product import safe_product

    started = time.process_time()
    safe = safe_product(model, constraint)
    product = safe.product
    number = np.cumsum(safe.kept) - 1
    owner = product.choice_node[safe.alive]
    count = np.bincount(number[owner], minlength=int(safe.kept.sum()))
    leaf = count == 0
    first = product.branch_ptr[:-1][safe.alive]
    size = np.diff(product.branch_ptr)[safe.alive]
    model_first = product.first_prob[safe.alive]
    gain = product.model.reward[product.choice[safe.alive]].astype(np.float64)
    # A leaf's loop is put where its choices would be.
    place = np.cumsum(np.maximum(count, 1)) - np.maximum(count, 1)
    total = int(np.maximum(count, 1).sum())
    real = np.ones(total, dtype=bool)
    real[place[leaf]] = False
    sizes = np.ones(total, dtype=np.int64)
    sizes[real] = size
    reward = np.zeros(total)
    reward[real] = gain
    branch_ptr = np.concatenate([[0], np.cumsum(sizes)])
    state = np.empty(branch_ptr[-1], dtype=np.int64)
    prob = np.ones(branch_ptr[-1])
    state[branch_ptr[:-1][~real]] = np.flatnonzero(leaf)
    inner = np.repeat(real, sizes)
    offset = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
    state[inner] = number[product.branch_node[np.repeat(first, size) + offset]]
    prob[inner] = product.prob[np.repeat(model_first, size) + offset]
    (start,) = product.initial
    rows = {
        "choice_ptr": np.concatenate([[0], np.cumsum(np.maximum(count, 1))]),
        "branch_ptr": branch_ptr,
        "branch_state": state,
        "branch_prob": prob,
        "reward": reward,
        "initial": np.array(number[start]),
        "goal": goal[product.state[safe.kept]],
    }
    return rows, time.process_time() - started


def all_pairs(model: ConstrainedMDP, budget: int, cost: int) -> tuple[dict[str, Array], float]:
    """The product of all states with all budgets 0..budget, and one broken sink."""
    started = time.process_time()
    levels = budget + 1
    sink = model.S * levels
    choices = np.diff(model.choice_ptr)
    width = np.repeat(choices, levels)  # choices of each node
    first = np.repeat(model.choice_ptr[:-1], levels)
    choice = np.repeat(first, width) + within(width)
    left = np.repeat(np.tile(np.arange(levels), model.S), width) - model.cost[cost][choice]
    size = np.where(left >= 0, np.diff(model.branch_ptr)[choice], 1)
    branch = np.repeat(model.branch_ptr[:-1][choice], size)
    branch += within(size)
    z = np.repeat(left.astype(np.int32), size)
    state = np.where(z >= 0, model.branch_state[branch] * levels + z, sink)
    prob = np.where(z >= 0, model.branch_prob.astype(np.float64)[branch], 1.0)
    broken = np.zeros(sink + 1, dtype=bool)
    broken[-1] = True
    rows = {
        "choice_ptr": np.concatenate([[0], np.cumsum(width), [len(choice) + 1]]),
        "branch_ptr": np.concatenate([[0], np.cumsum(size), [len(branch) + 1]]),
        "branch_state": np.append(state, sink),
        "branch_prob": np.append(prob, 1.0),
        "initial": np.array(_start(model) * levels + budget),
        "goal": broken,
    }
    return rows, time.process_time() - started


def within(sizes: Array) -> Array:
    """``0 .. n-1`` for each size n, one after the other."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _run(
    rows: dict[str, Array], query: str, *, sound: bool, product_seconds: float = 0.0
) -> StormRun:
    with tempfile.TemporaryDirectory() as folder:
        job, result = Path(folder, "job.npz"), Path(folder, "result.npz")
        np.savez(job, query=np.array(query), sound=np.array(sound), **rows)
        command = [sys.executable, str(WORKER), str(job), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not result.exists():
            raise RuntimeError(
                f"Storm failed on {query}: {done.stdout[-500:]}{done.stderr[-2000:]}"
            )
        with np.load(result) as found:
            facts = json.loads(str(found["facts"]))
            values = found.get("values")
    return StormRun(values=values, product_seconds=product_seconds, **facts)
