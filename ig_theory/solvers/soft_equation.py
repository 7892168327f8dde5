"""The soft equation on one safe product: policy iteration, rounding, and a checked upper bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ig_theory.augmentation import RUNNING
from ig_theory.chain import ROUNDING, Parts, Totals, components, evaluate
from ig_theory.cmdp import Bools, Floats
from ig_theory.solvers.least_intrusive import finite_divergence, whole
from ig_theory.solvers.totals.end_components import inductive, refuse_endless
from ig_theory.solvers.totals.safe_product import SafeProduct

MOST_IMPROVEMENTS = 200
SWEEPS = 3


@dataclass(frozen=True, eq=False)
class SoftProblem:
    """What the equation reads of a safe product, whatever the temperature.

    `solving` marks the nodes whose value is not known beforehand; `finite` those that have one;
    `narrowed` is whether safety takes a choice from the base model at any of them.
    """

    safe: SafeProduct
    usable: Bools
    finite: Bools
    solving: Bools
    share: Floats
    log_mass: Floats
    gain: Floats
    parts: Parts
    beta: float
    narrowed: bool

    @property
    def idle(self) -> Bools:
        """The usable choices where nothing is to be solved: the base model's, bool[M]."""
        return np.asarray(self.usable & ~self.solving[self.safe.product.choice_node])

    def total(self, earned: Floats, weight: Floats) -> Totals:
        """Expected totals of what nodes earn at once, under a policy."""
        constant = np.where(self.solving, earned, 0.0)
        # Weights that underflow to 0 may split components.
        parts = self.parts if bool(((weight > 0) == self.usable).all()) else None
        return evaluate(self.safe.product, constant[:, None], self.beta, weight, parts=parts)

    def flat(self, gain: Floats) -> tuple[Any, ...]:
        """The arguments of the compiled loop."""
        product = self.safe.product
        return (
            self.parts[0], product.choice_ptr, self.usable, self.share, self.log_mass, gain,
            product.branch_ptr, product.branch_node, product.first_prob, product.prob,
            self.solving, self.beta,
        )  # fmt: skip


def soft_problem(safe: SafeProduct) -> SoftProblem:
    """Find out where the equation has a solution.

    With ``beta < 1`` and no horizon every safe node that can go on among the base model's choices
    has a value; else the nodes from which some policy surely comes to an end, or to where the
    base model is safe by itself and earns nothing more.

    Raises
    ------
    SolverError
        If ``beta = 1`` without a horizon and reward can be collected for ever.
    """
    product, model = safe.product, safe.product.model
    gain = model.reward.astype(np.float64)[product.choice]
    usable = safe.alive & (product.base > 0)
    free = np.zeros(len(product), dtype=bool)
    if model.reward_discount < 1 and not product.timed:
        finite, usable = inductive(product, usable, ~safe.kept)
        usable = usable & finite[product.choice_node]
    else:
        refuse_endless(product, usable, gain)
        finite, free, usable = finite_divergence(safe, usable, gain != 0)
    solving = (product.outcome == RUNNING) & finite & ~free
    mass = product.at_nodes(np.where(usable, product.base, 0.0))
    entire = whole(safe, usable)
    mass = np.where(entire | (mass == 0), 1.0, np.minimum(mass, 1.0))
    parts = components(product, usable.astype(np.float64))
    return SoftProblem(
        safe, usable, finite, solving, product.base / mass[product.choice_node], np.log(mass),
        gain, parts, float(model.reward_discount), not entire[solving].all(),
    )  # fmt: skip


def improve(
    problem: SoftProblem, gain: Floats, temperature: float
) -> tuple[Floats, Floats, Floats, bool]:
    """Policy iteration: V, the last policy, what it earns at once, and whether it settled.

    The values of the policies rise to V. The first is the base model's given that its choice is
    usable: it surely ends where it must, and so do better ones. A few sweeps against the runs'
    direction come next: without cycles one of them is all it takes.
    """
    from ig_theory.solvers.kernels.soft import soften

    product = problem.safe.product
    flat = problem.flat(gain)
    weight = np.where(problem.idle, product.base, np.where(problem.usable, problem.share, 0.0))
    earned = temperature * problem.log_mass
    earned += product.at_nodes(weight * gain)
    first = problem.total(earned, weight)
    value = np.where(problem.solving, (first.lower[:, 0] + first.upper[:, 0]) / 2, 0.0)
    if not np.isfinite(value).all():
        return np.zeros(len(product)), weight, earned, False
    for _ in range(SWEEPS):
        soften(*flat, temperature, value, weight, value, earned)
    after = value.copy()
    soften(*flat, temperature, value, weight, after, earned)
    settled = False
    for _ in range(MOST_IMPROVEMENTS):
        totals = problem.total(earned, weight)
        reached = (totals.lower[:, 0] + totals.upper[:, 0]) / 2
        if not totals.certified or not np.isfinite(reached[problem.solving]).all():
            break
        moved = np.abs(reached - value)[problem.solving].max(initial=0.0)
        value = np.where(problem.solving, reached, 0.0)
        size = 1 + np.abs(value).max(initial=0.0)
        soften(*flat, temperature, value, weight, after, earned)
        if moved <= 1e-12 * size:
            settled = True
            break
    return value, weight, earned, settled


def rounding_error(problem: SoftProblem, value: Floats, temperature: float) -> float:
    """A bound on the rounding error of one step of the equation."""
    product = problem.safe.product
    size = np.abs(value).max(initial=0.0) + np.abs(problem.gain).max(initial=0.0)
    logs = np.abs(problem.log_mass)[problem.solving].max(initial=0.0)
    if problem.narrowed:
        # The logarithm of a sum of floats near 1 is off by their rounding.
        size += temperature * (1 + logs)
    longest = int(np.diff(product.branch_ptr).max(initial=0))
    widest = int(np.diff(product.choice_ptr).max(initial=0))
    return float(ROUNDING * (longest + 2 * widest + 16) * size)


def upper_bound(
    problem: SoftProblem, temperature: float, value: Floats, weight: Floats, rounding: float
) -> Floats:  # fmt: skip
    """A checked function ``U >= T U``: ``V + e w``, with w the time that is left to err in.

    T is monotone and moves no more than beta times its argument. So with a horizon w is the
    number of steps to go, with ``beta < 1`` it is ``1 / (1 - beta)``; else the expected time of
    the policy found, to which T is tangent. U is 0 where V is known to be 0.
    """
    from ig_theory.solvers.kernels.soft import soften

    product = problem.safe.product
    flat = problem.flat(problem.gain)
    scratch, after, earned = np.zeros(len(weight)), value.copy(), np.zeros(len(value))
    if product.timed:
        left = product.constraints[0].horizon or 0
        time = (left - product.time).astype(np.float64)
    elif problem.beta < 1:
        time = np.full(len(value), 1 / (1 - problem.beta))
    else:
        time = problem.total(np.ones(len(value)), weight).upper[:, 0]
    soften(*flat, temperature, value, scratch, after, earned)
    short = float((after - value)[problem.solving].max(initial=0.0))
    error = 2 * (max(short, 0.0) + rounding)
    while np.isfinite(time).all() and error < 1 + np.abs(value).max(initial=0.0):
        candidate = np.where(problem.solving, value + error * time, 0.0)
        soften(*flat, temperature, candidate, scratch, after, earned)
        if (after + 2 * rounding <= candidate)[problem.solving].all():
            return np.asarray(candidate)
        error *= 8
    return np.where(problem.solving, np.inf, 0.0)
