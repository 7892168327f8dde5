"""The robust minimal budget of latents, and the guard that it makes of the real model.

``D_rob(x) = min_a max_{s in x} max_{s'} [c(s, a) + gamma D_rob(block(s'))]`` is the minimal budget
of the robust model of the blocks (THEORY T2.fibre), found by the solver of every other model.
The maximum is over members and successors together: a member that pays most need not lead where
it is worst.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ig_theory.budget import INFINITE
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import SolverError
from ig_theory.guard import GuardView
from ig_theory.guards.shield import Shield
from ig_theory.solvers.minimal_budget import Demands, SafeSet, minimal_budget
from llm_bridge.abstraction.latent_model import LatentModel, latent_model
from llm_bridge.abstraction.partition import Partition
from llm_bridge.abstraction.pooling import Pooling

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FibreSet(SafeSet):
    """Budgets of the real states by their latents: ``demand[s] = D_rob(block(s))``.

    It is a safe set of the real model whose choices are judged *blindly*: by block, action and
    remaining budget, with the latent model's costs and successors. So the shield of it
    (`blind_shield`) is a guard that sees the block and the budget, while z is tracked with the
    true cost. From ``z >= D_rob`` it is safe for the robust pooling (THEORY T2.sound); for the
    naive one nothing is promised.

    Attributes
    ----------
    latent : LatentModel
    inner : SafeSet
        The safe set of ``latent.mdp``, in which costs are due one step later.
    """

    latent: LatentModel
    inner: SafeSet

    def view_demand(self, view: GuardView) -> tuple[Demands, Bools]:
        """What each choice demands by its block and action, [N, A]; infinite if not offered."""
        if view.state is None:
            raise SolverError.at(
                "view.state", "the state", "None", "say which state, for its block"
            )
        block = self.latent.partition.block[view.state][:, None]
        choice = self.latent.choices(np.broadcast_to(block, view.action.shape), view.action)
        there, safe = choice >= 0, np.maximum(choice, 0)
        out = np.empty(choice.shape, dtype=self.demand.dtype)
        exceed = np.zeros(choice.shape, dtype=np.bool_)
        times = [None] if view.time is None else np.unique(view.time).tolist()
        for time in times:
            rows = np.ones(len(view), dtype=np.bool_) if view.time is None else view.time == time
            demand, strict = self.inner.choice_demand(time)
            asked = _before(demand[safe[rows]], self.constraint.discount)
            out[rows] = np.where(there[rows], asked, _infinity(demand))
            exceed[rows] = strict[safe[rows]] & there[rows]
        return out, exceed

    @property
    def informed(self) -> SafeSet:
        """The same budgets where the true cost and successors of each choice are seen too.

        Its shield allows more: a decoder knows what a token costs, and needs latents only for
        what comes after. It needs no other hypothesis: the budgets are a certificate.
        """
        return SafeSet(self.model, self.constraint, self.demand, self.strict)


def fibre_set(
    model: ConstrainedMDP,
    partition: Partition,
    constraint: BudgetConstraint,
    pooling: Pooling | str = Pooling.ROBUST,
) -> FibreSet:
    """Minimal budgets by block, exactly.

    Raises
    ------
    ModelError
        If the partition does not fit the model.
    SolverError
        As `minimal_budget`: signed costs without a horizon.

    Examples
    --------
    Each room by itself is safe with no budget; a guard that cannot tell them apart needs 1:

    >>> from simulators.latent import aliased
    >>> rooms = aliased()
    >>> found = fibre_set(rooms, Partition.of(np.array([0, 0, 1])), BudgetConstraint(1))
    >>> minimal_budget(rooms, BudgetConstraint(1)).budget_of(0), found.budget_of(0)
    (Fraction(0, 1), Fraction(1, 1))
    """
    latent = latent_model(model, partition, pooling, cost=constraint.cost)
    return fibre_set_of(latent, constraint)


def fibre_set_of(latent: LatentModel, constraint: BudgetConstraint) -> FibreSet:
    """Minimal budgets by block of a latent model that is there already."""
    horizon = None if constraint.horizon is None else constraint.horizon + 1
    inner = minimal_budget(
        latent.mdp,
        BudgetConstraint(
            constraint.budget * constraint.discount, constraint.discount, constraint.boundary,
            constraint.scope, horizon=horizon,
        ),
    )  # fmt: skip
    blocks = len(latent.partition)
    strict = inner.strict[..., :blocks]
    demand = _before(inner.demand[..., :blocks], constraint.discount)
    if horizon is not None:
        demand, strict = demand[1:].copy(), strict[1:]
        # No choice leads to a lost block: nothing else changes. With no step left nothing is due.
        demand[1:, latent.lost] = _infinity(demand)
    else:
        demand[latent.lost] = _infinity(demand)
    block = latent.partition.block
    return FibreSet(latent.model, constraint, demand[..., block], strict[..., block], latent, inner)


def _before(demand: Demands, discount: Fraction) -> Demands:
    """What is due one step earlier: E(x, 0) = gamma D(x)."""
    return demand.copy() if demand.dtype != object else np.asarray(demand / discount)


def blind_shield(found: FibreSet) -> Shield:
    """The guard that sees the block and the budget: base on the choices that the block allows."""
    return Shield(found)


def informed_shield(found: FibreSet) -> Shield:
    """The guard that also sees what each choice costs and to which block it leads."""
    return Shield(found.informed)


def _infinity(demand: Demands) -> float | np.int64:
    return math.inf if demand.dtype == object else INFINITE
