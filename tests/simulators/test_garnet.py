"""The random families: what is promised about every draw, and D by plain value iteration."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from ig_theory.errors import ModelError
from simulators.garnet import _distinct, garnet, shelter_levels, sheltered_garnet

BOTH = [garnet, sheltered_garnet]


def demand(model, gamma, steps):
    """D of THEORY L2.demand after `steps` iterations from 0, exact; beyond (S - 1) c_max it is inf.

    At gamma = 1 a finite minimal budget is the cost of a run without repeated states.
    """
    most = (model.S - 1) * int(model.cost.max())
    now = [Fraction(0)] * model.S
    for _ in range(steps):
        then = []
        for s in range(model.S):
            needs = []
            for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
                ends = model.branch_state[model.branch_ptr[c] : model.branch_ptr[c + 1]]
                needs.append(int(model.cost[0, c]) + gamma * max(now[t] for t in ends))
            then.append(min(needs) if min(needs) <= most else math.inf)
        if then == now:
            return now
        now = then
    raise AssertionError("no fixed point")


@pytest.mark.parametrize("factory", BOTH)
@pytest.mark.parametrize("branches", [1, 4, 10])
def test_shape(factory, branches):
    model = factory(60, choices=3, branches=branches, largest_cost=5, seed=3)
    assert model.S == 60
    assert model.C == 59 * 3 + 1
    assert 59 * 3 * branches + 1 == model.B
    assert model.initial[0] == 1
    assert np.flatnonzero(model.terminal).tolist() == [59]
    assert (model.labels["goal"] == model.terminal).all()
    for c in range(model.C - 1):
        low, high = model.branch_ptr[c : c + 2]
        assert len(set(model.branch_state[low:high])) == branches == high - low
        assert model.branch_prob[low:high].sum() == 1.0  # multiples of 1/1024: no rounding
    assert set(np.unique(model.cost)) == set(range(6))
    assert 0 <= model.reward.min() < 0.1
    assert 0.9 < model.reward.max() <= 1
    np.testing.assert_allclose(model.base_policy[:-1], 1 / 3)


@pytest.mark.parametrize("factory", BOTH)
def test_exact_and_float_are_one_model_and_seeds_matter(factory):
    rough, exact = factory(40, seed=5), factory(40, seed=5, exact=True)
    for name in ("branch_prob", "reward", "initial"):
        assert all(isinstance(x, Fraction) for x in getattr(exact, name))
        assert (getattr(rough, name) == getattr(exact, name)).all()
    for name in ("branch_state", "cost", "choice_ptr", "branch_ptr"):
        assert (getattr(rough, name) == getattr(exact, name)).all()
    assert (rough.branch_state != factory(40, seed=6).branch_state).any()
    assert factory(40, reward_discount="99/100").reward_discount == Fraction(99, 100)


def test_nothing_but_the_goal_is_safe_in_a_plain_garnet():
    infinite = goals = 0
    for seed in range(10):
        model = garnet(30, seed=seed)
        found = demand(model, Fraction(1), steps=200)
        assert found[-1] == 0
        infinite += sum(d == math.inf for d in found[:-1])
        goals += model.S - 1
    assert infinite >= 0.99 * goals


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_retreat_bounds_the_demand(levels, seed):
    model = sheltered_garnet(48, levels=levels, seed=seed)
    level = shelter_levels(48, levels)
    found = demand(model, Fraction(1), steps=200)
    assert all(d <= 3 * k for d, k in zip(found, level, strict=True))
    assert max(found) > 0
    assert (model.labels["shelter"] == (level == 0)).all()


@pytest.mark.parametrize("states", [16, 17, 30, 31])
def test_choice_0_goes_one_level_down(states):
    model = sheltered_garnet(states, levels=3, branches=4, seed=2)
    level = shelter_levels(states, 3)
    assert level[0] == 3
    assert level[-1] == 0
    assert (np.diff(level) <= 0).all()
    assert np.ptp(np.bincount(level)) <= 1
    used = set()
    for s in range(states - 1):
        c = int(model.choice_ptr[s])
        ends = model.branch_state[model.branch_ptr[c] : model.branch_ptr[c + 1]]
        assert (level[ends] == max(level[s] - 1, 0)).all()
        assert level[s] > 0 or model.cost[0, c] == 0
        used |= set(ends.tolist())
    assert (level[sorted(used)] < 3).all()
    assert states - 1 in used  # the goal is part of the shelter


def test_the_smallest_shelter_is_the_goal_itself():
    model = sheltered_garnet(4, levels=3, branches=1)
    retreats = model.choice_ptr[:3]
    assert model.branch_state[model.branch_ptr[retreats]].tolist() == [1, 2, 3]


def test_subsets_are_uniform():
    rows = 6000
    drawn = _distinct(np.random.default_rng(0), np.full(rows, 4), 2)
    counts = [int((drawn == pair).all(axis=1).sum()) for pair in combinations(range(4), 2)]
    assert sum(counts) == rows
    assert max(abs(n - rows / 6) for n in counts) < 5 * math.sqrt(rows / 6)


def test_a_large_model_is_built():
    model = sheltered_garnet(100_000)
    assert model.B == 99_999 * 16 + 1
    assert model.base_policy.sum() == pytest.approx(100_000)


@pytest.mark.parametrize("factory", BOTH)
@pytest.mark.parametrize(
    "wrong",
    [
        {"states": 1}, {"states": "9"}, {"choices": 0}, {"branches": 0}, {"branches": 101},
        {"largest_cost": -1}, {"largest_cost": 1.5}, {"largest_cost": 2**63},
        {"seed": -1}, {"reward_discount": 0.9},
        {"reward_discount": 0}, {"exact": "yes"},
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(factory, wrong):
    [name] = wrong
    with pytest.raises(ModelError, match=rf"^{name}: want .*; "):
        factory(**wrong)


def test_bands_need_room_for_the_branches():
    with pytest.raises(ModelError, match=r"^branches: want at most 3"):
        sheltered_garnet(15, levels=3, branches=4)
    with pytest.raises(ModelError, match=r"^levels: want"):
        sheltered_garnet(levels=0)
