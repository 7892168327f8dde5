"""Is this a constrained MDP? Every refusal names the state, the choice, the value, the repair."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ig_theory.errors import ModelError

if TYPE_CHECKING:
    from ig_theory.cmdp import ConstrainedMDP, LatentMDP

FLOAT_TOTAL_TOLERANCE = 1e-9
"""How far a float64 distribution may be from 1; an exact one not at all."""

NEAREST_DISCOUNT = Fraction(1, 10**7)
"""A reward discount is 1, or at least this much below it."""

LARGEST_NUMBER = 1e100
"""Largest probability or reward in size: sums of rewards must not overflow."""

LARGEST_COST = 2**40
"""Costs beyond this many units are refused, so that sums along any run fit int64."""


def validate(model: ConstrainedMDP) -> None:
    """Check everything that the rest of the package relies on; time and memory O(B).

    Raises
    ------
    ModelError
        At the first thing that is wrong.
    """
    _rows("choice_ptr", model.choice_ptr, "state", "choice")
    _rows("branch_ptr", model.branch_ptr, "choice", "branch")
    states, choices = len(model.choice_ptr) - 1, len(model.branch_ptr) - 1
    branches = int(model.branch_ptr[-1])
    if int(model.choice_ptr[-1]) != choices:
        raise ModelError.at(
            "choice_ptr", f"its last entry to be the {choices} choices of branch_ptr",
            int(model.choice_ptr[-1]), "make the two agree",
        )  # fmt: skip
    _shape("branch_state", model.branch_state, (branches,), np.int64)
    _shape("terminal", model.terminal, (states,), np.bool_)
    rows = np.ndim(model.cost) == 2 and len(model.cost) if _is_array(model.cost) else 0
    if not rows:
        raise ModelError.at(
            "cost", f"int64 of shape [K, {choices}] with K >= 1", _described(model.cost),
            "give one row of costs for each cost, 0 where it is free",
        )  # fmt: skip
    _shape("cost", model.cost, (int(rows), choices), np.int64)
    exact = _is_array(model.branch_prob) and model.branch_prob.dtype == object
    for name, length in (("branch_prob", branches), ("reward", choices), ("initial", states)):
        _numbers(name, getattr(model, name), length, exact)
    if model.base is not None:
        _numbers("base", model.base, choices, exact)
    if model.action is not None:
        _shape("action", model.action, (choices,), np.int64)
    _optional_names(model, states, choices)
    _scalars(model)
    _successors(model, states)
    _distributions(model)
    _terminals(model)
    _costs(model)


def validate_latents(model: LatentMDP) -> None:
    """Check the latents and the readout of a LatentMDP.

    Everything else must have passed `validate` before.

    Raises
    ------
    ModelError
        If a shape is wrong, a number is not finite, or the readout has no row for an action.
    """
    states = len(model.choice_ptr) - 1
    if model.base is not None:
        raise ModelError.at(
            "base", "none in a LatentMDP", "a policy", "the readout gives the base policy; drop it"
        )
    if model.action is None:
        raise ModelError.at("action", "one per choice", "none", "say which readout row each reads")
    width = model.latent.shape[-1] if _is_table(model.latent) else None
    if width is None or len(model.latent) != states:
        raise ModelError.at(
            "latent", f"float64 of shape [{states}, D]", _described(model.latent),
            "give one row per state",
        )  # fmt: skip
    if not _is_table(model.readout) or model.readout.shape[1] != width:
        raise ModelError.at(
            "readout", f"float64 of shape [V, {width}]", _described(model.readout),
            "give one row per action, as wide as a latent",
        )  # fmt: skip
    if model.readout_bias is not None:
        _shape("readout_bias", model.readout_bias, (len(model.readout),), np.float64)
    for name in ("latent", "readout", "readout_bias"):
        value = getattr(model, name)
        if value is not None and not np.isfinite(value).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
            raise ModelError.at(
                f"{name}{list(place)}", "a finite number", value[place], "repair that entry"
            )
    bad = np.flatnonzero((model.action < 0) | (model.action >= len(model.readout)))
    if len(bad):
        raise ModelError.at(
            f"action of {_where(model, choice=int(bad[0]))}",
            f"a readout row, 0..{len(model.readout) - 1}", int(model.action[bad[0]]),
            "add a readout row or change the action",
        )  # fmt: skip


def _rows(name: str, ptr: np.ndarray, owner: str, item: str) -> None:
    if not _is_array(ptr) or ptr.dtype != np.int64 or ptr.ndim != 1 or len(ptr) < 2:
        want = f"int64, one entry more than {owner}s (of which there is at least one)"
        raise ModelError.at(name, want, _described(ptr), "convert it")
    if ptr[0] != 0:
        raise ModelError.at(f"{name}[0]", "0", int(ptr[0]), "start at 0")
    bad = np.flatnonzero(ptr[1:] <= ptr[:-1])  # compared: a difference could overflow
    if len(bad):
        raise ModelError.at(
            f"{name}: {owner} {bad[0]}", f"at least one {item}",
            int(ptr[bad[0] + 1]) - int(ptr[bad[0]]), f"give the {owner} a {item}",
        )  # fmt: skip


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray)


def _is_table(value: np.ndarray) -> bool:
    return _is_array(value) and value.ndim == 2 and value.dtype == np.float64


def _described(value: object) -> str:
    """What an error says that it got in the place of an array."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {list(value.shape)}"
    return f"a {type(value).__name__}"


def _shape(name: str, value: object, shape: tuple[int, ...], dtype: type) -> None:
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != dtype:
        want = f"{np.dtype(dtype).name} of shape {list(shape)}"
        raise ModelError.at(name, want, _described(value), "convert or resize it")


def _numbers(name: str, value: np.ndarray, length: int, exact: bool) -> None:
    _shape(name, value, (length,), np.object_ if exact else np.float64)
    if exact:
        for i, entry in enumerate(value):
            if not isinstance(entry, Fraction):
                raise ModelError.at(
                    f"{name}[{i}]", "a Fraction (exact mode)", f"{type(entry).__name__} {entry!r}",
                    "rationalise it explicitly",
                )  # fmt: skip
        return
    bad = np.flatnonzero(~(np.abs(value) <= LARGEST_NUMBER))
    if len(bad):
        raise ModelError.at(
            f"{name}[{bad[0]}]", f"a finite number, at most {LARGEST_NUMBER:g} in size",
            value[bad[0]], "repair that entry",
        )  # fmt: skip


def _optional_names(model: ConstrainedMDP, states: int, choices: int) -> None:
    wanted = {"state_names": states, "choice_names": choices, "cost_names": len(model.cost)}
    for name, length in wanted.items():
        value = getattr(model, name)
        if value is None:
            continue
        if not isinstance(value, tuple) or len(value) != length:
            got = f"{type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else value
            raise ModelError.at(name, f"a tuple of {length} strings", got, "name them all or none")
        other = next((i for i, v in enumerate(value) if type(v) is not str), None)
        if other is not None:
            raise ModelError.at(f"{name}[{other}]", "a string", repr(value[other]), "use str()")
    if model.cost_names is not None and len(set(model.cost_names)) < len(model.cost_names):
        raise ModelError.at("cost_names", "distinct names", model.cost_names, "rename one")
    if not isinstance(model.labels, Mapping):
        raise ModelError.at("labels", "a mapping", f"a {type(model.labels).__name__}", "use a dict")
    for name, members in model.labels.items():
        if type(name) is not str:
            raise ModelError.at("labels", "names that are strings", repr(name), "use str()")
        _shape(f"label {name!r}", members, (states,), np.bool_)


def _scalars(model: ConstrainedMDP) -> None:
    if not isinstance(model.cost_unit, Fraction) or model.cost_unit <= 0:
        raise ModelError.at(
            "cost_unit", "a positive Fraction", repr(model.cost_unit), "use Fraction(1) for units"
        )
    beta = model.reward_discount
    if not isinstance(beta, Fraction) or not 0 < beta <= 1:
        raise ModelError.at(
            "reward_discount", "a Fraction in (0, 1]", repr(beta), "1 discounts none"
        )
    if 0 < 1 - beta < NEAREST_DISCOUNT:
        raise ModelError.at(
            "reward_discount", f"1, or at most 1 - {float(NEAREST_DISCOUNT):g}", repr(beta),
            "use 1: floats hardly tell them apart",
        )  # fmt: skip


def _successors(model: ConstrainedMDP, states: int) -> None:
    bad = np.flatnonzero((model.branch_state < 0) | (model.branch_state >= states))
    if len(bad):
        raise ModelError.at(
            f"branch_state of {_where(model, branch=int(bad[0]))}", f"a state, 0..{states - 1}",
            int(model.branch_state[bad[0]]), "add that state or redirect the branch",
        )  # fmt: skip


def _distributions(model: ConstrainedMDP) -> None:
    prob = model.branch_prob
    bad = np.flatnonzero((prob <= 0).astype(bool))
    if len(bad):
        raise ModelError.at(
            f"branch_prob of {_where(model, branch=int(bad[0]))}", "a positive probability",
            prob[bad[0]], "drop the branch: only branches that can happen are listed",
        )  # fmt: skip
    total = np.add.reduceat(prob, model.branch_ptr[:-1])
    bad = _not_one(total)
    if len(bad):
        raise ModelError.at(
            f"branch_prob of {_where(model, choice=int(bad[0]))}", "total 1", total[bad[0]],
            "add a branch or renormalise",
        )  # fmt: skip
    distributions = [("initial", model.initial, np.array([0]))]
    if model.base is not None:
        distributions.append(("base", model.base, model.choice_ptr[:-1]))
    for name, value, start in distributions:
        bad = np.flatnonzero((value < 0).astype(bool))
        if len(bad):
            place = f"state {bad[0]}" if name == "initial" else _where(model, choice=int(bad[0]))
            raise ModelError.at(
                f"{name} of {place}", "a probability >= 0", value[bad[0]], "use 0 or more"
            )
        total = np.add.reduceat(value, start)
        bad = _not_one(total)
        if len(bad):
            where = name if name == "initial" else f"base of state {bad[0]}"
            raise ModelError.at(where, "total 1", total[bad[0]], "renormalise")


def _not_one(total: np.ndarray) -> np.ndarray:
    off = total != 1 if total.dtype == object else np.abs(total - 1) > FLOAT_TOTAL_TOLERANCE
    return np.flatnonzero(off.astype(bool))


def _terminals(model: ConstrainedMDP) -> None:
    owner = np.repeat(np.arange(len(model.terminal)), np.diff(model.choice_ptr))
    branch_owner = np.repeat(owner, np.diff(model.branch_ptr))
    leaves = np.flatnonzero(model.terminal[branch_owner] & (model.branch_state != branch_owner))
    pays = np.flatnonzero(
        model.terminal[owner] & ((model.cost != 0).any(axis=0) | (model.reward != 0).astype(bool))
    )
    if len(leaves):
        raise ModelError.at(
            f"terminal state: {_where(model, branch=int(leaves[0]))}", "a branch to itself",
            f"one to state {int(model.branch_state[leaves[0]])}",
            "make the choice a self-loop, or the state not terminal",
        )  # fmt: skip
    if len(pays):
        choice = int(pays[0])
        raise ModelError.at(
            f"terminal state: {_where(model, choice=choice)}", "cost 0 and reward 0",
            f"cost {model.cost[:, choice].tolist()}, reward {model.reward[choice]}",
            "pay on the choice that enters it, or add one last state",
        )  # fmt: skip


def _costs(model: ConstrainedMDP) -> None:
    bad = np.argwhere((model.cost > LARGEST_COST) | (model.cost < -LARGEST_COST))
    if len(bad):
        row, choice = int(bad[0][0]), int(bad[0][1])
        raise ModelError.at(
            f"cost {row} of {_where(model, choice=choice)}", "at most 2^40 units in size",
            int(model.cost[row, choice]), "choose a coarser cost_unit",
        )  # fmt: skip


def _where(model: ConstrainedMDP, branch: int | None = None, choice: int | None = None) -> str:
    """``state 3 choice 1 branch 0``, each counted within its owner, as a person counts."""
    tail = ""
    if branch is not None:
        choice = int(np.searchsorted(model.branch_ptr, branch, side="right")) - 1
        tail = f" branch {branch - int(model.branch_ptr[choice])}"
    assert choice is not None
    state = int(np.searchsorted(model.choice_ptr, choice, side="right")) - 1
    name = f" ({model.state_names[state]})" if model.state_names else ""
    return f"state {state}{name} choice {choice - int(model.choice_ptr[state])}{tail}"
