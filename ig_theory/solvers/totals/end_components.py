"""Graph questions: where a policy can stay, and what it can surely reach."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ig_theory.augmentation import RUNNING, Product
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.errors import SolverError

Integers = npt.NDArray[Any]
"""int32 or int64."""


class Graph(Protocol):
    """Nodes that own choices that own branches; a `Product` is one."""

    def __len__(self) -> int:
        """Number of nodes."""
        ...

    @property
    def choice_ptr(self) -> Integers:
        """Choices of each node, [N+1]."""
        ...

    @property
    def branch_ptr(self) -> Integers:
        """Branches of each choice, [M+1]."""
        ...

    @property
    def branch_node(self) -> Integers:
        """Successor of each branch."""
        ...

    @property
    def choice_node(self) -> Integers:
        """The node that owns each choice, [M]."""
        ...

    @property
    def edge_ptr(self) -> Integers:
        """Where each node's branches start, [N+1]."""
        ...


@dataclass(frozen=True, eq=False)
class StateGraph:
    """A model's states as nodes, without any budgets."""

    model: ConstrainedMDP

    def __len__(self) -> int:
        return self.model.S

    @property
    def choice_ptr(self) -> Ints:
        """Choices of each state, int64[S+1]."""
        return self.model.choice_ptr

    @property
    def branch_ptr(self) -> Ints:
        """Branches of each choice, int64[C+1]."""
        return self.model.branch_ptr

    @cached_property
    def branch_node(self) -> npt.NDArray[np.int32]:
        """Successors, int32[B]."""
        return self.model.branch_state.astype(np.int32)

    @property
    def choice_node(self) -> Ints:
        """The state that owns each choice, int64[C]."""
        return self.model.choice_state

    @cached_property
    def edge_ptr(self) -> Ints:
        """Where each state's edges start, int64[S+1]."""
        return self.model.branch_ptr[self.model.choice_ptr]


def end_components(graph: Graph, alive: Bools) -> tuple[Ints, Bools]:
    """The maximal end components of the choices `alive`.

    Returns
    -------
    component : int64[N]
        The same number for the nodes of one end component, -1 outside.
    internal : bool[M]
        The choices that stay inside.
    """
    from ig_theory import kernels
    from ig_theory.solvers.kernels.reward import inside

    sizes = np.diff(graph.branch_ptr)
    alive = alive & (sizes > 0)
    part = np.zeros(len(graph), dtype=np.int64)
    while True:
        order, start = kernels.components(
            graph.edge_ptr, graph.branch_node, np.repeat(alive, sizes)
        )
        part[order] = np.repeat(np.arange(len(start) - 1), np.diff(start))
        if not inside(part, graph.choice_ptr, alive, graph.branch_ptr, graph.branch_node):
            break
    member = np.zeros(len(graph), dtype=bool)
    member[graph.choice_node[alive]] = True
    return np.where(member, part, -1), alive


def almost_sure(graph: Graph, alive: Bools, target: Bools) -> tuple[Bools, Bools]:
    """Nodes from which some policy reaches `target` with probability 1, and the choices left.

    Returns
    -------
    reaching : bool[N]
    alive : bool[M]
        The choices of `alive` that stay among such nodes.
    """
    from ig_theory import kernels

    flat = (graph.choice_ptr, graph.branch_ptr, graph.branch_node)
    alive = alive.copy()
    while True:
        reaching = kernels.backward(*flat, alive, target)
        if not kernels.avoid(*flat, alive, ~reaching):
            return reaching, alive


def inductive(product: Product, alive: Bools, lost: Bools) -> tuple[Bools, Bools]:
    """The largest set of nodes that keeps clear of `lost`: each has an alive choice into it.

    Returns
    -------
    kept : bool[N]
    alive : bool[M]
        The choices of `alive` all of whose successors are kept (also those of lost nodes).
    """
    from ig_theory import kernels

    flat = (product.choice_ptr, product.branch_ptr, product.branch_node)
    running = product.outcome == RUNNING
    alive, lost = alive.copy(), lost.copy()
    while True:
        options = np.bincount(product.choice_node[alive], minlength=len(product))
        lost |= running & (options == 0)
        if not kernels.avoid(*flat, alive, lost):
            return ~lost, alive


def refuse_endless(product: Product, alive: Bools, gain: Floats) -> None:
    """Refuse undiscounted rewards, [M], that a run could go on collecting by `alive` choices.

    Raises
    ------
    SolverError
        Naming the state; never where time ends.
    """
    if product.timed:
        return
    endless = np.flatnonzero(end_components(product, alive)[1] & (gain != 0))
    if len(endless):
        name = product.model.state_name(int(product.state[product.choice_node[endless[0]]]))
        raise SolverError.at(
            f"undiscounted reward around state {name}", "no reward where a run can stay for ever",
            float(gain[endless[0]]), "set reward_discount below 1, or a horizon",
        )  # fmt: skip
