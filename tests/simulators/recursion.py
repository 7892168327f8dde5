"""The plainest possible answers: recursions over all runs of a model without cycles."""

import math
from fractions import Fraction
from functools import cache

import numpy as np


class Tree:
    """Plain recursions over the runs of a model without cycles; budgets in units, exact."""

    def __init__(self, model, gamma=Fraction(1)):
        self.model, self.gamma = model, gamma
        # A cache of its own per tree: nothing outlives the test.
        self.demand, self.value = cache(self.demand), cache(self.value)
        self.kept, self.limit, self.penalised = (
            cache(self.kept), cache(self.limit), cache(self.penalised)
        )  # fmt: skip

    def choices(self, state):
        m = self.model
        for c in range(m.choice_ptr[state], m.choice_ptr[state + 1]):
            ends = [
                (int(m.branch_state[b]), m.branch_prob[b])
                for b in range(m.branch_ptr[c], m.branch_ptr[c + 1])
            ]
            yield c, int(m.cost[0, c]), ends

    def state(self, name):
        return self.model.state_names.index(name)

    def demand(self, s):
        if self.model.terminal[s]:
            return Fraction(0)
        return min(
            max(cost + self.gamma * self.demand(t) for t, _ in ends)
            for _, cost, ends in self.choices(s)
        )

    def value(self, s, z):
        """The best reward of the policies that keep z >= 0 surely; -inf if there is none."""
        if z < 0:
            return -math.inf
        if self.model.terminal[s]:
            return Fraction(0)
        return max(
            self.model.reward[c]
            + sum(p * self.value(t, (z - cost) / self.gamma) for t, p in ends)
            for c, cost, ends in self.choices(s)
        )  # fmt: skip

    def kept(self, s, z):
        """P(the base policy never violates)."""
        if z < 0:
            return Fraction(0)
        if self.model.terminal[s]:
            return Fraction(1)
        return sum(
            self.model.base_policy[c] * p * self.kept(t, (z - cost) / self.gamma)
            for c, cost, ends in self.choices(s)
            for t, p in ends
        )

    def limit(self, s, z):
        """W of THEORY T5.bellman."""
        if z < 0:
            return math.inf
        if self.model.terminal[s]:
            return 0.0
        total = sum(
            float(self.model.base_policy[c])
            * math.exp(-sum(float(p) * self.limit(t, (z - cost) / self.gamma) for t, p in ends))
            for c, cost, ends in self.choices(s)
        )
        return -math.log(total) if total else math.inf

    def penalised(self, s, z, n):
        """(value, violates) of a greedy policy that pays n on the step that violates."""
        if z < 0:
            return -n, True
        if self.model.terminal[s]:
            return Fraction(0), False
        best = None
        for c, cost, [(t, _)] in self.choices(s):
            value, violates = self.penalised(t, z - cost, n)
            earned = value + (self.model.reward[c] if z >= cost else 0)
            if best is None or earned > best[0]:
                best = earned, violates
        return best

    def under_shield(self, s, z):
        """(reward, KL) of the base policy conditioned, step by step, on the shield (gamma 1)."""
        if self.model.terminal[s]:
            return 0.0, 0.0
        allowed = [
            (c, z - cost, ends[0][0])
            for c, cost, ends in self.choices(s)
            if z - cost >= self.demand(ends[0][0])
        ]
        total = float(sum(self.model.base_policy[c] for c, _, _ in allowed))
        reward, kl = 0.0, -math.log(total)
        for c, left, t in allowed:
            share = float(self.model.base_policy[c]) / total
            later = self.under_shield(t, left)
            reward += share * (float(self.model.reward[c]) + later[0])
            kl += share * later[1]
        return reward, kl

    def mean(self, function):
        return sum(self.model.initial[s] * function(s) for s in np.flatnonzero(self.model.initial))


def geometric(gamma, terms):
    return sum((gamma**k for k in range(terms)), Fraction(0))
