"""The hash of a model changes with everything that a verdict depends on, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from small_models import models

from ig_theory.builders import from_dict, rationalised
from ig_theory.cmdp import ConstrainedMDP, LatentMDP
from ig_theory.fingerprint import model_hash


def small(exact: bool = False) -> ConstrainedMDP:
    half: Any = Fraction(1, 2) if exact else 0.5
    return from_dict(
        {"s": {"go": ((1, 3), 2, {"s": half, "t": half}), "stop": ((0, 2), 1, "t")}},
        initial={"s": half, "t": half},
        labels={"refusal": ["t"]},
        exact=exact,
    )


def with_latents() -> LatentMDP:
    return LatentMDP(
        **{
            name: getattr(small(), name)
            for name in small().__dataclass_fields__
            if name not in ("action", "base")
        },
        action=np.array([0, 1, 0]),
        latent=np.array([[1.0], [2.0]]),
        readout=np.array([[0.5], [0.25]]),
    )


def nudged(array: Any) -> Any:
    """The array with its first entry moved by its last bit."""
    out = array.copy()
    out[0] = np.nextafter(out[0], 9)
    return out


MEANINGFUL: dict[str, dict[str, Any]] = {
    "successor": {"branch_state": np.array([0, 0, 1, 1])},
    "order of successors": {"branch_state": np.array([1, 0, 1, 1])},
    "last bit of a probability": {"branch_prob": nudged(small().branch_prob)},
    "last bit of a reward": {"reward": nudged(small().reward)},
    "cost": {"cost": np.array([[1, 1, 0], [3, 2, 0]])},
    "costs exchanged": {"cost": small().cost[::-1].copy()},
    "one cost fewer": {"cost": small().cost[:1].copy()},
    "cost unit": {"cost_unit": Fraction(1, 2)},
    "names of costs": {"cost_names": ("harm", "leak")},
    "names of costs exchanged": {"cost_names": ("leak", "harm")},
    "initial": {"initial": np.array([0.25, 0.75])},
    "terminal": {"terminal": np.array([False, False])},
    "reward discount": {"reward_discount": Fraction(1, 2)},
    "base": {"base": np.array([0.25, 0.75, 1.0])},
    "action": {"action": np.array([1, 0, 0])},
    "label's members": {"labels": {"refusal": np.array([True, True])}},
    "label's name": {"labels": {"refusals": np.array([False, True])}},
    "no label": {"labels": {}},
    "split choice": {"choice_ptr": np.array([0, 1, 3])},
}
MEANINGLESS: dict[str, dict[str, Any]] = {
    "names of states": {"state_names": ("x", "y")},
    "no names": {"state_names": None, "choice_names": None},
    "uniform base spelt out": {"base": np.array([0.5, 0.5, 1.0])},
    "actions spelt out": {"action": np.array([0, 1, 0])},
    "minus zero": {"reward": np.array([2.0, 1.0, -0.0])},
}


def changed(name: str) -> ConstrainedMDP:
    if name != "split choice":
        return replace(small(), **MEANINGFUL[name])
    # The middle choice moves to the second state, which then is no terminal.
    return replace(small(), terminal=np.array([False, False]), **MEANINGFUL[name])


@pytest.mark.parametrize("name", MEANINGFUL)
def test_what_means_something_changes_the_hash(name: str) -> None:
    assert model_hash(changed(name)) != model_hash(small())


def test_all_these_changes_differ_from_each_other() -> None:
    hashes = {model_hash(changed(name)) for name in MEANINGFUL}
    assert len(hashes) == len(MEANINGFUL)


@pytest.mark.parametrize("change", MEANINGLESS.values(), ids=MEANINGLESS)
def test_what_means_nothing_keeps_the_hash(change: dict[str, Any]) -> None:
    assert model_hash(replace(small(), **change)) == model_hash(small())


def test_the_exact_copy_is_another_model() -> None:
    assert model_hash(small(exact=True)) != model_hash(small())
    assert model_hash(small(exact=True)) == model_hash(rationalised(small()))


@pytest.mark.parametrize(
    "change",
    [
        {"latent": np.array([[1.0], [2.0 + 2**-51]])},
        {"readout": np.array([[0.5], [0.25 + 2**-54]])},
        {"readout_bias": np.zeros(2)},
        {"latent": np.zeros((2, 2)), "readout": np.zeros((2, 2))},
    ],
)
def test_latents_and_readout_count(change: dict[str, Any]) -> None:
    assert model_hash(replace(with_latents(), base=None, **change)) != model_hash(with_latents())


def test_a_latent_model_is_not_the_plain_model_of_its_base_policy() -> None:
    latent = with_latents()
    plain = replace(small(), base=latent.base_policy.copy(), action=latent.action)
    assert model_hash(plain) != model_hash(latent)


def test_the_hash_of_a_known_model_never_changes() -> None:
    """Certificates carry hashes: a new version of the package must compute the same ones."""
    assert model_hash(small()) == KNOWN


@given(models())
def test_every_model_has_a_hash_and_a_copy_has_the_same(model: ConstrainedMDP) -> None:
    base = None if isinstance(model, LatentMDP) else model.base
    assert model_hash(model) == model_hash(replace(model, base=base))
    assert len(model_hash(model)) == len("sha256:") + 64


KNOWN = "sha256:5e951b71c2711c42e9c889f2a3ce94971413f9ae9a181163f21e6acdaf1de237"
