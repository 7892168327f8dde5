"""Compiled loops over a model's states alone: Bellman sweeps, and sweeps of one policy.

The rows of the current policy are kept in compact arrays, a slot per state, and rewritten only
where the policy changes: the sweeps of modified policy iteration then read a fraction of the
model, in order, and only the values are gathered. Pointers and successors are uint32: signed
indices would be tested for being negative at every gather, which costs half the speed.
Probabilities total 1; the slot of a terminal state is empty.
"""

from __future__ import annotations

from ig_theory.jit import compiled

HUGE = 1e308


@compiled
def scale(branch_ptr, prob, out):
    """Scale each choice's probabilities to total 1; False, and `out` unset, if all do."""
    changed = False
    for c in range(len(branch_ptr) - 1):
        total = 0.0
        for b in range(branch_ptr[c], branch_ptr[c + 1]):
            total += prob[b]
        if total != 1.0 and not changed:
            changed = True
            for b in range(branch_ptr[c]):
                out[b] = prob[b]
        if changed:
            for b in range(branch_ptr[c], branch_ptr[c + 1]):
                out[b] = prob[b] / total
    return changed


@compiled
def select(policy, branch_ptr, successor, prob, row_ptr, row_state, row_prob):
    """Copy the rows of a whole policy into the slots; what is left of a slot weighs nothing."""
    for s in range(len(policy)):
        n = row_ptr[s]
        if n == row_ptr[s + 1]:
            continue
        for b in range(branch_ptr[policy[s]], branch_ptr[policy[s] + 1]):
            row_state[n], row_prob[n] = successor[b], prob[b]
            n += 1
        while n < row_ptr[s + 1]:
            row_state[n], row_prob[n] = s, 0.0
            n += 1


@compiled
def improve(choice_ptr, branch_ptr, successor, prob, gain, beta, x, y,
            policy, row_ptr, row_state, row_prob, row_gain):  # fmt: skip
    """``y = max_a gain + beta P x``; the policy and its slots follow the first best choice.

    Returns the least and the largest of ``y - x`` and how many states changed their choice.
    """
    least, most, changes = HUGE, -HUGE, 0
    for s in range(len(choice_ptr) - 1):
        best, pick = -HUGE, choice_ptr[s]
        for c in range(choice_ptr[s], choice_ptr[s + 1]):
            total = 0.0
            for b in range(branch_ptr[c], branch_ptr[c + 1]):
                total += prob[b] * x[successor[b]]
            total = gain[c] + beta * total
            if total > best:
                best, pick = total, c
        y[s] = best
        move = best - x[s]
        least, most = min(least, move), max(most, move)
        if pick == policy[s]:
            continue
        policy[s] = pick
        changes += 1
        row_gain[s] = gain[pick]
        n, end = row_ptr[s], row_ptr[s + 1]
        if n == end:
            continue
        for b in range(branch_ptr[pick], branch_ptr[pick + 1]):
            row_state[n], row_prob[n] = successor[b], prob[b]
            n += 1
        while n < end:
            row_state[n], row_prob[n] = s, 0.0
            n += 1
    return least, most, changes


@compiled
def sweep(row_ptr, row_state, row_prob, row_gain, beta, x, y):
    """``y = gain + beta P x`` over a policy's rows.

    Returns the least, the largest and the mean move of the states that are not terminal.
    """
    least, most, moved, count = HUGE, -HUGE, 0.0, 0
    for s in range(len(row_gain)):
        low, high = row_ptr[s], row_ptr[s + 1]
        if low == high:
            continue
        total = 0.0
        for b in range(low, high):
            total += row_prob[b] * x[row_state[b]]
        total = row_gain[s] + beta * total
        y[s] = total
        move = total - x[s]
        moved += move
        count += 1
        least, most = min(least, move), max(most, move)
    return least, most, moved / max(count, 1)
