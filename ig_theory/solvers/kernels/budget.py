"""Compiled loops of the minimal budget for ``gamma = 1``."""

from __future__ import annotations

import heapq

import numpy as np

from ig_theory.jit import compiled
from ig_theory.kernels import components

END = np.int32(-1)

RING = 1024
"""Largest cost for which levels are kept in a ring of buckets; above it, in a heap."""

PASSES = 12
"""Passes over the states that might stay before the rest is settled by a worklist."""

SEARCHES = 64
"""Levels searched for states that stay before only those on free cycles are looked at."""


@compiled
def least_demands(choice_ptr, cost, branch_ptr, branch_state, terminal, infinite):
    """The least fixed point of ``D(s) = min_a (c + max_{s'} D(s'))``, int64[S].

    States are settled in ascending order of D, as in Dijkstra's algorithm. Each choice watches
    one successor that is not settled; when that one is, it watches another, and when none is
    left it is ready at ``c`` above the present level. A choice is thus always in one list: that
    of the successor it watches, or that of the level at which it is ready. States may also stay
    among zero-cost choices at one level; see `staying`.
    """
    n_states = len(choice_ptr) - 1
    n_choices = len(branch_ptr) - 1
    dearest = cost.max() if n_choices > 0 else 0
    ring = dearest <= RING
    width = dearest + 1 if ring else 1
    owner = np.empty(n_choices, np.int32)
    after = np.empty(n_choices, np.int32)
    watched = np.empty(n_choices, np.int64)
    watchers = np.full(n_states, END, np.int32)
    bucket = np.full(width, END, np.int32)
    heap = [(np.int64(0), np.int32(0)) for _ in range(0)]
    waiting = 0
    demand = np.full(n_states, infinite, np.int64)
    settled = np.zeros(n_states, np.bool_)
    fresh = np.empty(n_states, np.int32)
    loose = np.empty(n_states, np.int32)
    # Successors of free choices: only when one of these is settled may more states stay.
    matters = np.zeros(n_states, np.bool_)
    n_fresh = n_loose = 0
    for s in range(n_states):
        if terminal[s]:
            settled[s] = True
            demand[s] = 0
            fresh[n_fresh] = s
            n_fresh += 1
        free = False
        for c in range(choice_ptr[s], choice_ptr[s + 1]):
            owner[c] = s
            watched[c] = branch_ptr[c]
            u = branch_state[branch_ptr[c]]
            after[c] = watchers[u]
            watchers[u] = c
            if cost[c] == 0:
                free = True
                for b in range(branch_ptr[c], branch_ptr[c + 1]):
                    matters[branch_state[b]] = True
        if free and not terminal[s]:
            loose[n_loose] = s
            n_loose += 1
    stay = np.zeros(n_states, np.bool_)
    level = np.int64(0)
    searches = 0
    search = True
    while True:
        while n_fresh > 0:
            n_fresh -= 1
            search |= matters[fresh[n_fresh]]
            c = watchers[fresh[n_fresh]]
            while c != END:
                following = after[c]
                s = owner[c]
                if not settled[s]:
                    b = watched[c] + 1
                    end = branch_ptr[c + 1]
                    while b < end and settled[branch_state[b]]:
                        b += 1
                    if b < end:
                        watched[c] = b
                        u = branch_state[b]
                        after[c] = watchers[u]
                        watchers[u] = c
                    elif cost[c] == 0:
                        settled[s] = True
                        demand[s] = level
                        fresh[n_fresh] = s
                        n_fresh += 1
                    elif ring:
                        place = (level + cost[c]) % width
                        after[c] = bucket[place]
                        bucket[place] = c
                        waiting += 1
                    else:
                        heapq.heappush(heap, (level + cost[c], c))
                        waiting += 1
                c = following
        if n_loose > 0 and search:
            search = False
            searches += 1
            if searches == SEARCHES:
                n_loose = on_free_cycles(
                    choice_ptr, cost, branch_ptr, branch_state, owner, loose, n_loose
                )
            n_loose, found = staying(
                choice_ptr, cost, branch_ptr, branch_state, owner, settled, stay, loose, n_loose
            )
            for s in found:
                settled[s] = True
                demand[s] = level
                fresh[n_fresh] = s
                n_fresh += 1
            if n_fresh > 0:
                continue
        while n_fresh == 0 and waiting > 0:
            if ring:
                level += 1
                c = bucket[level % width]
                bucket[level % width] = END
            else:
                level = heap[0][0]
                c = heapq.heappop(heap)[1]
                after[c] = END
            while c != END:
                waiting -= 1
                s = owner[c]
                if not settled[s]:
                    settled[s] = True
                    demand[s] = level
                    fresh[n_fresh] = s
                    n_fresh += 1
                c = after[c]
        if n_fresh == 0:
            return demand


@compiled
def staying(choice_ptr, cost, branch_ptr, branch_state, owner, settled, stay, loose, n_loose):
    """The largest set of unsettled states with a zero-cost choice into itself or the settled.

    `loose` lists the candidates, the settled ones are taken out of it; `stay` is all false
    before and after. Returns how many candidates are left, and the set.
    """
    count = 0
    for k in range(n_loose):
        s = loose[k]
        if not settled[s]:
            stay[s] = True
            loose[count] = s
            count += 1
    n_loose = count
    found = loose[:n_loose].copy()
    for _ in range(PASSES):
        kept = 0
        for k in range(count):
            s = found[k]
            stays = False
            for c in range(choice_ptr[s], choice_ptr[s + 1]):
                if cost[c] == 0 and remains(c, branch_ptr, branch_state, settled, stay):
                    stays = True
                    break
            if stays:
                found[kept] = s
                kept += 1
            else:
                stay[s] = False
        same = kept == count
        count = kept
        if same:
            break
    else:
        count = shrink(
            choice_ptr, cost, branch_ptr, branch_state, owner, settled, stay, found, count
        )
    for k in range(count):
        stay[found[k]] = False
    return n_loose, found[:count]


@compiled
def remains(c, branch_ptr, branch_state, settled, stay):
    """Whether every successor of a choice is settled or stays."""
    for b in range(branch_ptr[c], branch_ptr[c + 1]):
        u = branch_state[b]
        if not settled[u] and not stay[u]:
            return False
    return True


@compiled
def shrink(choice_ptr, cost, branch_ptr, branch_state, owner, settled, stay, found, count):
    """As the passes of `staying`, in linear time: each loss is told to those it matters to."""
    size = np.zeros(len(stay) + 1, np.int64)
    outside = np.zeros(len(owner), np.int32)
    options = np.zeros(len(stay), np.int32)
    lost = np.empty(count, np.int32)
    n_lost = 0
    for k in range(count):
        s = found[k]
        for c in range(choice_ptr[s], choice_ptr[s + 1]):
            if cost[c] != 0:
                continue
            for b in range(branch_ptr[c], branch_ptr[c + 1]):
                u = branch_state[b]
                if stay[u]:
                    size[u + 1] += 1
                elif not settled[u]:
                    outside[c] += 1
            if outside[c] == 0:
                options[s] += 1
        if options[s] == 0:
            lost[n_lost] = s
            n_lost += 1
    start = np.cumsum(size)
    fill = start[:-1].copy()
    before = np.empty(start[-1], np.int32)
    for k in range(count):
        s = found[k]
        for c in range(choice_ptr[s], choice_ptr[s + 1]):
            if cost[c] != 0:
                continue
            for b in range(branch_ptr[c], branch_ptr[c + 1]):
                u = branch_state[b]
                if stay[u]:
                    before[fill[u]] = c
                    fill[u] += 1
    while n_lost > 0:
        n_lost -= 1
        s = lost[n_lost]
        stay[s] = False
        for e in range(start[s], start[s + 1]):
            c = before[e]
            outside[c] += 1
            if outside[c] == 1:
                u = owner[c]
                options[u] -= 1
                if options[u] == 0:
                    lost[n_lost] = u
                    n_lost += 1
    kept = 0
    for k in range(count):
        if stay[found[k]]:
            found[kept] = found[k]
            kept += 1
    return kept


@compiled
def on_free_cycles(choice_ptr, cost, branch_ptr, branch_state, owner, loose, n_loose):
    """Keep in `loose` the states on a cycle of zero-cost choices; returns how many."""
    alive = np.zeros(len(branch_state), np.bool_)
    looped = np.zeros(len(choice_ptr) - 1, np.bool_)
    for c in range(len(owner)):
        if cost[c] == 0:
            for b in range(branch_ptr[c], branch_ptr[c + 1]):
                alive[b] = True
                if branch_state[b] == owner[c]:
                    looped[owner[c]] = True
    order, start = components(branch_ptr[choice_ptr], branch_state, alive)
    for part in range(len(start) - 1):
        if start[part + 1] - start[part] > 1:
            for place in range(start[part], start[part + 1]):
                looped[order[place]] = True
    kept = 0
    for k in range(n_loose):
        if looped[loose[k]]:
            loose[kept] = loose[k]
            kept += 1
    return kept
