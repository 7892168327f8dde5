"""What policies spend, and the least CVaR of it, against enumeration in exact rationals."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_theory.augmentation import base_choices
from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.cvar import least_cvar, reward_and_cvar
from ig_theory.solvers.solution import Status
from ig_theory.solvers.spent import cvar, spent_distribution, spent_on
from ig_theory.testing.assembly import assemble, shares
from ig_theory.testing.strategies import constrained_mdps, constraints
from tests.oracle import Game

SMALL = settings(max_examples=40)
TINY = {"max_states": 3, "max_choices": 2, "max_branches": 2}
LEVELS = [Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(9, 10)]
SPENDING = {"horizons": (2, 0, 1), "budgets": (0, 1)}


def base_spends(game, s, left):
    """The distribution of what the base policy spends from here, by recursion."""
    if game.over(s, left):
        return {Fraction(0): Fraction(1)}
    (constraint,), (row,), out = game.constraints, game.rows, {}
    for a in game.choices[s]:
        for p, t in a.branches:
            for spent, q in base_spends(game, t, left - 1).items():
                total = a.costs[row] + constraint.discount * spent
                out[total] = out.get(total, Fraction(0)) + a.base * p * q
    return {k: v for k, v in out.items() if v}


def outcomes(game, s, left):
    """(distribution of what is spent, reward) of every deterministic policy with memory."""
    if game.over(s, left):
        return {(((Fraction(0), Fraction(1)),), Fraction(0))}
    (constraint,), (row,), out = game.constraints, game.rows, set()
    for a in game.choices[s]:
        tails = [outcomes(game, t, left - 1) for _, t in a.branches]
        for combination in itertools.product(*tails):
            law, reward = {}, a.reward
            for (p, _), (tail, earned) in zip(a.branches, combination, strict=True):
                reward += game.beta * p * earned
                for spent, q in tail:
                    total = a.costs[row] + constraint.discount * spent
                    law[total] = law.get(total, Fraction(0)) + p * q
            out.add((tuple(sorted(law.items())), reward))
    return out


def from_start(game):
    chosen = [(p, s) for s, p in enumerate(game.initial) if p > 0]
    each = [outcomes(game, s, game.horizon) for _, s in chosen]
    for combination in itertools.product(*each):
        law, reward = {}, Fraction(0)
        for (p, _), (tail, earned) in zip(chosen, combination, strict=True):
            reward += p * earned
            for spent, q in tail:
                law[spent] = law.get(spent, Fraction(0)) + p * q
        yield law, reward


def mean_of_worst(law, alpha):
    """The mean of the worst 1 - alpha of a law, from the worst on."""
    left, total = 1 - alpha, Fraction(0)
    for spent in sorted(law, reverse=True):
        part = min(left, law[spent])
        total += part * spent
        left -= part
    return total / (1 - alpha)


def quantile(law, alpha):
    below = Fraction(0)
    for spent in sorted(law):
        below += law[spent]
        if below >= alpha:
            return spent
    raise AssertionError


def with_time(model, horizon):
    """The same runs as an endless model: its states are (time, state), the last one ends."""
    size, states, terminal = model.S, [], []
    for t, s in itertools.product(range(horizon + 1), range(size)):
        over = t == horizon or bool(model.terminal[s])
        terminal.append(over)
        if over:
            states.append([((0,), 0, ((1, t * size + s),))])
            continue
        parts = []
        for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
            low, high = int(model.branch_ptr[c]), int(model.branch_ptr[c + 1])
            scale = np.lcm.reduce([p.denominator for p in model.branch_prob[low:high]])
            branches = tuple(
                (int(model.branch_prob[b] * scale), (t + 1) * size + int(model.branch_state[b]))
                for b in range(low, high)
            )
            parts.append(((int(model.cost[0, c]),), int(model.reward[c]), branches))
        states.append(parts)
    initial = list(model.initial) + [Fraction(0)] * (size * horizon)
    return assemble(
        states, terminal=terminal, initial=initial, cost_unit=model.cost_unit,
        base=None, reward_discount=Fraction(1),
    )  # fmt: skip


@SMALL
@given(st.data())
def test_spent_by_the_base_policy(data):
    model = data.draw(constrained_mdps(**TINY, signed=data.draw(st.booleans()), base_zeros=True))
    constraint = data.draw(constraints(model.cost_unit, horizons=(3, 0, 1, 2)))
    game = Game(model, constraint)
    law = {}
    for s, p in enumerate(game.initial):
        for spent, q in base_spends(game, s, constraint.horizon).items():
            law[spent] = law.get(spent, Fraction(0)) + p * q
    law = {k: v for k, v in law.items() if v}
    found = spent_distribution(model, constraint)
    assert dict(zip(found.value, (p.lower for p in found.probability), strict=True)) == law
    assert found.status is Status.EXACT
    for alpha in LEVELS:
        risk = found.cvar(alpha)
        assert risk.lower == risk.upper == mean_of_worst(law, alpha)
        if alpha:
            assert found.value_at_risk(alpha).lower == quantile(law, alpha)


@SMALL
@given(st.data())
def test_spent_in_floats_and_through_a_guard(data):
    model = data.draw(constrained_mdps(**TINY, exact=False))
    constraint = data.draw(constraints(model.cost_unit, horizons=(1, 2, 3)))
    game = Game(model, constraint)
    law = {}
    for s, p in enumerate(game.initial):
        for spent, q in base_spends(game, s, constraint.horizon).items():
            law[spent] = law.get(spent, Fraction(0)) + p * q
    for policy in (None, base_choices):
        for alpha in LEVELS:
            risk = cvar(model, constraint, alpha, policy)
            want = float(mean_of_worst(law, alpha))
            assert risk.lower - 1e-9 <= want <= risk.upper + 1e-9
            assert risk.width < 1e-8


@SMALL
@given(st.data())
def test_least_cvar_against_every_policy(data):
    model = data.draw(constrained_mdps(**TINY, signed=data.draw(st.booleans())))
    constraint = data.draw(constraints(model.cost_unit, **SPENDING))
    laws = list(from_start(Game(model, constraint)))
    for alpha in LEVELS:
        want = min(mean_of_worst(law, alpha) for law, _ in laws)
        found = least_cvar(model, constraint, alpha)
        assert found.value.lower == found.value.upper == want
        assert found.status is Status.EXACT
        own = spent_on(found.product, found.weight())
        assert own.cvar(alpha).lower == want


@SMALL
@given(st.data())
def test_reward_and_cvar_against_every_policy(data):
    model = data.draw(constrained_mdps(**TINY))
    constraint = data.draw(constraints(model.cost_unit, **SPENDING))
    alpha = data.draw(st.sampled_from(LEVELS))
    laws = list(from_start(Game(model, constraint)))
    for weight in (Fraction(1, 2), Fraction(2)):
        want = max(reward - weight * mean_of_worst(law, alpha) for law, reward in laws)
        found = reward_and_cvar(model, constraint, alpha, weight)
        assert found.value.lower == found.value.upper == want


@SMALL
@given(st.data())
def test_endless_runs_agree_with_a_horizon(data):
    """The same runs, ended by the horizon or by terminal states of (time, state)."""
    model = data.draw(constrained_mdps(**TINY, reward_discounts=(Fraction(1),)))
    horizon = data.draw(st.sampled_from([1, 2, 3]))
    timed = BudgetConstraint(0, horizon=horizon)
    same = with_time(model, horizon)
    alpha = data.draw(st.sampled_from(LEVELS))
    one, two = least_cvar(model, timed, alpha), least_cvar(same, BudgetConstraint(0), alpha)
    assert one.value == two.value
    assert two.status is Status.EXACT
    weight = data.draw(st.sampled_from([Fraction(1, 2), Fraction(2)]))
    one = reward_and_cvar(model, timed, alpha, weight)
    two = reward_and_cvar(same, BudgetConstraint(0), alpha, weight)
    assert one.value == two.value
    uniform = np.array([Fraction(1)] * model.C, dtype=object)
    plain = spent_distribution(model, timed, uniform)
    cap = 2 * horizon * model.cost_unit
    longer = spent_distribution(same, BudgetConstraint(0), cap=cap)
    assert (plain.value, plain.probability) == (longer.value, longer.probability)
    assert longer.tail.upper == 0
    short = spent_distribution(same, BudgetConstraint(0), cap=model.cost_unit)
    for level in LEVELS:
        inner, outer = plain.cvar(level), short.cvar(level)
        assert float(outer.lower) <= float(inner.lower) + 1e-9
        assert float(inner.upper) <= float(outer.upper) + 1e-9


def geometric(exact=True):
    return from_dict({"s": {"go": (1, 0, {"s": "1/2", "t": "1/2"})}}, initial="s", exact=exact)


@pytest.mark.parametrize("exact", [True, False])
def test_geometric_tail(exact):
    """P(S = k) = 2^-k: the worst half is 1 + S again, whose mean is 3."""
    for cap, width in ((0, 10), (2, 10), (30, 1e-6)):
        risk = cvar(geometric(exact), BudgetConstraint(0), "1/2", cap=cap)
        assert risk.lower <= 3 <= risk.upper
        assert risk.width < width
    level = spent_distribution(geometric(exact), BudgetConstraint(30)).value_at_risk("9/10")
    assert level.lower == level.upper == 4
    beyond = spent_distribution(geometric(exact), BudgetConstraint(2)).value_at_risk("9/10")
    assert (beyond.lower, beyond.upper) == (3, np.inf)
    least = least_cvar(geometric(exact), BudgetConstraint(0), "1/2")
    assert float(least.value.lower) == pytest.approx(3)
    assert float(least.value.upper) == pytest.approx(3)
    assert least.status is (Status.EXACT if exact else Status.CERTIFIED)


def test_zero_cost_cycles_and_endless_spending():
    model = from_dict(
        {
            "s": {"rest": (0, 0, {"s": 1}), "go": (1, 0, {"s": 1})},
            "u": {"burn": (1, 0, {"u": 1})},
        },
        initial="s",
        exact=True,
    )
    assert least_cvar(model, BudgetConstraint(0), "1/2").value.upper == 0
    resting = np.array([Fraction(v) for v in (1, 0, 1)], dtype=object)
    found = spent_distribution(model, BudgetConstraint(3), resting)
    assert found.value == (0,)
    assert found.cvar("1/2").upper == 0
    going = spent_distribution(model, BudgetConstraint(3))
    assert going.tail.lower == going.tail.upper == 1
    assert going.cvar("1/2").lower == 4
    assert going.cvar("1/2").upper == np.inf
    burning = from_dict({"u": {"burn": (1, 0, {"u": 1})}}, initial="u", exact=True)
    assert least_cvar(burning, BudgetConstraint(0), "1/2").value.lower == np.inf


def test_averse_policies_change_with_what_was_spent():
    """A first gamble decides whether a second one is worth its risk."""
    model = from_dict(
        {
            "s": {"go": (0, 0, {"lucky": "1/2", "unlucky": "1/2"})},
            "lucky": {"a": (0, 0, {"m": 1})},
            "unlucky": {"a": (2, 0, {"m": 1})},
            "m": {"sure": (2, 0, {"t": 1}), "risk": (0, 0, {"b": "1/2", "t": "1/2"})},
            "b": {"pay": (3, 0, {"t": 1})},
        },
        initial="s",
        exact=True,
    )
    constraint = BudgetConstraint(0, horizon=4)
    assert least_cvar(model, constraint, 0).value.lower == Fraction(5, 2)
    # alpha = 3/4: sure after bad luck costs 4 at worst; gambling there costs 5.
    assert least_cvar(model, constraint, "3/4").value.lower == 4


def test_shares_are_scaled():
    model = geometric()
    weights = np.array([Fraction(7)] * model.C, dtype=object)
    found = spent_distribution(model, BudgetConstraint(0, horizon=1), weights)
    assert found.expectation.lower == found.expectation.upper == 1
    assert shares([7]) == [1]


def test_refusals():
    model = geometric()
    for alpha in (1, -1, 2):
        with pytest.raises(SolverError, match=r"alpha: want a level"):
            least_cvar(model, BudgetConstraint(0), alpha)
    with pytest.raises(SolverError, match=r"gamma\^T c_max"):
        least_cvar(model, BudgetConstraint(0, "1/2"), "1/2")
    with pytest.raises(SolverError, match=r"gamma\^T c_max"):
        spent_distribution(model, BudgetConstraint(0, "1/2"))
    with pytest.raises(SolverError, match="a number > 0"):
        reward_and_cvar(model, BudgetConstraint(0), "1/2", 0)
    with pytest.raises(SolverError, match="weight for each"):
        spent_distribution(model, BudgetConstraint(0), np.ones(9))
    endless = from_dict({"s": {"rest": (0, 1, {"s": 1})}}, initial="s")
    with pytest.raises(SolverError, match="an infinite one"):
        reward_and_cvar(endless, BudgetConstraint(0), "1/2", 1)
    halved = from_dict({"s": {"rest": (0, 1, {"s": 1})}}, initial="s", reward_discount="1/2")
    with pytest.raises(SolverError, match="1 without a horizon"):
        reward_and_cvar(halved, BudgetConstraint(0), "1/2", 1)
    with pytest.raises(SolverError, match="raise the state limit"):
        spent_distribution(model, BudgetConstraint(10**4), limit=10)
