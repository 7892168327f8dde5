"""The optimum without a budget: value, policy and modified policy iteration over states alone.

What the best policy could earn if safety were free; also the inner problem of every Lagrangian
relaxation (with ``r - lambda c`` as the gain). Discounted problems are swept
(`discounted_states`), undiscounted ones solved component by component after their reward-free
end components are merged (`total_reward`); small ones take policy iteration by elimination
(`small_states`), in floats or exactly, and need no compiler.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import KEPT, RUNNING, Product
from ig_theory.chain import ROUNDING
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.constraint import rational
from ig_theory.errors import SolverError
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.totals.discounted_states import DiscountedStates
from ig_theory.solvers.totals.small_graphs import both_signs, endless_policy
from ig_theory.solvers.totals.small_states import solve_small
from ig_theory.solvers.totals.start import over_states
from ig_theory.solvers.totals.states import branch_probabilities, exact_branches, state_product
from ig_theory.verdict import Bounds

METHODS = ("mpi", "vi", "pi")

SMALL = 400
"""Problems of at most this many branches do not wait for a compiler."""

LARGEST_EXACT = 400
"""States up to which elimination over the rationals is tried."""

LARGEST_GAIN = 1e100


@dataclass(frozen=True, eq=False)
class UnconstrainedValue:
    """The optimum over all policies, for every state.

    Attributes
    ----------
    gain : [C]
        What each choice earns; float64, or Fractions in exact mode.
    discount : Fraction
    horizon : int or None
    solution : Solution
        Bounds and policy over states, [S]; with a horizon [T+1, S], row ``t`` at time ``t`` and
        in the money of that time. Infinite where reward can be collected for ever (+), or must
        be lost for ever (-). The policy is -1 at terminal states and at the horizon.
    """

    model: ConstrainedMDP
    gain: npt.NDArray[Any]
    discount: Fraction
    horizon: int | None
    solution: Solution

    @property
    def start(self) -> Bounds:
        """The optimum over the initial distribution; equal Fractions if exact."""
        lower, upper = self.solution.lower, self.solution.upper
        if self.horizon is not None:
            lower, upper = lower[0], upper[0]
        return over_states(self.model, lower, upper)


def unconstrained(
    model: ConstrainedMDP,
    *,
    gain: npt.NDArray[Any] | None = None,
    method: str = "mpi",
    tolerance: float = 1e-6,
    discount: Fraction | int | str | None = None,
    horizon: int | None = None,
    exact: bool = False,
    start: Floats | None = None,
    compiled: bool | None = None,
) -> UnconstrainedValue:
    """Maximise ``E sum_t beta^t gain`` over all policies; a deterministic one attains it.

    Parameters
    ----------
    gain : [C], optional
        The model's rewards when absent. 0 at terminal states.
    method : {"mpi", "vi", "pi"}
        Modified policy iteration, value iteration, policy iteration. Chooses among the sweeps
        of a large discounted problem; a small one takes policy iteration, an undiscounted one
        value iteration component by component, a finite horizon backward induction.
    tolerance : float
        The status is CERTIFIED if no bounds are further apart than this (beta < 1), else
        UNCERTIFIED, and the bounds hold all the same.
    discount : rational, optional
        ``beta`` in (0, 1]; the model's reward discount when absent.
    horizon : int, optional
        Earn for this many steps only.
    exact : bool
        Answer in Fractions (status EXACT): floats are taken as the rationals they are.
    start : float64[S], optional
        A guess of the values to begin with (beta < 1).
    compiled : bool, optional
        Whether to use compiled sweeps; by the model's size when absent.

    Returns
    -------
    UnconstrainedValue

    Raises
    ------
    SolverError
        If an argument is out of range, if beta = 1 and rewards of both signs occur where a run
        can stay for ever, or if `exact` is asked of more than `LARGEST_EXACT` states.

    Notes
    -----
    A sweep is O(B); modified policy iteration needs about 10 of them and 50 of O(S B / C). The
    bounds are those of MacQueen with rounding (see `discounted_states`); for beta = 1 the upper
    one is a checked ``U >= gain + P U`` (THEORY T4.reward) and the lower one the policy's value.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"work": (1, 1, "s"), "stop": (0, 5, "t")}}, initial="s")
    >>> unconstrained(model, discount="9/10", exact=True).start
    Bounds(lower=Fraction(10, 1), upper=Fraction(10, 1))
    >>> unconstrained(model).start  # undiscounted: work for ever
    Bounds(lower=inf, upper=inf)
    """
    beta = model.reward_discount if discount is None else rational(discount, "discount")
    _check_arguments(model, beta, method, tolerance, horizon)
    gain = _checked_gain(model, gain, exact)
    if horizon is not None:
        solution = backward_induction(model, [gain] * horizon, beta, exact)
    elif exact:
        _check_exact(model)
        solution = solve_small(model, gain, beta, True)
    elif compiled is False or (compiled is None and model.B <= SMALL):
        solution = solve_small(model, gain, beta, False)
    elif beta == 1:
        solution = _undiscounted(model, gain)
    else:
        solution = DiscountedStates(model, beta).solve(gain, method, tolerance, start)
    return UnconstrainedValue(model, gain, beta, horizon, _judged(solution, tolerance))


def backward_induction(
    model: ConstrainedMDP, gains: list[npt.NDArray[Any]], beta: Fraction, exact: bool
) -> Solution:
    """The optimum of ``sum_t beta^t gains[t]`` over T steps, [T+1, S]; O(T B).

    Float bounds allow for the rounding of every step.
    """
    steps, choice_ptr = len(gains), model.choice_ptr
    prob, factor, shape = _probabilities(model, exact), beta if exact else float(beta), model.S
    value = np.zeros((steps + 1, shape), dtype=object if exact else np.float64)
    if exact:
        value[:] = Fraction(0)
    policy, error = np.full((steps + 1, shape), -1), np.zeros(steps + 1)
    longest = int(np.diff(model.branch_ptr).max()) + 4
    for t in reversed(range(steps)):
        after = np.add.reduceat(prob * value[t + 1][model.branch_state], model.branch_ptr[:-1])
        worth = gains[t] + factor * after
        value[t] = np.maximum.reduceat(worth, choice_ptr[:-1])
        places = np.flatnonzero(worth == value[t][model.choice_state])[::-1]
        policy[t, model.choice_state[places]] = places
        if not exact:
            size = np.abs(value[t + 1]).max() + np.abs(gains[t]).max(initial=0.0)
            error[t] = (1 + ROUNDING) * error[t + 1] + ROUNDING * longest * size
    policy[:, model.terminal] = -1
    if exact:
        return Solution(value, value, policy, Status.EXACT, 0.0, steps)
    margin = np.where(model.terminal, 0.0, 2 * error[:, None])
    worst = float(error.max())
    return Solution(value - margin, value + margin, policy, Status.CERTIFIED, worst, steps)


def _undiscounted(model: ConstrainedMDP, gain: Floats) -> Solution:
    """`best_total` on the states; those worth +inf are set apart before."""
    from ig_theory.solvers.totals.total_reward import best_total

    product = state_product(model)
    earned, every = gain[product.choice], np.ones(len(product.choice), dtype=bool)
    rich, policy = _rich(model, product, gain)
    outcome = np.where(rich, KEPT, product.outcome).astype(np.int8)
    leads = np.logical_or.reduceat(rich[product.branch_node], product.branch_ptr[:-1])
    alive = every & ~leads & ~rich[product.choice_node]
    found = best_total(
        replace(product, outcome=outcome), earned, np.zeros(model.S), Fraction(1), alive
    )
    assert found.policy is not None
    best = np.full(model.S, -1)
    best[found.policy >= 0] = product.choice[found.policy[found.policy >= 0]]
    # States worth -inf get a choice too: any is as bad.
    best = np.where((best < 0) & ~model.terminal, model.choice_ptr[:-1], best)
    policy = np.where(rich, policy, best)
    lower, upper = np.where(rich, np.inf, found.lower), np.where(rich, np.inf, found.upper)
    return Solution(lower, upper, policy, found.status, found.residual)


def _rich(model: ConstrainedMDP, product: Product, gain: Floats) -> tuple[Bools, Ints]:
    """The states from which reward can be collected for ever, and choices that do so."""
    from ig_theory import kernels
    from ig_theory.solvers.totals.end_components import almost_sure, end_components

    earned, every = gain[product.choice], np.ones(len(product.choice), dtype=bool)
    component, within = end_components(product, every)
    ends = np.unique(component[product.choice_node[within & (earned > 0)]])
    gainful = np.isin(component, ends) & (component >= 0)
    paying = component[product.choice_node[within & (earned < 0)]]
    mixed = np.flatnonzero(gainful & np.isin(component, paying))
    if len(mixed):
        raise both_signs(model.state_name(int(mixed[0])))
    if not gainful.any():
        return gainful, np.full(model.S, -1)
    free = end_components(product, earned == 0)[0] >= 0
    alive = almost_sure(product, every, (product.outcome != RUNNING) | free | gainful)[1]
    flat = (product.choice_ptr, product.branch_ptr, product.branch_node)
    rich = kernels.backward(*flat, alive, gainful)
    return rich, endless_policy(model, gain, product.choice[alive].tolist(), gainful)


def _judged(solution: Solution, tolerance: float) -> Solution:
    """Bounds further apart than the tolerance do not answer the question that was asked."""
    if solution.status is not Status.CERTIFIED:
        return solution
    known = np.isfinite(solution.lower)
    wide = float((solution.upper[known] - solution.lower[known]).max(initial=0.0))
    if wide <= tolerance:
        return solution
    return Solution(
        solution.lower, solution.upper, solution.policy, Status.UNCERTIFIED, solution.residual,
        solution.iterations,
    )  # fmt: skip


def _check_arguments(
    model: ConstrainedMDP, beta: Fraction, method: str, tolerance: float, horizon: int | None
) -> None:
    if not 0 < beta <= 1:
        raise SolverError.at("discount", "a number in (0, 1]", beta, "use 1 for plain totals")
    if method not in METHODS:
        raise SolverError.at("method", " or ".join(METHODS), repr(method), "pick one")
    if not tolerance > 0:
        raise SolverError.at("tolerance", "a number > 0", tolerance, "use exact=True for no error")
    if horizon is not None and (isinstance(horizon, bool) or horizon < 0):
        raise SolverError.at("horizon", "a whole number >= 0, or None", horizon, "None: for ever")


def _check_exact(model: ConstrainedMDP) -> None:
    if model.S > LARGEST_EXACT:
        raise SolverError.at(
            "exact solution", f"at most {LARGEST_EXACT} states", model.S, "use exact=False"
        )


def _checked_gain(
    model: ConstrainedMDP, gain: npt.NDArray[Any] | None, exact: bool
) -> npt.NDArray[Any]:
    gain = model.reward if gain is None else np.asarray(gain)
    if gain.shape != (model.C,):
        raise SolverError.at("gain", f"one number a choice, [{model.C}]", gain.shape, "give all")
    numbers: npt.NDArray[Any] = gain.astype(np.float64)
    size = np.abs(numbers)
    if not (size <= LARGEST_GAIN).all():
        worst = int(np.flatnonzero(~(size <= LARGEST_GAIN))[0])
        raise SolverError.at(
            f"gain of choice {worst}", f"at most {LARGEST_GAIN:g} in size", numbers[worst],
            "scale the rewards down",
        )  # fmt: skip
    at_ends = np.flatnonzero(model.terminal[model.choice_state] & (numbers != 0))
    if len(at_ends):
        raise SolverError.at(
            f"gain of choice {at_ends[0]}, of a terminal state", "0", numbers[at_ends[0]],
            "the run ends there; set it to 0",
        )  # fmt: skip
    if not exact:
        return numbers
    out = np.empty(model.C, dtype=object)
    out[:] = [g if isinstance(g, Fraction) else Fraction(g) for g in gain.tolist()]
    return out


def _probabilities(model: ConstrainedMDP, exact: bool) -> npt.NDArray[Any]:
    if not exact:
        return branch_probabilities(model)
    out = np.empty(model.B, dtype=object)
    out[:] = [p for row in exact_branches(model) for p, _ in row]
    return out
