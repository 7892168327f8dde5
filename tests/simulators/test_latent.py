"""The closed forms of the toy models against recursions over all runs, in Fractions."""

import importlib
import math
import tomllib
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from recursion import Tree, geometric

from ig_theory.errors import ModelError
from simulators.latent import (
    aliased,
    jailbreak_dialogue,
    late_violation,
    latent_chain,
    safe_share,
    slippery_hall,
)

ROOT = Path(__file__).parents[2]
DISCOUNTS = [Fraction(1), Fraction(9, 10), Fraction(1, 2)]
FACTORIES = [latent_chain, jailbreak_dialogue, slippery_hall, aliased, late_violation]


# --- every factory -------------------------------------------------------------------------


@pytest.mark.parametrize("factory", FACTORIES)
def test_float_and_exact_are_the_same_model(factory):
    rough, exact = factory(), factory(exact=True)
    assert exact.exact
    assert not rough.exact
    for name in ("branch_prob", "reward", "initial", "base_policy"):
        np.testing.assert_allclose(
            getattr(rough, name), getattr(exact, name).astype(float), rtol=1e-15
        )
    for name in ("choice_ptr", "branch_state", "cost", "terminal", "latent", "action"):
        assert (getattr(rough, name) == getattr(exact, name)).all()
    assert rough.state_names == exact.state_names


def test_entry_points_build_models():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "entry-points"
    ]
    ours = [p for p in points["ig_theory.models"].values() if p.startswith("simulators.")]
    assert len(ours) == 8
    for point in ours:
        module, name = point.split(":")
        assert getattr(importlib.import_module(module), name)().S > 1


@pytest.mark.parametrize(
    ("factory", "wrong"),
    [
        (latent_chain, {"length": 0}), (latent_chain, {"length": True}),
        (latent_chain, {"length": "5"}), (latent_chain, {"toll": -1}),
        (latent_chain, {"toll": 2**63}),
        (latent_chain, {"spend": "1"}), (latent_chain, {"spend": 0.5}),
        (latent_chain, {"unit": "0"}), (latent_chain, {"unit": "ten"}),
        (latent_chain, {"exact": 1}), (jailbreak_dialogue, {"depth": 0}),
        (jailbreak_dialogue, {"levels": 0}), (jailbreak_dialogue, {"unsafe": "11/10"}),
        (jailbreak_dialogue, {"leak": "no"}), (slippery_hall, {"slip": "0"}),
        (slippery_hall, {"slip": "1/0"}), (slippery_hall, {"exits": None}),
        (aliased, {"length": -1}), (late_violation, {"delay": -1}),
        (late_violation, {"reward_discount": 1}),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(factory, wrong):
    [name] = wrong
    with pytest.raises(ModelError, match=rf"^{name}: want .*; "):
        factory(**wrong)


# --- latent-chain --------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", DISCOUNTS)
@pytest.mark.parametrize("toll", [0, 1, 3])
def test_chain_demand(toll, gamma):
    tree = Tree(latent_chain(4, toll=toll, exact=True), gamma)
    for i in range(5):
        assert tree.demand(i) == toll * geometric(gamma, 4 - i)


@pytest.mark.parametrize("toll", [0, 1])
@pytest.mark.parametrize("spend", ["1/2", "1/3"])
def test_chain_value_and_limit_are_binomial(toll, spend):
    tree = Tree(latent_chain(5, toll=toll, spend=spend, exact=True))
    p = Fraction(spend)
    for i, half_units in product(range(6), range(24)):
        z, n = Fraction(half_units, 2), 5 - i
        k = math.floor(z) - toll * n
        share = safe_share(n, k, spend)
        assert tree.value(i, z) == (min(n, k) if k >= 0 else -math.inf)
        assert float(tree.kept(i, z)) == pytest.approx(float(share), abs=1e-15)
        if spend == "1/2":
            assert tree.kept(i, z) == share
        if k < 0:
            assert tree.limit(i, z) == math.inf
            continue
        assert tree.limit(i, z) == pytest.approx(-math.log(share), abs=1e-12)
        if n > 0:
            least_intrusive = p * safe_share(n - 1, k - 1, spend) / share
            spent = tree.model.base_policy[2 * i] * tree.kept(i + 1, z - toll - 1)
            assert float(spent / tree.kept(i, z)) == pytest.approx(float(least_intrusive))


def test_chain_in_tenths():
    model = latent_chain(3, unit="1/10")
    assert model.cost_unit == Fraction(1, 10)
    assert model.cost.tolist() == [[1, 0, 1, 0, 1, 0, 0]]


@pytest.mark.parametrize(("wrong", "name"), [((-1, 0), "steps"), ((1, 0, "3/2"), "spend")])
def test_safe_share_refuses_what_makes_no_sense(wrong, name):
    with pytest.raises(ModelError, match=rf"^{name}: want "):
        safe_share(*wrong)


# --- slippery-hall -------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", DISCOUNTS)
@pytest.mark.parametrize("length", [1, 2, 5])
def test_hall_demand(length, gamma):
    inside, outside = (
        Tree(slippery_hall(length, exits=exits, exact=True), gamma) for exits in (False, True)
    )
    assert outside.model.S == 2 * length + 2 == inside.model.S + 1
    for i in range(length + 1):
        place = "goal" if i == length else f"cell {i}"
        cell = sum((gamma ** (2 * k + 1) for k in range(length - i)), Fraction(0))
        assert inside.demand(inside.state(place)) == cell
        assert outside.demand(outside.state(place)) == 0
        if i > 0:
            floor = place.replace("cell", "floor") if i < length else "floor goal"
            assert inside.demand(inside.state(floor)) == 1 + gamma * cell
            assert outside.demand(outside.state(floor)) == 1


@pytest.mark.parametrize("exits", [True, False])
def test_hall_values(exits):
    for length in range(1, 6):
        tree = Tree(slippery_hall(length, exits=exits, exact=True))
        for z in (length, length + 2):
            assert tree.value(0, Fraction(z)) == 3 * (length // 2) + length % 2
        assert tree.value(0, Fraction(9, 10)) == (0 if exits else -math.inf)


def test_hall_walker_slips_binomially():
    tree = Tree(slippery_hall(5, slip="1/3", exact=True))

    def violates(s, z):
        if z < 0:
            return Fraction(1)
        if tree.model.terminal[s]:
            return Fraction(0)
        _, cost, ends = next(iter(tree.choices(s)))  # step, or rise
        return sum(p * violates(t, z - cost) for t, p in ends)

    for z in range(6):
        assert violates(0, z) == 1 - safe_share(5, z, "1/3")


# --- aliased -------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 3])
def test_aliased_is_safe_for_who_sees_the_room(length):
    for gamma in DISCOUNTS:
        tree = Tree(aliased(length, exact=True), gamma)
        assert all(tree.demand(s) == 0 for s in range(tree.model.S))
    tree = Tree(aliased(length, exact=True))
    for z in range(length + 2):
        assert tree.value(0, Fraction(z)) == min(length, z)
        assert tree.limit(0, Fraction(z)) == pytest.approx(-math.log(safe_share(length, z)))
    assert tree.limit(0, Fraction(0)) == pytest.approx(length * math.log(2))


@pytest.mark.parametrize("length", [1, 3])
def test_aliased_defeats_every_guard_of_the_latent(length):
    tree = Tree(aliased(length, exact=True))
    latents = tree.model.latent[:-1]
    assert (latents[0::2] == latents[1::2]).all()

    def kept(s, plan):
        if not plan:
            return Fraction(1)
        cost, ends = next((k, e) for c, k, e in tree.choices(s)
                          if tree.model.choice_name(c) == plan[0])  # fmt: skip
        return Fraction(0) if cost else sum(p * kept(t, plan[1:]) for t, p in ends)

    # With d = 0 the budget of a run that is not over is 0: only the time is left to look at.
    for plan in product("ab", repeat=length):
        assert tree.mean(lambda s, plan=plan: kept(s, plan)) == Fraction(1, 2**length)


@pytest.mark.parametrize("gamma", DISCOUNTS)
def test_aliased_robust_demand(gamma):
    length = 3
    tree = Tree(aliased(length, exact=True), gamma)
    demand = Fraction(0)  # of the latent behind the last step
    for i in reversed(range(length)):
        left, right = tree.model.cost[0, 4 * i : 4 * i + 4].reshape(2, 2).tolist()
        demand = min(max(costs) + gamma * demand for costs in zip(left, right, strict=True))
    assert demand == geometric(gamma, length)
