"""Every refusal of validation.py: where, wanted, got, repair; and what a model derives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ig_theory.cmdp import ConstrainedMDP, LatentMDP
from ig_theory.errors import ModelError


def fields(**changes: Any) -> dict[str, Any]:
    """Two states: `s` with two choices of which the first is a coin, and a terminal `end`."""
    return {
        "choice_ptr": np.array([0, 2, 3]),
        "branch_ptr": np.array([0, 2, 3, 4]),
        "branch_state": np.array([0, 1, 1, 1]),
        "branch_prob": np.array([0.25, 0.75, 1.0, 1.0]),
        "reward": np.array([1.0, 0.5, 0.0]),
        "cost": np.array([[2, 1, 0]]),
        "initial": np.array([1.0, 0.0]),
        "terminal": np.array([False, True]),
        "state_names": ("s", "end"),
        **changes,
    }


def latent_fields(**changes: Any) -> dict[str, Any]:
    return fields(
        action=np.array([0, 1, 0]),
        latent=np.array([[1.0, 0.0], [0.0, 0.0]]),
        readout=np.array([[0.0, 1.0], [1.0, 0.0]]),
        **changes,
    )


def exactly(*values: Any) -> np.ndarray[Any, Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = [Fraction(v) for v in values]
    return out


EXACT = {
    "branch_prob": exactly("1/4", "3/4", 1, 1),
    "reward": exactly(1, "1/2", 0),
    "initial": exactly(1, 0),
}

Cut = np.array
MALFORMED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "choice_ptr is a list": ({"choice_ptr": [0, 2, 3]}, ["choice_ptr", "int64", "a list"]),
    "choice_ptr is float": (
        {"choice_ptr": Cut([0.0, 2.0, 3.0])},
        ["choice_ptr", "float64 of shape [3]", "convert"],
    ),
    "choice_ptr without states": ({"choice_ptr": Cut([0])}, ["choice_ptr", "at least one"]),
    "branch_ptr starts late": (
        {"branch_ptr": Cut([1, 2, 3, 4])},
        ["branch_ptr[0]", "want 0, got 1"],
    ),
    "state without choice": (
        {"choice_ptr": Cut([0, 3, 3])},
        ["choice_ptr: state 1", "at least one choice", "got 0", "give the state a choice"],
    ),
    "choice without branch": (
        {"branch_ptr": Cut([0, 2, 2, 4])},
        ["branch_ptr: choice 1", "at least one branch", "got 0"],
    ),
    "pointers that overflow a difference": (
        {"choice_ptr": Cut([0, 2**63 - 1, -(2**63) + 4, 3])},
        ["choice_ptr: state 1", "at least one choice"],
    ),
    "pointers disagree": (
        {"choice_ptr": Cut([0, 2, 4])},
        ["choice_ptr", "the 3 choices of branch_ptr", "got 4"],
    ),
    "too few successors": (
        {"branch_state": Cut([0, 1, 1])},
        ["branch_state", "int64 of shape [4]", "int64 of shape [3]", "resize"],
    ),
    "successors are a ragged list": (
        {"branch_state": [[0], [1, 2]]},
        ["branch_state", "int64 of shape [4]", "a list", "convert"],
    ),
    "terminal is int": ({"terminal": Cut([0, 1])}, ["terminal", "bool of shape [2]", "int64"]),
    "cost is flat": (
        {"cost": Cut([2, 1, 0])},
        ["cost", "[K, 3]", "int64 of shape [3]", "one row of costs for each cost"],
    ),
    "no cost": ({"cost": np.zeros((0, 3), dtype=np.int64)}, ["cost", "K >= 1", "[0, 3]"]),
    "cost is a list": ({"cost": [[2, 1, 0]]}, ["cost", "int64", "a list"]),
    "cost is float": ({"cost": Cut([[2.0, 1.0, 0.0]])}, ["cost", "int64", "float64"]),
    "cost too narrow": ({"cost": Cut([[2, 1]])}, ["cost", "[1, 3]", "[1, 2]"]),
    "probabilities are a list": (
        {"branch_prob": [0.25, 0.75, 1, 1]},
        ["branch_prob", "float64 of shape [4]", "a list"],
    ),
    "rewards are int": ({"reward": Cut([1, 0, 0])}, ["reward", "float64", "int64"]),
    "reward nan": (
        {"reward": Cut([1.0, np.nan, 0.0])},
        ["reward[1]", "a finite number", "nan", "repair"],
    ),
    "reward infinite": ({"reward": Cut([np.inf, 0.0, 0.0])}, ["reward[0]", "finite", "inf"]),
    "exact with a float": (
        {**EXACT, "reward": Cut([Fraction(1), 0.5, Fraction(0)], dtype=object)},
        ["reward[1]", "a Fraction", "float 0.5", "rationalise it explicitly"],
    ),
    "exact with float rewards": (
        {**EXACT, "reward": Cut([1.0, 0.0, 0.0])},
        ["reward", "object of shape [3]", "float64"],
    ),
    "base too short": ({"base": Cut([0.5, 0.5])}, ["base", "float64 of shape [3]", "[2]"]),
    "base negative": (
        {"base": Cut([1.5, -0.5, 1.0])},
        ["base of state 0 (s) choice 1", ">= 0", "-0.5"],
    ),
    "base misses mass": (
        {"base": Cut([0.5, 0.25, 1.0])},
        ["base of state 0", "total 1", "0.75", "renormalise"],
    ),
    "action too short": ({"action": Cut([0, 1])}, ["action", "int64 of shape [3]"]),
    "names are a list": (
        {"state_names": ["s", "end"]},
        ["state_names", "a tuple of 2 strings", "list of 2"],
    ),
    "too few names": (
        {"choice_names": ("a",)},
        ["choice_names", "a tuple of 3 strings", "tuple of 1", "all or none"],
    ),
    "a name is a number": (
        {"state_names": ("s", 3)},
        ["state_names[1]", "a string", "got 3", "use str()"],
    ),
    "names are a number": ({"cost_names": 3}, ["cost_names", "a tuple of 1 strings", "got 3"]),
    "cost names twice": (
        {"cost": Cut([[0, 0, 0], [0, 0, 0]]), "cost_names": ("harm", "harm")},
        ["cost_names", "distinct", "harm", "rename one"],
    ),
    "labels are a list": ({"labels": ["refusal"]}, ["labels", "a mapping", "a list", "use a dict"]),
    "a label is a number": (
        {"labels": {3: Cut([True, False])}},
        ["labels", "names that are strings", "got 3"],
    ),
    "label too long": (
        {"labels": {"refusal": Cut([True, False, True])}},
        ["label 'refusal'", "bool of shape [2]", "bool of shape [3]"],
    ),
    "cost_unit float": (
        {"cost_unit": 0.1},
        ["cost_unit", "a positive Fraction", "0.1", "Fraction(1)"],
    ),
    "cost_unit zero": ({"cost_unit": Fraction(0)}, ["cost_unit", "positive", "Fraction(0, 1)"]),
    "reward_discount above 1": (
        {"reward_discount": Fraction(3, 2)},
        ["reward_discount", "(0, 1]", "Fraction(3, 2)"],
    ),
    "reward_discount float": ({"reward_discount": 0.9}, ["reward_discount", "(0, 1]", "0.9"]),
    "successor out of range": (
        {"branch_state": Cut([0, 7, 1, 1])},
        ["state 0 (s) choice 0 branch 1", "0..1", "got 7", "add that state or redirect"],
    ),
    "successor negative": (
        {"branch_state": Cut([0, 1, -1, 1])},
        ["state 0 (s) choice 1 branch 0", "got -1"],
    ),
    "probability zero": (
        {"branch_prob": Cut([0.0, 1.0, 1.0, 1.0])},
        ["state 0 (s) choice 0 branch 0", "positive", "0.0", "drop the branch"],
    ),
    "probability negative": (
        {**EXACT, "branch_prob": exactly("-1/2", "3/2", 1, 1)},
        ["state 0 (s) choice 0 branch 0", "positive", "-1/2"],
    ),
    "probability nan": (
        {"branch_prob": Cut([0.25, np.nan, 1.0, 1.0])},
        ["branch_prob[1]", "a finite number", "nan"],
    ),
    "probabilities miss mass": (
        {"branch_prob": Cut([0.25, 0.5, 1.0, 1.0])},
        ["state 0 (s) choice 0", "total 1", "0.75", "add a branch or renormalise"],
    ),
    "exact probabilities miss mass": (
        {**EXACT, "branch_prob": exactly("1/4", "749/1000", 1, 1)},
        ["state 0 (s) choice 0", "total 1", "999/1000"],
    ),
    "initial negative": (
        {"initial": Cut([1.5, -0.5])},
        ["initial of state 1", ">= 0", "-0.5", "use 0 or more"],
    ),
    "initial misses mass": ({"initial": Cut([0.5, 0.25])}, ["initial", "total 1", "0.75"]),
    "terminal leaves": (
        {"branch_state": Cut([0, 1, 1, 0])},
        ["terminal state: state 1 (end) choice 0 branch 0", "a branch to itself", "one to state 0"],
    ),
    "terminal pays": (
        {"cost": Cut([[2, 1, 5]])},
        ["terminal state: state 1 (end) choice 0", "cost 0 and reward 0", "cost [5]", "pay on"],
    ),
    "terminal earns": (
        {"reward": Cut([1.0, 0.5, 2.0])},
        ["terminal state: state 1 (end) choice 0", "cost 0 and reward 0", "reward 2.0"],
    ),
    "cost too large": (
        {"cost": Cut([[2, 2**40 + 1, 0]])},
        ["cost 0 of state 0 (s) choice 1", "2^40", str(2**40 + 1), "coarser cost_unit"],
    ),
    "cost too negative": (
        {"cost": Cut([[-(2**63), 1, 0]])},
        ["cost 0 of state 0 (s) choice 0", "2^40", str(-(2**63))],
    ),
}

MALFORMED_LATENT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a base of its own": (
        {"base": Cut([0.5, 0.5, 1.0])},
        ["base", "none in a LatentMDP", "a policy", "drop it"],
    ),
    "no actions": ({"action": None}, ["action", "one per choice", "none", "readout row"]),
    "latents of few states": (
        {"latent": np.zeros((1, 2))},
        ["latent", "float64 of shape [2, D]", "[1, 2]", "one row per state"],
    ),
    "latents are a list": ({"latent": [[0.0], [0.0]]}, ["latent", "float64", "a list"]),
    "latents are int": ({"latent": np.zeros((2, 2), dtype=np.int64)}, ["latent", "int64"]),
    "readout too wide": (
        {"readout": np.zeros((2, 3))},
        ["readout", "float64 of shape [V, 2]", "[2, 3]", "as wide as a latent"],
    ),
    "bias too short": (
        {"readout_bias": np.zeros(1)},
        ["readout_bias", "float64 of shape [2]", "[1]"],
    ),
    "latent nan": (
        {"latent": Cut([[0.0, 0.0], [np.nan, 0.0]])},
        ["latent[1, 0]", "a finite number", "nan", "repair that entry"],
    ),
    "readout infinite": (
        {"readout": Cut([[0.0, np.inf], [0.0, 0.0]])},
        ["readout[0, 1]", "finite", "inf"],
    ),
    "action without row": (
        {"action": Cut([0, 5, 0])},
        ["action of state 0 (s) choice 1", "a readout row, 0..1", "got 5", "add a readout row"],
    ),
    "scores overflow": (
        {"latent": Cut([[1e200, 0.0], [0.0, 0.0]]), "readout": Cut([[0.0, 1.0], [1e200, 0.0]])},
        ["base of state 0", "finite scores", "an overflow", "scale"],
    ),
    "malformed below": ({"choice_ptr": Cut([0, 3, 3])}, ["choice_ptr: state 1", "at least one"]),
}


@pytest.mark.parametrize(("changes", "said"), MALFORMED.values(), ids=MALFORMED)
def test_every_malformed_model_is_refused_with_its_place(
    changes: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(ModelError) as refusal:
        ConstrainedMDP(**fields(**changes))
    for part in said:
        assert part in str(refusal.value)


@pytest.mark.parametrize(("changes", "said"), MALFORMED_LATENT.values(), ids=MALFORMED_LATENT)
def test_every_malformed_latent_model_is_refused(changes: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ModelError) as refusal:
        LatentMDP(**{**latent_fields(), **changes})
    for part in said:
        assert part in str(refusal.value)


@pytest.mark.parametrize("build", [lambda: fields(), lambda: fields(**EXACT)])
def test_the_unchanged_model_is_accepted(build: Callable[[], dict[str, Any]]) -> None:
    model = ConstrainedMDP(**build())
    assert (model.S, model.C, model.B, model.K) == (2, 3, 4, 1)
    assert model.choice_state.tolist() == [0, 0, 1]
    assert model.branch_choice.tolist() == [0, 0, 1, 2]
    assert model.choice_action.tolist() == [0, 1, 0]
    assert model.base_policy.tolist() == [0.5, 0.5, 1.0]
    assert model.padded_choices.tolist() == [[0, 1], [2, -1]]


def test_float_rounding_is_accepted_in_float_mode_only() -> None:
    off = 1 + 1e-12
    ConstrainedMDP(**fields(branch_prob=np.array([0.25, 0.75 * off, 1.0, 1.0])))
    with pytest.raises(ModelError, match="total 1"):
        ConstrainedMDP(
            **fields(**{**EXACT, "branch_prob": exactly("1/4", Fraction(0.75 * off), 1, 1)})
        )


def test_arrays_of_a_model_cannot_be_written() -> None:
    model = ConstrainedMDP(**fields(labels={"refusal": np.array([False, True])}))
    for array in (model.cost, model.branch_prob, model.labels["refusal"]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_the_base_policy_of_latents_is_the_softmax_of_their_scores() -> None:
    model = LatentMDP(**latent_fields(readout_bias=np.array([0.5, 0.0])))
    weight = np.exp([0.5, 1.0])
    np.testing.assert_allclose(model.base_policy[:2], weight / weight.sum(), rtol=1e-15)
    assert model.base_policy[2] == 1.0


def test_the_base_policy_of_exact_latents_totals_exactly_one() -> None:
    model = LatentMDP(**latent_fields(**EXACT))
    assert sum(model.base_policy[:2]) == 1
    assert all(isinstance(p, Fraction) for p in model.base_policy)
    floats = LatentMDP(**latent_fields())
    np.testing.assert_allclose(model.base_policy.astype(float), floats.base_policy, rtol=1e-15)


def test_replacing_a_field_of_latents_recomputes_the_base_policy() -> None:
    model = LatentMDP(**latent_fields())
    flat = replace(model, latent=np.zeros((2, 2)), base=None)
    assert flat.base_policy.tolist() == [0.5, 0.5, 1.0]


def test_costs_are_found_by_index_or_name() -> None:
    model = ConstrainedMDP(
        **fields(cost=np.array([[2, 1, 0], [0, 1, 0]]), cost_names=("harm", "leak"))
    )
    assert (model.cost_index(1), model.cost_index("leak")) == (1, 1)
    with pytest.raises(ModelError, match="one of harm, leak, got 'lek'"):
        model.cost_index("lek")
    with pytest.raises(ModelError, match="one of harm, leak, got 2"):
        model.cost_index(2)
