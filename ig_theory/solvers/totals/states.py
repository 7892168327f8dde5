"""A model's states without a budget: as products, and their numbers."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import KEPT, RUNNING, Product, every_choice, explore
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint
from ig_theory.tracker import BudgetStore, ExactTracker


def changed(model: ConstrainedMDP, **changes: Any) -> ConstrainedMDP:
    """The model with other arrays; without latents, whose base policy is kept as it is."""
    kept = {f.name: getattr(model, f.name) for f in fields(ConstrainedMDP)}
    return ConstrainedMDP(**(kept | changes))


def reachable_states(model: ConstrainedMDP, horizon: int | None = None) -> Product:
    """The states that some run visits, at each time if there is a horizon; nothing costs."""
    costless = changed(model, cost=np.zeros_like(model.cost))
    return explore(costless, BudgetConstraint(0, horizon=horizon), every_choice, limit=2**31)


def state_product(model: ConstrainedMDP, weight: npt.NDArray[Any] | None = None) -> Product:
    """All states as a product: node ``s`` is state ``s``, reached or not.

    Terminal states are leaves and have no choices.

    Parameters
    ----------
    weight : [C], optional
        A policy; 1 for every choice when absent.
    """
    running = ~model.terminal
    offered = np.flatnonzero(running[model.choice_state]).astype(np.int32)
    sizes = np.where(running, np.diff(model.choice_ptr), 0)
    lengths = np.diff(model.branch_ptr)[offered]
    branch = running[model.choice_state][model.branch_choice]
    free = BudgetConstraint(0)
    states = np.arange(model.S, dtype=np.int32)
    first = np.flatnonzero((model.initial > 0).astype(bool))
    return Product(
        model, (free,), BudgetStore(model, [ExactTracker(model, free)]), states,
        np.zeros(model.S, np.int32), np.where(running, RUNNING, KEPT).astype(np.int8),
        np.array([0, model.S]), first, model.initial[first], _pointers(sizes), offered,
        np.ones(len(offered)) if weight is None else weight[offered],
        np.zeros(len(offered), np.int8), _pointers(lengths),
        model.branch_state[branch].astype(np.int32), np.full(model.S, -1), True,
    )  # fmt: skip


def branch_probabilities(model: ConstrainedMDP) -> Floats:
    """The probability of each branch as a float, each choice's scaled to total 1."""
    prob = model.branch_prob.astype(np.float64)
    return np.asarray(prob / np.add.reduceat(prob, model.branch_ptr[:-1])[model.branch_choice])


def exact_branches(model: ConstrainedMDP) -> list[list[tuple[Fraction, int]]]:
    """Every choice's branches with the rationals that its floats are, scaled to total 1."""
    prob = [p if isinstance(p, Fraction) else Fraction(float(p)) for p in model.branch_prob]
    pointers, states = model.branch_ptr.tolist(), model.branch_state.tolist()
    out = []
    for low, high in pairwise(pointers):
        total = sum(prob[low:high])
        out.append([(prob[b] / total, states[b]) for b in range(low, high)])
    return out


def weights_of(model: ConstrainedMDP, policy: Ints) -> Floats:
    """A deterministic policy, [S] or [T, S], as probabilities of choices, [C] or [T, C]."""
    weight = np.zeros((*policy.shape[:-1], model.C))
    np.put_along_axis(weight, policy, 1.0, axis=-1)
    return weight


def _pointers(sizes: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
