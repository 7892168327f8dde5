"""Graph questions about a product: where a policy can stay, and what it can surely reach."""

from __future__ import annotations

import numpy as np

from ig_theory.augmentation import RUNNING, Product
from ig_theory.cmdp import Bools, Ints


def end_components(product: Product, alive: Bools) -> tuple[Ints, Bools]:
    """The maximal end components of the choices `alive`.

    Returns
    -------
    component : int64[N]
        The same number for the nodes of one end component, -1 outside.
    internal : bool[M]
        The choices that stay inside.
    """
    from ig_theory import kernels
    from ig_theory.solvers.reward_kernels import inside

    sizes = np.diff(product.branch_ptr)
    alive = alive & (sizes > 0)
    part = np.zeros(len(product), dtype=np.int64)
    while True:
        order, start = kernels.components(
            product.edge_ptr, product.branch_node, np.repeat(alive, sizes)
        )
        part[order] = np.repeat(np.arange(len(start) - 1), np.diff(start))
        if not inside(part, product.choice_ptr, alive, product.branch_ptr, product.branch_node):
            break
    member = np.zeros(len(product), dtype=bool)
    member[product.choice_node[alive]] = True
    return np.where(member, part, -1), alive


def almost_sure(product: Product, alive: Bools, target: Bools) -> tuple[Bools, Bools]:
    """Nodes from which some policy reaches `target` with probability 1, and the choices left.

    Returns
    -------
    reaching : bool[N]
    alive : bool[M]
        The choices of `alive` that stay among such nodes.
    """
    from ig_theory import kernels

    flat = (product.choice_ptr, product.branch_ptr, product.branch_node)
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
