"""Brute force in exact rationals: demands, safe sets, best safe values, the limit W.

Slow and simple on purpose, and sharing nothing with the solvers: only the model's arrays and
the constraint's numbers are read. Budgets are tuples of Fractions in the units of the cost, one
per constraint; ``left`` is the number of steps to go, None for an infinite horizon.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint, Scope, as_constraints

Budgets = tuple[Fraction, ...]
Node = tuple[int, Budgets]
Options = dict[Node, list[tuple[Fraction, list[tuple[Fraction, Node]]]]]


@dataclass(frozen=True)
class Choice:
    """One choice: its place in its state, costs (all K), reward, base probability, branches."""

    place: int
    number: int
    costs: tuple[Fraction, ...]
    reward: Fraction
    base: Fraction
    branches: tuple[tuple[Fraction, int], ...]


def _shares(numbers: Sequence[object]) -> list[Fraction]:
    """Exact values (floats are the rationals they are), scaled to total exactly 1."""
    exact = [n if isinstance(n, Fraction) else Fraction(float(n)) for n in numbers]
    return [n / sum(exact) for n in exact]


class Game:
    """A model and its constraints as nested lists of exact rationals."""

    def __init__(
        self, model: ConstrainedMDP, constraints: BudgetConstraint | Sequence[BudgetConstraint]
    ) -> None:
        self.model = model
        self.constraints = as_constraints(constraints)
        self.rows = tuple(model.cost_index(c.cost) for c in self.constraints)
        self.horizon = self.constraints[0].horizon
        self.terminal = [bool(t) for t in model.terminal]
        self.initial = _shares(list(model.initial))
        self.beta = model.reward_discount
        self.choices: list[list[Choice]] = []
        for s in range(model.S):
            low, high = int(model.choice_ptr[s]), int(model.choice_ptr[s + 1])
            base = _shares([model.base_policy[c] for c in range(low, high)])
            self.choices.append([self._choice(c, c - low, base[c - low]) for c in range(low, high)])
        self.states = range(model.S)
        self._safe: dict[tuple[int, Budgets, int], bool] = {}
        self._safe_forever: dict[Node, bool] = {}
        self._demand: dict[tuple[int, int], Fraction | float] = {}

    def _choice(self, c: int, place: int, base: Fraction) -> Choice:
        model = self.model
        low, high = int(model.branch_ptr[c]), int(model.branch_ptr[c + 1])
        probs = _shares([model.branch_prob[b] for b in range(low, high)])
        successors = [int(model.branch_state[b]) for b in range(low, high)]
        costs = tuple(int(model.cost[k, c]) * model.cost_unit for k in range(model.K))
        reward = model.reward[c]
        exact = reward if isinstance(reward, Fraction) else Fraction(float(reward))
        return Choice(place, c, costs, exact, base, tuple(zip(probs, successors, strict=True)))

    def start(self) -> Budgets:
        """The budgets at time 0."""
        return tuple(c.budget for c in self.constraints)

    def after(self, zs: Budgets, choice: Choice) -> Budgets:
        """What remains after paying for the choice."""
        each = zip(zs, self.constraints, self.rows, strict=True)
        return tuple((z - choice.costs[row]) / c.discount for z, c, row in each)

    def over(self, s: int, left: int | None) -> bool:
        """Whether the run ends here by itself."""
        return self.terminal[s] or left == 0

    def broken(self, zs: Budgets, over: bool) -> bool:
        """Whether a constraint that is judged now is not kept."""
        for z, c in zip(zs, self.constraints, strict=True):
            kept = z > 0 if c.boundary is Boundary.OPEN else z >= 0
            if not kept and (c.scope is Scope.ANYTIME or over):
                return True
        return False

    # -- who can keep the budgets -------------------------------------------------------------

    def safe(self, s: int, zs: Budgets, left: int | None) -> bool:
        """Whether some policy keeps the budgets whatever happens: the exhaustive game."""
        if left is None:
            return self._safe_for_ever(s, zs)
        key = (s, zs, left)
        if key not in self._safe:
            over = self.over(s, left)
            if self.broken(zs, over):
                self._safe[key] = False
            else:
                self._safe[key] = over or any(self.permitted(a, zs, left) for a in self.choices[s])
        return self._safe[key]

    def permitted(self, a: Choice, zs: Budgets, left: int | None) -> bool:
        """Whether the budgets can still be kept after the choice, wherever it leads."""
        paid = self.after(zs, a)
        rest = None if left is None else left - 1
        return all(self.safe(successor, paid, rest) for _, successor in a.branches)

    def _safe_for_ever(self, s: int, zs: Budgets) -> bool:
        if all(c.discount == 1 for c in self.constraints):
            if (s, zs) not in self._safe_forever:
                self._safe_forever.update(self._greatest_safe_set(s, zs))
            return self._safe_forever[s, zs]
        (z,), (constraint,) = zs, self.constraints
        demand = self.demand(s, None)
        if constraint.boundary is Boundary.CLOSED:
            return z >= demand
        return z > demand or (z == demand and s in self._never_exhausted())

    def _greatest_safe_set(self, s: int, zs: Budgets) -> dict[Node, bool]:
        """γ = 1, costs >= 0: the finite product reachable from (s, z), losers deleted in turn."""
        moves: dict[Node, list[list[Node]]] = {}
        todo = [(s, zs)]
        while todo:
            node = todo.pop()
            if node in moves:
                continue
            state, budgets = node
            moves[node] = [
                [(successor, self.after(budgets, a)) for _, successor in a.branches]
                for a in self.choices[state]
                if not self.broken(self.after(budgets, a), False)
            ]
            todo += [n for option in moves[node] for n in option]
        alive = {node for node in moves if not self.broken(node[1], False)}
        while True:
            lost = {
                n for n in alive if not any(all(m in alive for m in option) for option in moves[n])
            }
            if not lost:
                return {node: node in alive for node in moves}
            alive -= lost

    def _never_exhausted(self) -> set[int]:
        """Open boundary, γ < 1: the states where z = D(s) can stay above 0 for ever.

        A choice is tight for a successor if it leaves exactly its demand; where it leaves more,
        the budget stays above the demand from then on (an optimal choice keeps z > D), so above
        0. A play that is tight for ever must never be at demand 0. Greatest fixed point.
        """
        gamma, row = self.constraints[0].discount, self.rows[0]
        demand = [self.demand(s, None) for s in self.states]
        alive = {s for s in self.states if 0 < demand[s] < math.inf}

        def stays(s: int, a: Choice) -> bool:
            paid = [(demand[s] - a.costs[row]) / gamma for _ in a.branches]
            return all(
                z > demand[t] or (z == demand[t] and t in alive)
                for z, (_, t) in zip(paid, a.branches, strict=True)
            )

        while True:
            lost = {s for s in alive if not any(stays(s, a) for a in self.choices[s])}
            if not lost:
                return alive
            alive -= lost

    # -- minimal budgets ----------------------------------------------------------------------

    def demand(self, s: int, left: int | None) -> Fraction | float:
        """The least z from which the one constraint can be kept, read as if it were closed.

        Finite horizon: the least of all prefix sums of all runs from which the game is won.
        Infinite, γ = 1: tried one unit after the other; a finite demand is at most S c_max,
        since a stationary strategy that pays twice in one state pays for ever in the worst case.
        Infinite, γ < 1: every deterministic stationary policy against every run. Stationary
        policies suffice: a policy that keeps z >= 0 bounds every run's total by z, so this is a
        discounted game of perfect information, where both sides have stationary optima.
        """
        key = (s, -1 if left is None else left)
        if key not in self._demand:
            self._demand[key] = self._find_demand(s, left)
        return self._demand[key]

    def _find_demand(self, s: int, left: int | None) -> Fraction | float:
        (c,), (row,) = self.constraints, self.rows
        closed = BudgetConstraint(0, c.discount, Boundary.CLOSED, c.scope, c.cost, c.horizon)
        game = self if c.boundary is Boundary.CLOSED else Game(self.model, closed)
        if left is not None:
            sums = sorted(_prefix_sums(game, s, left))
            return next((z for z in sums if game.safe(s, (z,), left)), math.inf)
        if c.discount == 1:
            largest = max(a.costs[row] for choices in self.choices for a in choices)
            unit = self.model.cost_unit
            for k in range(int(largest * len(self.choices) / unit) + 1):
                if game.safe(s, (k * unit,), None):
                    return k * unit
            return math.inf
        return min(
            max(_run_totals(policy, s, row, c.discount, self.terminal))
            for policy in itertools.product(*self.choices)
        )

    # -- the best safe value --------------------------------------------------------------------

    def value(self, s: int, zs: Budgets, left: int) -> Fraction | None:
        """The best expected reward of the policies that are safe surely; None if there is none.

        Recursion over histories, finite horizon. The reward of a step is earned if the budgets
        are kept after it, which a safe policy ensures.
        """
        if self.broken(zs, self.over(s, left)):
            return None
        if self.over(s, left):
            return Fraction(0)
        best: Fraction | None = None
        for a in self.choices[s]:
            tails = [self.value(t, self.after(zs, a), left - 1) for _, t in a.branches]
            if any(tail is None for tail in tails):
                continue
            pairs = zip(a.branches, tails, strict=True)
            worth = a.reward + self.beta * sum(p * tail for (p, _), tail in pairs)
            best = worth if best is None or worth > best else best
        return best

    def value_for_ever(self, s: int, zs: Budgets) -> Fraction | None:
        """The same for an infinite horizon, β < 1, on the finite product of states and budgets.

        γ = 1, or one constraint with 1/γ and the budgets whole, clipped at c_max / (1 - γ) where
        nothing can be violated any more. Policies are improved until the optimality equation
        holds exactly; with β < 1 it has one solution.
        """
        if not self.safe(s, zs, None):
            return None
        options = self.safe_options(s, zs)
        plan = dict.fromkeys(options, 0)
        while True:
            value = solve({n: options[n][plan[n]] for n in options}, self.beta)

            def worth(n: Node, i: int, value: dict[Node, Fraction] = value) -> Fraction:
                reward, branches = options[n][i]
                return reward + self.beta * sum((p * value[m] for p, m in branches), Fraction(0))

            better = {n: max(range(len(options[n])), key=lambda i, n=n: worth(n, i)) for n in plan}
            changed = [n for n in plan if worth(n, better[n]) > value[n]]
            if not changed:
                return value[s, self.clipped(zs)]
            plan.update({n: better[n] for n in changed})

    def clipped(self, zs: Budgets) -> Budgets:
        """The budgets, none above the one from which nothing can be violated (γ < 1).

        With an infinite horizon a guard is shown these; a free model counts as costing one unit.
        """
        clipped = []
        for z, c, row in zip(zs, self.constraints, self.rows, strict=True):
            costs = [a.costs[row] for choices in self.choices for a in choices]
            largest = max(*costs, self.model.cost_unit)
            clipped.append(z if c.discount == 1 else min(z, largest / (1 - c.discount)))
        return tuple(clipped)

    def safe_options(self, s: int, zs: Budgets) -> Options:
        """The product reachable inside the safe set: per node its permitted choices."""
        options: Options = {}
        todo = [(s, self.clipped(zs))]
        while todo:
            node = todo.pop()
            if node in options:
                continue
            state, budgets = node
            options[node] = [
                (a.reward, [(p, (t, self.clipped(self.after(budgets, a)))) for p, t in a.branches])
                for a in self.choices[state]
                if self.permitted(a, budgets, None)
            ]
            todo += [n for _, branches in options[node] for _, n in branches]
        return options

    # -- the least intervention -----------------------------------------------------------------

    def limit(self, s: int, zs: Budgets, left: int) -> float:
        """W of THEORY T5.bellman by its recursion over the exact safe sets, in nats."""
        if not self.safe(s, zs, left):
            return math.inf
        if self.over(s, left):
            return 0.0
        total = 0.0
        for a in self.choices[s]:
            if self.permitted(a, zs, left) and a.base > 0:
                tails = [float(p) * self.limit(t, self.after(zs, a), left - 1)
                         for p, t in a.branches]  # fmt: skip
                total += float(a.base) * math.exp(-sum(tails))
        return -math.log(total) if total > 0 else math.inf

    def base_keeps(self, s: int, zs: Budgets, left: int) -> Fraction:
        """P(the base policy keeps the budgets), over all runs."""
        over = self.over(s, left)
        if self.broken(zs, over):
            return Fraction(0)
        if over:
            return Fraction(1)
        return sum(
            (
                a.base * p * self.base_keeps(t, self.after(zs, a), left - 1)
                for a in self.choices[s]
                for p, t in a.branches
                if a.base > 0
            ),
            Fraction(0),
        )


def _prefix_sums(game: Game, s: int, left: int) -> set[Fraction]:
    """Everything that any run may have spent at some time."""
    if game.over(s, left):
        return {Fraction(0)}
    (constraint,), (row,) = game.constraints, game.rows
    successors = {(a.costs[row], t) for a in game.choices[s] for _, t in a.branches}
    return {Fraction(0)} | {
        cost + constraint.discount * tail
        for cost, t in successors
        for tail in _prefix_sums(game, t, left - 1)
    }


def _run_totals(
    policy: tuple[Choice, ...], s: int, row: int, gamma: Fraction, terminal: list[bool]
) -> Iterator[Fraction]:
    """Discounted totals of all runs of a policy that repeat themselves once a state recurs."""

    def walk(
        state: int, visited: tuple[int, ...], paid: tuple[Fraction, ...]
    ) -> Iterator[Fraction]:
        spent = sum((gamma**i * c for i, c in enumerate(paid)), Fraction(0))
        if terminal[state]:
            yield spent
        elif state in visited:
            first = visited.index(state)
            loop = sum((gamma**i * c for i, c in enumerate(paid) if i >= first), Fraction(0))
            again = gamma ** (len(paid) - first)
            yield spent - loop + loop / (1 - again)
        else:
            for _, successor in policy[state].branches:
                cost = policy[state].costs[row]
                yield from walk(successor, (*visited, state), (*paid, cost))

    return walk(s, (), ())


def solve(
    chain: dict[Node, tuple[Fraction, list[tuple[Fraction, Node]]]], discount: Fraction
) -> dict[Node, Fraction]:
    """Solve ``v = r + discount P v`` exactly; branches that leave `chain` are worth 0."""
    place = {node: i for i, node in enumerate(chain)}
    rows = []
    for i, (reward, branches) in enumerate(chain.values()):
        row = [Fraction(int(i == j)) for j in range(len(place))] + [Fraction(reward)]
        for p, node in branches:
            if node in place:
                row[place[node]] -= discount * p
        rows.append(row)
    for i in range(len(rows)):
        pivot = next(j for j in range(i, len(rows)) if rows[j][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j, row in enumerate(rows):
            if j != i and row[i] != 0:
                factor = row[i]
                rows[j] = [x - factor * y for x, y in zip(row, rows[i], strict=True)]
    return {node: rows[i][-1] for node, i in place.items()}
