"""What Storm built, as arrays of a constrained MDP."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.arrays import from_arrays
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from ig_theory.exact import rational
from ig_theory.io.storm import StormOptions

_COSTS = ("cost", "costs")
_REWARDS = ("reward", "rewards", "rew")


def build(stormpy: Any, path: str, constants: Mapping[str, str]) -> Any:
    """Storm's sparse model of a file, in exact rationals.

    Raises
    ------
    ModelError
        With what Storm says; or naming the constants that have no value.
    """
    try:
        if path.lower().endswith(".drn"):
            _only(constants, [], path)
            return _built_drn(stormpy, path)
        properties: list[Any] = []
        if path.lower().endswith(".jani"):
            program, properties = stormpy.parse_jani_model(path)
        else:
            program = stormpy.parse_prism_program(path)
        values = _constants(stormpy, program, constants, path)
        program, properties = stormpy.instantiate_constants(program, values, properties)
        _discrete(str(program.model_type), path)
        options = stormpy.BuilderOptions(properties) if properties else stormpy.BuilderOptions()
        options.set_build_all_reward_models()
        options.set_build_all_labels()
        options.set_build_choice_labels()
        options.set_build_state_valuations()
        return stormpy.build_model[stormpy.Rational](program, options=options)
    except ModelError:
        raise
    except Exception as error:  # Storm's errors share no class
        text = " ".join(str(error).split())
        raise ModelError.at(
            path, "a file that Storm can build", text[:400], "repair the file"
        ) from None


def _built_drn(stormpy: Any, path: str) -> Any:
    options = stormpy.developer.DirectEncodingParserOptions()
    options.build_choice_labeling = True
    build = stormpy.build_model_from_drn[stormpy.Rational]
    try:
        return build(path, options=options)
    except Exception:  # files of older versions do not count their choices: no names then
        return build(path)


def convert(sparse: Any, path: str, options: StormOptions) -> ConstrainedMDP:
    """A constrained MDP from Storm's sparse model.

    Raises
    ------
    ModelError
        If the model is of another kind, has several initial states, or lacks a reward model.
    """
    _discrete(str(sparse.model_type), path)
    choice_ptr, branch_ptr, branch_state, branch_prob = _transitions(sparse)
    owner = np.repeat(np.arange(len(choice_ptr) - 1), np.diff(choice_ptr))
    gains = {
        name: _gain(model, owner, f"{path} reward model {name!r}")
        for name, model in sparse.reward_models.items()
    }
    costs = _chosen_costs(gains, options, path)
    reward = _chosen_reward(gains, options, path) or [Fraction(0)] * len(owner)
    terminal = _terminal(
        choice_ptr, branch_ptr, branch_state, [reward, *(gains[n] for n in costs if n in gains)]
    )
    steps = [
        gains.get(name) or
        [Fraction(0) if end else rational(name, f"{path} cost") for end in terminal[owner]]
        for name in costs
    ]  # fmt: skip
    probabilities: Any = branch_prob
    if not options.exact:
        probabilities = np.array(branch_prob, dtype=np.float64)
    try:
        return from_arrays(
            choice_ptr, branch_ptr, branch_state, probabilities,
            cost=steps,
            reward=reward if options.exact else np.array(reward, dtype=np.float64),
            initial=_initial(sparse, path), terminal=terminal, exact=options.exact,
            labels=_labels(sparse), reward_discount=options.reward_discount,
            state_names=_state_names(sparse), choice_names=_choice_names(sparse, choice_ptr),
            cost_names=[name if name and name in gains else "cost" for name in costs],
        )  # fmt: skip
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _terminal(choice_ptr: Any, branch_ptr: Any, branch_state: Any, paid: list[Any]) -> Any:
    """States all of whose choices are loops that pay nothing, bool[S]."""
    owner = np.repeat(np.arange(len(choice_ptr) - 1), np.diff(choice_ptr))
    stays = branch_state == np.repeat(owner, np.diff(branch_ptr))
    ends = np.logical_and.reduceat(stays, branch_ptr[:-1])
    for values in paid:
        ends &= np.array([value == 0 for value in values])
    return np.logical_and.reduceat(ends, choice_ptr[:-1])


def _transitions(sparse: Any) -> tuple[Any, Any, Any, list[Fraction]]:
    matrix = sparse.transition_matrix
    known: dict[str, Fraction] = {}
    sizes: list[int] = []
    column: list[int] = []
    prob: list[Fraction] = []
    for row in range(matrix.nr_rows):
        before = len(column)
        for entry in matrix.get_row(row):
            column.append(entry.column)
            text = str(entry.value)
            if text not in known:
                known[text] = Fraction(text)
            prob.append(known[text])
        sizes.append(len(column) - before)
    pointers = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    # A chain has no groups of rows.
    groups = (
        np.array(sparse.nondeterministic_choice_indices, dtype=np.int64)
        if sparse.is_nondeterministic_model
        else np.arange(sparse.nr_states + 1)
    )
    keep = np.array([p != 0 for p in prob], dtype=bool)  # DRN files may list zeros
    if not keep.all():
        total = np.concatenate([[0], np.cumsum(keep)])
        pointers = total[pointers]
        prob = [p for p in prob if p != 0]
        column = np.array(column)[keep].tolist()
    return groups, pointers, np.array(column, dtype=np.int64), prob


def _gain(model: Any, owner: Any, where: str) -> list[Fraction]:
    """One exact number for each choice: state rewards are earned with every choice."""
    if model.has_transition_rewards:
        raise ModelError.at(
            where, "rewards of states and actions", "rewards of single transitions",
            "split the action by its outcome",
        )  # fmt: skip
    total = [Fraction(0)] * len(owner)
    if model.has_state_action_rewards:
        total = [Fraction(str(value)) for value in model.state_action_rewards]
    if model.has_state_rewards:
        state = [Fraction(str(value)) for value in model.state_rewards]
        total = [value + state[s] for value, s in zip(total, owner, strict=True)]
    return total


def _chosen_costs(gains: Mapping[str, Any], options: StormOptions, path: str) -> tuple[str, ...]:
    if options.costs:
        for name in options.costs:
            if name not in gains:
                _number(name, gains, f"{path} cost")
        return options.costs
    found = [name for name in gains if name.lower() in _COSTS]
    if len(found) != 1:
        raise ModelError.at(
            f"{path} cost", "one reward model called cost or costs", _shown(gains),
            f"say which is the cost: {path}:cost=NAME, or cost=1 for a cost of 1 each step",
        )  # fmt: skip
    return tuple(found)


def _chosen_reward(gains: Mapping[str, Any], options: StormOptions, path: str) -> Any:
    """The rewards, or None where there are none to take."""
    if options.reward is not None:
        if options.reward not in gains:
            raise _unknown(options.reward, gains, f"{path} reward")
        return gains[options.reward]
    found = [name for name in gains if name.lower() in _REWARDS and name not in options.costs]
    if len(found) > 1:
        raise ModelError.at(
            f"{path} reward", "one reward model called reward", _shown(gains),
            f"say which: {path}:reward=NAME",
        )  # fmt: skip
    return gains[found[0]] if found else None


def _number(name: str, gains: Mapping[str, Any], where: str) -> None:
    try:
        rational(name, where)
    except ModelError:
        raise _unknown(name, gains, where) from None


def _unknown(name: str, gains: Mapping[str, Any], where: str) -> ModelError:
    close = difflib.get_close_matches(name, list(gains), n=1)
    repair = f"did you mean {close[0]!r}?" if close else "name one of these"
    return ModelError(f"{where}: want a reward model of: {_shown(gains)}, got {name!r}; {repair}")


def _shown(gains: Mapping[str, Any]) -> str:
    return ", ".join(name or "one without a name (write cost=)" for name in sorted(gains)) or "none"


def _constants(stormpy: Any, program: Any, given: Mapping[str, str], path: str) -> dict[str, Any]:
    """Values for Storm, of the kind that each constant has."""
    open_ones = {c.name: str(c.type) for c in program.constants if not c.defined}
    _only(given, list(open_ones), path)
    missing = [name for name in open_ones if name not in given]
    if missing:
        raise ModelError.at(
            path, f"values of the constants {', '.join(open_ones)}", f"none of {missing[0]}",
            f"give it: {path}:" + ",".join(f"const:{name}=..." for name in missing),
        )  # fmt: skip
    values: dict[str, Any] = {}
    for name, text in given.items():
        if open_ones[name] == "bool":
            if text.lower() not in ("true", "false"):
                raise ModelError.at(f"{path} const:{name}", "true or false", text, "write one")
            values[name] = text.lower() == "true"
            continue
        number = rational(text, f"{path} const:{name}")
        whole = open_ones[name] == "int"
        if whole and number.denominator != 1:
            raise ModelError.at(f"{path} const:{name}", "a whole number", text, "write one")
        values[name] = int(number) if whole else stormpy.Rational(str(number))
    return values


def _only(given: Mapping[str, str], known: list[str], path: str) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            repair = f"did you mean {close[0]!r}?" if close else "leave it out"
            raise ModelError.at(
                path, f"an undefined constant of: {', '.join(known) or 'none'}", repr(name), repair
            )


def _discrete(kind: str, path: str) -> None:
    kind = kind.split(".")[-1]
    if kind.upper() not in ("MDP", "DTMC"):
        raise ModelError.at(
            path, "an MDP or a discrete-time Markov chain", f"a model of type {kind}",
            "budgets are defined for discrete time and full observation",
        )  # fmt: skip


def _initial(sparse: Any, path: str) -> Any:
    first = list(sparse.initial_states)
    if len(first) != 1:
        raise ModelError.at(
            path, "one initial state", f"{len(first)} of them",
            "add a state that leads to them with the probabilities you mean",
        )  # fmt: skip
    return [int(s == first[0]) for s in range(sparse.nr_states)]


def _labels(sparse: Any) -> dict[str, Any]:
    labels = {}
    for name in sorted(sparse.labeling.get_labels()):
        members = np.array(list(sparse.labeling.get_states(name)), dtype=np.int64)
        if name != "init" and (name != "deadlock" or len(members)):
            labels[name] = np.isin(np.arange(sparse.nr_states), members)
    return labels


def _state_names(sparse: Any) -> list[str] | None:
    if not sparse.has_state_valuations():
        return None
    valuations = sparse.state_valuations
    names = [valuations.to_string(s) for s in range(sparse.nr_states)]
    return [" ".join(name.strip("[]").replace("&", " ").split()) for name in names]


def _choice_names(sparse: Any, choice_ptr: Any) -> list[str] | None:
    """Labels of the choices; the place within the state where there is none."""
    if not sparse.has_choice_labeling():
        return None
    place = np.arange(choice_ptr[-1]) - np.repeat(choice_ptr[:-1], np.diff(choice_ptr))
    labeling = sparse.choice_labeling
    names = [
        "+".join(sorted(labeling.get_labels_of_choice(c))) or str(place[c])
        for c in range(len(place))
    ]
    return None if names == [str(p) for p in place] else names
