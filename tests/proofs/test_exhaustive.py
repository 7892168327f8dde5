"""A slice of each exhaustive check, its brute force against another, and that it can fail."""

from __future__ import annotations

import importlib
import pkgutil
import re
from fractions import Fraction

import numpy as np
import pytest
from oracle import Game

import proofs_check.exhaustive as package
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.minimal_budget import minimal_budget
from proofs_check.claim import Status
from proofs_check.exhaustive import (
    conditioned,
    divergence,
    endless,
    every_policy,
    game,
    penalties,
    safe_sets,
)
from proofs_check.exhaustive.members import members, ordered_count, union

SLICE = 61
"""Each 61st member: about 100 of a class."""

MODULES = [
    importlib.import_module(f"{package.__name__}.{info.name}")
    for info in pkgutil.iter_modules(package.__path__)
    if info.name not in ("members", "game")
]
CLASSES = {
    safe_sets: (members(), 12, 4),
    endless: (members(), 12, 4),
    every_policy: (members(), 12, 4),
    penalties: (members((0, 1), (0, 1)), 12, 4),
    conditioned: (members((0, 1, 2), (0,), (1, 2), deterministic=True), 12, 6),
    divergence: (members((0, 1), (0,), (1, 2)), 12, 4),
}


def short(module) -> str:
    return module.__name__.rsplit(".", 1)[1]


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_a_slice_holds(module):
    found = module.run(SLICE)
    assert found.status is Status.HOLDS
    count = int(re.match(r"(\d+) members", found.detail).group(1))
    assert count == -(-len(CLASSES[module][0]) // SLICE)


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_the_class_is_as_large_as_is_said(module):
    group, types, of_one_state = CLASSES[module]
    ordered, reduced = map(int, re.findall(r"(?:all|\() ?(\d+)", module.COVERS)[:2])
    assert reduced == len(group)
    assert ordered == ordered_count(types, of_one_state)


def test_no_member_comes_twice():
    for group, _, _ in CLASSES.values():
        parts = (group.cost, group.reward, group.weight, group.successor, group.choices,
                 group.branches)  # fmt: skip
        rows = np.concatenate([part.reshape(len(group), -1) for part in parts], axis=1)
        assert len(np.unique(rows, axis=0)) == len(group)


@pytest.mark.parametrize("q", game.DISCOUNTS)
def test_the_game_of_histories_is_the_one_of_the_oracle_in_rationals(q):
    group = members().take(slice(5, None, 311))
    unit, left = 2 * q**2, 3
    z = game.budgets(group, 10 if q == 1 else 6, unit)
    won = game.can_keep(group, game.start(group), z, left, q, unit)
    model = union(group)
    constraint = BudgetConstraint(0, Fraction(1, q), horizon=left)
    oracle = Game(model.model, constraint)
    for m in range(len(group)):
        for i, numerator in enumerate(z[m].tolist()):
            safe = oracle.safe(int(model.state[m, 0]), (Fraction(numerator, unit),), left)
            assert safe == won[m, i]


@pytest.mark.parametrize("q", game.DISCOUNTS)
def test_members_alone_have_the_same_minimal_budgets_as_side_by_side(q):
    group = members().take(slice(3, None, SLICE))
    rows = game.demand_rows(group, 4, q)
    thirds = endless._discounted(group) if q == 2 else endless._undiscounted(group)
    for m in range(len(group)):
        alone = union(group.take(slice(m, m + 1))).model
        timed = minimal_budget(alone, BudgetConstraint(0, Fraction(1, q), horizon=4))
        for left in range(5):
            assert timed.budget_of(0, 4 - left) == Fraction(int(rows[left][m, 0]), q**left)
        found = minimal_budget(alone, BudgetConstraint(0, Fraction(1, q))).budget_of(0)
        want = Fraction(int(thirds[m, 0]), 3 if q == 2 else 1)
        assert found == (float("inf") if want == endless.NEVER else want)


# -- each check can fail --------------------------------------------------------------------------


def fails(module) -> str:
    with pytest.raises(AssertionError) as caught:
        module.run(SLICE)
    return str(caught.value)


def wrong_rows(change):
    right = game.demand_rows

    def rows(group, horizon, q):
        return [change(row) if n else row for n, row in enumerate(right(group, horizon, q))]

    return rows


@pytest.mark.parametrize("change", [lambda row: row + 1, lambda row: np.maximum(row - 1, 0)])
@pytest.mark.parametrize("module", [safe_sets, every_policy], ids=short)
def test_wrong_demands_are_noticed(monkeypatch, module, change):
    monkeypatch.setattr(module, "demand_rows", wrong_rows(change))
    assert "differ" in fails(module)


@pytest.mark.parametrize("module", [conditioned, divergence], ids=short)
def test_a_shield_that_forbids_too_much_is_noticed(monkeypatch, module):
    # One that allows too much changes nothing: W is infinite after what cannot be kept safe.
    monkeypatch.setattr(module, "demand_rows", wrong_rows(lambda row: row + 1))
    assert fails(module)


def test_a_wrong_solver_is_noticed(monkeypatch):
    def lower(model, constraint):
        found = minimal_budget(model, constraint)
        return type(found)(model, constraint, found.demand // 2, found.strict)

    for module in (safe_sets, endless):
        monkeypatch.setattr(module, "minimal_budget", lower)
        assert "minimal_budget" in fails(module)


def test_a_shield_for_another_boundary_is_noticed(monkeypatch):
    def strict(model, constraint):
        return safe_sets_shield(
            model, BudgetConstraint(0, constraint.discount, "open", horizon=constraint.horizon)
        )

    safe_sets_shield = safe_sets.shield
    monkeypatch.setattr(safe_sets, "shield", strict)
    assert "the shield guard" in fails(safe_sets)


def test_a_penalty_below_the_threshold_is_noticed(monkeypatch):
    enough = penalties.thresholds
    monkeypatch.setattr(penalties, "thresholds", lambda *case: np.maximum(enough(*case) - 1, 0))
    assert "greedy above n*" in fails(penalties)


def test_a_penalty_guard_below_the_threshold_is_noticed(monkeypatch):
    enough = penalties.finite_threshold
    monkeypatch.setattr(penalties, "finite_threshold", lambda model, T: enough(model, T) / 8)
    assert "the penalty guard is VIOLATED" in fails(penalties)


@pytest.mark.parametrize("module", [conditioned, divergence], ids=short)
def test_a_solver_that_intervenes_too_little_is_noticed(monkeypatch, module):
    def off(*problem):
        limit, first = solved(*problem)
        return limit * (1 - 1e-6), first

    solved = conditioned.solved
    monkeypatch.setattr(module, "solved", off)
    assert "least_intrusive" in fails(module)


def test_conditioning_on_one_choice_too_many_is_noticed(monkeypatch):
    def off(*problem):
        limit, first = solved(*problem)
        return limit, np.flip(first, axis=1)

    solved = conditioned.solved
    monkeypatch.setattr(conditioned, "solved", off)
    assert "first choice" in fails(conditioned)
