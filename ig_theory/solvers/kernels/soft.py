"""Compiled loop of the soft Bellman equation."""

from __future__ import annotations

import numpy as np

from ig_theory.jit import compiled


@compiled
def soften(order, choice_ptr, usable, share, log_mass, gain, branch_ptr, branch_node, first_prob,
           prob, solving, beta, temperature, ahead, weight, after, earned):  # fmt: skip
    """``after = T(ahead)`` at the nodes to solve, in the given order; the two may be one array.

    `share` is the base policy given that the choice is usable, `log_mass` the logarithm of the
    probability that it is. `weight` gets the policy in proportion to the terms of T's sum and
    `earned` what that policy gains at once, reward less temperature times divergence. The terms
    are taken relative to the largest; near it their sum is 1 minus little, so that neither low
    nor high temperatures lose digits.
    """
    for n in order:
        if not solving[n]:
            continue
        most = -np.inf
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            weight[j] = 0.0
            if not usable[j]:
                continue
            total = 0.0
            shift = first_prob[j] - branch_ptr[j]
            for b in range(branch_ptr[j], branch_ptr[j + 1]):
                total += prob[b + shift] * ahead[branch_node[b]]
            weight[j] = gain[j] + beta * total
            most = max(most, weight[j])
        less = 0.0
        mass = 0.0
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            if usable[j]:
                exponent = (weight[j] - most) / temperature
                less += share[j] * np.expm1(exponent)
                mass += share[j] * np.exp(exponent)
        log_sum = np.log1p(less) if less > -0.5 else np.log(mass)
        later = 0.0
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            if usable[j]:
                value = weight[j]
                weight[j] = share[j] * np.exp((value - most) / temperature) / mass
                later += weight[j] * (value - gain[j])
        after[n] = most + temperature * (log_mass[n] + log_sum)
        earned[n] = after[n] - later
