"""Where off-by-one lives: exhausted budgets, both boundaries, the last step, exact decimals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import GuardView
from ig_theory.guards import open_guard
from ig_theory.io import open_model
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.testing.assembly import Part, assemble, shares
from ig_theory.testing.planted_faults import toll
from ig_theory.verdict import Bounds, Outcome, Verdict
from ig_theory.verification import verify

SAFE, VIOLATED = Outcome.SAFE, Outcome.VIOLATED


def line(*costs: int, unit: Fraction = Fraction(1)) -> ConstrainedMDP:
    """Pay the costs one after the other, then end; no choice."""
    last = len(costs)
    states: list[list[Part]] = [[((c,), 0, ((1, s + 1),))] for s, c in enumerate(costs)]
    states.append([((0,), 0, ((1, last),))])
    return assemble(
        states,
        terminal=[s == last for s in range(last + 1)],
        initial=shares([1] + [0] * last),
        cost_unit=unit,
    )


def for_ever(cost: int) -> ConstrainedMDP:
    return assemble([[((cost,), 0, ((1, 0),))]], terminal=[False], initial=[Fraction(1)])


def base(view: GuardView) -> np.ndarray:
    return view.base


def check(model: ConstrainedMDP, *constraints: BudgetConstraint) -> Verdict:
    """The verdict on the base policy; its certificate is checked where it is SAFE."""
    verdict = verify(base, model, constraints)
    if verdict.outcome is SAFE:
        check_certificate(verdict.certificate, model)
    return verdict


@pytest.mark.parametrize("horizon", [None, 3, 5])
@pytest.mark.parametrize(
    ("budget", "boundary", "outcome"),
    [
        ("3/10", "closed", SAFE),
        ("3/10", "open", VIOLATED),
        ("0.2999999999999999999", "closed", VIOLATED),
        ("0.3000000000000000001", "open", SAFE),
    ],
)
def test_the_decimal_trap(budget, boundary, outcome, horizon):
    """Three costs of 1/10 fit 3/10 exactly; in float64 they do not."""
    tenths = line(1, 1, 1, unit=Fraction(1, 10))
    verdict = check(tenths, BudgetConstraint(budget, 1, boundary, horizon=horizon))
    assert verdict.outcome is outcome
    if outcome is VIOLATED:
        assert len(verdict.witness.steps) == 3
        assert verdict.violation.lower > 1 - 1e-9
        assert verdict.violation.upper == 1


@pytest.mark.parametrize("boundary", ["closed", "open"])
@pytest.mark.parametrize(("gamma", "total"), [("1/2", 2), ("9/10", 10), ("2/3", 3)])
def test_one_for_ever_stays_at_its_exact_budget(gamma, total, boundary):
    """THEORY L1.open: z_t = d > 0 for ever although the whole budget is spent in the limit."""
    assert check(for_ever(1), BudgetConstraint(total, gamma, boundary)).outcome is SAFE


def test_one_for_ever_breaks_anything_less():
    # z_{t+1} = 2 (z_t - 1) from 2 - 1/1000: 1000 < 2^10, so it breaks after 10 or 11 steps
    verdict = check(for_ever(1), BudgetConstraint("1999/1000", "1/2"))
    assert verdict.outcome is VIOLATED
    assert len(verdict.witness.steps) == 11
    assert [step.budgets[0] for step in verdict.witness.steps[:2]] == [
        Fraction(1998, 1000), Fraction(1996, 1000)
    ]  # fmt: skip
    assert verdict.witness.steps[-2].budgets[0] >= 0 > verdict.witness.steps[-1].budgets[0]


@pytest.mark.parametrize(("boundary", "outcome"), [("closed", SAFE), ("open", VIOLATED)])
@pytest.mark.parametrize("gamma", ["1", "1/2", "9/10"])
@pytest.mark.parametrize("horizon", [None, 0, 2])
def test_no_budget_and_no_cost(boundary, outcome, gamma, horizon):
    """d = 0 keeps the closed boundary and breaks the open one before any step."""
    verdict = check(for_ever(0), BudgetConstraint(0, gamma, boundary, horizon=horizon))
    assert verdict.outcome is outcome
    if outcome is VIOLATED:
        assert verdict.witness.steps == ()
        assert verdict.violation.lower > 1 - 1e-9
        assert verdict.violation.upper == 1


@pytest.mark.parametrize("gamma", ["1", "1/2", "9/10"])
def test_a_little_budget_and_no_cost_keeps_the_open_boundary(gamma):
    assert check(for_ever(0), BudgetConstraint("1/1000", gamma, "open")).outcome is SAFE
    assert check(for_ever(0), BudgetConstraint(1000, gamma, "open")).outcome is SAFE


def test_the_last_step_is_priced():
    free_until_the_end = line(0, 0, 1)
    assert check(free_until_the_end, BudgetConstraint(0, horizon=2)).outcome is SAFE
    assert check(free_until_the_end, BudgetConstraint(0, horizon=3)).outcome is VIOLATED
    terminal = BudgetConstraint(0, 1, "closed", "terminal", 0, 3)
    verdict = check(free_until_the_end, terminal)
    assert verdict.outcome is VIOLATED
    assert len(verdict.witness.steps) == 3


def test_no_steps_at_all():
    assert check(for_ever(5), BudgetConstraint(0, horizon=0)).outcome is SAFE


def test_signed_costs_anytime_against_terminal():
    borrowed = line(2, -2)
    anytime = BudgetConstraint(1, horizon=2)
    terminal = BudgetConstraint(1, 1, "closed", "terminal", 0, 2)
    assert check(borrowed, anytime).outcome is VIOLATED
    assert check(borrowed, terminal).outcome is SAFE
    assert check(borrowed, terminal, anytime).outcome is VIOLATED
    shorter = BudgetConstraint(1, 1, "closed", "terminal", 0, 1)
    assert check(borrowed, shorter).outcome is VIOLATED


def test_the_terminal_scope_judges_a_terminal_state_when_it_is_reached():
    early = line(2)
    assert check(early, BudgetConstraint(1, 1, "closed", "terminal", 0, 9)).outcome is VIOLATED
    assert check(early, BudgetConstraint(2, 1, "closed", "terminal", 0, 9)).outcome is SAFE


@pytest.mark.parametrize("big", [2**40, 2**40 - 1])
def test_large_costs_are_exact(big):
    """Beyond 2^53 a float cannot tell the two sides of the boundary apart."""
    costs = line(*[big] * 9)
    assert check(costs, BudgetConstraint(9 * big)).outcome is SAFE
    assert check(costs, BudgetConstraint(9 * big - 1)).outcome is VIOLATED
    assert check(costs, BudgetConstraint(9 * big, 1, "open")).outcome is VIOLATED


def test_a_tiny_probability_is_a_violation():
    """Support decides, not the size: 1e-300 on a forbidden choice is VIOLATED."""

    def leaky(view: GuardView) -> np.ndarray:
        return np.tile([1e-300, 1.0], (len(view), 1))

    verdict = verify(leaky, toll(), BudgetConstraint(0, horizon=1))
    assert verdict.outcome is VIOLATED
    assert len(verdict.witness.steps) == 1
    assert verdict.violation.upper > 0


def test_denormal_violations_do_not_vanish_on_a_long_run():
    """A violation whose probability underflows float64 is still VIOLATED."""

    def leaky(view: GuardView) -> np.ndarray:
        return np.tile([1e-200, 1.0], (len(view), 1))

    verdict = verify(leaky, toll(), BudgetConstraint(2, horizon=3))
    assert verdict.outcome is VIOLATED
    assert len(verdict.witness.steps) == 3
    assert verdict.violation.upper > 0


def test_demand_is_met_exactly_at_every_boundary_of_a_fraction():
    """γ = 2/3, a cost of 1 after two free steps: D = 4/9."""
    later = line(0, 0, 1)
    gamma = Fraction(2, 3)
    assert minimal_budget(later, BudgetConstraint(0, gamma)).budget_of(0) == Fraction(4, 9)
    assert check(later, BudgetConstraint("4/9", gamma)).outcome is SAFE
    assert check(later, BudgetConstraint("4/9", gamma, "open")).outcome is VIOLATED
    below = Fraction(4, 9) - Fraction(1, 10**30)
    assert check(later, BudgetConstraint(below, gamma)).outcome is VIOLATED


def test_zero_cost_cycles_demand_nothing_and_costly_ones_everything():
    cycle: list[list[Part]] = [
        [((0,), 0, ((1, 1),)), ((3,), 0, ((1, 2),))],
        [((0,), 0, ((1, 0),))],
        [((1,), 0, ((1, 2),))],
    ]
    model = assemble(cycle, terminal=[False] * 3, initial=shares([1, 0, 0]))
    found = minimal_budget(model, BudgetConstraint(0))
    assert [found.budget_of(s) for s in range(3)] == [0, 0, float("inf")]
    verdict = check(model, BudgetConstraint(100))
    assert verdict.outcome is VIOLATED
    assert len(verdict.witness.steps) == 99  # 3 once, then 98 times 1


@pytest.mark.parametrize("scope", ["anytime", "terminal"])
def test_the_violating_step_earns_nothing_in_either_scope(scope):
    once = assemble([[((1,), 1, ((1, 0),))]], terminal=[False], initial=[Fraction(1)])
    constraint = BudgetConstraint(1, 1, "closed", scope, horizon=2)
    verdict = verify(base, once, constraint, exact=True)
    assert verdict.outcome is VIOLATED
    assert verdict.reward == Bounds(1, 1)


@pytest.mark.parametrize("exact", [True, False])
def test_thirds_lie_within_their_float_bounds(exact):
    loops: list[list[Part]] = [[((0,), 0, ((1, s),))] for s in range(3)]
    model = assemble(
        loops,
        terminal=[True] * 3,
        initial=shares([1, 1, 1]),
        exact=exact,
        labels={"refusal": np.array([False, False, True])},
    )
    arsp = verify(base, model, BudgetConstraint(0)).arsp
    assert arsp is not None
    assert arsp.lower <= Fraction(1, 3) <= arsp.upper


@pytest.mark.parametrize("boundary", ["closed", "open"])
def test_a_certificate_from_the_grid_checks(boundary):
    """Few pairs allowed and γ = 9/10: the directed grid decides, and its proof must hold too."""
    both = ((1, 0), (1, 1))
    model = assemble(
        [[((2,), 0, both), ((0,), 0, ((1, 1),))], [((0,), 0, both), ((1,), 0, both)]],
        terminal=[False, False],
        initial=shares([1, 0]),
        cost_unit=Fraction(1, 10),
    )
    constraint = BudgetConstraint("2/5", "9/10", boundary)
    guard = open_guard("shield", model, constraint)[1]
    verdict = verify(guard, model, constraint, state_limit=200, grid=Fraction(1, 10))
    assert verdict.outcome is SAFE
    check_certificate(verdict.certificate, model)


def test_a_base_model_that_was_not_explored_is_said_to_be_so():
    """Then which prompts are unsafe is not known, and urup rests on it."""
    model = open_model("sheltered-garnet:states=2000,seed=1")
    constraint = BudgetConstraint(50)
    guard = open_guard("refuser", model, constraint)[1]
    notes = verify(guard, model, constraint, state_limit=3_000).assumptions
    assert any("unsafe prompts: the base model was followed" in note for note in notes)
