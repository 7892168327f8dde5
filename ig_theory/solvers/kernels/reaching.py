"""Compiled loop of the least budget that surely pays for reaching a goal (``gamma = 1``).

Its source runs as plain Python too (``reaching_demands.py_func``), for small models.
"""

from __future__ import annotations

import heapq

import numpy as np

from ig_theory.jit import compiled


@compiled
def reaching_demands(choice_ptr, cost, branch_ptr, branch_state, goal, cyclic, infinite):
    """Least budgets int64[S], a choice of each state that needs no more, and the settling order.

    States are settled in ascending order of their budget, as in Dijkstra's algorithm: a choice
    is ready once all its successors are settled. What may loop at zero cost needs a nested
    fixed point, taken whenever no ready choice is left at the level: of the unsettled states
    `cyclic`, the largest set that can stay among itself and the settled states at zero cost and
    from every state of which these can be met. A state comes later in the order than some
    successor of its choice. `cyclic` must hold all states on zero-cost cycles, and may hold more.
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
    policy = np.full(n_states, -1, np.int64)
    order = np.full(n_states, -1, np.int64)
    settled = np.zeros(n_states, np.bool_)
    stay = np.zeros(n_states, np.bool_)
    met = np.zeros(n_states, np.bool_)
    outside = np.zeros(n_choices, np.int64)
    options = np.zeros(n_states, np.int64)
    candidates = np.flatnonzero(cyclic & ~goal)
    ready = [(np.int64(0), np.int64(0)) for _ in range(0)]
    fresh = [np.int64(s) for s in range(0)]
    for s in range(n_states):
        if goal[s]:
            settled[s] = True
            fresh.append(np.int64(s))
    level, count, touched = np.int64(0), 0, False
    while True:
        while True:
            for s in fresh:
                demand[s] = level
                order[s] = count
                count += 1
            for s in fresh:
                for e in range(before_ptr[s], before_ptr[s + 1]):
                    c = before[e]
                    pending[c] -= 1
                    u = owner[c]
                    if settled[u]:
                        continue
                    if cost[c] == 0 and cyclic[u]:
                        touched = True
                    if pending[c] == 0:
                        heapq.heappush(ready, (cost[c] + level, np.int64(c)))
            fresh.clear()
            while len(ready) > 0 and ready[0][0] <= level:
                c = heapq.heappop(ready)[1]
                s = owner[c]
                if not settled[s]:
                    settled[s] = True
                    policy[s] = c
                    fresh.append(s)
            if len(fresh) > 0:
                continue
            if not touched:
                break
            touched = False
            # The largest set that can stay: drop states without a choice into it, ...
            lost = [np.int64(s) for s in range(0)]
            for s in candidates:
                stay[s] = not settled[s]
            for s in candidates:
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
            while True:
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
                # ... and those that cannot meet the settled states; until none is dropped.
                for s in candidates:
                    met[s] = False
                for s in candidates:
                    if not stay[s]:
                        continue
                    for c in range(choice_ptr[s], choice_ptr[s + 1]):
                        if met[s] or cost[c] != 0 or outside[c] > 0:
                            continue
                        for b in range(branch_ptr[c], branch_ptr[c + 1]):
                            if settled[branch_state[b]]:
                                met[s] = True
                                policy[s] = c
                                fresh.append(s)
                                break
                i = 0
                while i < len(fresh):
                    s = fresh[i]
                    i += 1
                    for e in range(before_ptr[s], before_ptr[s + 1]):
                        c = before[e]
                        u = owner[c]
                        if cost[c] == 0 and stay[u] and not met[u] and outside[c] == 0:
                            met[u] = True
                            policy[u] = c
                            fresh.append(u)
                for s in candidates:
                    if stay[s] and not met[s]:
                        lost.append(s)
                        policy[s] = -1
                if len(lost) == 0:
                    break
                fresh.clear()
            for s in fresh:
                settled[s] = True
                stay[s] = False
            if len(fresh) == 0:
                break
        while len(ready) > 0 and settled[owner[ready[0][1]]]:
            heapq.heappop(ready)
        if len(ready) == 0:
            return demand, policy, order
        level = ready[0][0]
