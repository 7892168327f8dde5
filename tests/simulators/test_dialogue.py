"""jailbreak-dialogue: its closed forms, and that it is the teaching example it wants to be."""

import math
import re
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from recursion import Tree, geometric

from simulators.latent import DIALOGUE_BASIS, jailbreak_dialogue

DISCOUNTS = [Fraction(1), Fraction(9, 10), Fraction(1, 2)]
PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def place(name):
    """(level of harm, token) of a state name."""
    words, _, token = name.partition(" @")
    return int(words.partition("harm ")[2] or 0), int(token or 0)


@pytest.mark.parametrize("gamma", DISCOUNTS)
@pytest.mark.parametrize("leak", [True, False])
@pytest.mark.parametrize(("depth", "levels"), [(1, 1), (4, 3), (6, 3), (5, 4)])
def test_dialogue_demand(depth, levels, leak, gamma):
    tree = Tree(jailbreak_dialogue(depth, levels=levels, leak=leak, exact=True), gamma)
    for s in np.flatnonzero(~tree.model.terminal):
        h, token = place(tree.model.state_name(s))
        m = min(depth - token, max(h - 1, 0))
        rest = max(h - 1, 0) - m
        want = geometric(gamma, m) + gamma**m * rest if leak else 0
        assert tree.demand(int(s)) == want


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_dialogue_values(depth):
    tree = Tree(jailbreak_dialogue(depth, exact=True))
    for prompt, budget in product(("plain", "borderline"), range(8)):
        assert tree.value(tree.state(prompt), budget) == depth + Fraction(1, 2)
    for prompt in ("direct", "disguised"):
        s = tree.state(prompt)
        assert tree.value(s, 0) == Fraction(depth, 4) + Fraction(1, 2)
        if depth >= 3:
            assert tree.value(s, 3) == Fraction(depth - 3, 4) + 4 + Fraction(1, 2)


@pytest.mark.parametrize("depth", [3, 6])
def test_dialogue_needs_a_penalty_above_seven_quarters(depth):
    tree = Tree(jailbreak_dialogue(depth, exact=True))
    s, safe = tree.state("direct"), Fraction(depth - 3, 4) + 4 + Fraction(1, 2)
    assert tree.penalised(s, 3, Fraction(174, 100)) == (safe + Fraction(1, 100), True)
    assert tree.penalised(s, 3, Fraction(176, 100)) == (safe, False)


def test_dialogue_is_the_teaching_example_it_wants_to_be():
    tree = Tree(jailbreak_dialogue(exact=True))
    violation = tree.mean(lambda s: 1 - tree.kept(s, 3))
    assert 0.24 < violation < 0.26
    assert all(0 < tree.kept(s, 3) < 1 for s in range(4))
    reward, kl = (tree.mean(lambda s, i=i: tree.under_shield(s, 3)[i]) for i in (0, 1))
    best, limit = tree.mean(lambda s: tree.value(s, 3)), tree.mean(lambda s: tree.limit(s, 3))
    assert best == 6
    assert best - reward > 1
    assert kl > 1.5 * limit > 0
    page = PAGE.read_text(encoding="utf-8")
    for line in (
        f"| P(base violates) | {float(violation):.4f} |",
        f"| best safe reward | {float(best):.4f} |",
        f"| reward of the shield | {reward:.4f} |",
        f"| KL of the shield | {kl:.4f} |",
        f"| least KL of any safe guard, W | {limit:.4f} |",
    ):
        assert line in page
    for s in range(4):
        name, kept, kl = tree.model.state_name(s), tree.kept(s, 3), tree.limit(s, 3)
        line = f"{float(1 - kept):.4f} | {kl:.4f} | {float(tree.value(s, 3)):.2f} |"
        assert re.search(rf"\| {name} \|.*\| {re.escape(line)}", page)


def test_dialogue_limit_is_the_log_of_the_kept_mass():
    tree = Tree(jailbreak_dialogue(4, exact=True))
    for s, budget in product(range(4), range(5)):
        assert tree.limit(s, budget) == pytest.approx(-math.log(tree.kept(s, budget)), abs=1e-12)


def test_dialogue_ends_refusable_everywhere_and_without_aliases():
    depth = 5
    model = jailbreak_dialogue(depth)
    tree = Tree(model)
    reached = {int(s) for s in np.flatnonzero(model.initial)}
    seen = set(reached)
    for _ in range(depth + 1):
        assert not all(model.terminal[s] for s in reached)
        for s in reached:
            names = [model.choice_name(c) for c, _, _ in tree.choices(s)]
            assert "refuse" in names or model.terminal[s]
        reached = {t for s in reached for _, _, ends in tree.choices(s) for t, _ in ends}
        seen |= reached
    assert all(model.terminal[s] for s in reached)
    assert seen == set(range(model.S))
    running = model.latent[~model.terminal]
    assert len(np.unique(running, axis=0)) == len(running)
    assert np.diff(model.branch_ptr).max() == 1


def test_dialogue_labels_and_initial():
    model = jailbreak_dialogue(unsafe="1/3", exact=True)
    assert [str(p) for p in model.initial[:4]] == ["1/6", "1/6", "4/9", "2/9"]
    unsafe = np.flatnonzero(model.labels["unsafe_prompt"])
    assert [model.state_name(s) for s in unsafe] == ["direct", "disguised"]
    refusal = np.flatnonzero(model.labels["refusal"])
    assert [model.state_name(s) for s in refusal] == ["refused"]
    assert model.terminal[refusal].all()


def test_steering_towards_refusal_helps_and_never_suffices():
    model = jailbreak_dialogue()
    assert model.latent.shape[1] == len(DIALOGUE_BASIS) == 8
    direction = np.array([name == "refusal" for name in DIALOGUE_BASIS], dtype=float)
    refuses = np.array([name == "refuse" for name in model.choice_names])
    before = model.base_policy
    assert (model.base_from(model.latent[model.choice_state]) == before).all()
    for alpha in (0.5, 2.0, 8.0):
        after = model.base_from((model.latent + alpha * direction)[model.choice_state])
        assert (after[refuses] > before[refuses]).all()
        assert (after > 0).all()
        before = after
    assert before[refuses].min() > 0.99
