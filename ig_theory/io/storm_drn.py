"""Writing a model as DRN, Storm's explicit format; Storm itself is not needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from ig_theory.builders import rationalised
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from ig_theory.exact import written

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def save_drn(model: ConstrainedMDP, path: str | Path) -> None:
    """Write a model as a DRN file with exact rationals (floats by `rationalised`).

    Costs become reward models under their names (``cost``, ``cost_1``, ... if they have none),
    in the units of the cost; the reward becomes ``reward``. Names of choices are kept where all
    are words that differ within their state.

    Raises
    ------
    ModelError
        If the initial state is not a single one, a cost or a label has a name that DRN cannot
        hold, or the file cannot be written.

    Notes
    -----
    DRN has no place for a base policy, a reward discount, actions, latents and names of states:
    `left_behind` lists those that a model has.
    """
    try:
        text = "\n".join(_lines(rationalised(model))) + "\n"
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ModelError.at(
            f"{path}", "a place to write to", error.strerror or error,
            "name a file in a folder that exists and can be written",
        ) from None  # fmt: skip


def left_behind(model: ConstrainedMDP) -> list[str]:
    """What a DRN file of this model does not say.

    >>> from ig_theory.builders import from_dict
    >>> left_behind(from_dict({"s": {"go": (1, 2, "t")}}, initial="s", reward_discount="1/2"))
    ['the reward discount 1/2', 'the names of states']
    """
    from ig_theory.cmdp import LatentMDP

    lost = []
    if isinstance(model, LatentMDP):
        lost.append("latents")
    if model.base is not None:
        lost.append("the base policy")
    if model.reward_discount != 1:
        lost.append(f"the reward discount {model.reward_discount}")
    if model.action is not None:
        lost.append("actions")
    if model.state_names is not None:
        lost.append("the names of states")
    return lost


def _lines(model: ConstrainedMDP) -> Iterator[str]:
    """The lines of the file of an exact model."""
    (start, *others) = np.flatnonzero((model.initial > 0).astype(bool)).tolist()
    if others:
        raise ModelError.at(
            "initial", "a single state", f"{1 + len(others)} states",
            "add a state whose choice leads to them",
        )  # fmt: skip
    names = _reward_names(model)
    for label in model.labels:
        if label == "init" or '"' in label or not label.isprintable():
            raise ModelError.at(
                "labels", "names but init, without quotes", repr(label), "rename the label"
            )
    yield from (
        "@type: MDP", "@value_type: rational", "@parameters", "", "@reward_models",
        " ".join(names), "@nr_states", str(model.S), "@nr_choices", str(model.C), "@model",
    )  # fmt: skip
    actions = _action_names(model)
    unit = model.cost_unit
    for s in range(model.S):
        marks = [f'"{name}"' for name, members in model.labels.items() if members[s]]
        yield " ".join([f"state {s}", *(["init"] if s == start else []), *marks])
        for c in range(int(model.choice_ptr[s]), int(model.choice_ptr[s + 1])):
            gains = [written(int(n) * unit, "cost") for n in model.cost[:, c]]
            gains.append(written(model.reward[c], "reward"))
            yield f"\taction {actions[c]} [{', '.join(gains)}]"
            total: dict[int, Fraction] = {}
            for b in range(int(model.branch_ptr[c]), int(model.branch_ptr[c + 1])):
                t = int(model.branch_state[b])  # a successor may occur twice, but not in a file
                total[t] = total.get(t, Fraction(0)) + model.branch_prob[b]
            yield from (f"\t\t{t} : {written(p, 'branch_prob')}" for t, p in sorted(total.items()))


def _reward_names(model: ConstrainedMDP) -> list[str]:
    names = [*(model.cost_names or ["cost", *(f"cost_{k}" for k in range(1, model.K))]), "reward"]
    for name in names:
        if not _WORD.fullmatch(name) or names.count(name) > 1:
            raise ModelError.at(
                "cost_names", "distinct words other than reward", repr(name), "rename the cost"
            )
    return names


def _action_names(model: ConstrainedMDP) -> list[str]:
    """Names of choices if all are distinct words, or their own places; else their places."""
    place = [str(p) for p in np.arange(model.C) - model.choice_ptr[model.choice_state]]
    names = model.choice_names
    if names is None:
        return place
    fit = (name == p or _WORD.fullmatch(name) for name, p in zip(names, place, strict=True))
    distinct = len(set(zip(model.choice_state.tolist(), names, strict=True))) == model.C
    return list(names) if distinct and all(fit) else place
