"""The constrained Markov decision process: choices and branches in compressed rows.

A state owns its choices, a choice owns its branches; nothing is padded. Costs are whole
multiples of one ``cost_unit`` so that budgets are decided exactly; probabilities and rewards
are float64, or Fractions in *exact mode*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.errors import ModelError
from ig_theory.validation import validate, validate_latents

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]
Numbers = npt.NDArray[Any]
"""float64, or objects that are all Fractions (exact mode)."""


@dataclass(frozen=True, eq=False)
class ConstrainedMDP:
    """A finite constrained MDP with S states, C choices, B branches and K costs.

    Parameters
    ----------
    choice_ptr : int64[S+1]
        Choices of state ``s`` are ``choice_ptr[s] .. choice_ptr[s+1]-1``; each state has one.
    branch_ptr : int64[C+1]
        Branches of choice ``c``, likewise; each choice has one.
    branch_state : int64[B]
        Successor of each branch. A successor may occur twice.
    branch_prob : float64[B] or Fraction[B]
        Positive probabilities; they total 1 in every choice (exactly so in exact mode).
    reward : float64[C] or Fraction[C]
    cost : int64[K, C]
        Multiples of `cost_unit`, paid when the choice is taken. May be negative.
    cost_unit : Fraction
    initial : float64[S] or Fraction[S]
        Distribution of the first state (the prompt).
    terminal : bool[S]
        The run ends there: absorbing, with cost and reward 0.
    reward_discount : Fraction
        ``beta`` in (0, 1], the discount of rewards; costs have their own (`BudgetConstraint`).
    base : float64[C] or Fraction[C], optional
        The base (reference) policy; uniform when absent.
    action : int64[C], optional
        What each choice means across states (a token id); its place in its state when absent.
    state_names, choice_names, cost_names, labels : optional
        Names for people, and named sets of states (``refusal``, ``unsafe_prompt``).

    Raises
    ------
    ModelError
        Naming the state, the choice, the value and the repair.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 2, {"s": 1})}}, initial="s")
    >>> model.S, model.C, int(model.cost[0, 0])
    (1, 1, 1)
    """

    choice_ptr: Ints
    branch_ptr: Ints
    branch_state: Ints
    branch_prob: Numbers
    reward: Numbers
    cost: Ints
    initial: Numbers
    terminal: Bools
    cost_unit: Fraction = Fraction(1)
    reward_discount: Fraction = Fraction(1)
    base: Numbers | None = None
    action: Ints | None = None
    state_names: tuple[str, ...] | None = None
    choice_names: tuple[str, ...] | None = None
    cost_names: tuple[str, ...] | None = None
    labels: Mapping[str, Bools] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate(self)
        self._freeze()

    def _freeze(self) -> None:
        values = [getattr(self, f.name) for f in fields(self)]
        for value in [*values, *self.labels.values()]:
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def S(self) -> int:
        """Number of states."""
        return len(self.choice_ptr) - 1

    @property
    def C(self) -> int:
        """Number of choices over all states."""
        return len(self.branch_ptr) - 1

    @property
    def B(self) -> int:
        """Number of branches over all choices."""
        return len(self.branch_state)

    @property
    def K(self) -> int:
        """Number of costs."""
        return int(self.cost.shape[0])

    @property
    def exact(self) -> bool:
        """Whether probabilities and rewards are Fractions."""
        return self.branch_prob.dtype == object

    @cached_property
    def choice_state(self) -> Ints:
        """The state that owns each choice, int64[C]."""
        return np.repeat(np.arange(self.S, dtype=np.int64), np.diff(self.choice_ptr))

    @cached_property
    def branch_choice(self) -> Ints:
        """The choice that owns each branch, int64[B]."""
        return np.repeat(np.arange(self.C, dtype=np.int64), np.diff(self.branch_ptr))

    @cached_property
    def choice_action(self) -> Ints:
        """`action`, or the place of each choice within its state, int64[C]."""
        if self.action is not None:
            return self.action
        return np.arange(self.C, dtype=np.int64) - self.choice_ptr[self.choice_state]

    @cached_property
    def base_policy(self) -> Numbers:
        """The base policy, one probability per choice; float64[C], or Fraction[C] if exact."""
        if self.base is not None:
            return self.base
        count = np.diff(self.choice_ptr)[self.choice_state]
        if self.exact:
            return np.array([Fraction(1, int(n)) for n in count], dtype=object)
        return np.asarray(1.0 / count)

    @cached_property
    def padded_choices(self) -> Ints:
        """Choice ids as a table int64[S, A] with A the largest number of choices; -1 pads."""
        width = int(np.diff(self.choice_ptr).max())
        place = np.arange(width, dtype=np.int64)[None, :]
        table = self.choice_ptr[:-1, None] + place
        return np.where(place < np.diff(self.choice_ptr)[:, None], table, -1)

    def cost_index(self, cost: int | str) -> int:
        """The row of `cost`, given as an index or a name.

        Raises
        ------
        ModelError
            If the model has no such cost.
        """
        if isinstance(cost, int) and 0 <= cost < self.K:
            return cost
        if self.cost_names is not None and cost in self.cost_names:
            return self.cost_names.index(str(cost))
        known = ", ".join(self.cost_names or map(str, range(self.K)))
        raise ModelError.at("cost", f"one of {known}", repr(cost), "name a cost of this model")

    def state_name(self, state: int) -> str:
        """The name of a state, for people."""
        return self.state_names[state] if self.state_names else str(state)

    def choice_name(self, choice: int) -> str:
        """The name of a choice, for people."""
        return self.choice_names[choice] if self.choice_names else str(self.choice_action[choice])


@dataclass(frozen=True, eq=False)
class LatentMDP(ConstrainedMDP):
    """A constrained MDP whose states have latents, and whose base policy reads them linearly.

    The base policy is ``softmax(readout @ latent[s] + readout_bias)`` over the actions of the
    choices that ``s`` has. Toy models and transformer token trees are both of this type.

    Parameters
    ----------
    latent : float64[S, D]
    readout : float64[V, D]
        One row per action; `action` (required here) says which row a choice reads.
    readout_bias : float64[V], optional
    """

    latent: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    readout: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    readout_bias: Floats | None = None

    def __post_init__(self) -> None:
        validate(self)
        validate_latents(self)
        with np.errstate(over="ignore", invalid="ignore"):
            policy: Numbers = self.base_from(self.latent[self.choice_state])
        if not np.isfinite(policy).all():
            state = int(self.choice_state[np.flatnonzero(~np.isfinite(policy))[0]])
            raise ModelError.at(
                f"base of state {state}", "finite scores readout @ latent", "an overflow",
                "scale the latents or the readout down",
            )  # fmt: skip
        if self.exact:
            policy = _exact_rows(policy, self.choice_ptr)
        object.__setattr__(self, "base", policy)
        self._freeze()

    def base_from(self, latent: Floats) -> Floats:
        """The base policy, float64[C], when each choice's state has the given latent [C, D]."""
        score = np.einsum("cd,cd->c", latent, self.readout[self.choice_action])
        if self.readout_bias is not None:
            score = score + self.readout_bias[self.choice_action]
        start = self.choice_ptr[:-1]
        weight = np.exp(score - np.maximum.reduceat(score, start)[self.choice_state])
        return np.asarray(weight / np.add.reduceat(weight, start)[self.choice_state])


def _exact_rows(policy: Floats, choice_ptr: Ints) -> Objects:
    """Floats taken as the rationals they are, each state's row scaled to total exactly 1."""
    exact = np.array([Fraction(p) for p in policy], dtype=object)
    for low, high in pairwise(choice_ptr):
        exact[low:high] = exact[low:high] / sum(exact[low:high])
    return exact
