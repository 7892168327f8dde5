"""Compiled loop of the minimal budget for ``gamma = 1``."""

from __future__ import annotations

import heapq

import numpy as np

from ig_theory.kernels import compiled


@compiled
def least_demands(choice_ptr, cost, branch_ptr, branch_state, terminal, cyclic, infinite):
    """The least fixed point of ``D(s) = min_a (c + max_{s'} D(s'))``, int64[S].

    States are settled in ascending order of D, as in Dijkstra's algorithm: a choice is ready
    once all its successors are settled. A state may also stay within zero-cost choices among
    states of its own level; such sets are the greatest fixed points that `cyclic` (states on a
    zero-cost cycle) can form, found whenever no ready choice is left at the level.
    """
    n_states = len(choice_ptr) - 1
    n_choices = len(branch_ptr) - 1
    owner = np.empty(n_choices, np.int64)
    for s in range(n_states):
        owner[choice_ptr[s] : choice_ptr[s + 1]] = s
    before_ptr = np.zeros(n_states + 1, np.int64)
    for b in range(len(branch_state)):
        before_ptr[branch_state[b] + 1] += 1
    before_ptr = np.cumsum(before_ptr)
    fill = before_ptr[:-1].copy()
    before = np.empty(len(branch_state), np.int64)
    for c in range(n_choices):
        for b in range(branch_ptr[c], branch_ptr[c + 1]):
            before[fill[branch_state[b]]] = c
            fill[branch_state[b]] += 1
    pending = branch_ptr[1:] - branch_ptr[:-1]
    demand = np.full(n_states, infinite, np.int64)
    settled = np.zeros(n_states, np.bool_)
    ready = [(np.int64(0), np.int64(0)) for _ in range(0)]
    fresh = [s for s in range(n_states) if terminal[s]]
    level = np.int64(0)
    stay = np.zeros(n_states, np.bool_)
    outside = np.zeros(n_choices, np.int64)
    options = np.zeros(n_states, np.int64)
    cyclic_states = np.flatnonzero(cyclic)
    while True:
        while True:
            for s in fresh:
                settled[s] = True
                demand[s] = level
            for s in fresh:
                for e in range(before_ptr[s], before_ptr[s + 1]):
                    c = before[e]
                    pending[c] -= 1
                    if pending[c] == 0 and not settled[owner[c]]:
                        heapq.heappush(ready, (cost[c] + level, np.int64(c)))
            fresh.clear()
            while len(ready) > 0 and ready[0][0] <= level:
                s = owner[heapq.heappop(ready)[1]]
                if not settled[s]:
                    settled[s] = True
                    fresh.append(s)
            if len(fresh) > 0:
                continue
            # The greatest set of unsettled states that can stay among themselves and the
            # settled ones at cost zero.
            lost = [np.int64(s) for s in range(0)]
            for s in cyclic_states:
                stay[s] = not settled[s]
            for s in cyclic_states:
                if not stay[s]:
                    continue
                options[s] = 0
                for c in range(choice_ptr[s], choice_ptr[s + 1]):
                    if cost[c] != 0:
                        continue
                    outside[c] = 0
                    for b in range(branch_ptr[c], branch_ptr[c + 1]):
                        u = branch_state[b]
                        if not settled[u] and not stay[u]:
                            outside[c] += 1
                    if outside[c] == 0:
                        options[s] += 1
                if options[s] == 0:
                    lost.append(s)
            while len(lost) > 0:
                s = lost.pop()
                stay[s] = False
                for e in range(before_ptr[s], before_ptr[s + 1]):
                    c = before[e]
                    u = owner[c]
                    if cost[c] != 0 or not stay[u]:
                        continue
                    outside[c] += 1
                    if outside[c] == 1:
                        options[u] -= 1
                        if options[u] == 0:
                            lost.append(u)
            for s in cyclic_states:
                if stay[s]:
                    stay[s] = False
                    fresh.append(s)
            if len(fresh) == 0:
                break
        while len(ready) > 0 and settled[owner[ready[0][1]]]:
            heapq.heappop(ready)
        if len(ready) == 0:
            return demand
        level = ready[0][0]
