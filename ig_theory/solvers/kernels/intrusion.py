"""Compiled loop of the least-intrusive guard."""

from __future__ import annotations

import numpy as np

from ig_theory.jit import compiled


@compiled
def respond(choice_ptr, usable, base, branch_ptr, branch_node, first_prob, prob, solving, ahead,
             weight, after):  # fmt: skip
    """One step of the equation at the nodes to solve: ``after = T(ahead)``, and `weight` gets
    the policy in proportion to its terms."""
    for n in range(len(choice_ptr) - 1):
        if not solving[n]:
            continue
        least = np.inf
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            weight[j] = 0.0
            if not usable[j]:
                continue
            total = 0.0
            shift = first_prob[j] - branch_ptr[j]
            for b in range(branch_ptr[j], branch_ptr[j + 1]):
                total += prob[b + shift] * ahead[branch_node[b]]
            weight[j] = total
            least = min(least, total)
        mass = 0.0
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            if usable[j]:
                weight[j] = base[j] * np.exp(least - weight[j])  # not all terms underflow
                mass += weight[j]
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            weight[j] /= mass
        after[n] = max(least - np.log(mass), 0.0)
