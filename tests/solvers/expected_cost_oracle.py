"""Expected-cost oracles that share nothing with the solvers: a linear program, and rationals."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from ig_theory.constraint import BudgetConstraint

GAMMA = Fraction(9, 10)


def occupation(model, constraint, cheapest=False):
    """The occupation measure of most reward, or of least cost: its reward and its cost.

    With a horizon the measure is over states and times.
    """
    steps = constraint.horizon
    gamma, n = float(constraint.discount), model.S
    copies = 1 if steps is None else steps
    live = ~model.terminal[model.choice_state]
    rows, columns, values, right = [], [], [], np.zeros(copies * n)
    right[:n] = model.initial.astype(float)
    prob = model.branch_prob.astype(float)
    for t in range(copies):
        for c in np.flatnonzero(live):
            column = t * model.C + c
            rows.append(t * n + model.choice_state[c])
            columns.append(column)
            values.append(1.0)
            after = t if steps is None else t + 1
            if after == copies:
                continue
            for b in range(model.branch_ptr[c], model.branch_ptr[c + 1]):
                rows.append(after * n + model.branch_state[b])
                columns.append(column)
                values.append(-gamma * prob[b])
    shape = (copies * n, copies * model.C)
    flow = sp.csr_matrix((values, (rows, columns)), shape=shape)
    free = np.tile(~model.terminal, copies)
    cost = np.tile(model.cost[0] * float(model.cost_unit) * live, copies)
    reward = np.tile(model.reward.astype(float) * live, copies)
    keep = np.tile(live, copies)
    found = linprog(
        cost[keep] if cheapest else -reward[keep], A_eq=flow[free][:, keep], b_eq=right[free],
        A_ub=cost[keep][None], b_ub=[float(constraint.budget)], method="highs",
    )  # fmt: skip
    assert found.status == 0
    return float(reward[keep] @ found.x), float(cost[keep] @ found.x)


def exact_values(model, policy, constraint):
    """Expected reward and cost of a policy [C] in rationals, by elimination."""
    weights = [Fraction(float(w)) for w in policy]
    for s in range(model.S):
        low, high = model.choice_ptr[s], model.choice_ptr[s + 1]
        total = sum(weights[low:high])
        weights[low:high] = [w / total for w in weights[low:high]]
    rewards = [Fraction(r) for r in model.reward.tolist()]
    costs = [int(c) * model.cost_unit for c in model.cost[0]]
    answers = []
    for earned, discount in ((rewards, model.reward_discount), (costs, constraint.discount)):
        rows = []
        for s in range(model.S):
            row = [Fraction(0)] * (model.S + 1)
            row[s] = Fraction(1)
            for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
                if model.terminal[s]:
                    continue
                row[-1] += weights[c] * earned[c]
                for b in range(model.branch_ptr[c], model.branch_ptr[c + 1]):
                    chance = Fraction(model.branch_prob[b])
                    row[model.branch_state[b]] -= discount * weights[c] * chance
            rows.append(row)
        for i in range(model.S):
            pivot = next(j for j in range(i, model.S) if rows[j][i])
            rows[i], rows[pivot] = rows[pivot], rows[i]
            rows[i] = [x / rows[i][i] for x in rows[i]]
            for j in range(model.S):
                if j != i and rows[j][i]:
                    rows[j] = [x - rows[j][i] * y for x, y in zip(rows[j], rows[i], strict=True)]
        answers.append(sum(Fraction(p) * rows[s][-1] for s, p in enumerate(model.initial.tolist())))
    return tuple(answers)


def brute_force(model, constraint):
    """The exact optimum: the best mixture of two deterministic policies; None if infeasible."""
    per_state = [range(model.choice_ptr[s], model.choice_ptr[s + 1]) for s in range(model.S)]
    points = []
    for chosen in itertools.product(*per_state):
        policy = np.zeros(model.C)
        policy[list(chosen)] = 1.0
        points.append(exact_values(model, policy, constraint))
    budget = constraint.budget
    best = max((r for r, c in points if c <= budget), default=None)
    for (r1, c1), (r2, c2) in itertools.permutations(points, 2):
        if c1 <= budget < c2:
            best = max(best, r1 + (budget - c1) / (c2 - c1) * (r2 - r1))
    return best


def budget_between(model, share, discount=GAMMA, horizon=None):
    """A budget at a share of the way from the least cost to that of the unconstrained optimum."""
    wide = BudgetConstraint(10**9, discount, horizon=horizon)
    _, low = occupation(model, wide, cheapest=True)
    _, high = occupation(model, wide)
    number = Fraction(low + share * (high - low) + 1e-9)
    return BudgetConstraint(max(number, Fraction(0)), discount, horizon=horizon)


def is_policy(model, policy):
    total = np.add.reduceat(policy, model.choice_ptr[:-1], axis=-1)
    return bool((policy >= 0).all() and np.abs(total - 1).max() < 1e-12)
