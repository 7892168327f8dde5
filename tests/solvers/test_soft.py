"""The soft family against the recursion in 40 digits, and against its two ends."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import Game, Node

from ig_theory.augmentation import explore
from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.lookup import Lookup, rows_of
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.least_intrusive import least_intrusive
from ig_theory.solvers.soft import Soft, soft, soft_family
from ig_theory.solvers.solution import Status
from ig_theory.testing.strategies import constrained_mdps, constraints

HALF, NINE_TENTHS = Fraction(1, 2), Fraction(9, 10)
SLACK = 1e-9
FEWER = settings(max_examples=max(settings.default.max_examples // 2, 1))
TEMPERATURES = st.sampled_from([1.0, 0.125, 20.0])
mpmath.mp.dps = 40


@st.composite
def problems(draw: st.DrawFn, model: dict[str, Any], constraint: dict[str, Any]) -> Any:
    drawn = draw(constrained_mdps(3, 3, 2, **model))
    return drawn, draw(constraints(drawn.cost_unit, **constraint))


FINITE = {"horizons": (3, 0, 1, 2)}


def softmax_value(terms: list[tuple[Fraction, Any]], temperature: float) -> Any:
    """``lam log sum base exp(value / lam)`` in 40 digits; -inf of nothing."""
    finite = [(mpmath.mpf(b.numerator) / b.denominator, v) for b, v in terms if v != -math.inf]
    if not finite:
        return -math.inf
    most = max(v for _, v in finite)
    total = mpmath.fsum(b * mpmath.exp((v - most) / temperature) for b, v in finite)
    return most + temperature * mpmath.log(total)


class SoftGame(Game):
    """V of the soft equation by recursion over histories, or by iteration where beta < 1."""

    def soft(self, s: int, zs: Any, left: int, lam: float) -> Any:
        if self.broken(zs, self.over(s, left)):
            return -math.inf
        if self.over(s, left):
            return mpmath.mpf(0)
        terms = []
        for a in self.choices[s]:
            tails = [(p, self.soft(t, self.after(zs, a), left - 1, lam)) for p, t in a.branches]
            if a.base > 0 and all(v != -math.inf for _, v in tails):
                terms.append((a.base, mp(a.reward) + mp(self.beta) * expected(tails)))
        return softmax_value(terms, lam)

    def soft_for_ever(self, s: int, zs: Any, lam: float) -> Any:
        """beta < 1 and gamma = 1: iterated on the finite product of safe pairs."""
        if not self.safe(s, zs, None):
            return -math.inf
        value: dict[Node, float] = {}
        options: dict[Node, list[Any]] = {}
        todo = [(s, zs)]
        while todo:
            node = todo.pop()
            if node in options:
                continue
            state, budgets = node
            options[node] = [
                (float(a.base), float(a.reward), [(float(p), (t, self.after(budgets, a)))
                                                  for p, t in a.branches])
                for a in self.choices[state]
                if a.base > 0 and self.permitted(a, budgets, None)
            ]  # fmt: skip
            value[node] = 0.0
            todo += [n for *_, branches in options[node] for _, n in branches]
        beta = float(self.beta)
        for _ in range(400):
            value = {n: backup(options[n], value, beta, lam) for n in options}
        return value[s, zs]


def backup(options: list[Any], value: dict[Node, float], beta: float, lam: float) -> float:
    terms = [(b, r + beta * sum(p * value[m] for p, m in out)) for b, r, out in options]
    terms = [(b, v) for b, v in terms if v > -math.inf]
    if not terms:
        return -math.inf
    most = max(v for _, v in terms)
    return most + lam * math.log(sum(b * math.exp((v - most) / lam) for b, v in terms))


def mp(number: Fraction) -> Any:
    return mpmath.mpf(number.numerator) / number.denominator


def expected(pairs: list[tuple[Fraction, Any]]) -> Any:
    return mpmath.fsum(mp(p) * v for p, v in pairs)


def start(game: Game, value: Any) -> Any:
    values = [(p, value(s)) for s, p in enumerate(game.initial) if p > 0]
    return -math.inf if any(v == -math.inf for _, v in values) else float(expected(values))


def agrees(found: Soft, truth: Any) -> None:
    if truth == -math.inf:
        assert found.status is Status.INFEASIBLE
        assert found.value.upper == -math.inf
        return
    assert found.status is Status.CERTIFIED
    assert found.value.lower - SLACK <= truth <= found.value.upper + SLACK
    assert found.value.width <= SLACK * (1 + found.temperature)
    split = found.reward.middle - found.temperature * found.kl.middle
    assert split == pytest.approx(found.value.middle, abs=1e-9 * (1 + found.temperature))


# -- against the oracle ----------------------------------------------------------------------------


@given(problems({"signed": True, "base_zeros": True}, FINITE), TEMPERATURES)
def test_finite_horizons_against_recursion(problem, lam):
    model, constraint = problem
    game = SoftGame(model, constraint)
    truth = start(game, lambda s: game.soft(s, game.start(), constraint.horizon, lam))
    agrees(soft(model, constraint, lam), truth)


@given(
    problems(
        {"base_zeros": True, "reward_discounts": (HALF, NINE_TENTHS)},
        {"horizons": [None], "discounts": [1]},
    ),
    TEMPERATURES,
)
def test_discounted_rewards_for_ever_against_iteration(problem, lam):
    model, constraint = problem
    game = SoftGame(model, constraint)
    truth = start(game, lambda s: game.soft_for_ever(s, game.start(), lam))
    agrees(soft(model, constraint, lam), truth)


@st.composite
def several(draw: st.DrawFn) -> Any:
    model = draw(constrained_mdps(3, 2, 2, number_of_costs=2))
    horizon = draw(st.sampled_from([2, 1, 3]))
    return model, tuple(
        draw(constraints(model.cost_unit, horizons=[horizon], cost=cost)) for cost in (0, 1)
    )


@settings(max_examples=60)
@given(several(), TEMPERATURES)
def test_several_constraints(problem, lam):
    model, both = problem
    game = SoftGame(model, both)
    truth = start(game, lambda s: game.soft(s, game.start(), both[0].horizon, lam))
    agrees(soft(model, both, lam), truth)


@FEWER
@given(problems({"deterministic": True, "reward_discounts": [Fraction(1)]}, FINITE), TEMPERATURES)
def test_deterministic_dynamics_tilt_the_base_runs(problem, lam):
    """Doob: V = lam log E_base[exp(total reward / lam); kept], undiscounted."""
    model, constraint = problem
    game = Game(model, constraint)

    def tilted(s: int, zs: Any, left: int, total: Fraction) -> Any:
        over = game.over(s, left)
        if game.broken(zs, over):
            return mpmath.mpf(0)
        if over:
            return mpmath.exp(mp(total) / lam)
        return mpmath.fsum(
            mp(a.base) * tilted(a.branches[0][1], game.after(zs, a), left - 1, total + a.reward)
            for a in game.choices[s]
        )

    def value(s: int) -> Any:
        mass = tilted(s, game.start(), constraint.horizon, Fraction(0))
        return lam * mpmath.log(mass) if mass else -math.inf

    agrees(soft(model, constraint, lam), start(game, value))


# -- the two ends ----------------------------------------------------------------------------------


def longest_price(model: Any, horizon: int) -> float:
    """The most that following one choice can diverge, over a run."""
    return -horizon * math.log(min(float(b) for b in model.base_policy.tolist() if b > 0))


@given(problems({}, FINITE))
def test_low_temperatures_are_the_optimal_safe_policy(problem):
    model, constraint = problem
    lam = 1e-6
    found, best = soft(model, constraint, lam), budgeted_value(model, constraint).initial
    if best.upper == -math.inf:
        assert found.status is Status.INFEASIBLE
        return
    price = lam * longest_price(model, constraint.horizon)
    assert float(best.lower) - price - SLACK <= found.value.lower
    assert found.value.upper <= float(best.upper) + SLACK
    assert found.reward.middle == pytest.approx(float(best.lower), abs=price + SLACK)
    family = soft_family(model, constraint, [])
    assert family.optimal.reward.middle == pytest.approx(float(best.lower), abs=SLACK)


@given(problems({"reward_discounts": [Fraction(1)]}, FINITE))
def test_high_temperatures_are_the_least_intrusive_policy(problem):
    """At beta = 1: KL falls to W, and the value plus lam W is what that policy earns."""
    model, constraint = problem
    lam = 1e7
    limit, family = (
        least_intrusive(model, constraint).initial,
        soft_family(model, constraint, [lam]),
    )
    (found,) = family.points
    if limit.upper == math.inf:
        assert found.status is Status.INFEASIBLE
        assert family.least_intrusive.kl.lower == math.inf
        return
    calm = family.least_intrusive
    assert calm.kl.middle == pytest.approx(limit.middle, abs=SLACK)
    assert found.kl.middle == pytest.approx(limit.middle, abs=1e-6)
    assert found.reward.middle == pytest.approx(calm.reward.middle, abs=1e-5)
    assert found.value.width <= 1e-6 * lam
    assert (found.value.middle / lam) == pytest.approx(-limit.middle, abs=1e-5)


@given(problems({"reward_discounts": [Fraction(1)]}, {"horizons": [None], "discounts": [1]}))
def test_without_rewards_the_value_is_the_limit(problem):
    """Endless undiscounted runs: V = -lam W at every temperature."""
    model, constraint = problem
    from dataclasses import replace

    free = replace(model, reward=np.where(model.reward == 0, model.reward, Fraction(0)))
    limit = least_intrusive(free, constraint).initial
    found = soft(free, constraint, 2.0)
    if limit.upper == math.inf:
        assert found.status is Status.INFEASIBLE
        return
    assert found.status is Status.CERTIFIED
    assert found.value.middle == pytest.approx(-2 * limit.middle, abs=1e-8)
    assert found.kl.middle == pytest.approx(limit.middle, abs=1e-8)


@FEWER
@given(problems({}, {"horizons": (3, 1, 2)}))
def test_the_frontier_trades_reward_for_divergence(problem):
    model, constraint = problem
    family = soft_family(model, constraint, [0.1, 10.0, 1.0])
    assert [p.temperature for p in family.points] == [10.0, 1.0, 0.1]
    assume(family.points[0].status is not Status.INFEASIBLE)
    for calm, keen in pairwise(family.frontier):
        assert calm.reward.lower <= keen.reward.upper + SLACK
        assert calm.kl.lower <= keen.kl.upper + SLACK or keen.temperature == 0
    for hot, cold in pairwise(family.points):
        assert hot.value.lower <= cold.value.upper + SLACK  # divergence is never negative
        for own, other in ((hot, cold), (cold, hot)):  # each is the best at its own temperature
            rival = other.reward.lower - own.temperature * other.kl.upper
            assert own.value.upper >= rival - SLACK


# -- safe, whatever the grid; endless runs; extremes -----------------------------------------------


@FEWER
@given(problems({"reward_discounts": [HALF, NINE_TENTHS]}, {"horizons": [None]}))
def test_every_policy_of_the_family_is_safe(problem):
    model, constraint = problem
    try:
        found = soft(model, constraint, 1.0, limit=1_000)
    except SolverError:  # several grids do not fit
        assume(False)
    assume(found.status is not Status.INFEASIBLE)
    product = found.safe.product
    find = Lookup(product)

    def follow(view: Any) -> Any:
        return rows_of(product, find(view), found.weight, view.enabled.shape[1])

    trackers = product.store.trackers
    chain = explore(model, constraint, follow, trackers=trackers, limit=1_000)
    assert chain.complete
    assert not (chain.broken > 0).any()
    assert found.value.lower <= found.value.upper
    rows = np.bincount(product.choice_node, weights=found.weight, minlength=len(product))
    assert np.allclose(rows[product.initial][product.outcome[product.initial] == 0], 1)


def test_a_grid_encloses_the_value():
    """Budgets that never recur: rounded both ways."""
    moves = {"s": {"pay": (1, 1, {"s": 1}), "less": ("2/5", "1/2", {"s": 1}), "no": (0, 0, "s")}}
    model = from_dict(moves, initial="s", reward_discount="1/2")
    found = soft(model, BudgetConstraint(2, "7/11"), 0.5, limit=2_000)
    assert found.status is Status.CERTIFIED
    assert found.value.width <= 1e-2
    # After 8 steps what reward and divergence are left is worth at most 2 and 2^-8 of it counts.
    short = soft(model, BudgetConstraint(2, "7/11", horizon=8), 0.5).value
    assert found.value.lower - 2**-7 <= short.upper
    assert found.value.upper + 2**-7 >= short.lower


def test_a_reward_for_leaving_is_worth_itself():
    """Staying costs divergence: u = u/2 + e^(r/lam)/2 has the one solution u = e^(r/lam)."""
    model = from_dict({"s": {"stay": (0, 0, {"s": 1}), "go": (0, -1, {"t": 1})}}, initial="s")
    for lam in (1e-3, 1.0, 1e3):
        found = soft(model, BudgetConstraint(0), lam)
        assert found.value.lower <= -1 <= found.value.upper
        assert found.value.width <= 1e-9


def test_undiscounted_reward_for_ever_is_refused():
    model = from_dict({"s": {"go": (0, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    with pytest.raises(SolverError, match="undiscounted reward around state s"):
        soft(model, BudgetConstraint(0), 1.0)
    assert soft(model, BudgetConstraint(0, horizon=9), 1.0).status is Status.CERTIFIED


@pytest.mark.parametrize("lam", [1e-9, 1e-3, 1e3, 1e9, 1e14])
def test_extreme_temperatures_lose_no_digits(lam):
    """Nothing is forbidden, so V lies between the base model's reward and the best one."""
    model = from_dict({"s": {"a": (0, 1, {"s": 1}), "b": (0, 2, {"s": 1})}}, initial="s")
    found = soft(model, BudgetConstraint(0, horizon=10), lam)
    truth = 10 * (
        lam * mpmath.log((mpmath.exp(1 / mpmath.mpf(lam)) + mpmath.exp(2 / mpmath.mpf(lam))) / 2)
    )
    assert found.status is Status.CERTIFIED
    assert found.value.lower <= truth <= found.value.upper
    assert found.value.width <= 1e-10


def test_ten_tenths_are_one_at_any_temperature():
    """Their float sum is 1 - 2^-53; times 1e14 that would be 0.01."""
    moves = {f"{i}": (0, i, {"t": 1}) for i in range(10)}
    model = from_dict({"s": moves}, initial="s", base={"s": dict.fromkeys(moves, 0.1)})
    found = soft(model, BudgetConstraint(0), 1e14)
    assert found.value.lower <= 4.5 <= found.value.upper + 1e-9
    assert found.value.width <= 1e-9


def test_a_choice_that_the_base_hardly_makes_is_not_lost():
    """Its share is lost in 1 - share, yet at a low temperature the policy makes it surely."""
    moves = {"rare": (0, 5, {"t": 1}), "usual": (0, 0, {"t": 1})}
    base = {"s": {"rare": 1e-20, "usual": 1.0}}
    found = soft(from_dict({"s": moves}, initial="s", base=base), BudgetConstraint(0), 1e-2)
    truth = 5 + 0.01 * math.log(1e-20)
    assert found.value.lower - 1e-12 <= truth <= found.value.upper + 1e-12
    assert found.value.width <= 1e-12


def test_an_unsafe_start_has_no_policy():
    model = from_dict({"s": {"pay": (1, 1, {"t": 1})}}, initial="s")
    family = soft_family(model, BudgetConstraint(0), [1.0])
    assert family.points[0].status is Status.INFEASIBLE
    for point in family.frontier:
        assert (point.reward.upper, point.kl.lower) == (-math.inf, math.inf)


def test_a_safe_choice_without_base_mass_does_not_help():
    """The only safe choice is one that the base model never makes: every divergence is infinite."""
    model = from_dict(
        {"s": {"pay": (1, 1, {"t": 1}), "no": (0, 0, {"t": 1})}},
        initial="s", base={"s": {"pay": 1, "no": 0}},
    )  # fmt: skip
    assert soft(model, BudgetConstraint(0), 1.0).status is Status.INFEASIBLE
    assert soft(model, BudgetConstraint(1), 1.0).value.middle == pytest.approx(1)


@pytest.mark.parametrize("lam", [0, -1, math.inf, math.nan])
def test_temperatures_are_positive(lam):
    model = from_dict({"s": {"go": (0, 1, {"t": 1})}}, initial="s")
    with pytest.raises(SolverError, match=r"^temperature: want a finite number above 0"):
        soft(model, BudgetConstraint(0), lam)
