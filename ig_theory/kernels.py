"""Compiled loops over products; the mathematics that uses them is elsewhere.

A product is passed as flat arrays: node ``n`` has choices ``choice_ptr[n]..choice_ptr[n+1]-1``,
choice ``j`` has branches ``branch_ptr[j]..branch_ptr[j+1]-1`` with successors ``branch_node``;
the probability of its i-th branch is ``prob[first_prob[j] + i]``, shared with the model.
"""

from __future__ import annotations

import numpy as np

from ig_theory.jit import compiled


@compiled
def insert(keys, nodes, wanted, owner, count, out, new_key, new_owner):
    """Number the keys `wanted`, new ones from `count` on, in an open-addressing hash table.

    `keys` (-1 is empty) and `nodes` are the table, a power of two long and never more than
    half full. Returns the new count; `out` gets the number of each wanted key; `new_key` and
    `new_owner` get the key and the owner of each new number.
    """
    mask = len(keys) - 1
    added = 0
    for i in range(len(wanted)):
        key = wanted[i]
        h = key * np.int64(-7046029254386353131)
        slot = (h ^ (h >> 29)) & mask
        while keys[slot] != key:
            if keys[slot] == -1:
                keys[slot] = key
                nodes[slot] = count
                new_key[added] = key
                new_owner[added] = owner[i]
                added += 1
                count += 1
                break
            slot = (slot + 1) & mask
        out[i] = nodes[slot]
    return count


@compiled
def rehash(old_keys, old_nodes, keys, nodes):
    """Move a hash table into a larger empty one."""
    mask = len(keys) - 1
    for i in range(len(old_keys)):
        key = old_keys[i]
        if key == -1:
            continue
        h = key * np.int64(-7046029254386353131)
        slot = (h ^ (h >> 29)) & mask
        while keys[slot] != -1:
            slot = (slot + 1) & mask
        keys[slot] = key
        nodes[slot] = old_nodes[i]


@compiled
def components(edge_ptr, edge_node, alive):
    """Strongly connected components by Tarjan's algorithm, successors first.

    Edges with ``alive[e] == 0`` are ignored (`alive` may be empty: all count). Returns the nodes
    ordered by component and the component boundaries; every edge leads into the same or an
    earlier component.
    """
    n = len(edge_ptr) - 1
    every = len(alive) == 0
    index = np.zeros(n, np.int32)  # 0: not seen; otherwise the discovery number
    low = np.zeros(n, np.int32)
    done = np.zeros(n, np.bool_)
    stack = np.empty(n, np.int32)
    path = np.empty(n, np.int32)
    cursor = edge_ptr[:-1].copy()
    order = np.empty(n, np.int32)
    start = np.empty(n + 1, np.int64)
    top = depth = placed = parts = 0
    clock = np.int32(0)
    for root in range(n):
        if index[root] != 0:
            continue
        clock += 1
        index[root] = low[root] = clock
        stack[top] = root
        top += 1
        path[0] = root
        depth = 1
        while depth > 0:
            v = path[depth - 1]
            moved = False
            while cursor[v] < edge_ptr[v + 1]:
                e = cursor[v]
                cursor[v] += 1
                if not every and not alive[e]:
                    continue
                u = edge_node[e]
                if index[u] == 0:
                    clock += 1
                    index[u] = low[u] = clock
                    stack[top] = u
                    top += 1
                    path[depth] = u
                    depth += 1
                    moved = True
                    break
                if not done[u] and index[u] < low[v]:
                    low[v] = index[u]
            if moved:
                continue
            depth -= 1
            if depth > 0 and low[v] < low[path[depth - 1]]:
                low[path[depth - 1]] = low[v]
            if low[v] == index[v]:
                start[parts] = placed
                parts += 1
                while True:
                    top -= 1
                    u = stack[top]
                    done[u] = True
                    order[placed] = u
                    placed += 1
                    if u == v:
                        break
    start[parts] = placed
    return order, start[: parts + 1].copy()


@compiled
def leap(moved, before, k):
    """How far to extrapolate a geometric series: the factor of the last move (Aitken).

    `moved` holds the sizes of the last three moves, newest last. 0 while their ratio has not
    settled. ``before[k]`` remembers the move before the last leap: a leap that did not make
    moves smaller was wrong, and no other is taken (it is then infinite).
    """
    if before[k] == np.inf:
        return 0.0
    if moved[0] <= 0.0 or moved[1] <= 0.0 or moved[2] <= 0.0:
        return 0.0
    if before[k] > 0.0 and moved[2] > before[k]:
        before[k] = np.inf
        return 0.0
    older, newer = moved[1] / moved[0], moved[2] / moved[1]
    if not (0.3 < newer < 1.0) or abs(newer - older) > 0.02 * (1.0 - newer):
        return 0.0
    before[k] = moved[2]
    return newer / (1.0 - newer)


@compiled
def linear(order, start, choice_ptr, weight, branch_ptr, branch_node, first_prob, prob,
           constant, fixed, beta, x, tolerance, most):  # fmt: skip
    """Solve ``x = constant + beta * sum weight * P x`` component by component, in place.

    Gauss-Seidel inside a component, with extrapolation once the moves shrink geometrically (a
    component that is left rarely has one slow mode), until no entry moves by more than
    `tolerance` relative to its size, at most `most` times. Rows with ``fixed`` keep their `x`.
    Returns the number of components that were still moving.
    """
    unfinished = 0
    columns = x.shape[1]
    fresh = np.empty(columns)
    widest = 0
    for part in range(len(start) - 1):
        widest = max(widest, start[part + 1] - start[part])
    step = np.zeros((widest, columns))
    moved = np.zeros((columns, 3))
    before = np.zeros(columns)
    for part in range(len(start) - 1):
        low, high = start[part], start[part + 1]
        moved[:] = 0.0
        before[:] = 0.0
        moving = False
        for _ in range(most):
            moving = False
            moved[:, 0] = moved[:, 1]
            moved[:, 1] = moved[:, 2]
            moved[:, 2] = 0.0
            for place in range(low, high):
                n = order[place]
                if fixed[n]:
                    continue
                for k in range(columns):
                    fresh[k] = constant[n, k]
                looped = others = 0.0
                for j in range(choice_ptr[n], choice_ptr[n + 1]):
                    if weight[j] == 0.0:
                        continue
                    shift = first_prob[j] - branch_ptr[j]
                    scale = beta * weight[j]
                    for b in range(branch_ptr[j], branch_ptr[j + 1]):
                        mass = scale * prob[b + shift]
                        u = branch_node[b]
                        if u == n:
                            looped += mass
                            continue
                        others += mass
                        for k in range(columns):
                            y = x[u, k]
                            if y != 0.0:
                                fresh[k] += mass * y
                # A loop that is rarely left: 1 - looped may have lost its digits.
                leave = max(1.0 - looped, others) if looped > 0.0 else 1.0
                for k in range(columns):
                    y = fresh[k] / leave if leave > 0.0 else fresh[k] * np.inf
                    old = x[n, k]
                    if y != old and (abs(y) == np.inf or not abs(y - old) <= tolerance * abs(y)):
                        moving = True
                    if y != old and abs(y) != np.inf and abs(old) != np.inf:
                        step[place - low, k] = y - old
                        moved[k, 2] += abs(y - old)
                    else:
                        step[place - low, k] = 0.0
                    x[n, k] = y
            if not moving or high - low == 1:
                break
            for k in range(columns):
                factor = leap(moved[k], before, k)
                if factor > 2.0:
                    for place in range(low, high):
                        if not fixed[order[place]]:
                            x[order[place], k] += factor * step[place - low, k]
                    moved[k] = 0.0
        if moving and high - low > 1:
            unfinished += 1
    return unfinished


@compiled
def apply_linear(choice_ptr, weight, branch_ptr, branch_node, first_prob, prob,
                 constant, beta, x, out):  # fmt: skip
    """``out = constant + beta * sum weight * P x``, one column each."""
    for n in range(len(choice_ptr) - 1):
        for k in range(x.shape[1]):
            total = constant[n, k]
            for j in range(choice_ptr[n], choice_ptr[n + 1]):
                if weight[j] == 0.0:
                    continue
                shift = first_prob[j] - branch_ptr[j]
                for b in range(branch_ptr[j], branch_ptr[j + 1]):
                    y = x[branch_node[b], k]
                    if y != 0.0:
                        total += beta * weight[j] * prob[b + shift] * y
            out[n, k] = total


@compiled
def push(choice_ptr, weight, branch_ptr, branch_node, first_prob, prob, mass, out):
    """One step forward of a distribution over nodes; leaves keep nothing."""
    out[:] = 0.0
    for n in range(len(choice_ptr) - 1):
        if mass[n] == 0.0:
            continue
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            shift = first_prob[j] - branch_ptr[j]
            for b in range(branch_ptr[j], branch_ptr[j + 1]):
                out[branch_node[b]] += mass[n] * weight[j] * prob[b + shift]


@compiled
def backward(choice_ptr, branch_ptr, branch_node, alive, source):
    """Nodes from which `source` can be reached along alive choices (bool[N], includes it)."""
    n_nodes = len(choice_ptr) - 1
    count = np.zeros(n_nodes + 1, np.int64)
    for n in range(n_nodes):
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            if alive[j]:
                for b in range(branch_ptr[j], branch_ptr[j + 1]):
                    count[branch_node[b] + 1] += 1
    ptr = np.cumsum(count)
    fill = ptr[:-1].copy()
    before = np.empty(ptr[-1], np.int32)
    for n in range(n_nodes):
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            if alive[j]:
                for b in range(branch_ptr[j], branch_ptr[j + 1]):
                    u = branch_node[b]
                    before[fill[u]] = n
                    fill[u] += 1
    reached = source.copy()
    queue = np.flatnonzero(source)
    stack = np.empty(n_nodes, np.int64)
    top = len(queue)
    stack[:top] = queue
    while top > 0:
        top -= 1
        u = stack[top]
        for e in range(ptr[u], ptr[u + 1]):
            n = before[e]
            if not reached[n]:
                reached[n] = True
                stack[top] = n
                top += 1
    return reached


@compiled
def leaving(part, choice_ptr, weight, broken, branch_ptr, branch_node, leaves):
    """Mark in `leaves` the components that some weighted choice leaves or breaks out of."""
    for n in range(len(choice_ptr) - 1):
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            if weight[j] == 0.0:
                continue
            if broken[j]:
                leaves[part[n]] = True
            for b in range(branch_ptr[j], branch_ptr[j + 1]):
                if part[branch_node[b]] != part[n]:
                    leaves[part[n]] = True


@compiled
def avoid(choice_ptr, branch_ptr, branch_node, alive, lost):
    """Take away the choices of kept nodes that may lead to a lost one; says whether any was."""
    changed = False
    for n in range(len(choice_ptr) - 1):
        for j in range(choice_ptr[n], choice_ptr[n + 1]):
            if not alive[j]:
                continue
            for b in range(branch_ptr[j], branch_ptr[j + 1]):
                if lost[branch_node[b]]:
                    alive[j] = False
                    changed = True
                    break
    return changed
