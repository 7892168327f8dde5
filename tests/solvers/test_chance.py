"""The least P(violate), and the best reward with P(violate) <= delta, against brute force."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_theory.augmentation import BROKEN, RUNNING, every_choice, explore
from ig_theory.builders import from_dict
from ig_theory.chain import evaluate
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers import violation as violation_module
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.chance import chance, chance_curve
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.risk.problem import chance_problem
from ig_theory.solvers.solution import Status
from ig_theory.solvers.violation import least_violation, solve_violation, with_sink
from ig_theory.testing.strategies import constrained_mdps, constraints
from tests.oracle import Game, solve

SMALL = settings(max_examples=40)
DELTAS = [
    Fraction(0),
    Fraction(1, 10),
    Fraction(1, 3),
    Fraction(1, 2),
    Fraction(9, 10),
    Fraction(1),
]
TINY = {"max_states": 3, "max_choices": 2, "max_branches": 2}


def least(game, s, zs, left):
    """min P(violate) by recursion over histories."""
    over = game.over(s, left)
    if game.broken(zs, over):
        return Fraction(1)
    if over:
        return Fraction(0)
    return min(
        sum(p * least(game, t, game.after(zs, a), left - 1) for p, t in a.branches)
        for a in game.choices[s]
    )


def free_value(game, s, left):
    """The best reward without any budget."""
    if game.over(s, left):
        return Fraction(0)
    return max(
        a.reward + game.beta * sum(p * free_value(game, t, left - 1) for p, t in a.branches)
        for a in game.choices[s]
    )


def points(game, s, zs, left, after):
    """(P(violate), reward) of all deterministic policies with memory, dominated ones left out."""
    over = game.over(s, left)
    if game.broken(zs, over):
        return [(Fraction(1), free_value(game, s, left) if after == "free" else Fraction(0))]
    if over:
        return [(Fraction(0), Fraction(0))]
    out = []
    for a in game.choices[s]:
        paid = game.after(zs, a)
        tails = [points(game, t, paid, left - 1, after) for _, t in a.branches]
        kept = sum(p for p, t in a.branches if not game.broken(paid, game.over(t, left - 1)))
        now = a.reward * (kept if after == "stop" else 1)
        for combination in itertools.product(*tails):
            pairs = list(zip(a.branches, combination, strict=True))
            out.append(
                (
                    sum(p * v for (p, _), (v, _) in pairs),
                    now + game.beta * sum(p * r for (p, _), (_, r) in pairs),
                )
            )
    return front(out)


def front(pairs):
    """The pairs that no other beats with at most the same violation."""
    out: list[tuple[Fraction, Fraction]] = []
    for v, r in sorted(set(pairs), key=lambda x: (x[0], -x[1])):
        if not out or r > out[-1][1]:
            out.append((v, r))
    return out


def start_points(game, after):
    chosen = [(p, s) for s, p in enumerate(game.initial) if p > 0]
    each = [points(game, s, game.start(), game.horizon, after) for _, s in chosen]
    return front(
        (
            sum(p * v for (p, _), (v, _) in zip(chosen, combination, strict=True)),
            sum(p * r for (p, _), (_, r) in zip(chosen, combination, strict=True)),
        )
        for combination in itertools.product(*each)
    )


def hull_at(pairs, delta):
    """The concave hull of the points at delta; None where no mixture keeps it."""
    best = None
    for (v1, r1), (v2, r2) in itertools.product(pairs, repeat=2):
        if v1 <= delta:
            share = Fraction(0) if v2 <= delta else (delta - v1) / (v2 - v1)
            worth = max(r1, r2) if v2 <= delta else r1 + share * (r2 - r1)
            best = worth if best is None else max(best, worth)
    return best


def at_start(game, value):
    return sum(p * value(s) for s, p in enumerate(game.initial) if p > 0)


def inside(bounds, value, slack=1e-9):
    return float(bounds.lower) - slack <= value <= float(bounds.upper) + slack


# -- the least violation ------------------------------------------------------------------------


@SMALL
@given(st.data())
def test_least_finite_horizon(data):
    model = data.draw(constrained_mdps(**TINY, signed=data.draw(st.booleans())))
    constraint = data.draw(constraints(model.cost_unit, horizons=(3, 0, 1, 2)))
    game = Game(model, constraint)
    answer = least_violation(model, constraint)
    want = at_start(game, lambda s: least(game, s, game.start(), constraint.horizon))
    assert answer.initial.lower == answer.initial.upper == want
    assert answer.status is Status.EXACT


@SMALL
@given(st.data())
def test_least_floats_enclose(data):
    model = data.draw(constrained_mdps(**TINY, exact=False))
    constraint = data.draw(constraints(model.cost_unit, horizons=(3, 1, 2)))
    game = Game(model, constraint)
    answer = least_violation(model, constraint)
    want = at_start(game, lambda s: least(game, s, game.start(), constraint.horizon))
    assert answer.initial.lower - 1e-12 <= want <= answer.initial.upper + 1e-12
    assert answer.status is Status.CERTIFIED
    assert answer.initial.width < 1e-9


@SMALL
@given(st.data())
def test_least_several_constraints(data):
    model = data.draw(constrained_mdps(**TINY, number_of_costs=2))
    horizon = data.draw(st.sampled_from([1, 2, 3]))
    several = [
        data.draw(constraints(model.cost_unit, horizons=(horizon,), cost=k)) for k in range(2)
    ]
    game = Game(model, several)
    want = at_start(game, lambda s: least(game, s, game.start(), horizon))
    answer = least_violation(model, several)
    assert answer.initial.lower == answer.initial.upper == want


def policies_enumerated(product):
    """The least P(violate) of each node over all deterministic policies of a product."""
    running = np.flatnonzero(product.outcome == RUNNING).tolist()
    options = [range(product.choice_ptr[n], product.choice_ptr[n + 1]) for n in running]
    best = {n: Fraction(1) for n in running}
    for plan in itertools.product(*options):
        moves = {}
        for n, j in zip(running, plan, strict=True):
            low, high = product.branch_ptr[j], product.branch_ptr[j + 1]
            first = product.first_prob[j]
            moves[n] = [
                (product.model.branch_prob[first + i], int(product.branch_node[low + i]))
                for i in range(high - low)
            ]
        can = {n for n in range(len(product)) if product.outcome[n] == BROKEN}
        while True:  # who may violate at all: the equations of the others are 0
            more = {n for n in moves if n not in can and any(m in can for _, m in moves[n])}
            if not more:
                break
            can |= more
        chain = {
            n: (
                sum((p for p, m in moves[n] if product.outcome[m] == BROKEN), Fraction(0)),
                [(p, m) for p, m in moves[n] if m in can and m in moves],
            )
            for n in can
            if n in moves
        }
        value = solve(chain, Fraction(1))
        for n in running:
            best[n] = min(best[n], value.get(n, Fraction(0)))
    return best


@SMALL
@given(st.data())
def test_least_endless_against_every_policy(data):
    """gamma = 1 without a horizon, zero-cost cycles and infinite demands included."""
    model = data.draw(constrained_mdps(max_states=3, max_choices=2, max_branches=2))
    constraint = data.draw(
        constraints(model.cost_unit, discounts=(1,), horizons=(None,), budgets=(0, 1, 2))
    )
    product = with_sink(explore(model, constraint, every_choice))
    plans = np.prod(np.maximum(np.diff(product.choice_ptr), 1))
    if plans > 64:
        return
    found = solve_violation(product)
    best = policies_enumerated(product)
    for node, value in best.items():
        assert found.solution.lower[node] == found.solution.upper[node] == value
    safe = minimal_budget(model, constraint)
    for node in best:
        kept = safe.contains(int(product.state[node]), product.budgets(node)[0])
        assert kept == bool(found.never[node]) == (best[node] == 0)
        assert bool(found.surely[node]) == (best[node] == 1)


@SMALL
@given(st.data())
def test_least_policy_attains(data):
    model = data.draw(constrained_mdps(exact=data.draw(st.booleans())))
    constraint = data.draw(constraints(model.cost_unit, horizons=(3, None), budgets=(0, 1, 2)))
    found = least_violation(model, constraint).upper
    product, policy = found.product, found.solution.policy
    weight = np.zeros(len(product.choice))
    weight[policy[policy >= 0]] = 1.0
    ends = (product.outcome == BROKEN).astype(np.float64)[:, None]
    own = evaluate(product, ends, 1.0, weight)
    assert (own.upper[:, 0] <= found.solution.upper.astype(float) + 1e-9).all()


def discounted(unit):
    """Budgets that leave the grid, where exact ones are few: endless runs halve, others do not."""
    budgets = (1, 2, 3, Fraction(7, 3), Fraction(19, 10))
    endless = constraints(unit, discounts=(Fraction(1, 2),), horizons=(None,), budgets=budgets)
    few = (Fraction(2, 3), Fraction(9, 10))
    return endless | constraints(unit, discounts=few, horizons=(2, 3), budgets=budgets)


@SMALL
@given(st.data())
def test_least_grids_bracket(data):
    """gamma < 1: exact budgets against the directed grids."""
    model = data.draw(constrained_mdps(**TINY))
    constraint = data.draw(discounted(model.cost_unit))
    exact = least_violation(model, constraint).initial
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(violation_module, "exact_limit", lambda several, limit: 1)
        patch.setattr(violation_module, "LARGEST_GRID", 8)
        grid = least_violation(model, constraint).initial
    assert float(grid.lower) - 1e-9 <= float(exact.lower)
    assert float(exact.upper) <= float(grid.upper) + 1e-9


def test_grids_that_round():
    """z_1 = (1.9 - 1) / 0.9 = 1 is just enough; a coarse grid cannot tell."""
    model = from_dict({"s": {"pay": (1, 0, {"s": 1})}}, initial="s", exact=True)
    constraint = BudgetConstraint("19/10", "9/10", horizon=2)
    assert least_violation(model, constraint).initial.upper == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(violation_module, "exact_limit", lambda several, limit: 1)
        patch.setattr(violation_module, "LARGEST_GRID", 2)
        grid = least_violation(model, constraint)
    assert (grid.initial.lower, grid.initial.upper) == (0, 1)
    assert grid.status is Status.CERTIFIED


def retry(exact=True):
    """Waiting is free for ever; trying costs one unit and ends the run half the time."""
    return from_dict(
        {
            "s": {"wait": (0, 0, {"s": 1}), "try": (1, 1, {"s": "1/2", "t": "1/2"})},
            "u": {"burn": (1, 0, {"u": 1})},
        },
        initial={"s": "1/2", "u": "1/2"},
        exact=exact,
    )


def test_zero_cost_cycle_and_infinite_demand():
    for exact in (True, False):
        answer = least_violation(retry(exact), BudgetConstraint(2))
        assert float(answer.initial.lower) == float(answer.initial.upper) == 0.5
        found = answer.upper
        assert found.never[found.product.state == 0][:1].all()
        assert found.solution.upper[0] == 0
        assert found.solution.lower[1] == 1


@pytest.mark.parametrize("boundary", ["closed", "open"])
def test_boundary_is_decided_exactly(boundary):
    model = from_dict({"s": {"pay": ("1/10", 0, {"t": 1})}}, initial="s", exact=True)
    answer = least_violation(model, BudgetConstraint("1/10", boundary=boundary))
    assert answer.initial.upper == (0 if boundary == "closed" else 1)
    nothing = least_violation(model, BudgetConstraint(0, boundary=boundary, horizon=0))
    assert nothing.initial.upper == (0 if boundary == "closed" else 1)


def test_open_boundary_never_exhausted():
    """c = 1, gamma = 1/2, d = 2: z stays at 2 for ever though all is spent in the limit."""
    model = from_dict({"s": {"pay": (1, 0, {"s": 1})}}, initial="s", exact=True)
    for budget, want in ((2, 0), ("3/2", 1)):
        constraint = BudgetConstraint(budget, "1/2", "open")
        assert least_violation(model, constraint).initial.upper == want


def test_too_many_pairs():
    model = from_dict({"s": {"gain": (-1, 0, {"s": 1})}}, initial="s")
    with pytest.raises(SolverError, match="raise the state limit"):
        least_violation(model, BudgetConstraint(0), limit=100)


# -- reward under a chance constraint -------------------------------------------------------------


@SMALL
@given(st.data())
def test_chance_finite_horizon(data):
    model = data.draw(constrained_mdps(**TINY, signed=data.draw(st.booleans())))
    constraint = data.draw(constraints(model.cost_unit, horizons=(2, 0, 1, 3)))
    after = data.draw(st.sampled_from(["stop", "free"]))
    game = Game(model, constraint)
    pairs = start_points(game, after)
    for answer in chance_curve(model, constraint, DELTAS, after=after):
        want = hull_at(pairs, answer.delta)
        if want is None:
            assert answer.status is Status.INFEASIBLE
            assert answer.mixture == ()
            continue
        assert answer.value.lower == answer.value.upper == want
        assert answer.status is Status.EXACT
        assert answer.violation.upper <= answer.delta


@SMALL
@given(st.data())
def test_chance_methods_agree_in_floats(data):
    model = data.draw(constrained_mdps(**TINY, exact=False))
    constraint = data.draw(constraints(model.cost_unit, horizons=(1, 2, 3)))
    after = data.draw(st.sampled_from(["stop", "free"]))
    pairs = start_points(Game(model, constraint), after)
    for delta in (Fraction(1, 10), Fraction(7, 11)):
        want = hull_at(pairs, delta)
        for method in ("hull", "lp"):
            answer = chance(model, constraint, delta, after=after, method=method)
            if want is None:
                assert answer.status is Status.INFEASIBLE
                continue
            if answer.status is Status.UNCERTIFIED:  # delta is the least violation itself
                assert abs(float(answer.least.upper) - float(delta)) < 1e-9
                assert answer.value.upper >= float(want) - 1e-9
                continue
            assert inside(answer.value, float(want))
            assert answer.value.width < 1e-6
            assert answer.violation.upper <= delta


@SMALL
@given(st.data())
def test_chance_zero_is_the_shield_and_one_is_free(data):
    model = data.draw(
        constrained_mdps(max_states=3, reward_discounts=(Fraction(1, 2), Fraction(9, 10)))
    )
    constraint = data.draw(constraints(model.cost_unit, discounts=(1,), budgets=(0, 1, 2)))
    after = data.draw(st.sampled_from(["stop", "free"]))
    safe = budgeted_value(model, constraint).initial
    answer = chance(model, constraint, 0, after=after)
    if float(safe.lower) == -np.inf:
        assert answer.status is Status.INFEASIBLE
    else:
        assert inside(answer.value, float(safe.lower))
        assert inside(answer.value, float(safe.upper))
        assert answer.violation.upper == 0
    whole = chance(model, constraint, 1, after="free")
    unbounded = BudgetConstraint(
        10**6 * model.cost_unit, horizon=constraint.horizon
    ) if constraint.horizon is not None else None  # fmt: skip
    if unbounded is not None:
        free = budgeted_value(model, unbounded).initial
        assert inside(whole.value, float(free.middle), 1e-6)


@SMALL
@given(st.data())
def test_chance_endless_discounted_reward(data):
    """Where every step costs, an endless run is over after d + 1 steps: the same as a horizon."""
    model = data.draw(constrained_mdps(**TINY, costs=st.integers(1, 2)))
    budget = data.draw(st.sampled_from([0, 1, 2]))
    boundary = data.draw(st.sampled_from(["closed", "open"]))
    endless = BudgetConstraint(budget * model.cost_unit, boundary=boundary)
    timed = BudgetConstraint(budget * model.cost_unit, boundary=boundary, horizon=budget + 1)
    pairs = start_points(Game(model, timed), "stop")
    for answer in chance_curve(model, endless, DELTAS, after="stop"):
        want = hull_at(pairs, answer.delta)
        if want is None:
            assert answer.status is Status.INFEASIBLE
        elif answer.status is not Status.UNCERTIFIED:
            assert inside(answer.value, float(want), 1e-8)
            assert answer.value.width < 1e-6
            assert answer.violation.upper <= answer.delta
        else:
            assert answer.least.lower <= answer.delta <= answer.least.upper


@SMALL
@given(st.data())
def test_mixture_as_one_randomised_policy(data):
    model = data.draw(constrained_mdps(**TINY))
    constraint = data.draw(constraints(model.cost_unit, horizons=(1, 2, 3)))
    answer = chance(model, constraint, "1/3", after="stop")
    if answer.status is Status.INFEASIBLE:
        return
    weight, product = answer.behaviour(), answer.product
    rows = np.bincount(product.choice_node, weights=weight, minlength=len(product))
    assert np.allclose(rows[product.outcome == RUNNING], 1)
    problem = chance_problem(solve_violation(product), "stop", 1e-6)
    gain = np.bincount(
        product.choice_node, weights=weight * problem.earnings.floats().gain[0],
        minlength=len(product),
    )  # fmt: skip
    ends = (product.outcome == BROKEN).astype(np.float64)
    total = evaluate(product, np.stack([gain, ends], axis=1), 1.0, weight)
    share = product.initial_prob.astype(float)
    reward, violation = share @ total.lower[product.initial]
    assert reward == pytest.approx(float(answer.value.lower), abs=1e-9)
    assert violation == pytest.approx(float(answer.violation.upper), abs=1e-9)


def gamble(exact=True):
    """Two independent gambles; each pays 1 and costs 1 with a budget for one only."""
    return from_dict(
        {
            "s": {"risk": (1, 1, {"m": 1}), "pass": (0, 0, {"m": 1})},
            "m": {"risk": (1, 1, {"t": 1}), "pass": (0, 0, {"t": 1})},
        },
        initial="s",
        exact=exact,
    )


def test_known_hull():
    """One risk fits; the second violates surely and, free, pays 1 more."""
    curve = chance_curve(gamble(), BudgetConstraint(1), [0, "1/4", 1], after="free")
    assert [a.value.lower for a in curve] == [1, Fraction(5, 4), 2]
    assert [a.price for a in curve][1] == 1
    stop = chance(gamble(), BudgetConstraint(1), 1, after="stop")
    assert stop.value.lower == stop.value.upper == 1


@pytest.mark.parametrize("method", ["hull", "lp"])
def test_undiscounted_endless_runs(method):
    """beta = gamma = 1 without a horizon; runs end by themselves or violate."""
    model = from_dict(
        {"s": {"go": (1, 1, {"s": "1/2", "t": "1/2"}), "end": (0, 0, {"t": 1})}},
        initial="s",
        exact=True,
    )
    # d = 1: go once (1), then again violates with probability 1/2: reward 0 then, "stop".
    safe = chance(model, BudgetConstraint(1), 0, after="stop")
    assert safe.value.lower == 1
    free = chance(model, BudgetConstraint(1), "1/4", after="free", method=method)
    # Always going is worth 2 and violates with probability 1/2; half of that fits.
    assert inside(free.value, 1.5)
    assert free.violation.upper <= Fraction(1, 4)


def test_zero_cost_cycle_with_a_price():
    """Resting for ever is safe and free; a gamble pays 4 and violates one time in two."""
    model = from_dict(
        {
            "s": {"rest": (0, 0, {"s": 1}), "risk": (0, 4, {"bad": "1/2", "t": "1/2"})},
            "bad": {"pay": (1, 0, {"t": 1})},
        },
        initial="s",
        exact=True,
    )
    curve = chance_curve(model, BudgetConstraint(0), [0, "1/4", "1/2", 1], after="stop")
    assert [a.value.lower for a in curve] == [0, 2, 4, 4]
    assert all(a.status is Status.EXACT for a in curve)
    with pytest.raises(SolverError, match="stay for ever"):
        chance(model, BudgetConstraint(0), "1/4", after="stop", method="lp")
    with pytest.raises(SolverError, match="one policy at the start"):
        curve[1].behaviour()


def test_discounted_reward_needs_time():
    """Risks are taken early, where rewards count most: the price beta^-t lam grows with time."""
    model = from_dict(
        {
            "s": {
                "safe": (0, 0, {"s": "1/2", "t": "1/2"}),
                "risky": (0, 1, {"s": "1/2", "bad": "1/4", "t": "1/4"}),
            },
            "bad": {"pay": (1, 0, {"t": 1})},
        },
        initial="s", exact=True, reward_discount="1/2",
    )  # fmt: skip
    endless = chance(model, BudgetConstraint(0), "3/8", after="stop")
    timed = chance(model, BudgetConstraint(0, horizon=30), "3/8", after="stop")
    # risky, risky, then safe: 1/4 + 1/8 of violating, 1 + 1/4 of reward.
    assert timed.value.middle == pytest.approx(1.25, abs=1e-6)
    assert inside(endless.value, timed.value.middle, 1e-6)
    assert endless.value.width < 1e-6
    program = chance(model, BudgetConstraint(0, horizon=30), "3/8", after="stop", method="lp")
    assert inside(program.value, 1.25, 1e-6)


def test_discounted_budgets_on_grids():
    """The gamble q of late violations: just below 9 the violation is late but sure."""
    model = from_dict(
        {
            "q": {"a": (0, 0, {"end": 1}), "b": (0, 1, {"s1": 1})},
            "s1": {"pay": (1, 0, {"s1": 1})},
        },
        initial="q",
        exact=True,
        reward_discount="9/10",
    )
    for budget, free in ((9, True), (8, False)):
        answer = chance(model, BudgetConstraint(budget, "9/10"), "1/10", after="stop")
        want = 1.0 if free else 0.1
        assert answer.value.lower <= want + 1e-9
        assert answer.value.upper >= want - 1e-9
        assert answer.value.width < 1e-5


def test_grids_bracket_exact_budgets(monkeypatch):
    model = from_dict(
        {
            "s": {"go": (1, 1, {"s": "1/2", "t": "1/2"}), "stop": (0, 0, {"t": 1})},
        },
        initial="s", exact=True, reward_discount="1/2",
    )  # fmt: skip
    constraint = BudgetConstraint("3/2", "1/2")
    exact = {a: chance(model, constraint, "1/8", after=a).value for a in ("stop", "free")}
    monkeypatch.setattr(violation_module, "exact_limit", lambda several, limit: 1)
    for after, value in exact.items():
        answer = chance(model, constraint, "1/8", after=after)
        assert answer.value.lower <= value.upper + 1e-9
        assert answer.value.upper >= value.lower - 1e-9
        assert answer.violation.upper <= Fraction(1, 8)


@SMALL
@given(st.data())
def test_random_grids_bracket_exact_budgets(data):
    model = data.draw(constrained_mdps(**TINY, reward_discounts=(Fraction(1, 2),)))
    constraint = data.draw(discounted(model.cost_unit))
    after = data.draw(st.sampled_from(["stop", "free"]))
    delta = data.draw(st.sampled_from(DELTAS))
    exact = chance(model, constraint, delta, after=after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(violation_module, "exact_limit", lambda several, limit: 1)
        patch.setattr(violation_module, "LARGEST_GRID", 8)
        grid = chance(model, constraint, delta, after=after)
    assert float(grid.value.lower) <= float(exact.value.upper) + 1e-9
    assert float(grid.value.upper) >= float(exact.value.lower) - 1e-9
    if grid.status is Status.INFEASIBLE:
        assert exact.status is Status.INFEASIBLE
    if grid.mixture:
        assert grid.violation.upper <= delta


def test_refusals(monkeypatch):
    model = gamble()
    with pytest.raises(SolverError, match=r"delta: want a probability"):
        chance(model, BudgetConstraint(1), 2, after="stop")
    with pytest.raises(SolverError, match="stop or free"):
        chance(model, BudgetConstraint(1), 1, after="never")  # type: ignore[arg-type]
    rest = from_dict({"s": {"rest": (0, 1, {"s": 1})}}, initial="s")
    with pytest.raises(SolverError, match="reward_discount below 1"):
        chance(rest, BudgetConstraint(1), "1/2", after="stop")
    loses = from_dict({"s": {"go": (1, -1, {"s": 1})}}, initial="s", reward_discount="1/2")
    monkeypatch.setattr(violation_module, "exact_limit", lambda several, limit: 1)
    with pytest.raises(SolverError, match="rewards >= 0 where budgets are rounded"):
        chance(loses, BudgetConstraint(1, "1/2"), "1/2", after="stop")
