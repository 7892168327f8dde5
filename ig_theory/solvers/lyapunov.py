"""Safe policy iteration with Lyapunov functions (Chow et al. 2018), for the *expected* cost.

What is kept is ``E sum gamma^t c_t <= d``, an expectation: single runs may and usually do spend
more than ``d``, so that the budget is *not* kept almost surely. `LyapunovSolution.violation` says
how often it is not.

One step, from a policy ``pi_B`` with cost ``D`` at every state: spend a part of the slack
``d - D(start)`` on auxiliary costs ``e(s) >= 0``, whose discounted total under ``pi_B`` is
``W(s)``. Then ``L = D + W`` is a Lyapunov function with ``L(start) <= d``: with
``Q_L = c + gamma P L``, the policy that solves at every state

    max  pi . Q_V    subject to    (pi - pi_B) . Q_L <= e

costs at most ``L`` (its Bellman operator maps ``L`` below ``L``) and earns at least what ``pi_B``
does. The linear program of a state has one constraint, so that mixing two choices suffices.
Chow et al. take the same ``e`` at every state; here it goes by default where it buys the most
reward, a fractional knapsack over the edges of the states' hulls, in several parts: without
that the iteration soon has no slack left and stops far from the optimum.

A policy that no step improves need not be optimal: at zero slack no state may trade cost with
another. The occupation-measure linear program finds the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.guard import ROW_TOTAL_TOLERANCE
from ig_theory.solvers.expected.expectations import Evaluation, Expectations
from ig_theory.solvers.policy_violation import policy_violation
from ig_theory.solvers.solution import Status
from ig_theory.verdict import Bounds

ALLOWANCE = 1e-12
"""Share of the scale that is kept back from the budget, so that rounding cannot overspend it."""


@dataclass(frozen=True)
class Iterate:
    """The certified reward and cost (in cost units) of one policy of the iteration."""

    reward: Bounds
    cost: Bounds


@dataclass(frozen=True, eq=False)
class LyapunovSolution:
    """The last feasible policy, its certified reward and cost, and how it came about.

    Attributes
    ----------
    policy : float64[C], or float64[T, C] with a horizon T; None if infeasible
        Probability of each choice in its state. States that cannot be reached keep the base.
    reward : Bounds or None
        Expected discounted reward. No claim is made that it is the largest possible.
    cost : Bounds
        Expected discounted cost, in cost units; of the cheapest policy if infeasible.
    violation : Bounds or None
        P(the budget is violated in the almost-sure reading of the constraint); None if
        infeasible or not asked for.
    history : tuple of Iterate
        The baseline and every policy that was accepted after it.
    status : Status
        CERTIFIED: the cost is at most the budget and no step improves further. UNCERTIFIED: the
        steps ran out, or rounding cannot tell the cost from the budget; the bounds hold.
        INFEASIBLE: even the cheapest policy costs more than the budget.
    iterations : int
        Steps taken, the last one included, which improved nothing or was refused.
    """

    policy: Floats | None
    reward: Bounds | None
    cost: Bounds
    violation: Bounds | None
    history: tuple[Iterate, ...]
    status: Status
    iterations: int


def lyapunov(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    *,
    baseline: npt.ArrayLike | None = None,
    parts: int = 20,
    even: bool = False,
    tolerance: float = 1e-9,
    max_iterations: int = 500,
    violation_limit: int = 200_000,
) -> LyapunovSolution:
    """Improve a feasible policy step by step, never leaving ``E sum gamma^t c_t <= d``.

    The constraint is on the *expectation*; it does not hold almost surely. Boundary and scope
    of `constraint` play no part in it (they do in `LyapunovSolution.violation`).

    Parameters
    ----------
    baseline : [C] or [T, C], optional
        Probabilities of the choices of a policy that keeps the budget in expectation; by
        default the policy of least expected cost.
    parts
        The slack is spent in this many equal parts. More parts, better policies: each part is
        spent by what is known of values so far.
    even
        The same auxiliary cost at every state (Chow et al.) instead of where it buys most.
    tolerance
        Stop when no state's value or cost moves by more than this share of the largest.
    max_iterations
        At most this many steps.
    violation_limit
        (state, budget) pairs to explore for `LyapunovSolution.violation`; 0 leaves it out.

    Returns
    -------
    LyapunovSolution
        Time per step: an evaluation, O(B) times its sweeps, and O(C A) for the states' programs.

    Raises
    ------
    SolverError
        If the discounts are not equal and below 1, where some run need not end; if `baseline`
        is no policy, or costs more than the budget.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> found = lyapunov(model, BudgetConstraint("1/4"))
    >>> found.policy[:2].round(6).tolist(), found.status.value
    ([0.25, 0.75], 'certified')

    One run in four spends all of 1 and violates a budget of 1/4:

    >>> round(found.violation.middle, 6)
    0.25
    """
    problem = Expectations.of(model, constraint)
    if baseline is None:
        weight, least = problem.cheapest()
        if least.lower > problem.budget:
            cost = problem.in_units(least)
            return LyapunovSolution(None, None, cost, None, (), Status.INFEASIBLE, 0)
    else:
        weight = given_policy(problem, baseline)
    now = problem.decided(weight, problem.evaluate(weight))
    if baseline is not None and now.cost.lower > problem.budget:
        raise too_dear(problem, now.cost)
    weight, now, history, iterations, settled = _iterate(
        problem, weight, now, parts, even, tolerance, max_iterations
    )
    kept = now.certified and now.cost.upper <= problem.budget and settled
    policy = problem.per_choice(weight)
    return LyapunovSolution(
        policy, now.reward, problem.in_units(now.cost),
        policy_violation(model, constraint, policy, limit=violation_limit)
        if violation_limit else None,
        tuple(history), Status.CERTIFIED if kept else Status.UNCERTIFIED, iterations,
    )  # fmt: skip


def _iterate(
    problem: Expectations, weight: Floats, now: Evaluation, parts: int, even: bool,
    tolerance: float, most: int,
) -> tuple[Floats, Evaluation, list[Iterate], int, bool]:  # fmt: skip
    """Step until nothing improves: the last policy, its values, the history, the steps taken,
    and whether the iteration settled."""
    history = [Iterate(now.reward, problem.in_units(now.cost))]
    iterations, settled = 0, not len(weight)
    while iterations < most and now.certified and not settled:
        iterations += 1
        fresh = step(problem, weight, now, 1 / max(parts - iterations + 1, 1), even)
        then = problem.decided(fresh, problem.evaluate(fresh))
        settled = iterations >= parts and close(now, then, tolerance)
        if not _acceptable(problem, now, then):
            break
        weight, now = fresh, then
        history.append(Iterate(now.reward, problem.in_units(now.cost)))
    return weight, now, history, iterations, settled


def step(
    problem: Expectations, weight: Floats, now: Evaluation, share: float, even: bool
) -> Floats:
    """The next policy, float64[M]: spend a share of the slack, then the states' programs."""
    gain = problem.backup(problem.gain, problem.beta, now.value)
    price = problem.backup(problem.price, problem.gamma, now.demand)
    states = problem.programs(gain, price)
    slack = share * _slack(problem, now)
    inner = problem.running
    extra = np.zeros(len(now.value))
    if slack > 0:
        if even:
            extra[inner] = slack / problem.mean(now.time)
        else:
            extra[inner] = states.spend(weight, problem.visits(weight)[inner], slack)
        later = problem.total(extra, weight)
        spent = problem.mean(later)
        # The knapsack counts visits roughly; whatever it spends, it is no more than the slack.
        scale = slack / spent if spent > slack else 1.0
        extra, later = scale * extra, scale * later
        price = problem.backup(problem.price, problem.gamma, now.demand + later)
        states = problem.programs(gain, price)
    return states.best(states.mean_price(weight) + extra[inner])


def too_dear(problem: Expectations, cost: Bounds) -> SolverError:
    """The error for a baseline that does not keep the budget."""
    error = SolverError.at(
        "baseline", f"an expected cost of at most {problem.constraint.budget}",
        problem.in_units(cost).middle,
        "leave it out to start from the policy of least cost, or raise the budget",
    )  # fmt: skip
    assert isinstance(error, SolverError)
    return error


def close(one: Evaluation, two: Evaluation, tolerance: float) -> bool:
    """Whether no node's value or cost differs by more than a share of the largest."""
    pairs = ((one.value, two.value), (one.demand, two.demand))
    return all(
        float(np.abs(x - y).max(initial=0.0)) <= tolerance * float(np.abs(y).max(initial=0.0))
        for x, y in pairs
    )


def given_policy(problem: Expectations, policy: npt.ArrayLike) -> Floats:
    """A caller's policy, checked, as one of the product, float64[M].

    Raises
    ------
    SolverError
        If its shape is wrong or some state's row is no distribution.
    """
    model, horizon = problem.model, problem.constraint.horizon
    given = np.asarray(policy, dtype=np.float64)
    want = [(model.C,)] if horizon is None else [(model.C,), (horizon, model.C)]
    if given.shape not in want:
        raise SolverError.at(
            "baseline", f"shape {' or '.join(map(str, want))}", given.shape,
            "give one probability for each choice of the model",
        )  # fmt: skip
    total = np.add.reduceat(given, model.choice_ptr[:-1], axis=-1)
    good = (np.abs(total - 1) <= ROW_TOTAL_TOLERANCE) & np.logical_and.reduceat(
        given >= 0, model.choice_ptr[:-1], axis=-1
    )
    if not good.all():
        state = int(np.argwhere(~good)[0, -1])
        row = given[..., model.choice_ptr[state] : model.choice_ptr[state + 1]]
        raise SolverError.at(
            f"baseline at state {model.state_name(state)}", "probabilities that total 1",
            row.tolist(), "give a distribution over its choices",
        )  # fmt: skip
    return problem.from_choices(given / total[..., model.choice_state])


def _slack(problem: Expectations, now: Evaluation) -> float:
    """What is left of the budget, less than rounding may need."""
    scale = float(np.abs(now.demand).max(initial=0.0)) + float(problem.budget)
    return max(float(problem.budget) - float(now.cost.upper) - ALLOWANCE * scale, 0.0)


def _acceptable(problem: Expectations, now: Evaluation, then: Evaluation) -> bool:
    """Whether a policy is certified to keep the budget, and not to earn less."""
    most = max(problem.budget, now.cost.upper)
    return then.certified and then.cost.upper <= most and then.reward.upper >= now.reward.lower
