"""Safe policy iteration where transition probabilities are known from counts only.

What is known of a model is an *ensemble*: rows of branch probabilities, drawn from a Dirichlet
posterior or given. The expected cost of a policy is then a sample, one cost per member, and what
must stay within the budget is a pessimistic number of that sample (`Quantile`, `Deviations`): the
idea of uncertainty-aware Lyapunov methods (arXiv 2107.13944), in our words.

Steps are those of `lyapunov` with the mean model's rewards and pessimistic costs of choices. That
alone proves nothing about the ensemble, so each step is checked: every member's cost is enclosed,
and the step is shortened until the pessimistic cost of all members is within the budget again.

Three things this does not say. The cost is an expectation: single runs may spend more (see
`lyapunov`). The confidence is the posterior's: it holds for the true model as far as the prior
does. And a policy chosen by an ensemble looks a little better on it than it is: judge it on a
fresh one (`member_costs`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ig_theory.chain import ROUNDING, Totals, evaluate
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.expected.direct import LARGEST, direct_totals
from ig_theory.solvers.expected.ensemble import Pessimism, Quantile, checked
from ig_theory.solvers.expected.expectations import Evaluation, Expectations
from ig_theory.solvers.lyapunov import Iterate, close, given_policy, too_dear
from ig_theory.solvers.solution import Status
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.totals.states import changed
from ig_theory.verdict import Bounds

SHORTENINGS = 6
"""How often a step is halved before it is given up."""


@dataclass(frozen=True, eq=False)
class UncertainSolution:
    """The last policy whose pessimistic cost is within the budget.

    Attributes
    ----------
    policy : float64[C], or float64[T, C] with a horizon T; None if infeasible
    reward : Bounds or None
        Expected discounted reward under the ensemble's mean model.
    cost : Bounds
        The pessimistic expected cost, in cost units.
    member_cost : float64[E] or None
        The certified upper bound of each member's expected cost, in cost units.
    history : tuple of Iterate
    status : Status
        CERTIFIED: the pessimistic cost is at most the budget, and no step improves further.
        UNCERTIFIED: the steps ran out; or the baseline, which is then what is returned, costs
        too much, and whether another policy does not was not found out.
        INFEASIBLE: no policy keeps it, whatever it does.
    iterations : int
    """

    policy: Floats | None
    reward: Bounds | None
    cost: Bounds
    member_cost: Floats | None
    history: tuple[Iterate, ...]
    status: Status
    iterations: int


def member_costs(
    model: ConstrainedMDP, constraint: BudgetConstraint, policy: npt.ArrayLike, ensemble: Floats
) -> tuple[Floats, Floats]:
    """Certified bounds of a policy's expected cost under every member, float64[E] each.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 1, {"s": 0.5, "t": 0.5})}}, initial="s")
    >>> ensemble = np.array([[0.5, 0.5, 1.0], [0.75, 0.25, 1.0]])
    >>> member_costs(model, BudgetConstraint(0), np.ones(2), ensemble)[1].round(9).tolist()
    [2.0, 4.0]
    """
    problem, ensemble = _mean_problem(model, constraint, ensemble)
    weight = given_policy(problem, policy)
    lower, upper = _at_start(problem, weight, _totals(problem, weight, ensemble))
    unit = float(problem.model.cost_unit)
    slip = 2 * ROUNDING
    return unit * (lower - slip * np.abs(lower)), unit * (upper + slip * np.abs(upper))


def uncertain_lyapunov(
    model: ConstrainedMDP,
    constraint: BudgetConstraint,
    ensemble: Floats,
    *,
    pessimism: Pessimism | None = None,
    baseline: npt.ArrayLike | None = None,
    parts: int = 10,
    tolerance: float = 1e-6,
    max_iterations: int = 100,
) -> UncertainSolution:
    """Safe policy iteration whose pessimistic expected cost over an ensemble stays within d.

    Parameters
    ----------
    model
        Its own branch probabilities are not used; the rewards are the mean model's.
    ensemble : float64[E, B]
        Probabilities of the branches, one row per member; `dirichlet_ensemble` draws one.
    pessimism
        `Quantile` (0.95 by default) or `Deviations` of the members' expected costs.
    baseline, parts, tolerance, max_iterations
        As for `lyapunov`; the default baseline has the least cost under the mean model.

    Returns
    -------
    UncertainSolution
        Time per step: E evaluations, for each shortening again.

    Raises
    ------
    SolverError
        As for `lyapunov`; if the ensemble is no set of transition probabilities.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"try": (1, 1, {"s": 0.5, "t": 0.5}), "end": (0, 0, "t")}},
    ...                   initial="s")
    >>> from ig_theory.solvers.expected.ensemble import dirichlet_ensemble
    >>> seen = np.array([10, 10, 20, 0])
    >>> ensemble = dirichlet_ensemble(model, seen, 200, np.random.default_rng(1))
    >>> rewards = [
    ...     uncertain_lyapunov(model, BudgetConstraint(1), ensemble, pessimism=Quantile(q))
    ...     .reward.middle
    ...     for q in (0.5, 0.99)
    ... ]
    >>> rewards[0] > rewards[1]  # the surer, the dearer
    True
    """
    how = Quantile() if pessimism is None else pessimism
    problem, ensemble = _mean_problem(model, constraint, ensemble)
    weight = problem.cheapest()[0] if baseline is None else given_policy(problem, baseline)
    now = _State.of(problem, weight, ensemble, how)
    if now.cost.upper > problem.budget:
        if baseline is not None:
            raise too_dear(problem, now.cost)
        return _no_baseline(problem, now, ensemble, how)
    history = [Iterate(now.mean.reward, problem.in_units(now.cost))]
    iterations, settled = 0, not len(weight)
    while iterations < max_iterations and not settled:
        iterations += 1
        fresh = _step(problem, now, ensemble, how, 1 / max(parts - iterations + 1, 1))
        then = _shortened(problem, now, fresh, ensemble, how)
        settled = iterations >= parts and (then is None or close(now.mean, then.mean, tolerance))
        if then is not None:
            now = then
            history.append(Iterate(now.mean.reward, problem.in_units(now.cost)))
    return _solution(
        problem, now, tuple(history), Status.CERTIFIED if settled else Status.UNCERTIFIED,
        iterations,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _State:
    """A policy, its values under the mean model, and its cost under every member.

    `totals` holds costs, [E, N, 1]; `lower` and `upper` those at the start; all
    are multiples of the unit. `cost` is pessimistic.
    """

    weight: Floats
    mean: Evaluation
    totals: Totals
    lower: Floats
    upper: Floats
    cost: Bounds

    @classmethod
    def of(cls, problem: Expectations, weight: Floats, ensemble: Floats, how: Pessimism) -> _State:
        totals = _totals(problem, weight, ensemble)
        lower, upper = _at_start(problem, weight, totals)
        return cls(weight, problem.evaluate(weight), totals, lower, upper, how.bounds(lower, upper))


def _totals(problem: Expectations, weight: Floats, ensemble: Floats) -> Totals:
    """Every member's expected cost, [E, N, 1]."""
    paid = problem.product.at_nodes(weight * problem.price)[:, None]
    if int(problem.running.sum()) <= LARGEST:
        return direct_totals(problem.product, paid, problem.gamma, weight, ensemble)
    each = [
        evaluate(_member(problem, row).product, paid, problem.gamma, weight) for row in ensemble
    ]
    return Totals(
        np.stack([t.lower for t in each]), np.stack([t.upper for t in each]),
        all(t.certified for t in each), max(t.residual for t in each),
    )  # fmt: skip


def _member(problem: Expectations, row: Floats) -> Expectations:
    model = replace(problem.product.model, branch_prob=row)
    return replace(problem, product=replace(problem.product, model=model))


def _at_start(problem: Expectations, weight: Floats, totals: Totals) -> tuple[Floats, Floats]:
    """Each member's bounds at the start, float64[E] each, rounded outwards."""
    if problem.is_free(weight, problem.price):  # for every member: they share their branches
        zero = np.zeros(len(totals.lower))
        return zero, zero
    ends = [
        over_start(problem.product, low, high)
        for low, high in zip(totals.lower[..., 0], totals.upper[..., 0], strict=True)
    ]
    return np.array([e.lower for e in ends]), np.array([e.upper for e in ends])


def _step(
    problem: Expectations, now: _State, ensemble: Floats, how: Pessimism, share: float
) -> Floats:
    """The next policy, float64[M]: as `lyapunov.step`, with pessimistic costs of choices."""
    gain = problem.backup(problem.gain, problem.beta, now.mean.value)
    inner, weight = problem.running, now.weight
    states = problem.programs(gain, _dearer(problem, now, ensemble, how, 0.0))
    slack = share * max(float(problem.budget) - float(now.cost.upper), 0.0)
    extra = np.zeros(len(inner))
    extra[inner] = states.spend(weight, problem.visits(weight)[inner], slack)
    later = problem.total(extra, weight)
    states = problem.programs(gain, _dearer(problem, now, ensemble, how, later))
    return states.best(states.mean_price(weight) + extra[inner])


def _dearer(
    problem: Expectations, now: _State, ensemble: Floats, how: Pessimism, later: Floats | float
) -> Floats:
    """How much more than the policy each choice costs, pessimistically, float64[M]."""
    product = problem.product
    with np.errstate(invalid="ignore"):
        ahead = (now.totals.lower + now.totals.upper)[..., 0] / 2 + later
    mass = ensemble[:, product.branch] * ahead[:, product.branch_node]
    price = problem.price + problem.gamma * np.add.reduceat(mass, product.branch_ptr[:-1], axis=1)
    first = product.choice_ptr[:-1][problem.running]
    own = np.add.reduceat(now.weight * price, first, axis=1)
    counts = np.diff(product.choice_ptr)[problem.running]
    return np.asarray(how.of(price - np.repeat(own, counts, axis=1)))


def _shortened(
    problem: Expectations, now: _State, fresh: Floats, ensemble: Floats, how: Pessimism
) -> _State | None:
    """The longest of a few steps towards `fresh` that keeps the budget and loses no reward."""
    share = 1.0
    for _ in range(SHORTENINGS):
        weight = (1 - share) * now.weight + share * fresh
        then = _State.of(problem, weight, ensemble, how)
        better = then.mean.certified and then.mean.reward.upper >= now.mean.reward.lower
        if better and then.cost.upper <= problem.budget:
            return then
        share /= 2
    return None


def _no_baseline(
    problem: Expectations, now: _State, ensemble: Floats, how: Pessimism
) -> UncertainSolution:
    """Infeasible if even each member's own cheapest policy costs too much; unknown otherwise."""
    least = np.array([_member(problem, row).cheapest()[1].lower for row in ensemble])
    floor = how.least(least)
    if floor > problem.budget:
        cost = problem.in_units(Bounds(floor, now.cost.upper))
        return UncertainSolution(None, None, cost, None, (), Status.INFEASIBLE, 0)
    history = (Iterate(now.mean.reward, problem.in_units(now.cost)),)
    return _solution(problem, now, history, Status.UNCERTIFIED, 0)


def _solution(
    problem: Expectations, now: _State, history: tuple[Iterate, ...], status: Status, taken: int
) -> UncertainSolution:
    return UncertainSolution(
        problem.per_choice(now.weight), now.mean.reward, problem.in_units(now.cost),
        np.array([problem.in_units(Bounds(u, u)).upper for u in now.upper.tolist()]),
        history, status, taken,
    )  # fmt: skip


def _mean_problem(
    model: ConstrainedMDP, constraint: BudgetConstraint, ensemble: npt.ArrayLike
) -> tuple[Expectations, Floats]:
    """The problem under the ensemble's mean, and the ensemble, checked and scaled."""
    rows = checked(model, ensemble)
    mean = changed(
        model, branch_prob=rows.mean(axis=0), reward=model.reward.astype(np.float64),
        initial=model.initial.astype(np.float64),
        base=None if model.base is None else model.base.astype(np.float64),
    )  # fmt: skip
    return Expectations.of(mean, constraint), rows
