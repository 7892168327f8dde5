"""Expected-cost constraints: the LP, the Lagrangian mixture and brute force in rationals agree."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Game, solve
from scipy.optimize import linprog
from small_models import models

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ConstraintError, ModelError, SolverError
from ig_theory.solvers.expected.mixing import Column, best_mixture, least_excess
from ig_theory.solvers.lagrangian import lagrangian, mixture_violation
from ig_theory.solvers.occupation_lp import occupation_lp
from ig_theory.solvers.policy_violation import policy_violation
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds
from simulators.garnet import garnet

TINY = Fraction(1, 10**6)
numbers = st.lists(st.integers(-3, 3), min_size=24, max_size=24)
budgets = st.fractions(0, 6, max_denominator=4)


def shaped(model: ConstrainedMDP, drawn: list[int], beta: Fraction, costs: int) -> ConstrainedMDP:
    """The model with small rewards, small costs >= 0, and exact probabilities."""
    running = ~model.terminal[model.choice_state]
    reward = [Fraction(drawn[c % 12], 2) if running[c] else Fraction(0) for c in range(model.C)]
    cost = [
        [abs(drawn[(7 * k + 2 * c) % 24]) * int(running[c]) for c in range(model.C)]
        for k in range(costs)
    ]
    out = np.empty(model.C, dtype=object)
    out[:] = reward
    return replace(
        model, reward=out, cost=np.array(cost), cost_unit=Fraction(1), reward_discount=beta,
        cost_names=None,
    )  # fmt: skip


def deterministic(model: ConstrainedMDP):
    ranges = [range(*map(int, model.choice_ptr[s : s + 2])) for s in range(model.S)]
    return itertools.product(*ranges)


def criteria(model: ConstrainedMDP, policy, beta: Fraction) -> list[Fraction]:
    """Exact expected reward and costs of a stationary deterministic policy."""
    out = []
    for gain in [model.reward, *(row * model.cost_unit for row in model.cost.astype(object))]:
        chain = {}
        for s, c in enumerate(policy):
            low, high = model.branch_ptr[c : c + 2]
            pairs = [(model.branch_prob[b], int(model.branch_state[b])) for b in range(low, high)]
            chain[s] = (Fraction(gain[c]), pairs)
        value = solve(chain, beta)
        out.append(sum((p * value[s] for s, p in enumerate(model.initial)), Fraction(0)))
    return out


def best_on_line(points: list[list[Fraction]], budget: Fraction) -> Fraction | None:
    """One constraint: the best mixture of two points, exactly; None if there is none."""
    best = None
    for one, two in itertools.product(points, repeat=2):
        if one[1] > budget:
            continue
        share = Fraction(0)
        if two[0] > one[0]:
            room = two[1] - one[1]
            share = Fraction(1) if room <= 0 else min(Fraction(1), (budget - one[1]) / room)
        if one[1] + share * (two[1] - one[1]) > budget:
            continue
        value = one[0] + share * (two[0] - one[0])
        best = value if best is None or value > best else best
    return best


@given(models(exact=True, latent=False), numbers, budgets,
       st.sampled_from([Fraction(1, 2), Fraction(9, 10)]))  # fmt: skip
def test_one_constraint_against_every_policy(model, drawn, budget, beta):
    model = shaped(model, drawn, beta, 1)
    constraint = BudgetConstraint(budget, beta)
    points = [criteria(model, policy, beta) for policy in deterministic(model)]
    best = best_on_line(points, budget)
    for found in (occupation_lp(model, constraint), lagrangian(model, constraint)):
        if best is None:
            assert found.status is Status.INFEASIBLE
            assert found.value == Bounds(-math.inf, -math.inf)
            continue
        assert found.status is Status.CERTIFIED
        assert found.value.lower <= best <= found.value.upper
        assert found.costs[0].upper <= budget
        assert (found.prices >= 0).all()


@given(models(exact=True, latent=False), numbers, st.tuples(budgets, budgets))
def test_two_constraints_against_every_policy(model, drawn, both):
    beta = Fraction(3, 4)
    model = shaped(model, drawn, beta, 2)
    constraints = [BudgetConstraint(d, beta, cost=k) for k, d in enumerate(both)]
    points = np.array([criteria(model, p, beta) for p in deterministic(model)]).astype(float)
    oracle = linprog(
        -points[:, 0], A_ub=points[:, 1:].T, b_ub=[float(d) for d in both],
        A_eq=np.ones((1, len(points))), b_eq=[1.0],
    )  # fmt: skip
    for found in (occupation_lp(model, constraints), lagrangian(model, constraints)):
        if oracle.status == 2:
            assert found.status in (Status.INFEASIBLE, Status.UNCERTIFIED)
            assert found.value.lower == -math.inf
            continue
        assert found.value.lower <= -oracle.fun + 1e-7
        assert found.value.upper >= -oracle.fun - 1e-7
        if found.status is Status.UNCERTIFIED:
            # Feasible by rounding only: no room to keep the budgets for sure.
            tight = linprog(
                -points[:, 0], A_ub=points[:, 1:].T, b_ub=[float(d) - 1e-6 for d in both],
                A_eq=np.ones((1, len(points))), b_eq=[1.0],
            )  # fmt: skip
            assert tight.status == 2
            continue
        assert found.status is Status.CERTIFIED
        assert all(c.upper <= d for c, d in zip(found.costs, both, strict=True))


def runs_over_time(model: ConstrainedMDP, policy, constraint: BudgetConstraint) -> list[Fraction]:
    """Exact reward and cost of a deterministic policy over time, policy[t][s]."""
    value = [[Fraction(0), Fraction(0)] for _ in range(model.S)]
    for choices in reversed(policy):
        after, value = value, []
        for c in choices:
            now = [model.reward[c], model.cost[0, c] * model.cost_unit]
            for k, rate in enumerate((model.reward_discount, constraint.discount)):
                for b in range(*map(int, model.branch_ptr[c : c + 2])):
                    now[k] += rate * model.branch_prob[b] * after[int(model.branch_state[b])][k]
            value.append(now)
    share = zip(model.initial, value, strict=True)
    total = [[p * v for v in pair] for p, pair in share]
    return [sum(column, Fraction(0)) for column in zip(*total, strict=True)]


@settings(max_examples=40)
@given(models(exact=True, latent=False), numbers, budgets, st.integers(0, 2),
       st.sampled_from([Fraction(1), Fraction(1, 2)]))  # fmt: skip
def test_finite_horizon_with_different_discounts(model, drawn, budget, horizon, gamma):
    model = shaped(model, drawn, Fraction(4, 5), 1)
    if len(list(deterministic(model))) ** horizon > 300:
        return
    constraint = BudgetConstraint(budget, gamma, horizon=horizon)
    every = itertools.product(list(deterministic(model)), repeat=horizon)
    points = [runs_over_time(model, policy, constraint) for policy in every]
    best = best_on_line(points, budget)
    for found in (occupation_lp(model, constraint), lagrangian(model, constraint)):
        if best is None:
            assert found.status is Status.INFEASIBLE
            continue
        assert found.status is Status.CERTIFIED
        assert found.value.lower <= best <= found.value.upper
        assert found.costs[0].upper <= budget


@pytest.mark.parametrize(("states", "budget"), [(60, 40), (300, 60), (300, 90)])
def test_lagrangian_agrees_with_the_lp_on_garnets(states, budget):
    beta = Fraction(99, 100)
    model = garnet(states, seed=states, reward_discount=beta)
    constraint = BudgetConstraint(budget, beta)
    program, relaxed = occupation_lp(model, constraint), lagrangian(model, constraint)
    assert program.status is relaxed.status is Status.CERTIFIED
    assert program.value.lower <= relaxed.value.upper
    assert relaxed.value.lower <= program.value.upper
    assert relaxed.value.middle == pytest.approx(program.value.middle, rel=1e-6)
    assert relaxed.costs[0].upper <= budget
    assert sum(relaxed.shares) == 1
    assert program.prices == pytest.approx(relaxed.prices, rel=0.05)


def test_several_constraints_on_a_garnet():
    beta = Fraction(19, 20)
    model = garnet(200, seed=4, reward_discount=beta)
    extra = np.random.default_rng(4).integers(0, 4, (2, model.C))
    extra[:, model.terminal[model.choice_state]] = 0
    model = replace(model, cost=np.vstack([model.cost, extra]))
    constraints = [BudgetConstraint(d, beta, cost=k) for k, d in enumerate((18, 20, 22))]
    program, relaxed = occupation_lp(model, constraints), lagrangian(model, constraints)
    assert program.status is relaxed.status is Status.CERTIFIED
    assert relaxed.value.middle == pytest.approx(program.value.middle, rel=2e-6)
    for found in (program, relaxed):
        assert all(c.upper <= d for c, d in zip(found.costs, (18, 20, 22), strict=True))
    assert len(relaxed.columns) <= 4


SPEND = {"s": {"go": (1, 1, "t"), "end": (0, 0, "t")}}


def test_expectation_is_not_enough():
    """Half a unit is allowed, one is spent by half of the runs: each of them violates."""
    found = lagrangian(from_dict(SPEND, initial="s"), BudgetConstraint("1/2"))
    assert found.status is Status.CERTIFIED
    assert found.value.middle == pytest.approx(0.5)
    violation = mixture_violation(found)
    assert violation.lower <= found.shares[0] <= violation.upper or (
        violation.lower <= found.shares[1] <= violation.upper
    )
    assert violation.width < 1e-9
    enough = lagrangian(from_dict(SPEND, initial="s"), BudgetConstraint(1))
    assert enough.value.lower <= 1 <= enough.value.upper
    assert mixture_violation(enough) == Bounds(0.0, 0.0)


@given(models(exact=True, latent=False), numbers, budgets, st.integers(1, 4),
       st.sampled_from([Fraction(1), Fraction(1, 2)]), st.data())  # fmt: skip
def test_violation_of_a_policy_is_the_oracles(model, drawn, budget, horizon, gamma, data):
    model = shaped(model, drawn, Fraction(1), 1)
    policy = np.array([data.draw(st.integers(*(model.choice_ptr[s : s + 2] - [0, 1]).tolist()))
                       for s in range(model.S)])  # fmt: skip
    constraint = BudgetConstraint(budget, gamma, horizon=horizon)
    base = np.array([Fraction(int(c in policy)) for c in range(model.C)], dtype=object)
    game = Game(replace(model, base=base), constraint)
    kept = sum(
        p * game.base_keeps(s, game.start(), horizon) for s, p in enumerate(game.initial) if p
    )
    found = policy_violation(model, constraint, np.tile(policy, (horizon, 1)))
    assert found.lower <= 1 - kept <= found.upper
    assert found.width < 1e-9


def test_violation_beyond_the_limit_stays_open():
    walk = {"s": {"go": (1, 1, {"s": "1/2", "t": "1/2"})}}
    model = from_dict(walk, initial="s")
    exact = policy_violation(model, BudgetConstraint(3), np.array([0, 1]))
    assert exact.lower <= 1 / 8 <= exact.upper
    assert exact.width < 1e-12
    cut = policy_violation(model, BudgetConstraint(50), np.array([0, 1]), limit=10)
    assert cut.lower <= 2.0**-50 <= cut.upper
    assert cut.width > 1e-12


# -- undiscounted -------------------------------------------------------------------------------


def test_free_cycles_may_be_stayed_in_with_some_probability():
    """No stationary policy is optimal here: one that ever goes, goes with probability 1."""
    model = from_dict({"s": {"stay": (0, 0, "s"), "go": (1, 1, "t")}}, initial="s")
    found = occupation_lp(model, BudgetConstraint("1/2"))
    assert found.status is Status.CERTIFIED
    assert found.value.middle == pytest.approx(0.5)
    assert found.stop[0] == pytest.approx(0.5)
    assert found.costs[0].upper <= Fraction(1, 2)
    relaxed = lagrangian(model, BudgetConstraint("1/2"))
    assert relaxed.status is Status.CERTIFIED
    assert relaxed.value.middle == pytest.approx(0.5)


@settings(max_examples=40)
@given(numbers, budgets, st.integers(2, 5))
def test_transient_models_against_every_policy(drawn, budget, length):
    """Undiscounted, on a line that every run leaves: the same brute force, with beta = 1."""
    states = {
        f"s{i}": {
            "slow": (abs(drawn[2 * i]), drawn[2 * i + 10],
                     {f"s{i}": "1/3", f"s{i + 1}": "2/3"}),
            "fast": (abs(drawn[2 * i + 1]), drawn[2 * i + 11],
                     {f"s{i + 1}": "1/2", f"s{length}": "1/2"} if i + 1 < length
                     else {f"s{length}": 1}),
        }
        for i in range(length)
    }  # fmt: skip
    model = from_dict(states, initial="s0", exact=True)
    points = []
    for policy in deterministic(model):
        chain = {s: c for s, c in enumerate(policy) if not model.terminal[s]}
        points.append(_undiscounted(model, chain))
    best = best_on_line(points, budget)
    constraint = BudgetConstraint(budget)
    for found in (occupation_lp(model, constraint), lagrangian(model, constraint)):
        if best is None:
            assert found.status is Status.INFEASIBLE
            continue
        assert found.status is Status.CERTIFIED
        assert found.value.lower <= best <= found.value.upper
        assert found.costs[0].upper <= budget


def _undiscounted(model: ConstrainedMDP, chosen: dict[int, int]) -> list[Fraction]:
    out = []
    for gain in (model.reward.tolist(), model.cost[0].tolist()):
        chain = {}
        for s, c in chosen.items():
            low, high = model.branch_ptr[c : c + 2]
            pairs = [(model.branch_prob[b], int(model.branch_state[b])) for b in range(low, high)]
            chain[s] = (Fraction(gain[c]), pairs)
        out.append(solve(chain, Fraction(1))[0])
    return out


def test_infinite_values_are_detected():
    gold = {"dig": (0, 1, "gold")}
    costly = from_dict({"s": {"pay": (1, 0, "gold"), "go": (0, 1, "t")}, "gold": gold}, initial="s")
    for budget in ("1/8", "1", "3"):
        found = occupation_lp(costly, BudgetConstraint(budget))
        assert found.status is Status.CERTIFIED
        assert found.value == Bounds(math.inf, math.inf)
        assert found.costs[0].upper <= Fraction(budget)
    nothing = occupation_lp(costly, BudgetConstraint(0))  # no price keeps runs from the gold
    assert nothing.value.lower == pytest.approx(1)
    assert nothing.status is Status.UNCERTIFIED
    must_pay = from_dict({"s": {"pay": (1, 0, "gold")}, "gold": gold}, initial="s")
    assert occupation_lp(must_pay, BudgetConstraint("1/2")).status is Status.INFEASIBLE
    assert occupation_lp(must_pay, BudgetConstraint(1)).value.lower == math.inf
    # Gold that cannot be reached at all is no gold.
    apart = from_dict({"s": {"go": (1, 2, "t")}, "gold": gold}, initial="s")
    found = occupation_lp(apart, BudgetConstraint(1))
    assert found.value.middle == pytest.approx(2)
    assert found.status is Status.CERTIFIED


def test_paying_for_ever_is_cut_by_the_budget():
    model = from_dict({"s": {"work": (1, 3, "s"), "end": (0, 0, "t")}}, initial="s")
    found = occupation_lp(model, BudgetConstraint(5))
    assert found.value.lower == pytest.approx(15)
    assert found.costs[0].upper <= 5
    with pytest.raises(SolverError, match="use occupation_lp"):
        lagrangian(model, BudgetConstraint(5))


# -- boundaries and bad input -------------------------------------------------------------------


def test_a_budget_of_zero_and_a_budget_met_exactly():
    beta = Fraction(99, 100)
    model = from_dict(
        {"s": {"pay": (1, 2, "s"), "free": (0, 1, "s")}}, initial="s", reward_discount=beta
    )
    for solver in (occupation_lp, lagrangian):
        zero = solver(model, BudgetConstraint(0, beta))
        assert zero.status is Status.CERTIFIED
        assert zero.value.middle == pytest.approx(100)
        assert zero.costs[0].upper == 0
        full = solver(model, BudgetConstraint(100, beta))  # c_max / (1 - gamma)
        assert full.status is Status.CERTIFIED
        assert full.value.middle == pytest.approx(200)
        must = from_dict({"s": {"pay": (1, 2, "s")}}, initial="s", reward_discount=beta)
        assert solver(must, BudgetConstraint(100, beta)).status is Status.CERTIFIED
        assert solver(must, BudgetConstraint("99999/1000", beta)).status is Status.INFEASIBLE


def test_bad_input_is_one_clear_error():
    model = from_dict(SPEND, initial="s")
    for solver in (occupation_lp, lagrangian):
        with pytest.raises(SolverError, match="cost discount: want the reward discount 1 with"):
            solver(model, BudgetConstraint(1, "1/2"))
        with pytest.raises(SolverError, match="tolerance: want a number > 0"):
            solver(model, BudgetConstraint(1), tolerance=0)
        with pytest.raises(ConstraintError, match="constraints: want at least one"):
            solver(model, [])
        with pytest.raises(ConstraintError, match="one common horizon"):
            solver(model, [BudgetConstraint(1), BudgetConstraint(1, horizon=2)])
        with pytest.raises(ModelError, match="cost: want one of 0"):
            solver(model, BudgetConstraint(1, cost=3))
    with pytest.raises(SolverError, match="solver: want highs or"):
        occupation_lp(model, BudgetConstraint(1), solver="simplex")
    refund = from_dict({"s": {"take": (-1, 0, "s"), "end": (0, 0, "t")}}, initial="s")
    with pytest.raises(SolverError, match="undiscounted cost of a choice of state s"):
        occupation_lp(refund, BudgetConstraint(1))
    mixed = from_dict({"s": {"a": (0, 1, "u")}, "u": {"b": (0, -1, "s")}}, initial="s")
    with pytest.raises(SolverError, match="both signs"):
        occupation_lp(mixed, BudgetConstraint(1))
    infeasible = lagrangian(from_dict({"s": {"go": (2, 1, "t")}}, initial="s"), BudgetConstraint(1))
    with pytest.raises(SolverError, match="mixture: want a feasible one"):
        mixture_violation(infeasible)


# -- the master problem -------------------------------------------------------------------------


def column(reward: float, *costs: float) -> Column:
    return Column(np.array([0]), Bounds(reward, reward), tuple(Bounds(c, c) for c in costs))


def test_the_best_mixture_of_columns():
    columns = [column(0, 0), column(3, 2), column(4, 4), column(1, 3)]
    shares, prices = best_mixture(columns, [Fraction(3)])
    assert shares == [0, Fraction(1, 2), Fraction(1, 2), 0]
    assert prices.tolist() == [0.5]
    assert best_mixture(columns[1:], [Fraction(1)]) is None
    assert least_excess(columns[1:], [Fraction(1)])[0] > 0
    both = [column(0, 0, 0), column(4, 4, 0), column(4, 0, 4)]
    shares, prices = best_mixture(both, [Fraction(1), Fraction(2)])
    assert sum(shares) == 1
    assert [float(s) for s in shares] == pytest.approx([1 / 4, 1 / 4, 1 / 2])
    assert prices == pytest.approx([1, 1])
    excess, weights = least_excess(both[1:], [Fraction(1), Fraction(1)])
    assert excess == pytest.approx(0.5)
    assert weights == pytest.approx([1 / 4, 1 / 4])
