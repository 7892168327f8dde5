"""A shortest violating run of a guard; the most probable one among the shortest."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import BROKEN, Product
from ig_theory.cmdp import Floats, Ints
from ig_theory.errors import SolverError
from ig_theory.verdict import Number, Witness, WitnessStep


def shortest_violation(product: Product) -> Witness:
    """Trace a shortest violation back to its start; O(edges of the layers it crosses).

    On a shortest violating run the pair at step t was first found in layer t, so that the most
    probable one follows by maximising layer by layer.

    Raises
    ------
    SolverError
        If nothing violates.
    """
    model = product.model
    time = product.time
    breaking = np.flatnonzero(product.broken > 0)
    steps = time[product.choice_node[breaking]].astype(np.int64) + 1
    leaves = np.flatnonzero(product.outcome == BROKEN)
    if not len(breaking) and not len(leaves):
        raise SolverError.at("witness", "a guard that violates", "none", "nothing to show")
    length = int(min(steps.min(initial=2**62), time[leaves].min(initial=2**31 - 1)))
    likely, by = _most_likely(product, length)
    shortest = breaking[steps == length]
    candidates = [
        (likely[n] + np.log(product.weight[j]) + _best_branch(product, int(j))[1], int(n), int(j))
        for j, n in zip(shortest, product.choice_node[shortest], strict=True)
    ]
    candidates += [(likely[n], int(n), -1) for n in leaves[time[leaves] == length].tolist()]
    _, node, last = max(candidates, key=lambda c: (c[0], -c[1], -c[2]))
    edges = [] if last < 0 else [(last, _best_branch(product, last)[0])]
    broken = int(product.broken[last]) if last >= 0 else product.end_broken(node)
    while by[node, 0] >= 0:
        edges.append((int(by[node, 0]), int(by[node, 1])))
        node = int(product.choice_node[by[node, 0]])
    return _witness(product, node, edges[::-1], broken - 1, model.exact)


def _most_likely(product: Product, length: int) -> tuple[Floats, Ints]:
    """The log-probability of the likeliest shortest run to each node, and its last edge."""
    likely = np.full(len(product), -np.inf)
    with np.errstate(divide="ignore"):
        likely[product.initial] = np.log(product.initial_prob.astype(np.float64))
        log_weight, log_prob = np.log(product.weight), np.log(product.prob)
    by = np.full((len(product), 2), -1)
    for layer in range(min(length, len(product.layer_ptr) - 2)):
        low, high = product.layer_ptr[layer], product.layer_ptr[layer + 1]
        choices = np.arange(product.choice_ptr[low], product.choice_ptr[high])
        sizes = np.diff(product.branch_ptr)[choices]
        j = np.repeat(choices, sizes)
        branch = (
            np.arange(product.branch_ptr[choices[0]], product.branch_ptr[choices[-1] + 1])
            if len(choices)
            else choices
        )
        offset = branch - product.branch_ptr[j]
        value = (
            likely[product.choice_node[j]]
            + log_weight[j]
            + log_prob[product.first_prob[j] + offset]
        )
        target = product.branch_node[branch]
        onward = product.time[target] == layer + 1
        j, offset, value, target = j[onward], offset[onward], value[onward], target[onward]
        np.maximum.at(likely, target, value)
        best = np.flatnonzero(value == likely[target])[::-1]
        by[target[best], 0], by[target[best], 1] = j[best], offset[best]
    return likely, by


def _best_branch(product: Product, j: int) -> tuple[int, float]:
    """The most probable branch of a product choice, and its log-probability."""
    choice = int(product.choice[j])
    low, high = product.model.branch_ptr[choice], product.model.branch_ptr[choice + 1]
    prob = product.prob[low:high]
    return int(prob.argmax()), float(np.log(prob.max()))


def _witness(
    product: Product, node: int, edges: list[tuple[int, int]], broken: int, exact: bool
) -> Witness:
    """Walk the run again with the constraints' own exact arithmetic."""
    model = product.model
    first = int(product.state[node])
    initial: Number = product.initial_prob[np.flatnonzero(product.initial == node)[0]]
    budgets = start = tuple(c.budget for c in product.constraints)
    probability: Any = initial if exact else float(initial)
    steps = []
    for t, (j, branch) in enumerate(edges):
        choice = int(product.choice[j])
        state = int(product.state[product.choice_node[j]])
        costs = tuple(
            int(model.cost[model.cost_index(c.cost), choice]) * model.cost_unit
            for c in product.constraints
        )
        budgets = tuple(
            c.step(z, paid) for c, z, paid in zip(product.constraints, budgets, costs, strict=True)
        )
        index = int(model.branch_ptr[choice]) + branch
        chance = _choice_probability(product, j, exact) * model.branch_prob[index]
        probability = probability * chance
        steps.append(
            WitnessStep(
                t, state, model.state_name(state), choice, model.choice_name(choice), costs,
                budgets, int(model.branch_state[index]), chance if exact else float(chance),
            )
        )  # fmt: skip
    return Witness(
        first, model.state_name(first), start, initial if exact else float(initial),
        tuple(steps), probability, broken,
    )  # fmt: skip


def _choice_probability(product: Product, j: int, exact: bool) -> Number:
    node = int(product.choice_node[j])
    row = slice(product.choice_ptr[node], product.choice_ptr[node + 1])
    if exact:
        return Fraction(product.weight[j]) / sum(Fraction(w) for w in product.weight[row])
    return float(product.weight[j] / product.weight[row].sum())
