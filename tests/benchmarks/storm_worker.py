"""The process that asks Storm: it imports NumPy and Storm, and nothing of ours.

``python storm_worker.py JOB.npz RESULT.npz``; see `storm_peer`.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

PRECISION = Fraction(1, 10**6)
"""Absolute, as Storm's sound methods take it."""


def _work(job: str, result: str) -> None:
    import stormpy

    stormpy.developer.set_log_level(stormpy.developer.LogLevel.OFF)
    with np.load(job) as file:
        rows = {name: file[name] for name in file.files}
    query, sound = str(rows["query"]), bool(rows["sound"])
    before, started = _peak(reset=True), time.process_time()
    model = storm_model(rows)
    build_seconds = time.process_time() - started
    model_mb = _peak() - before
    rows = {"initial": rows["initial"]}
    environment = _environment(sound)
    formula = None if query == "prob01" else stormpy.parse_property(query)
    before, started, clock = _peak(reset=True), time.process_time(), time.perf_counter()
    if formula is None:
        everywhere = stormpy.datastructures.BitVector(model.nr_states, True)
        answer = stormpy.developer.perform_prob01_min(
            model, everywhere, model.labeling.get_states("goal")
        )
    else:
        bounded = "{" in query.split("[")[1]
        answer = stormpy.model_checking(
            model, formula, environment=environment, only_initial_states=bounded
        )
    facts = {
        "seconds": time.process_time() - started,
        "wall_seconds": time.perf_counter() - clock,
        "build_seconds": build_seconds,
        "peak_mb": _peak() - before,
        "model_mb": model_mb,
        "states": model.nr_states,
        "transitions": model.nr_transitions,
        "version": stormpy.__version__,
    }
    values = {}
    if formula is None:
        safe = np.zeros(model.nr_states, dtype=bool)
        safe[list(answer[0])] = True
        values["values"] = safe
        facts["answer"] = float(safe[int(rows["initial"])])
    else:
        facts["answer"] = float(answer.get_value(int(rows["initial"])))
        if not bounded:
            values["values"] = np.array(answer.get_value_vector())
    np.savez(result, facts=np.array(json.dumps(facts)), **values)


def _environment(sound: bool) -> Any:
    import stormpy

    environment = stormpy.environments.sound()
    solver = environment.solver().min_max()
    if sound:
        solver.method = stormpy.developer.MinMaxMethod.SOUND_VALUE_ITERATION
    else:
        environment.solver().force_soundness = False
        solver.method = stormpy.developer.MinMaxMethod.VALUE_ITERATION
    solver.precision = stormpy.Rational(f"{PRECISION}")
    solver.relative_termination_criterion = False
    return environment


def storm_model(rows: dict[str, Array]) -> Any:
    """A sparse MDP in doubles; entries of a row are sorted and merged, as Storm wants them."""
    from stormpy.developer import storage

    choice_ptr, branch_ptr = rows["choice_ptr"], rows["branch_ptr"]
    states, choices = len(choice_ptr) - 1, len(branch_ptr) - 1
    builder = storage.SparseMatrixBuilder[float](
        rows=choices, columns=states, has_custom_row_grouping=True, row_groups=states
    )
    step = 20_000  # states at a time: lists of Python numbers are large
    for low in range(0, states, step):
        high = min(low + step, states)
        first, last = choice_ptr[[low, high]]
        part = slice(branch_ptr[first], branch_ptr[last])
        owner = np.repeat(np.arange(first, last), np.diff(branch_ptr[first : last + 1]))
        key = owner * states + rows["branch_state"][part]
        order = np.argsort(key, kind="stable")
        key, start = np.unique(key[order], return_index=True)
        prob = np.add.reduceat(rows["branch_prob"][part][order], start)
        builder.add_next_values(
            (key // states).tolist(), (key % states).tolist(), prob.tolist(),
            choice_ptr[low:high].tolist(),
        )  # fmt: skip
    matrix = builder.build()
    labeling = storage.StateLabeling(states)
    labeling.add_label("init")
    labeling.add_label_to_state("init", int(rows["initial"]))
    if "goal" in rows:
        labeling.add_label("goal")
        members = np.flatnonzero(rows["goal"]).tolist()
        labeling.set_states("goal", storage.BitVector(states, members))
    rewards = {
        name: storage.SparseRewardModel[float](
            optional_state_action_reward_vector=rows[key].astype(np.float64).tolist()
        )
        for name, key in (("cost", "cost"), ("rew", "reward"))
        if key in rows
    }
    parts = storage.SparseModelComponents[float](matrix, labeling, rewards)
    return storage.SparseMdp[float](parts)


def _peak(reset: bool = False) -> float:
    """The peak resident set in MB; `reset` gives free memory back and starts a new peak."""
    if reset:
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    _work(*sys.argv[1:])
