"""The Lagrangian with a verified mixture against the LP of HiGHS: answers first, then CPU seconds.

Run by ``make bench``; the name keeps these out of the ordinary test run.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.lagrangian import lagrangian, mixture_violation
from ig_theory.solvers.occupation_lp import occupation_lp
from ig_theory.solvers.solution import Status
from simulators.garnet import garnet

BETA = Fraction(99, 100)


def timed(call, repeats):
    times, answer = [], None
    for _ in range(repeats):
        started = time.process_time()
        answer = call()
        times.append(time.process_time() - started)
    return statistics.median(times), answer


def highs_alone(model, constraint, solver):
    """The same program with HiGHS's own settings: one solve, nothing checked."""
    kept = np.flatnonzero(~model.terminal[model.choice_state])
    branch = np.flatnonzero(~model.terminal[model.choice_state[model.branch_choice]])
    shape = (model.S, model.C)
    leave = sp.csr_array((np.ones(model.C), (model.choice_state, np.arange(model.C))), shape)
    arrive = sp.csr_array(
        (model.branch_prob[branch], (model.branch_state[branch], model.branch_choice[branch])),
        shape,
    )
    rows = np.flatnonzero(~model.terminal)
    flow = (leave - float(BETA) * arrive).tocsr()[rows][:, kept]
    cost = (float(model.cost_unit) * model.cost[0, kept])[None, :]
    return linprog(
        -model.reward[kept], A_ub=cost, b_ub=[float(constraint.budget)],
        A_eq=flow, b_eq=model.initial[rows], method=solver,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("states", "budget", "solvers"),
    [
        (1_000, 60, ("highs-ds", "highs-ipm")),
        (1_000, 100, ("highs-ds", "highs-ipm")),
        (10_000, 100, ("highs-ipm",)),
        (100_000, 100, ()),
    ],
)
def test_lagrangian_against_the_lp(states, budget, solvers):
    model = garnet(states, seed=1, reward_discount=BETA)
    constraint = BudgetConstraint(budget, BETA)
    lagrangian(model, constraint)
    ours, found = timed(lambda: lagrangian(model, constraint), 5)
    assert found.status is Status.CERTIFIED
    assert found.costs[0].upper <= budget
    print(
        f"\nGarnet, {model.S} states, {model.C} choices, E cost <= {budget}, gamma = beta = {BETA}"
        f"; CPU seconds (times ours)\n"
        f"  Lagrangian, mixture verified  {ours:.4f}  value in [{found.value.lower:.7f}, "
        f"{found.value.upper:.7f}], {found.iterations} relaxed problems, "
        f"{len(found.columns)} policies, price {found.prices[0]:.4f}"
    )
    for solver in solvers:
        alone, bare = timed(lambda solver=solver: highs_alone(model, constraint, solver), 1)
        assert -bare.fun == pytest.approx(found.value.middle, rel=1e-6)
        print(f"  HiGHS alone, {solver:<10}       {alone:.2f} ({alone / ours:.0f}x)")
        if states > 1_000:
            continue
        spent, program = timed(
            lambda solver=solver: occupation_lp(model, constraint, solver=solver), 1
        )
        assert program.status is Status.CERTIFIED
        assert program.value.middle == pytest.approx(found.value.middle, rel=1e-6)
        print(f"  occupation_lp, {solver:<10}     {spent:.2f} ({spent / ours:.0f}x)")


def test_several_constraints():
    model = garnet(10_000, seed=1, reward_discount=BETA)
    extra = np.random.default_rng(1).integers(0, 4, (2, model.C))
    extra[:, model.terminal[model.choice_state]] = 0
    model = replace(model, cost=np.vstack([model.cost, extra]))
    for count in (1, 2, 3):
        constraints = [BudgetConstraint(110, BETA, cost=k) for k in range(count)]
        spent, found = timed(lambda constraints=constraints: lagrangian(model, constraints), 1)
        assert found.status is Status.CERTIFIED
        print(
            f"\n{count} constraints: {spent:.3f} s, {found.iterations} relaxed problems, "
            f"{len(found.columns)} policies, gap {found.gap:.1e}"
        )


def test_what_expectation_leaves():
    """The exact P(violate) of mixtures that meet the budget in expectation."""
    print("\nFinite horizon 12, budget read almost surely: P(violate) of the best mixture")
    model = garnet(300, seed=2)
    for budget in (3, 6, 9, 12):
        constraint = BudgetConstraint(budget, horizon=12)
        found = lagrangian(model, constraint)
        if found.status is Status.INFEASIBLE:
            print(f"  d = {budget}: infeasible in expectation")
            continue
        assert found.status is Status.CERTIFIED
        spent, violation = timed(lambda found=found: mixture_violation(found), 1)
        assert violation.width < 1e-9
        print(
            f"  d = {budget}: value {found.value.middle:.4f}, E cost {found.costs[0].middle:.4f}, "
            f"P(violate) {violation.middle:.4f} ({spent:.2f} s)"
        )
