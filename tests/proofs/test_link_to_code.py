"""The solvers satisfy the specifications that are proved: properties on drawn small models."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Game
from oracle_guards import one_view

from ig_theory.budget import INFINITE
from ig_theory.certificate import demand_certificate
from ig_theory.certificate.impossibility import impossibility_certificate
from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.guards.shield import shield
from ig_theory.solvers.budget_grid import budget_grid
from ig_theory.solvers.least_intrusive import least_intrusive
from ig_theory.solvers.minimal_budget import SafeSet, minimal_budget
from ig_theory.testing.strategies import constrained_mdps, constraints
from ig_theory.tracker import BracketTracker, ExactTracker, GridTracker

CLOSED = [Boundary.CLOSED]
HALF, NINE_TENTHS = Fraction(1, 2), Fraction(9, 10)
Demand = list[Fraction | float]
SLACK = 1e-9


@st.composite
def problems(draw: st.DrawFn, model: dict[str, Any], constraint: dict[str, Any]) -> Any:
    """A model and a constraint in its units."""
    drawn = draw(constrained_mdps(**model))
    return drawn, draw(constraints(drawn.cost_unit, **constraint))


ENDLESS = problems({}, {"boundaries": CLOSED, "horizons": [None]})
TIMED = problems({}, {"boundaries": CLOSED, "horizons": (3, 1, 2, 4), "scopes": [Scope.ANYTIME]})


def operator(model: ConstrainedMDP, gamma: Fraction, demand: Demand) -> Demand:
    """``T D`` in cost units, written out from the model's arrays."""
    out: Demand = []
    for s in range(model.S):
        through: Demand = []
        for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
            branches = range(model.branch_ptr[c], model.branch_ptr[c + 1])
            ahead = max(demand[int(model.branch_state[b])] for b in branches)
            paid = int(model.cost[0, c]) * model.cost_unit
            through.append(
                max(Fraction(0), math.inf if ahead == math.inf else paid + gamma * ahead)
            )
        out.append(min(through))
    return out


def solved(safe_set: SafeSet, time: int = 0) -> Demand:
    return [safe_set.budget_of(s, time) for s in range(safe_set.model.S)]


# -- L2: a fixed point, the least one, the supremum of the iterates -------------------------------


@given(ENDLESS)
def test_the_minimal_budget_is_a_fixed_point(problem):
    model, constraint = problem
    demand = solved(minimal_budget(model, constraint))
    assert operator(model, constraint.discount, demand) == demand
    assert all(d >= 0 for d in demand)


@given(ENDLESS)
def test_it_is_the_supremum_of_the_iterates(problem):
    """Never below an iterate; at gamma = 1 met by one, else within gamma^n D_max of the n-th."""
    model, constraint = problem
    demand, gamma = solved(minimal_budget(model, constraint)), constraint.discount
    unit, largest = model.cost_unit, int(model.cost.max())
    iterate: Demand = [Fraction(0)] * model.S
    # At gamma = 1 a finite demand is at most S c_max, and between two rises lie S steps at most.
    steps = model.S * (model.S * largest + 2) if gamma == 1 else 40
    for _ in range(steps):
        after = operator(model, gamma, iterate)
        assert all(a >= b for a, b in zip(after, iterate, strict=True))
        assert all(a <= d for a, d in zip(after, demand, strict=True))
        iterate = after
    for low, true in zip(iterate, demand, strict=True):
        if gamma == 1 and true == math.inf:
            assert low > model.S * largest * unit
        elif gamma == 1:
            assert low == true
        else:
            assert true - low <= gamma**steps * largest * unit / (1 - gamma)


@given(ENDLESS, st.data())
def test_no_fixed_point_is_below_it(problem, data):
    """All functions with values among a few demands, whole units and infinity are tried."""
    model, constraint = problem
    assume(model.S <= 3)
    demand = solved(minimal_budget(model, constraint))
    finite = {d for d in demand if d != math.inf}
    drawn = data.draw(st.lists(st.fractions(0, 6, max_denominator=4), max_size=2))
    values = [*sorted(finite | {x * model.cost_unit for x in (0, 1, 2, *drawn)}), math.inf]
    met = False
    for candidate in itertools.product(values, repeat=model.S):
        after = operator(model, constraint.discount, list(candidate))
        if all(a <= b for a, b in zip(after, candidate, strict=True)):  # pre-fixed points too
            assert all(d <= x for d, x in zip(demand, candidate, strict=True))
            met |= list(candidate) == demand
    assert met  # the minimal budget itself was among them


@given(TIMED)
def test_with_a_horizon_it_is_the_iterate(problem):
    model, constraint = problem
    found = minimal_budget(model, constraint)
    iterate: Demand = [Fraction(0)] * model.S
    for left in range(constraint.horizon + 1):
        assert solved(found, constraint.horizon - left) == iterate
        iterate = operator(model, constraint.discount, iterate)


# -- L3: the shield is the allowed set ------------------------------------------------------------


@given(st.one_of(ENDLESS, TIMED), st.data())
def test_the_shield_is_the_allowed_set(problem, data):
    """{a : c + gamma D(s') <= z for all s'}, at each demand, just below it, and at drawn z."""
    model, constraint = problem
    game, gamma = Game(model, constraint), constraint.discount
    found, guard = minimal_budget(model, constraint), shield(model, constraint)
    time = 0 if constraint.horizon is None else data.draw(st.integers(0, constraint.horizon - 1))
    ahead = solved(found, time + 1) if constraint.horizon is not None else solved(found)
    when = None if constraint.horizon is None else time
    for s in range(model.S):
        if model.terminal[s]:
            continue
        need = [
            max(a.costs[0] + gamma * ahead[t] if ahead[t] != math.inf else math.inf
                for _, t in a.branches)
            for a in game.choices[s]
        ]  # fmt: skip
        tried = {d + e for d in need if d != math.inf for e in (-Fraction(1, 10**9), 0)}
        tried.add(data.draw(st.fractions(0, 6, max_denominator=6)) * model.cost_unit)
        for z in tried:
            view = one_view(game, s, (z,), when)
            allowed = [d <= z for d in need]
            assert found.allowed(view)[0, : len(need)].tolist() == allowed
            if any(allowed):
                played = np.asarray(guard(view))[0, : len(need)] > 0
                base = [a.base > 0 for a in game.choices[s]]
                some = any(b and ok for b, ok in zip(base, allowed, strict=True))
                want = [ok and (b or not some) for b, ok in zip(base, allowed, strict=True)]
                assert played.tolist() == want


# -- T4: certificates of the solvers check --------------------------------------------------------


@given(st.one_of(problems({}, {"horizons": [None]}), problems({}, {})))
def test_the_certificate_of_the_safe_set_or_of_its_impossibility_checks(problem):
    model, constraint = problem
    found = minimal_budget(model, constraint)
    if found.start_is_safe():
        claim = check_certificate(demand_certificate(found), model)
        assert claim.kind == "demand"
    else:
        claim = check_certificate(impossibility_certificate(found), model)
        assert claim.kind == "impossibility"


# -- L1: the identity, and clipping ---------------------------------------------------------------


@given(
    problems({"signed": True, "max_states": 2}, {"boundaries": CLOSED, "horizons": [5]}),
    st.lists(st.integers(-3, 3), max_size=8),
)
def test_the_tracker_satisfies_the_budget_identity(problem, paid):
    """``gamma^t z_t = d - S_t`` for costs of any sign, by `ExactTracker` and by the constraint."""
    model, constraint = problem
    tracker, gamma, unit = ExactTracker(model, constraint), constraint.discount, model.cost_unit
    value, spent = tracker.start, Fraction(0)
    along = constraint.spend([c * unit for c in paid])
    for t, cost in enumerate([*paid, 0]):
        z = tracker.remaining([value]).value(0)
        assert gamma**t * z == constraint.budget - spent
        assert z == along[t]
        assert (tracker.judge(value) == 0) == constraint.keeps(z) == (spent <= constraint.budget)
        value, spent = tracker.step(value, cost), spent + gamma**t * cost * unit


@given(
    problems({}, {"horizons": [None], "discounts": [HALF, NINE_TENTHS]}),
    st.lists(st.integers(0, 2), max_size=12),
)
def test_clipping_changes_no_sign(problem, paid):
    model, constraint = problem
    largest = int(model.cost.max())
    tracker = ExactTracker(model, constraint)
    value = tracker.start
    along = constraint.spend([min(c, largest) * model.cost_unit for c in paid])
    for t, cost in enumerate([*paid, 0]):
        assert (tracker.judge(value) == 0) == constraint.keeps(along[t])
        value = tracker.step(value, min(cost, largest))


# -- T3: grids bracket ----------------------------------------------------------------------------


@given(
    problems({}, {"horizons": [6], "discounts": [HALF, NINE_TENTHS], "boundaries": CLOSED}),
    st.lists(st.integers(0, 2), max_size=6),
    st.integers(1, 9),
)
def test_a_rounded_tracker_stays_within_the_bound(problem, paid, per_unit):
    """``0 <= gamma^t (z_t - down_t) <= h (1 + .. + gamma^t)``, and the same above."""
    model, constraint = problem
    gamma, mesh = constraint.discount, model.cost_unit / per_unit
    trackers = [GridTracker(model, constraint, per_unit, up) for up in (False, True)]
    both = BracketTracker(model, constraint, per_unit)
    values, pair, bound = [t.start for t in trackers], both.start, Fraction(0)
    exact = constraint.spend([c * model.cost_unit for c in paid])
    for t, cost in enumerate([*paid, 0]):
        down, up = (k.remaining([v]).value(0) for k, v in zip(trackers, values, strict=True))
        bound += mesh * gamma**t
        assert 0 <= gamma**t * (exact[t] - down) <= bound
        assert 0 <= gamma**t * (up - exact[t]) <= bound
        kept = constraint.keeps(exact[t])
        assert both.judge(pair) in (0 if kept else 1, 2)
        values = [k.step(v, cost) for k, v in zip(trackers, values, strict=True)]
        pair = both.step(pair, cost)


@given(
    problems({}, {"horizons": [None], "discounts": [HALF, NINE_TENTHS], "boundaries": CLOSED}),
    st.integers(1, 9),
)
def test_grid_demands_bracket_the_minimal_budget(problem, per_unit):
    """Rounding down needs at most h / (1 - gamma) more, rounding up never more than D."""
    model, constraint = problem
    exact = solved(minimal_budget(model, constraint))
    mesh, gamma = model.cost_unit / per_unit, constraint.discount
    down, up = (
        [int(g) * mesh for g in budget_grid(model, constraint, per_unit, up=way).endless_demands()]
        for way in (False, True)
    )
    for low, d, high in zip(up, exact, down, strict=True):
        assert low - mesh < d <= high  # the least grid point that is enough when rounded up
        assert high - d < mesh / (1 - gamma)


# -- T5: the equation of the least intervention ---------------------------------------------------


@given(
    problems(
        {"max_states": 3, "max_branches": 2, "base_zeros": True},
        {"horizons": (2, 1, 3), "scopes": [Scope.ANYTIME]},
    )
)
def test_the_limit_satisfies_its_equation_at_every_pair(problem):
    """W = -log sum of base exp(- P W') over the allowed choices, and the policy is their share."""
    model, constraint = problem
    answer = least_intrusive(model, constraint)
    product, w = answer.safe.product, answer.limit
    game = Game(model, constraint)
    for node in range(len(product)):
        s, z = int(product.state[node]), product.budgets(node)
        left = constraint.horizon - int(product.time[node])
        if not game.safe(s, z, left):
            assert w[node] == math.inf
            continue
        if game.over(s, left):
            assert w[node] == 0
            continue
        terms = np.zeros(len(game.choices[s]))
        for c in range(product.choice_ptr[node], product.choice_ptr[node + 1]):
            choice = game.choices[s][int(product.place[c])]
            if not game.permitted(choice, z, left):
                continue
            nodes = product.branch_node[product.branch_ptr[c] : product.branch_ptr[c + 1]]
            tail = sum(float(p) * w[n] for (p, _), n in zip(choice.branches, nodes, strict=True))
            terms[choice.place] = float(choice.base) * math.exp(-tail)
        if terms.sum() == 0:
            assert w[node] == math.inf
            continue
        assert abs(w[node] + math.log(terms.sum())) <= SLACK
        weight = np.zeros(len(terms))
        chosen = slice(product.choice_ptr[node], product.choice_ptr[node + 1])
        weight[product.place[chosen]] = answer.weight[chosen]
        assert np.abs(weight - terms / terms.sum()).max() <= SLACK


@given(
    problems(
        {"max_states": 3, "deterministic": True, "base_zeros": True},
        {"horizons": (3, 1, 2, 4), "scopes": [Scope.ANYTIME]},
    )
)
def test_with_deterministic_dynamics_it_is_the_probability_never_to_violate(problem):
    model, constraint = problem
    answer, game = least_intrusive(model, constraint), Game(model, constraint)
    product = answer.safe.product
    for node in product.initial.tolist():
        kept = game.base_keeps(int(product.state[node]), game.start(), constraint.horizon)
        want = math.inf if kept == 0 else -math.log(kept)
        got = answer.limit[node]
        assert got == want or abs(got - want) <= SLACK


def test_infinite_demands_stay_infinite():
    """The integer that stands for infinity is no demand that a budget could meet."""
    from ig_theory.builders import from_dict

    model = from_dict({"s": {"pay": (1, 0, "s")}}, initial="s")
    found = minimal_budget(model, BudgetConstraint(0))
    assert found.budget_of(0) == math.inf
    assert not found.contains(0, Fraction(int(INFINITE)) * 10)
