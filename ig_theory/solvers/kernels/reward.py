"""Compiled loops of the reward optimum; nodes in one group share their value."""

from __future__ import annotations

import numpy as np

from ig_theory.jit import compiled
from ig_theory.kernels import leap


@compiled
def optimise(order, start, option_ptr, option, gain, branch_ptr, branch_node, first_prob, prob,
             group, stay, beta, x, tolerance, most):  # fmt: skip
    """Value iteration ``x = max(stay, max_j gain + beta P x)``, component by component, with
    the extrapolation of `linear`.

    `option_ptr` and `option` list the choices of each group. Returns how many components were
    still moving.
    """
    unfinished = 0
    widest = 0
    for part in range(len(start) - 1):
        widest = max(widest, start[part + 1] - start[part])
    step = np.zeros(widest)
    moved = np.zeros(3)
    before = np.zeros(1)
    for part in range(len(start) - 1):
        low, high = start[part], start[part + 1]
        moved[:] = 0.0
        before[0] = 0.0
        moving = False
        for _ in range(most):
            moving = False
            moved[0], moved[1], moved[2] = moved[1], moved[2], 0.0
            for place in range(low, high):
                g = order[place]
                best = stay[g]
                for o in range(option_ptr[g], option_ptr[g + 1]):
                    j = option[o]
                    total = gain[j]
                    looped = 0.0
                    shift = first_prob[j] - branch_ptr[j]
                    for b in range(branch_ptr[j], branch_ptr[j + 1]):
                        u = group[branch_node[b]]
                        mass = beta * prob[b + shift]
                        if u == g:
                            looped += mass
                        elif x[u] != 0.0:
                            total += mass * x[u]
                    if looped > 0.0:
                        leave = 1.0 - beta
                        for b in range(branch_ptr[j], branch_ptr[j + 1]):
                            if group[branch_node[b]] != g:
                                leave += beta * prob[b + shift]
                        if leave > 0.0:
                            total /= leave
                        elif total < 0.0:
                            total = -np.inf
                    if total > best:
                        best = total
                old = x[g]
                step[place - low] = 0.0
                if best != old and (
                    abs(best) == np.inf or not abs(best - old) <= tolerance * abs(best)
                ):
                    moving = True
                if best != old and abs(best) != np.inf and abs(old) != np.inf:
                    step[place - low] = best - old
                    moved[2] += abs(best - old)
                x[g] = best
            if not moving or high - low == 1:
                break
            factor = leap(moved, before, 0)
            if factor > 2.0:
                for place in range(low, high):
                    x[order[place]] += factor * step[place - low]
                moved[:] = 0.0
        if moving and high - low > 1:
            unfinished += 1
    return unfinished


@compiled
def backups(option_ptr, option, gain, branch_ptr, branch_node, first_prob, prob, group, beta, x,
            out):  # fmt: skip
    """``out[o] = gain + beta P x`` of every listed choice."""
    for g in range(len(option_ptr) - 1):
        for o in range(option_ptr[g], option_ptr[g + 1]):
            j = option[o]
            total = gain[j]
            shift = first_prob[j] - branch_ptr[j]
            for b in range(branch_ptr[j], branch_ptr[j + 1]):
                y = x[group[branch_node[b]]]
                if y != 0.0:
                    total += beta * prob[b + shift] * y
            out[o] = total


@compiled
def inside(part, choice_ptr, alive, branch_ptr, branch_node):
    """Take away the choices that leave their node's component; says whether any was."""
    changed = False
    for n in range(len(choice_ptr) - 1):
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            if not alive[j]:
                continue
            for b in range(branch_ptr[j], branch_ptr[j + 1]):
                if part[branch_node[b]] != part[n]:
                    alive[j] = False
                    changed = True
                    break
    return changed
