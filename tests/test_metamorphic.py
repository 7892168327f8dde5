"""What must not change a verdict, or must change it in one direction only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from oracle import Game
from oracle_guards import exact_policy

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint, Scope
from ig_theory.guards import open_guard
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.testing.strategies import TabularGuard, constrained_mdps, constraints, guards
from ig_theory.verdict import Outcome
from ig_theory.verification import verify

Branches = list[tuple[Fraction, int]]
Line = tuple[list[int], Any, Any, Branches]
"""One choice: costs, reward, base probability, branches."""


def lines(model: ConstrainedMDP) -> list[list[Line]]:
    """The model as nested lists, per state its choices."""
    out: list[list[Line]] = [[] for _ in range(model.S)]
    for c in range(model.C):
        span = range(int(model.branch_ptr[c]), int(model.branch_ptr[c + 1]))
        branches = [(model.branch_prob[b], int(model.branch_state[b])) for b in span]
        line = (model.cost[:, c].tolist(), model.reward[c], model.base_policy[c], branches)
        out[int(model.choice_state[c])].append(line)
    return out


def rebuilt(model: ConstrainedMDP, states: list[list[Line]], order: list[int]) -> ConstrainedMDP:
    """A model from nested lists; state i of it has the flags of state ``order[i]`` of `model`.

    An entry -1 stands for a new state: not initial, not terminal, with every label.
    """
    flat = [line for state in states for line in state]

    def flags(old: np.ndarray, new: Any) -> np.ndarray:
        return np.array([new if i < 0 else old[i] for i in order], dtype=old.dtype)

    return ConstrainedMDP(
        choice_ptr=np.cumsum([0] + [len(state) for state in states], dtype=np.int64),
        branch_ptr=np.cumsum([0] + [len(line[3]) for line in flat], dtype=np.int64),
        branch_state=np.array([t for line in flat for _, t in line[3]], dtype=np.int64),
        branch_prob=np.array([p for line in flat for p, _ in line[3]], dtype=object),
        reward=np.array([line[1] for line in flat], dtype=object),
        cost=np.array([line[0] for line in flat], dtype=np.int64).T.copy(),
        initial=flags(model.initial, Fraction(0)),
        terminal=flags(model.terminal, False),
        cost_unit=model.cost_unit,
        reward_discount=model.reward_discount,
        base=np.array([line[2] for line in flat], dtype=object),
        labels={name: flags(members, True) for name, members in model.labels.items()},
    )


def permuted(model: ConstrainedMDP, order: list[int]) -> ConstrainedMDP:
    """State i of the result is state ``order[i]`` of the model."""
    place = {old: new for new, old in enumerate(order)}
    states = lines(model)
    moved = [
        [(cost, r, b, [(p, place[t]) for p, t in out]) for cost, r, b, out in states[old]]
        for old in order
    ]
    return rebuilt(model, moved, order)


def with_branches_split(model: ConstrainedMDP) -> ConstrainedMDP:
    """Every first branch becomes two of half its probability."""
    states = [
        [(cost, r, b, [(out[0][0] / 2, out[0][1])] * 2 + out[1:]) for cost, r, b, out in choices]
        for choices in lines(model)
    ]
    return rebuilt(model, states, list(range(model.S)))


def with_an_unreachable_part(model: ConstrainedMDP) -> ConstrainedMDP:
    """Two more states that nothing leads to, one of them ruinous."""
    half, new = Fraction(1, 2), model.S
    states = [
        *lines(model),
        [([50] * model.K, Fraction(9), Fraction(1), [(half, new), (half, 0)])],
        [([0] * model.K, Fraction(1), Fraction(1), [(Fraction(1), new)])],
    ]
    return rebuilt(model, states, [*range(model.S), -1, -1])


def essence(guard: Any, model: ConstrainedMDP, constraint: BudgetConstraint) -> tuple[Any, ...]:
    """What a transformation must leave as it is: exactly, or to 9 digits where floats serve."""
    v = verify(guard, model, constraint, exact=True)
    steps = None if v.witness is None else len(v.witness.steps)
    others = (v.kl, v.kl_limit, v.urup, v.arsp, v.false_interventions)
    digits = [None if bounds is None else round(bounds.middle, 9) for bounds in others]
    return (v.outcome, steps, v.violation, v.reward, v.optimal_reward, *digits)


def shield(model: ConstrainedMDP, constraint: BudgetConstraint) -> Any:
    return open_guard("shield", model, (constraint,))[1]


def blind(guard: TabularGuard, budget: bool = True) -> TabularGuard:
    """The guard without a look at the state, and, if asked, at the budget."""
    return replace(guard, by_state=0, by_budget=guard.by_budget if budget else 0)


Change = Callable[[ConstrainedMDP], ConstrainedMDP]
problems = constrained_mdps(max_branches=2).flatmap(
    lambda m: st.tuples(st.just(m), constraints(m.cost_unit, horizons=(2, 1, 3)))
)


def unchanged(
    change: Change, model: ConstrainedMDP, constraint: BudgetConstraint, guard: TabularGuard
) -> None:
    changed = change(model)
    before, after = essence(guard, model, constraint), essence(guard, changed, constraint)
    assert before == after
    before = essence(shield(model, constraint), model, constraint)
    after = essence(shield(changed, constraint), changed, constraint)
    assert before == after


@given(problems, guards(), st.data())
def test_permuting_states(problem, guard, data):
    model, constraint = problem
    order = data.draw(st.permutations(range(model.S)))
    unchanged(lambda m: permuted(m, order), model, constraint, blind(guard))


@given(problems, guards())
def test_splitting_branches(problem, guard):
    unchanged(with_branches_split, *problem, guard)


@given(problems, guards())
def test_adding_an_unreachable_part(problem, guard):
    unchanged(with_an_unreachable_part, *problem, guard)


@given(problems, guards(), st.sampled_from([2, 3, 10]), st.booleans())
def test_scaling_costs_with_the_budget(problem, guard, factor, by_unit):
    model, constraint = problem
    if by_unit:
        scaled = replace(model, cost_unit=model.cost_unit * factor)
    else:
        scaled = replace(model, cost=model.cost * factor)
    more = replace_budget(constraint, constraint.budget * factor)
    guard = blind(guard, budget=False)
    assert essence(guard, model, constraint) == essence(guard, scaled, more)
    before = essence(shield(model, constraint), model, constraint)
    assert before == essence(shield(scaled, more), scaled, more)


def replace_budget(constraint: BudgetConstraint, budget: Fraction) -> BudgetConstraint:
    c = constraint
    return BudgetConstraint(budget, c.discount, c.boundary, c.scope, c.cost, c.horizon)


@given(constrained_mdps(), st.data())
def test_the_safe_set_and_the_value_grow_with_the_budget(model, data):
    constraint = data.draw(
        constraints(model.cost_unit, discounts=[1, Fraction(1, 2)], horizons=(2, 1, 3))
    )
    extra = data.draw(st.sampled_from([Fraction(1, 3), Fraction(1), Fraction(5, 2)]))
    more = replace_budget(constraint, constraint.budget + extra * model.cost_unit)
    smaller, larger = minimal_budget(model, constraint), minimal_budget(model, more)
    for s in range(model.S):
        assert smaller.budget_of(s) == larger.budget_of(s)
        if smaller.contains(s, constraint.budget):
            assert larger.contains(s, more.budget)
    assert smaller.start_is_safe() <= larger.start_is_safe()
    low, high = budgeted_value(model, constraint).initial, budgeted_value(model, more).initial
    assert low.upper <= high.lower or low == high
    safe = [verify(shield(model, c), model, c).outcome is Outcome.SAFE for c in (constraint, more)]
    assert safe[0] <= safe[1]


@given(problems, guards(), st.integers(0, 2**32 - 1))
def test_simulation_agrees_with_the_exact_interval(problem, guard, seed):
    """Hoeffding at 1e-9; and certainty on either side admits no exception at all."""
    model, constraint = problem
    verdict = verify(guard, model, constraint)
    game, count = Game(model, constraint), 300
    policy, rng = exact_policy(game, guard), np.random.default_rng(seed)
    rate = sum(violates(game, policy, rng) for _ in range(count)) / count
    margin = math.sqrt(math.log(2e9) / (2 * count))
    assert verdict.violation.lower - margin <= rate <= verdict.violation.upper + margin
    if verdict.violation.upper == 0:
        assert rate == 0
    if verdict.violation.lower == 1:
        assert rate == 1


def violates(game: Game, policy: Any, rng: np.random.Generator) -> bool:
    """One simulated run."""
    s, zs = pick(rng, game.initial), game.start()
    for t in range(game.horizon + 1):
        over = game.over(s, game.horizon - t)
        if game.broken(zs, over):
            return True
        if over:
            return False
        choice = game.choices[s][pick(rng, policy(s, zs, t))]
        s = choice.branches[pick(rng, [p for p, _ in choice.branches])][1]
        zs = game.after(zs, choice)
    raise AssertionError("a run ends at its horizon")


def pick(rng: np.random.Generator, weights: list[Fraction]) -> int:
    point, total = rng.random(), 0.0
    for i, weight in enumerate(weights):
        total += float(weight)
        if point < total:
            return i
    return max(i for i, weight in enumerate(weights) if weight > 0)


@given(constrained_mdps(), st.data())
def test_a_longer_horizon_never_makes_an_anytime_constraint_easier(model, data):
    constraint = data.draw(constraints(model.cost_unit, horizons=[2], scopes=[Scope.ANYTIME]))
    longer = BudgetConstraint(
        constraint.budget, constraint.discount, constraint.boundary, horizon=3
    )
    short, long = minimal_budget(model, constraint), minimal_budget(model, longer)
    assert short.start_is_safe() >= long.start_is_safe()
    assert all(short.budget_of(s) <= long.budget_of(s) for s in range(model.S))
