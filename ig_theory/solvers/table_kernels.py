"""Compiled loops of the value table: one level (budget) at a time, all states at once.

A level is a row of the table, one entry per group of states. Options that cost something are
*pushed*: once the row of level z is final, an option of cost c contributes to level z + c. All
reads then fall into one row, which stays in the processor's cache, and each such option is
evaluated once per level. Options that cost nothing couple the entries of one row; they are
iterated (modified policy iteration) until the row moves no more.
"""

from __future__ import annotations

import numpy as np

from ig_theory.jit import compiled
from ig_theory.kernels import leap

NONE = np.uint32(0xFFFFFFFF)
"""No option: the entry is best served by what was pushed to it."""

EVALUATED = 0.2
"""A chosen policy is iterated until it moves by this share of the last improvement."""

SECANTS = 40
"""Sweeps with secant steps; what converges more slowly has one slow mode, and leaps along it."""


@compiled
def pack(choices, owner, branch_ptr, branch_state, prob, gain, group, beta, loops):
    """Rows of the given choices with group successors: gain, ptr, node, prob.

    The discount is multiplied into the probabilities. With `loops`, a branch back to the
    option's own group is solved for: ``x >= r + p x + q`` iff ``x >= (r + q) / (1 - p)``.
    """
    count = len(choices)
    total = 0
    for o in range(count):
        total += branch_ptr[choices[o] + 1] - branch_ptr[choices[o]]
    ptr = np.zeros(count + 1, np.uint32)
    node = np.empty(total, np.uint32)
    mass = np.empty(total)
    out = np.empty(count)
    fill = 0
    for o in range(count):
        c = choices[o]
        looped = 0.0
        first = fill
        for b in range(branch_ptr[c], branch_ptr[c + 1]):
            u = group[branch_state[b]]
            p = beta * prob[b]
            if loops and u == owner[o]:
                looped += p
                continue
            node[fill] = u
            mass[fill] = p
            fill += 1
        out[o] = gain[c]
        if looped > 0.0:
            # Not 1 - looped, which loses all digits where a loop is rarely left.
            leave = 1.0 - beta
            for e in range(first, fill):
                leave += mass[e]
            out[o] /= leave
            for e in range(first, fill):
                mass[e] /= leave
        ptr[o + 1] = fill
    return out, ptr, node[:fill].copy(), mass[:fill].copy()


@compiled
def pick(new, one, other):
    """`one` where `new`, else `other`: without a branch, which the processor would guess wrongly.

    Which option is best is as good as random to it, and a wrong guess costs more than an option.
    """
    one, other = np.int64(one), np.int64(other)
    return other ^ ((other ^ one) & -np.int64(new))


@compiled
def push(row, level, owner, since, gain, ptr, node, prob, place, first, last, best, which):
    """Offer options `first` .. `last` - 1, whose successors are in `row`, to the row `best`."""
    for o in range(first, last):
        if level < since[o]:
            continue
        total = gain[o]
        for b in range(ptr[o], ptr[o + 1]):
            total += prob[b] * row[node[b]]
        g = owner[o]
        old = best[g]
        which[g] = pick(total > old, place[o], which[g])
        best[g] = max(old, total)


@compiled
def sweep(value, after, since, owner, gain, ptr, node, prob, place, class_ptr, least, out, which):
    """One Bellman backup of a whole table: paying class k moves level z to ``after[k, z]``.

    `out` and `which` hold what an entry is worth without any option.
    """
    for level in range(least, value.shape[0]):
        for k in range(after.shape[0]):
            source = after[k, level]
            if source >= 0:
                push(
                    value[source], level, owner, since, gain, ptr, node, prob, place,
                    class_ptr[k], class_ptr[k + 1], out[level], which[level],
                )  # fmt: skip


@compiled
def largest(x):
    """The largest finite absolute value of a row."""
    most = 0.0
    for value in x:
        if most < abs(value) < np.inf:
            most = abs(value)
    return most


@compiled
def guess(rows, level, member, known, x, floor):
    """Where to start the entries `member` of row `x`: linear prediction from the rows before.

    The entries `known` of the row are final: by how much of its last difference a row moves on
    is fitted to them. What was pushed to `member` so far is kept in `floor`.
    """
    for i in range(len(member)):
        floor[i] = x[member[i]]
    if level == 0:
        for g in member:
            x[g] = max(x[g], 0.0)
        return
    before, older = rows[level - 1], rows[max(level - 2, 0)]
    along = size = 0.0
    for g in known:
        step, last = x[g] - before[g], before[g] - older[g]
        if abs(step) < np.inf and abs(last) < np.inf:
            along += step * last
            size += last * last
    share = along / size if size > 0.0 else 0.0
    for g in member:
        start = before[g]
        if abs(start) == np.inf:
            x[g] = max(x[g], 0.0)
            continue
        last = start - older[g]
        x[g] = max(x[g], start + share * last if abs(last) < np.inf else start)


@compiled
def improve(level, x, member, ptr, since, gain, bptr, node, prob, floor, option, chosen, at):
    """Choose the best option of each entry and update it at once (Gauss-Seidel).

    `option` gets the choices; `chosen` and `at` those that iterating may move, and their entries.

    Returns
    -------
    change : float
        The largest move.
    turned : int
        How many entries chose otherwise than before.
    count : int
        The length of `chosen`.
    reads : int
    """
    change = 0.0
    count = turned = reads = 0
    for i in range(len(member)):
        g = member[i]
        best = floor[i]
        arg = np.int64(NONE)
        for o in range(ptr[i], ptr[i + 1]):
            if level < since[o]:
                continue
            total = gain[o]
            for b in range(bptr[o], bptr[o + 1]):
                total += prob[b] * x[node[b]]
            reads += bptr[o + 1] - bptr[o]
            arg = pick(total > best, o, arg)
            best = max(best, total)
        turned += option[i] != arg
        option[i] = arg
        chosen[count] = arg
        at[count] = g
        count += (arg != NONE) & (best < np.inf)
        if best != x[g]:
            change = max(change, abs(best - x[g]))
            x[g] = best
    return change, turned, count, reads


@compiled
def evaluate(x, count, chosen, at, gain, bptr, node, prob, share, moves, turns):
    """One sweep of the chosen options alone, in place.

    `moves` gets how far each entry moved, and `turns` how far the result is from that of the
    sweep before, after which a secant step of `share` was made.

    Returns
    -------
    largest, far : float
        The largest move and the sum of all.
    along, size : float
        The products of the moves' changes with the moves and with themselves.
    reads : int
    """
    largest = along = size = far = 0.0
    reads = 0
    for k in range(count):
        o = chosen[k]
        g = at[k]
        total = gain[o]
        for b in range(bptr[o], bptr[o + 1]):
            total += prob[b] * x[node[b]]
        reads += bptr[o + 1] - bptr[o]
        move = total - x[g]
        x[g] = total
        largest = max(largest, abs(move))
        far += abs(move)
        turn = move - moves[k]
        along += turn * move
        size += turn * turn
        moves[k] = move
        turns[k] = move - share * turns[k]
    return largest, far, along, size, reads


@compiled
def step(x, count, at, share, along):
    """Move the entries `at` by a share of `along`."""
    for k in range(count):
        x[at[k]] += share * along[k]


@compiled
def settle(level, x, member, ptr, since, gain, bptr, node, prob, place, which, floor, option,
           moves, turns, target, most):  # fmt: skip
    """Solve ``x = max(floor, max_o gain + P x)`` on the entries `member` of one row, in place.

    `which` gets the places of the options that beat the floor; `option`, `moves` and `turns` are
    scratch.

    Between improvement passes the chosen options alone are iterated, each sweep followed by a
    secant step along the last two (Anderson acceleration of depth one), or, where that takes
    long, by leaps once the moves shrink geometrically.

    Returns
    -------
    change : float
        The largest move of the last improvement pass: no entry's Bellman error exceeds it.
    reads : int
        Branches read.
    """
    reads = 0
    sweeps = 0
    moved, before = np.zeros(3), np.zeros(1)
    chosen = np.empty(len(member), np.uint32)
    at = np.empty(len(member), np.uint32)
    while True:
        change, turned, count, read = improve(
            level, x, member, ptr, since, gain, bptr, node, prob, floor, option, chosen, at
        )
        reads += read
        sweeps += 1
        if change <= target or sweeps >= most:
            for i in range(len(member)):
                if option[i] != NONE:
                    which[member[i]] = place[option[i]]
            return change, reads
        enough = 2.0 * target  # the pass that follows halves it at least
        if turned > 0:
            enough = max(enough, EVALUATED * change)
        run = 0
        share = 0.0
        moved[:] = 0.0
        before[0] = 0.0
        turns[:] = 0.0
        while sweeps < most:
            sweeps += 1
            largest, far, along, size, read = evaluate(
                x, count, chosen, at, gain, bptr, node, prob, share, moves, turns
            )
            reads += read
            if largest <= enough:
                break
            moved[0], moved[1], moved[2] = moved[1], moved[2], far
            run += 1
            if run > SECANTS:
                share = 0.0
                factor = leap(moved, before, 0)
                if factor > 2.0:
                    step(x, count, at, factor, moves)
                    moved[:] = 0.0
                continue
            share = along / size if run > 1 and size > 0.0 else 0.0
            step(x, count, at, -share, turns)


@compiled
def longest(member, ptr, bptr, node, prob, steps, most):
    """Steps that free options can follow one another, expected, at most: ``w >= 1 + P w``.

    Iterates `steps` (one entry per group, 1 to start with), with extrapolation, until no entry
    rises by half a step: then ``w / (1 - rise)`` satisfies the inequality, however it was found.
    Returns whether it came to that, and the largest last rise.
    """
    rise = np.inf
    moved, before = np.zeros(3), np.zeros(1)
    step = np.zeros(len(member))
    for _ in range(most):
        rise = 0.0
        moved[0], moved[1], moved[2] = moved[1], moved[2], 0.0
        for i in range(len(member)):
            best = 1.0
            for o in range(ptr[i], ptr[i + 1]):
                total = 1.0
                for b in range(bptr[o], bptr[o + 1]):
                    total += prob[b] * steps[node[b]]
                best = max(best, total)
            g = member[i]
            step[i] = best - steps[g]
            steps[g] = best
            rise = max(rise, step[i])
            moved[2] += abs(step[i])
        if rise < 0.5:
            return True, rise
        factor = leap(moved, before, 0)
        if factor > 2.0:
            for i in range(len(member)):
                steps[member[i]] += factor * step[i]
            moved[:] = 0.0
    return False, rise


@compiled
def prune(candidate, choice_ptr, usable, branch_ptr, branch_state, most):
    """Take away candidates that usable choices do not keep inside, for at most `most` passes.

    What is left contains the largest set that need never be left.
    """
    for _ in range(most):
        changed = False
        for s in range(len(choice_ptr) - 1):
            if not candidate[s]:
                continue
            stays = False
            for c in range(choice_ptr[s], choice_ptr[s + 1]):
                if not usable[c]:
                    continue
                inside = True
                for b in range(branch_ptr[c], branch_ptr[c + 1]):
                    if not candidate[branch_state[b]]:
                        inside = False
                        break
                if inside:
                    stays = True
                    break
            if not stays:
                candidate[s] = False
                changed = True
        if not changed:
            break
