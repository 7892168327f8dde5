"""Points (P(violate), reward) of policies, the best one at a price, and the linear program."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import RUNNING, Product
from ig_theory.chain import evaluate, evaluate_exact
from ig_theory.cmdp import Bools, Floats, Ints
from ig_theory.errors import SolverError
from ig_theory.solvers.risk.earnings import ELIMINATION
from ig_theory.solvers.risk.problem import ChanceProblem
from ig_theory.solvers.totals.branches import over_branches
from ig_theory.solvers.totals.end_components import end_components
from ig_theory.solvers.totals.exact_total import as_fractions, exact_total
from ig_theory.solvers.totals.start import over_start
from ig_theory.solvers.totals.total_reward import best_total
from ig_theory.verdict import Bounds, Number


@dataclass(frozen=True, eq=False)
class Point:
    """One policy from the initial distribution.

    Attributes
    ----------
    weight : float64[M]
        The policy.
    violation : Bounds
        Its P(ever violate).
    reward : Number
        A lower bound of its expected reward.
    exact : bool
        Whether both are Fractions without error.
    """

    weight: Floats
    violation: Bounds
    reward: Number
    exact: bool

    @property
    def violation_rate(self) -> Fraction:
        """The upper end of the violation as a rational."""
        return Fraction(self.violation.upper)

    @property
    def reward_rate(self) -> Fraction:
        """The reward as a rational."""
        return Fraction(self.reward)

    def worth(self, lam: Fraction) -> Fraction:
        """``reward - lam P(violate)``."""
        return self.reward_rate - lam * self.violation_rate


def point_of(problem: ChanceProblem, policy: Ints) -> Point:
    """Evaluate a deterministic policy, exactly where the problem is exact."""
    weight = problem.product.deterministic(policy)
    if problem.earnings.exact and len(problem.product) <= ELIMINATION:
        # Too large a component for elimination: certified floats.
        with contextlib.suppress(SolverError):
            return _exact_point(problem, weight)
    return weighed(problem, weight)


def weighed(problem: ChanceProblem, weight: Floats) -> Point:
    """Evaluate a (randomised) policy with two-sided bounds."""
    product, earned = problem.product, problem.earnings.floats()
    gain = product.at_nodes(weight * earned.gain[0])
    ends = [b.astype(np.float64) for b in problem.broken]
    constant = np.stack([gain + earned.leaf[0], ends[0], ends[1]], axis=1)
    totals = evaluate(product, constant, 1.0, weight)
    reward, least, most = (
        over_start(product, totals.lower[:, k], totals.upper[:, k]) for k in range(3)
    )
    violation = Bounds(max(least.lower, 0.0), min(most.upper, 1.0))
    return Point(weight, violation, reward.lower, False)


def _exact_point(problem: ChanceProblem, weight: Floats) -> Point:
    product, earned = problem.product, problem.earnings
    exact = as_fractions(weight)
    chosen = np.flatnonzero(weight > 0)
    gain = earned.leaf[0].copy()
    gain[product.choice_node[chosen]] = earned.gain[0][chosen]
    ends = []
    for constant in (gain, problem.broken[0]):
        value = as_fractions(np.zeros(len(product)))
        value[:] = evaluate_exact(product, constant.tolist(), Fraction(1), exact)
        ends.append(over_start(product, value, value))
    return Point(weight, ends[1], ends[0].lower, True)


def best_at_price(problem: ChanceProblem, lam: Fraction) -> tuple[Point, Number, Fraction]:
    """The best policy when each violation costs `lam`.

    Returns
    -------
    point : Point
    bound : Number
        An upper bound of ``E reward - lam P(violate)`` over all policies.
    lam : Fraction
        The price it holds for: the nearest float unless the problem is exact.
    """
    product, earned = problem.product, problem.earnings
    alive = np.ones(len(product.choice), dtype=bool)
    floats, rounded = earned.floats(), float(lam)
    leaf = floats.leaf[1] - rounded * problem.broken[0].astype(np.float64)
    found = best_total(product, floats.gain[1], leaf, Fraction(1), alive)
    assert found.policy is not None
    if earned.exact and len(product) <= ELIMINATION:
        # Too large a component for elimination: the certified floats stand.
        with contextlib.suppress(SolverError):
            worth = earned.leaf[1] - lam * problem.broken[0]
            exact = exact_total(product, earned.gain[1], worth, Fraction(1), found, alive)
            assert exact.policy is not None
            bound = over_start(product, exact.lower, exact.upper).upper
            return point_of(problem, exact.policy), bound, lam
    bound = over_start(product, found.lower, found.upper).upper
    return point_of(problem, found.policy), bound, Fraction(rounded)


def linear_program(problem: ChanceProblem, delta: Fraction) -> tuple[Point, float]:
    """The best randomised policy by its occupation measure, and the price of delta (HiGHS).

    ``max sum x_j gain_j`` over ``x >= 0`` with ``sum_{j at n} x_j - sum_j P_j(n) x_j =
    initial(n)`` at every node, and the mass that reaches violations at most delta.

    Raises
    ------
    SolverError
        If a run can stay somewhere for ever, or HiGHS finds no optimum.
    """
    from scipy.optimize import linprog

    product, earned = problem.product, problem.earnings.floats()
    _ends(product, np.ones(len(product.choice), dtype=bool), "use method='hull'")
    gain = earned.gain[0] + over_branches(product, earned.leaf[0])
    ends = problem.broken[1].astype(np.float64)
    share = _shares(product)
    running = np.flatnonzero(product.outcome == RUNNING)
    start = np.bincount(product.initial, weights=share, minlength=len(product))
    already = float(start @ ends)
    answer = linprog(
        -gain, A_ub=over_branches(product, ends)[None, :], b_ub=[float(delta) - already],
        A_eq=_flow(product)[running], b_eq=start[running], method="highs",
    )  # fmt: skip
    if answer.x is None or answer.status != 0:
        raise SolverError.at(
            "the linear program", "an optimum", answer.message, "use method='hull'"
        )
    point = weighed(problem, _behaviour(product, np.maximum(answer.x, 0.0), problem.safest))
    return point, max(0.0, -float(answer.ineqlin.marginals[0]))


def occupation(product: Product, mixture: list[tuple[float, Floats]]) -> Floats:
    """One randomised policy with the occupation measure of a mixture drawn at the start."""
    from scipy.sparse import identity
    from scipy.sparse.linalg import spsolve

    start = np.bincount(product.initial, weights=_shares(product), minlength=len(product))
    visits = np.zeros(len(product.choice))
    flow = _transition(product)
    for share, weight in mixture:
        _ends(product, weight > 0, "play the mixture: draw one policy at the start")
        step = flow @ _diagonal(weight) @ _owner(product)
        met = spsolve((identity(len(product)) - step).tocsc(), start)
        visits += share * weight * np.maximum(met, 0.0)[product.choice_node]
    policy = np.full(len(product), -1)
    chosen = np.flatnonzero(mixture[0][1] > 0)
    policy[product.choice_node[chosen]] = chosen
    return _behaviour(product, visits, policy)


def _ends(product: Product, alive: Bools, repair: str) -> None:
    """Occupation measures are finite only where runs end."""
    if not product.timed and (end_components(product, alive)[0] >= 0).any():
        raise SolverError.at(
            "occupation measure", "runs that all end", "a pair where a run can stay for ever",
            repair,
        )  # fmt: skip


def _behaviour(product: Product, visits: Floats, otherwise: Ints) -> Floats:
    """Choices in proportion to their visits; `otherwise` where there are none."""
    met = product.at_nodes(visits)
    known = met > 1e-13
    weight = np.where(known[product.choice_node], visits, 0.0)
    weight /= np.where(known, met, 1.0)[product.choice_node]
    rest = otherwise[~known & (product.outcome == RUNNING)]
    weight[rest] = 1.0
    return np.asarray(weight)


def _shares(product: Product) -> Floats:
    share = product.initial_prob.astype(np.float64)
    return np.asarray(share / share.sum())


def _transition(product: Product) -> Any:
    """Sparse [N, M]: the probability of going to each node after each choice."""
    from scipy.sparse import csc_array

    return csc_array(
        (product.prob[product.branch], product.branch_node, product.branch_ptr),
        shape=(len(product), len(product.choice)),
    )


def _owner(product: Product) -> Any:
    """Sparse [M, N]: the node of each choice."""
    from scipy.sparse import csr_array

    choices = len(product.choice)
    one: npt.NDArray[np.float64] = np.ones(choices)
    return csr_array(
        (one, product.choice_node, np.arange(choices + 1)), shape=(choices, len(product))
    )


def _diagonal(values: Floats) -> Any:
    from scipy.sparse import diags_array

    return diags_array(values)


def _flow(product: Product) -> Any:
    """Sparse [N, M]: what each choice takes from its node, less what it brings to nodes."""
    return (_owner(product).T - _transition(product)).tocsr()
