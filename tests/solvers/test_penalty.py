"""The penalty MDP, its curve and its thresholds (THEORY T1.threshold, T1.gap)."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import Game

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.errors import SolverError
from ig_theory.solvers.penalty import finite_threshold, penalty_value
from ig_theory.solvers.penalty_curve import penalty_curve
from ig_theory.solvers.penalty_threshold import penalty_threshold
from ig_theory.solvers.solution import Status
from ig_theory.testing.strategies import constrained_mdps, constraints
from simulators.latent import late_budget, late_violation, violation_time

HALF, NINE_TENTHS = Fraction(1, 2), Fraction(9, 10)
SLACK = 1e-9
FEWER = settings(max_examples=max(settings.default.max_examples // 2, 1))


@st.composite
def problems(draw: st.DrawFn, model: dict[str, Any], constraint: dict[str, Any]) -> Any:
    drawn = draw(constrained_mdps(3, 3, 2, **model))
    return drawn, draw(constraints(drawn.cost_unit, **constraint))


FINITE = {"horizons": (3, 1, 2), "scopes": [Scope.ANYTIME]}


class Charged(Game):
    """M_n by recursion over histories."""

    def charge(self, n: Fraction, left: int) -> Fraction:
        return n * sum((self.beta**k for k in range(left + 1)), Fraction(0))

    def penalised(self, s: int, z: Fraction, left: int, n: Fraction) -> Fraction:
        """V_n(s, z) with `left` steps to go."""
        over = self.over(s, left)
        if self.broken((z,), over):
            return -self.charge(n, left)
        if over:
            return Fraction(0)
        return max(self.play(a, z, left, n) for a in self.choices[s])

    def play(self, a: Any, z: Fraction, left: int, n: Fraction) -> Fraction:
        (paid,) = self.after((z,), a)
        tails = sum(p * self.penalised(t, paid, left - 1, n) for p, t in a.branches)
        return a.reward + self.beta * tails

    def follow(self, plan: Any, s: int, z: Fraction, left: int) -> tuple[Fraction, Fraction]:
        """P(violated) and the reward earned before, of a plan (state, z, left) -> choice."""
        over = self.over(s, left)
        if self.broken((z,), over):
            return Fraction(1), Fraction(0)
        if over:
            return Fraction(0), Fraction(0)
        a = plan[s, z, left]
        (paid,) = self.after((z,), a)
        lost = earned = Fraction(0)
        for p, t in a.branches:
            if self.broken((paid,), self.over(t, left - 1)):
                lost += p
                continue
            tail = self.follow(plan, t, paid, left - 1)
            lost += p * tail[0]
            earned += p * (a.reward + self.beta * tail[1])
        return lost, earned


def start(game: Game, value: Any) -> Fraction:
    return sum((p * value(s) for s, p in enumerate(game.initial) if p > 0), Fraction(0))


def within(bounds: Any, truth: Fraction) -> bool:
    return bounds.lower - SLACK <= truth <= bounds.upper + SLACK


def safe_start(model: ConstrainedMDP, constraint: BudgetConstraint) -> bool:
    game = Game(model, constraint)
    return all(
        game.safe(s, game.start(), constraint.horizon) for s, p in enumerate(game.initial) if p > 0
    )


# -- the curve ------------------------------------------------------------------------------------


@FEWER
@given(problems({}, FINITE), st.sampled_from([Fraction(0), HALF, Fraction(5)]))
def test_the_curve_against_recursion(problem, n):
    model, constraint = problem
    game, horizon = Charged(model, constraint), constraint.horizon
    (point,) = penalty_curve(model, constraint, [float(n)]).points
    assert point.status is Status.CERTIFIED
    value = start(game, lambda s: game.penalised(s, constraint.budget, horizon, n))
    assert within(point.value, value)
    assert point.value.width <= SLACK
    solved = penalty_value(model, constraint, float(n))
    product, plan = solved.product, {}
    for node, j in enumerate(solved.solution.policy.tolist()):
        if j >= 0:
            s, left = int(product.state[node]), horizon - int(product.time[node])
            place = int(product.choice[j]) - int(model.choice_ptr[s])
            plan[s, product.budgets(node)[0], left] = game.choices[s][place]
    for i, bounds in enumerate((point.violation, point.reward)):
        truth = start(game, lambda s, i=i: game.follow(plan, s, constraint.budget, horizon)[i])
        assert within(bounds, truth)
        assert bounds.width <= SLACK
        assert i > 0 or point.safe == (truth == 0)
    assert (point.first_violation is None) == point.safe


@FEWER
@given(problems({}, FINITE))
def test_values_fall_to_the_best_safe_one(problem):
    """T1(i): V_n decreases in n, never below V_safe, and is V_safe above n*."""
    model, constraint = problem
    assume(safe_start(model, constraint))
    most = float(finite_threshold(model, constraint.horizon)) + 1
    curve = penalty_curve(model, constraint, [0, most / 4, most / 2, most])
    uppers = [p.value.upper for p in curve.points]
    assert all(a >= b - SLACK for a, b in pairwise(uppers))
    assert curve.points[-1].value.lower <= curve.safe_value.upper + SLACK
    assert all(u >= curve.safe_value.lower - SLACK for u in uppers)
    assert abs(curve.points[-1].reward.middle - curve.safe_value.middle) <= SLACK


def test_a_violation_is_charged_at_every_time_left():
    """At t = 1 of 3: -n for z_1, z_2 and z_3."""
    model = from_dict({"s": {"pay": (1, 7, {"s": 1})}}, initial="s", reward_discount="1/2")
    (point,) = penalty_curve(model, BudgetConstraint(0, horizon=3), [8]).points
    assert point.value.middle == pytest.approx(7 - 8 * (1 / 2 + 1 / 4 + 1 / 8))
    assert (point.reward.middle, point.first_violation) == (0, 1)
    (point,) = penalty_curve(model, BudgetConstraint(0), [8]).points
    assert point.value.middle == pytest.approx(7 - 8)


def test_a_start_that_is_broken_owes_all_its_charges():
    model = from_dict({"s": {"go": (0, 1, {"s": 1})}}, initial="s")
    start_broken = BudgetConstraint(0, boundary=Boundary.OPEN, horizon=2)
    (point,) = penalty_curve(model, start_broken, [5]).points
    assert point.value.middle == pytest.approx(-15)
    assert (point.safe, point.first_violation) == (False, 0)
    assert point.violation.lower >= 1 - SLACK


@pytest.mark.parametrize("n", [-1, math.inf, math.nan])
def test_penalties_are_numbers(n):
    with pytest.raises(SolverError, match=r"^n: want"):
        penalty_curve(late_violation(), BudgetConstraint(1, NINE_TENTHS), [n])


# -- finite horizon: T1(iii) ----------------------------------------------------------------------


@FEWER
@given(problems({}, FINITE))
def test_above_the_finite_threshold_policies_are_safe(problem):
    model, constraint = problem
    assume(safe_start(model, constraint))
    threshold = finite_threshold(model, constraint.horizon)
    (point,) = penalty_curve(model, constraint, [float(threshold) * 1.000001 + 1e-6]).points
    assert point.safe
    assert point.violation.upper == 0


@pytest.mark.parametrize("beta", [Fraction(1), HALF])
@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_the_deterministic_finite_threshold_is_sharp(horizon, beta):
    """R a step and a violation at z_T, against nothing: n* = R (1 + .. + beta^(T-1)) / beta^T."""
    moves: dict[str, Any] = {
        f"{t}": {"go": (int(t == horizon - 1), 3, {f"{t + 1}": 1})} for t in range(horizon)
    }
    moves["0"]["no"] = (0, 0, {"poor": 1})
    model = from_dict(moves, initial="0", exact=True, reward_discount=beta)
    constraint = BudgetConstraint(0, horizon=horizon)
    n = finite_threshold(model, horizon)
    game = Charged(model, constraint)
    go, no = (game.play(a, Fraction(0), horizon, n) for a in game.choices[0])
    assert go == no == 0  # a tie: greedy policies may be unsafe
    below, above = penalty_curve(model, constraint, [float(n) - 1e-6, float(n) + 1e-6]).points
    assert (below.safe, below.first_violation) == (False, horizon)
    assert below.violation.lower >= 1 - SLACK
    assert above.safe


def test_negative_rewards_have_no_threshold():
    model = from_dict({"s": {"go": (1, -2, {"s": 1})}}, initial="s", reward_discount="1/2")
    with pytest.raises(SolverError, match="reward of choice 0: want rewards >= 0"):
        finite_threshold(model, 2)
    with pytest.raises(SolverError, match="reward of choice 0: want rewards >= 0"):
        penalty_threshold(model, BudgetConstraint(0, discount="1/2"))


def test_float_probabilities_round_the_threshold_up():
    moves = {"s": {"go": (0, 1, {"s": 0.1, "t": 0.9})}}
    model = from_dict(moves, initial="s")
    assert finite_threshold(model, 1) >= 1 / Fraction(0.1)


# -- infinite horizon: T1(iv) and (v) -------------------------------------------------------------


@pytest.mark.parametrize("n", [10, 10**3, 10**6])
def test_just_below_nine_every_finite_penalty_violates(n):
    """T1(iv): so late that the discounted penalty is less than the reward of 1 now."""
    model, z = late_violation(exact=True), late_budget(n)
    assert z < 9
    constraint = BudgetConstraint(z, NINE_TENTHS)
    time = violation_time(z)
    curve = penalty_curve(model, constraint, [n, 10 * n])
    fooled, deterred = curve.points
    assert (fooled.safe, fooled.first_violation) == (False, time)
    assert fooled.violation.lower >= 1 - SLACK
    worth = 1 - n * NINE_TENTHS**time / (1 - NINE_TENTHS)
    assert abs(fooled.value.middle - worth) <= 1e-6
    assert fooled.status is Status.CERTIFIED
    # A larger one mends this budget, though not those still closer to 9.
    assert (deterred.safe, deterred.first_violation) == (True, None)
    assert curve.safe_value.middle == 0
    threshold = penalty_threshold(model, constraint)
    assert n < threshold.n
    assert threshold.by_kappa.upper == pytest.approx(float(1 / NINE_TENTHS**time - 1), rel=1e-6)
    assert threshold.gap == (9 - z) / NINE_TENTHS
    assert threshold.by_gap >= threshold.by_kappa.lower


def test_late_violations_come_at_the_published_times():
    model, times = late_violation(exact=True), []
    for n in (10, 10**3, 10**6):
        constraint = BudgetConstraint(late_budget(n), NINE_TENTHS)
        times.append(penalty_curve(model, constraint, [n]).points[0].first_violation)
    assert times == [44, 88, 153]


ENDLESS = {"horizons": [None], "budgets": (1, 2, 0, 3, HALF, Fraction(7, 3))}
DISCOUNTED = {"reward_discounts": (HALF, NINE_TENTHS)}


def safe_above(model: ConstrainedMDP, constraint: BudgetConstraint) -> Any:
    """Greedy policies are safe just above both thresholds, and n* is consistent."""
    assume(safe_start(model, constraint))
    try:
        answer = penalty_threshold(model, constraint, limit=3_000)
    except SolverError:
        assume(False)
    assert answer.status is Status.CERTIFIED
    assert answer.kappa.lower > 0
    assert answer.by_kappa.lower <= answer.by_kappa.upper < math.inf
    if answer.steps is not None:
        assert answer.by_gap >= answer.by_kappa.lower  # kappa is sharper
        power = (answer.probability * model.reward_discount) ** (answer.steps + 1)
        assert answer.kappa.upper >= power
    wanted = answer.n * 1.000001 + 1e-6
    (point,) = penalty_curve(model, constraint, [wanted], limit=3_000).points
    assert point.safe
    return answer


@FEWER
@given(problems(DISCOUNTED, {**ENDLESS, "discounts": [HALF, NINE_TENTHS]}))
def test_above_the_computed_threshold_policies_are_safe(problem):
    safe_above(*problem)


@FEWER
@given(problems(DISCOUNTED, {**ENDLESS, "discounts": [1]}))
def test_undiscounted_budgets_have_the_kappa_threshold_too(problem):
    """Infinite demands included: kappa is positive as long as some run must violate."""
    answer = safe_above(*problem)
    assert answer.gap is None
    assert answer.by_gap is None or answer.by_gap == 0


class Unsafe(Game):
    """The least E beta^tau by value iteration on the whole product; gamma = 1, beta < 1."""

    def least(self, budget: Fraction) -> float:
        starts = [(s, (budget,)) for s, p in enumerate(self.initial) if p > 0]
        moves: dict[Any, list[Any]] = {}
        todo = list(starts)
        while todo:
            node = todo.pop()
            if node in moves or self.broken(node[1], False):
                continue
            moves[node] = [
                (a, [(float(p), (t, self.after(node[1], a))) for p, t in a.branches])
                for a in self.choices[node[0]]
            ]
            todo += [n for _, out in moves[node] for _, n in out]
        beta, value = float(self.beta), dict.fromkeys(moves, 0.0)

        def after(out: Any) -> float:
            return beta * sum(p * value.get(n, 1.0) for p, n in out)

        for _ in range(300):
            value = {n: min(after(out) for _, out in moves[n]) for n in moves}
        reached, todo, least = set(), [n for n in starts if self.safe(*n, None)], math.inf
        while todo:
            node = todo.pop()
            if node in reached:
                continue
            reached.add(node)
            for a, out in moves[node]:
                if self.permitted(a, node[1], None):
                    todo += [n for _, n in out]
                else:
                    least = min(least, after(out))
        return least


@given(problems(DISCOUNTED, {**ENDLESS, "discounts": [1]}))
def test_kappa_against_value_iteration(problem):
    model, constraint = problem
    answer = penalty_threshold(model, constraint)
    least = Unsafe(model, constraint).least(constraint.budget)
    if least == math.inf:
        assert answer.kappa.lower == math.inf
        return
    assert answer.kappa.lower - SLACK <= least <= answer.kappa.upper + SLACK
    assert answer.kappa.width <= SLACK
    if least > 1e-3:
        wanted = float(answer.reward) * (1 / least - 1)
        assert answer.by_kappa.upper == pytest.approx(wanted, rel=1e-6, abs=1e-6)


@settings(max_examples=40)
@given(st.integers(1, 5), st.sampled_from([HALF, NINE_TENTHS]), st.integers(1, 3))
def test_the_kappa_threshold_is_sharp(delay, beta, reward):
    """R in every step until the violation, after which -n: equal to nothing at n* exactly."""
    moves: dict[str, Any] = {
        f"{t}": {"go": (int(t == delay), reward, {f"{t + 1}": 1})} for t in range(delay + 1)
    }
    moves["0"]["no"] = (0, 0, {"poor": 1})
    model = from_dict(moves, initial="0", exact=True, reward_discount=beta)
    constraint = BudgetConstraint(0)
    answer = penalty_threshold(model, constraint)
    kappa = beta ** (delay + 1)
    assert answer.kappa.lower <= kappa <= answer.kappa.upper
    assert answer.kappa.width <= 1e-12
    n = float(reward / kappa - reward)
    assert answer.by_kappa.lower <= n * (1 + 1e-12)
    assert answer.n == pytest.approx(n, rel=1e-9)
    below, above = penalty_curve(model, constraint, [n * (1 - 1e-6), n * (1 + 1e-6)]).points
    assert (below.safe, below.first_violation) == (False, delay + 1)
    assert above.safe


def test_nothing_unsafe_needs_no_penalty():
    model = from_dict({"s": {"go": (0, 5, {"s": 1})}}, initial="s", reward_discount="1/2")
    answer = penalty_threshold(model, BudgetConstraint(0))
    assert (answer.n, answer.by_gap, answer.kappa.lower) == (0, 0, math.inf)


def test_violating_at_once_needs_no_gap():
    moves = {"spend": (1, 1, {"t": {"t": 1}["t"]}), "end": (0, 0, {"t": 1})}
    model = from_dict({"s": moves}, initial="s", reward_discount="1/2")
    answer = penalty_threshold(model, BudgetConstraint(0, discount="1/2"))
    assert (answer.gap, answer.steps, answer.by_gap) == (None, 0, 1)


def test_open_boundary_has_kappa_but_no_gap():
    """At z = D exactly the shortage is 0, and the budget is broken all the same."""
    moves = {"a": {"risk": (0, 1, {"b": 1}), "rest": (0, 0, {"a": 1})}, "b": {"pay": (1, 0, "c")}}
    model = from_dict(moves, initial="a", reward_discount="1/2")
    constraint = BudgetConstraint("1/2", "1/2", boundary=Boundary.OPEN)
    answer = penalty_threshold(model, constraint)
    assert answer.by_gap is None
    assert answer.kappa.middle == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("model", "constraint", "match"),
    [
        ({}, BudgetConstraint(0, horizon=3), "horizon: want none"),
        ({"reward_discount": 1}, BudgetConstraint(0), "reward_discount: want below 1"),
        ({}, BudgetConstraint(1, "7/11"), "budgets: want few enough"),
    ],
)  # fmt: skip
def test_thresholds_that_do_not_exist(model, constraint, match):
    """With gamma = 7/11 budgets of this model never recur."""
    moves = {"s": {"pay": (1, 1, {"s": 1}), "less": ("2/5", 1, {"s": 1}), "no": (0, 0, {"s": 1})}}
    options = {"reward_discount": "1/2", **model}
    with pytest.raises(SolverError, match=match):
        penalty_threshold(from_dict(moves, initial="s", **options), constraint)


def test_a_grid_encloses_what_the_policy_does():
    """Budgets too many to be exact: the policy is followed between both roundings."""
    moves = {"s": {"pay": (1, 1, {"s": 1}), "less": ("2/5", 1, {"s": 1}), "no": (0, 0, {"s": 1})}}
    model = from_dict(moves, initial="s", reward_discount="1/2")
    curve = penalty_curve(model, BudgetConstraint(2, "7/11"), [1000])
    (point,), safe = curve.points, curve.safe_value
    assert point.value.lower <= safe.upper
    assert point.value.upper >= safe.lower
    assert (point.safe, point.first_violation) == (True, None)
    assert point.violation.upper == 0
    assert point.reward.lower >= point.value.lower


def test_a_grid_finds_late_violations_too():
    """Too cheap a penalty: costs 2/3 a step want z >= 11/6, and the policy takes them at 3/2."""
    moves = {"s": {"less": ("2/3", 1, {"s": 1}), "no": (0, 0, {"s": 1}), "tiny": ("1/7", 0, "s")}}
    model = from_dict(moves, initial="s", reward_discount="1/2")
    constraint = BudgetConstraint("3/2", "7/11")
    (point,) = penalty_curve(model, constraint, [0.01]).points
    z, time = constraint.budget, 0
    while z >= 0:
        z, time = (z - Fraction(2, 3)) / constraint.discount, time + 1
    assert (point.safe, point.first_violation) == (False, time)
    assert point.violation.lower >= 1 - SLACK
