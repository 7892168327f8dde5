"""The occupation-measure linear program for expected-cost constraints (Altman 1999, chapters 3, 8).

Variables ``x(c) >= 0`` are the expected (discounted) numbers of times that choice c is taken;

    max  sum r x    with    sum_{c in s} x(c) - gamma sum_c P(s|c) x(c) = initial(s),
                            sum c_i x <= d_i.

The policy takes a choice in proportion to its x. A finite horizon is solved on the model
expanded over time, with a discount for every cost. Without any discount the runs are transient:
x counts what happens until a run ends, at a terminal state or by staying for ever where both
rewards and costs are 0. There the flow may stop, and the policy says with which probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.sparse as sp

from ig_theory.cmdp import Bools, ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.solvers.expected.costs import ExpectedCosts, expected_cost, judged
from ig_theory.solvers.expected.mixing import highs
from ig_theory.solvers.expected.occupation_flow import FlowProgram, flow_policy, flow_program
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds

SOLVERS = ("highs", "highs-ds", "highs-ipm")


@dataclass(frozen=True, eq=False)
class OccupationLP:
    """The best policy under expected-cost constraints, and what bounds its value.

    Attributes
    ----------
    weight : float64[C] or [T, C]
        The randomised policy: the probability of each choice in its state (at each time). A
        state that is never visited takes its first choice.
    stop : float64[S]
        Undiscounted only: the probability, at each visit, to stay for ever from now on where
        that earns and costs nothing (or, if the value is infinite, collects for ever); the
        weights apply otherwise. 0 elsewhere.
    prices : float64[K]
        The dual price of each budget: what one more unit of it would earn.
    value : Bounds
        Around the optimum: what the policy earns (re-evaluated) if it keeps the budgets, and
        weak duality at the prices (re-solved by `unconstrained`).
    reward : Bounds
        Of the policy.
    costs : tuple of Bounds
        Expected costs of the policy, one a constraint.
    status : Status
        CERTIFIED: the policy keeps all budgets and the bounds are within the tolerance.
        INFEASIBLE: no policy keeps them, and that was checked. UNCERTIFIED: otherwise; a lower
        bound of -inf says that the budgets may be exceeded by the rounding of `costs`.
    iterations : int
        Of the LP solver.
    """

    model: ConstrainedMDP
    constraints: tuple[BudgetConstraint, ...]
    weight: Floats
    stop: Floats
    prices: Floats
    value: Bounds
    reward: Bounds
    costs: tuple[Bounds, ...]
    status: Status
    iterations: int


def occupation_lp(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    tolerance: float = 1e-6,
    solver: str = "highs",
) -> OccupationLP:
    """Maximise the expected reward with expected costs within their budgets, by the LP.

    The costs of an infinite horizon must be discounted like the rewards: otherwise the best
    policy need not be stationary, and one occupation measure does not hold both criteria.

    Parameters
    ----------
    tolerance : float
        The largest width of `value`, relative to ``1 + |value|``, that is called CERTIFIED.
    solver : {"highs", "highs-ds", "highs-ipm"}
        Which algorithm of `scipy.optimize.linprog`.

    Raises
    ------
    SolverError
        If the horizon is infinite and discounts differ; or nothing is discounted and costs are
        negative, or rewards of both signs occur where a run can stay for ever at no cost.

    Notes
    -----
    The LP has C variables and S + K rows (T times that with a horizon); HiGHS takes about a
    second for S = 1000 and most of a minute for 10^4 (use `lagrangian` there). Undiscounted, a
    model in which a run can go on for ever at a cost and a reward has no certified upper bound.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> found = occupation_lp(model, BudgetConstraint("1/2"))
    >>> round(found.value.middle, 9), found.weight.tolist(), found.prices.tolist()
    (0.5, [0.5, 0.5, 1.0], [1.0])
    """
    if solver not in SOLVERS:
        raise SolverError.at("solver", " or ".join(SOLVERS), repr(solver), "pick one")
    if not tolerance > 0:
        raise SolverError.at("tolerance", "a number > 0", tolerance, "use 1e-6")
    problem = expected_cost(model, constraints)
    if problem.horizon == 0:
        return _nothing(problem)
    program = flow_program(problem)
    if not program.states.any():
        return _nothing(problem)
    if program.collects.any():
        endless = _endless(problem, program, solver, tolerance)
        if endless is not None:
            return endless
    found = _solve(problem, program, program.reward, program.stops, np.zeros(program.K), solver)
    if found.status == 2:
        return _infeasible(problem, program, solver)
    if found.status != 0:
        raise SolverError.at("linear program", "an optimum", found.message, "scale the numbers")
    return _verified(problem, program, found, tolerance, solver)


def _nothing(problem: ExpectedCosts) -> OccupationLP:
    """No steps: nothing is earned and nothing is paid."""
    zero, model, count = Bounds(0.0, 0.0), problem.model, len(problem.constraints)
    return OccupationLP(
        model, problem.constraints, _first_choices(problem), np.zeros(model.S), np.zeros(count),
        zero, zero, (zero,) * count, Status.CERTIFIED, 0,
    )  # fmt: skip


def _first_choices(problem: ExpectedCosts) -> Floats:
    weight = np.zeros(problem.model.C)
    weight[problem.model.choice_ptr[:-1]] = 1.0
    return weight if problem.horizon is None else np.tile(weight, (problem.horizon, 1))


def _solve(
    problem: ExpectedCosts, program: FlowProgram, reward: Floats, stops: Bools, tight: Floats,
    solver: str, stopped: float | Floats = 0.0,
) -> Any:  # fmt: skip
    """HiGHS on the program; variables are x and then the flow that stops at each of `stops`."""
    places = np.flatnonzero(stops[program.states])
    size = len(program.source)
    ends = sp.csr_array(
        (np.ones(len(places)), (places, np.arange(len(places)))), shape=(size, len(places))
    )
    limit = np.array([float(d) for d in problem.budgets]) - tight
    return highs(
        -np.concatenate([reward, np.zeros(len(places)) + stopped]),
        A_ub=sp.csr_array(np.hstack([program.cost, np.zeros((program.K, len(places)))])),
        b_ub=limit,
        A_eq=sp.hstack([program.flow, ends]).tocsr(),
        b_eq=program.source,
        method=solver,
        options={"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9},
    )  # fmt: skip


def _verified(
    problem: ExpectedCosts, program: FlowProgram, found: Any, tolerance: float, solver: str
) -> OccupationLP:
    """Re-evaluate the policy, tightening the budgets by what rounding cost, and the dual."""
    tight, iterations = np.zeros(program.K), int(found.nit)
    prices = np.maximum(-found.ineqlin.marginals, 0.0)
    upper = _dual(problem, prices, tolerance * (1 + abs(float(found.fun))))
    weight, stop, worth, kept = _tightened(
        problem, program, (found, program.reward, program.stops, 0.0), tight, solver
    )
    lower = float(worth[0].lower) if kept else -np.inf
    value = Bounds(lower, max(upper, lower))
    status = judged(value, kept, tolerance)
    return OccupationLP(
        problem.model, problem.constraints, weight, stop, prices, value, worth[0],
        tuple(worth[1:]), status, iterations,
    )  # fmt: skip


def _tightened(
    problem: ExpectedCosts, program: FlowProgram, task: tuple[Any, Floats, Bools, float | Floats],
    tight: Floats, solver: str,
) -> tuple[Floats, Floats, list[Bounds], bool]:  # fmt: skip
    """A policy that keeps the budgets exactly, if tightening them by its excess gives one."""
    found, reward, stops, stopped = task
    best = None
    for _ in range(5):
        weight, stop = flow_policy(problem, program, found.x, stops)
        worth = problem.worth_of(weight, stop if stop.any() else None)
        excess = [
            _excess(bounds, budget)
            for bounds, budget in zip(worth[1:], problem.budgets, strict=True)
        ]
        best = weight, stop, worth, not any(excess)
        if not any(excess) or not np.isfinite(excess).all():
            return best
        tight = 4 * tight + 2 * np.array(excess)
        found = _solve(problem, program, reward, stops, tight, solver, stopped)
        if found.status != 0:
            break
    assert best is not None
    return best


def _excess(bounds: Bounds, budget: Fraction) -> float:
    """How far a cost may be over its budget; more than the LP can resolve if it is at all."""
    if bounds.upper <= budget:
        return 0.0
    over = float(bounds.upper) - float(budget)
    return max(over, 1e-9 * (1 + float(budget)))


def _dual(problem: ExpectedCosts, prices: Floats, tolerance: float) -> float:
    """Weak duality: whatever the prices >= 0, no policy within the budgets earns more."""
    try:
        bounds, _, _ = problem.relaxed(1.0, prices, tolerance / 10)
    except SolverError:  # undiscounted, and a run can go on for ever at a cost and a reward
        return np.inf
    terms = [float(p) * float(d) for p, d in zip(prices, problem.budgets, strict=True)]
    slack = 1e-15 * (len(terms) + 2) * (sum(terms) + abs(float(bounds.upper)))
    total = float(bounds.upper) + sum(terms)
    return total + slack if np.isfinite(total) else total


def _infeasible(problem: ExpectedCosts, program: FlowProgram, solver: str) -> OccupationLP:
    """Check that at some prices every policy pays more than is allowed."""
    model, nothing = problem.model, Bounds(-np.inf, -np.inf)
    ending = program.stops | program.collects
    places = np.flatnonzero(ending[program.states])
    size, count = len(program.source), program.cost.shape[1] + len(places)
    ends = sp.csr_array(
        (np.ones(len(places)), (places, np.arange(len(places)))), shape=(size, len(places))
    )
    scale = np.array([1 + float(d) for d in problem.budgets])
    paid = np.hstack([program.cost, np.zeros((program.K, len(places))), -scale[:, None]])
    found = highs(
        np.append(np.zeros(count), 1.0), A_ub=sp.csr_array(paid),
        b_ub=[float(d) for d in problem.budgets],
        A_eq=sp.hstack([program.flow, ends, sp.csr_array((size, 1))]).tocsr(),
        b_eq=program.source,
        bounds=[(0, None)] * count + [(None, None)], method=solver,
    )  # fmt: skip
    prices = np.zeros(program.K)
    checked = False
    if found.status == 0:
        prices = np.maximum(-found.ineqlin.marginals, 0.0)
        try:
            bounds, _, _ = problem.relaxed(0.0, prices, max(1e-9, 1e-3 * float(found.fun)))
            allowed = sum(float(p) * float(d) for p, d in zip(prices, problem.budgets, strict=True))
            checked = float(bounds.upper) + allowed * (1 + 1e-12) < 0
        except SolverError:
            checked = False
    status = Status.INFEASIBLE if checked else Status.UNCERTIFIED
    value = nothing if checked else Bounds(-np.inf, np.inf)
    return OccupationLP(
        model, problem.constraints, _first_choices(problem), np.zeros(model.S), prices, value,
        value, tuple(Bounds(0.0, np.inf) for _ in problem.budgets), status, int(found.nit),
    )  # fmt: skip


def _endless(
    problem: ExpectedCosts, program: FlowProgram, solver: str, tolerance: float
) -> OccupationLP | None:
    """Whether reward can be collected for ever within the budgets: the value is then infinite."""
    ends = program.stops | program.collects
    goal = np.where(program.collects[program.states][ends[program.states]], 1.0, 0.0)
    nothing = np.zeros_like(program.reward)
    found = _solve(problem, program, nothing, ends, np.zeros(program.K), solver, goal)
    if found.status != 0 or -found.fun < 1e-9:
        return None
    weight, stop, worth, kept = _tightened(
        problem, program, (found, nothing, ends, goal), np.zeros(program.K), solver
    )
    reaches = bool((problem.reached(weight) & program.collects & (stop > 0)).any())
    endless = Bounds(np.inf if kept and reaches else -np.inf, np.inf)
    return OccupationLP(
        problem.model, problem.constraints, weight, stop, np.zeros(program.K), endless, endless,
        tuple(worth[1:]), judged(endless, kept and reaches, tolerance), int(found.nit),
    )  # fmt: skip
