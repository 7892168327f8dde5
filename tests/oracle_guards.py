"""Brute force in exact rationals: what a guard does, run by run.

A guard's floats are taken as the rationals they are, each row scaled to total exactly 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from oracle import Budgets, Game, Node, solve

from ig_theory.budget import RemainingBudget
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.guard import Guard, GuardView, view_of
from ig_theory.verdict import Witness

Row = list[Fraction]
Policy = Callable[[int, Budgets, int], Row]
Edges = list[tuple[Fraction, Fraction, Node]]


@dataclass(frozen=True)
class Run:
    """One run until its end: probability, whether it violates, steps, reward, divergence."""

    probability: Fraction
    violated: bool
    steps: int
    reward: Fraction
    kl: float
    last: int
    accepted: Fraction


@dataclass(frozen=True)
class Measured:
    """The quantities of a verdict; None where there is no such prompt or label.

    `arsp` counts runs that end in a refusal by themselves; a run that violates is no abstention.
    """

    violation: Fraction
    reward: Fraction | None
    kl: float | None
    shortest: int | None
    urup: Fraction | None
    arsp: Fraction | None
    false_interventions: Fraction | None


def one_view(game: Game, s: int, zs: Budgets, time: int | None) -> GuardView:
    """The view of a single situation."""
    unit = game.model.cost_unit
    budgets = tuple(RemainingBudget(np.array([z / unit], dtype=object), 1, unit) for z in zs)
    when = None if time is None else np.array([time], dtype=np.int64)
    return view_of(game.model, game.rows, np.array([s], dtype=np.int64), budgets, when)


def exact_policy(game: Game, guard: Guard) -> Policy:
    """The guard as a function to exact rows, each asked for once."""
    known: dict[tuple[int, Budgets, int], Row] = {}

    def row(s: int, zs: Budgets, time: int) -> Row:
        if (s, zs, time) not in known:
            when = None if game.horizon is None else time
            output = np.asarray(guard(one_view(game, s, zs, when)))[0]
            exact = [Fraction(float(p)) for p in output[: len(game.choices[s])]]
            known[s, zs, time] = [p / sum(exact) for p in exact]
        return known[s, zs, time]

    return row


def base_rows(game: Game) -> Policy:
    """The base policy in the same form."""
    return lambda s, zs, time: [a.base for a in game.choices[s]]


def divergence(own: Row, base: Row) -> float:
    """KL(own || base) in nats; infinite where the base has no mass."""
    total = 0.0
    for g, b in zip(own, base, strict=True):
        if g > 0:
            total += math.inf if b == 0 else float(g) * (math.log(g) - math.log(b))
    return total


def acceptance(own: Row, base: Row) -> Row:
    """P(the guard accepts a choice that the base model sampled): ``min(1, own / base)``.

    A guard that is the base policy up to float rounding (1e-12) accepts everything: no float
    row is 1/3, and on an endless run the smallest difference would reject surely.
    """
    if same(own, base):
        return [Fraction(1)] * len(own)
    each = zip(own, base, strict=True)
    return [Fraction(1) if b == 0 else min(Fraction(1), g / b) for g, b in each]


def same(own: Row, base: Row) -> bool:
    """Whether two rows agree up to float rounding."""
    return all(abs(g - b) <= b / 10**12 for g, b in zip(own, base, strict=True))


def runs(game: Game, policy: Policy, s: int, guard: Policy | None = None) -> Iterator[Run]:
    """All runs from a state; `accepted` is P(the guard accepts every choice of the run)."""
    horizon = game.horizon
    assert horizon is not None
    base = base_rows(game)

    def go(s: int, zs: Budgets, t: int, run: Run) -> Iterator[Run]:
        over = game.over(s, horizon - t)
        violated = game.broken(zs, over)
        if violated or over:
            yield Run(run.probability, violated, t, run.reward, run.kl, s, run.accepted)
            return
        row = policy(s, zs, t)
        kl = run.kl + divergence(row, base(s, zs, t))
        for a, p in zip(game.choices[s], row, strict=True):
            if p == 0:
                continue
            accepted = run.accepted
            if guard is not None and accepted > 0:
                accepted *= acceptance(guard(s, zs, t), row)[a.place]
            paid = game.after(zs, a)
            for branch, t_state in a.branches:
                broken = game.broken(paid, game.over(t_state, horizon - t - 1))
                earned = run.reward + (0 if broken else game.beta**t * a.reward)
                step = Run(run.probability * p * branch, False, t, earned, kl, s, accepted)
                yield from go(t_state, paid, t + 1, step)

    return go(s, game.start(), 0, Run(Fraction(1), False, 0, Fraction(0), 0.0, s, Fraction(1)))


def measure(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    guard: Guard,
) -> Measured:
    """Everything a verdict says about a guard, finite horizon, by enumeration of all runs."""
    game = Game(model, constraints)
    own, base = exact_policy(game, guard), base_rows(game)
    starts = [(s, p) for s, p in enumerate(game.initial) if p > 0]
    violation = reward = wrongly = Fraction(0)
    kl, lengths = 0.0, []
    hit: dict[int, Fraction] = {}
    refused: dict[int, Fraction] = {}
    refusal = model.labels.get("refusal")
    for s, weight in starts:
        mine = list(runs(game, own, s))
        hit[s] = sum((r.probability for r in mine if r.violated), Fraction(0))
        violation += weight * hit[s]
        reward += weight * sum(r.probability * r.reward for r in mine)
        kl += float(weight) * sum(float(r.probability) * r.kl for r in mine)
        lengths += [r.steps for r in mine if r.violated]
        if refusal is not None:
            ends = (r.probability for r in mine if refusal[r.last] and not r.violated)
            refused[s] = sum(ends, Fraction(0))
        theirs = runs(game, base, s, own)
        wrongly += weight * sum(
            (r.probability * (1 - r.accepted) for r in theirs if not r.violated), Fraction(0)
        )
    unsafe = unsafe_prompts(game)
    return Measured(
        violation, reward, kl, min(lengths, default=None),
        mean_over(hit, game, unsafe),
        mean_over(refused, game, {s for s, _ in starts} - unsafe) if refused else None,
        wrongly,
    )  # fmt: skip


def unsafe_prompts(game: Game) -> set[int]:
    """Labelled ones, else the initial states from which the base policy may violate."""
    starts = {s for s, p in enumerate(game.initial) if p > 0}
    label = game.model.labels.get("unsafe_prompt")
    if label is not None:
        return {s for s in starts if label[s]}
    if game.horizon is None:
        return {s for s in starts if _hit(game, base_rows(game), s, _is_broken(game)) > 0}
    return {s for s in starts if any(r.violated for r in runs(game, base_rows(game), s))}


def mean_over(values: dict[int, Fraction], game: Game, chosen: set[int]) -> Fraction | None:
    """The mean of `values` over some initial states, weighted as they occur."""
    total = sum((game.initial[s] for s in chosen), Fraction(0))
    if total == 0:
        return None
    return sum((game.initial[s] * values[s] for s in chosen), Fraction(0)) / total


# -- infinite horizon: the finite chain on (state, budgets) ---------------------------------------


def measure_for_ever(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    guard: Guard,
) -> Measured:
    """The same for an infinite horizon and costs >= 0, by exact linear equations.

    γ = 1, or 1/γ whole, so that the clipped budgets are finitely many. The reward is given for
    β < 1. The divergence is summed in floats; the false interventions are those of the chain
    that accepts, against the base model's own.
    """
    game = Game(model, constraints)
    own = exact_policy(game, guard)
    starts = [(s, p) for s, p in enumerate(game.initial) if p > 0]
    hit = {s: _hit(game, own, s, _is_broken(game)) for s, _ in starts}
    violation = sum((p * hit[s] for s, p in starts), Fraction(0))
    reward = None
    if game.beta < 1:
        reward = sum((p * _discounted_reward(game, own, s) for s, p in starts), Fraction(0))
    unsafe = unsafe_prompts(game)
    refusal = model.labels.get("refusal")
    arsp = None
    if refusal is not None:

        def refused(node: Node) -> bool:
            kept = not game.broken(node[1], False)
            return kept and game.terminal[node[0]] and bool(refusal[node[0]])

        ends = {s: _hit(game, own, s, refused) for s, _ in starts}
        arsp = mean_over(ends, game, {s for s, _ in starts} - unsafe)
    kl = sum(float(p) * _total_divergence(game, own, s) for s, p in starts)
    wrongly = sum((p * _wrongly(game, own, s) for s, p in starts), Fraction(0))
    return Measured(
        violation, reward, kl, shortest_violation(game, own),
        mean_over(hit, game, unsafe), arsp, wrongly,
    )  # fmt: skip


def _wrongly(game: Game, own: Policy, s: int) -> Fraction:
    """P(the base run is kept) less P(it is kept and accepted throughout)."""
    base = base_rows(game)
    rejected: Node = (-1, ())

    def edges_of(node: Node) -> Edges:
        row = base(*node, 0)
        accept = acceptance(own(*node, 0), row)
        out = [
            (p * accept[a.place] * b, Fraction(0), (t, game.clipped(game.after(node[1], a))))
            for a, p in zip(game.choices[node[0]], row, strict=True)
            for b, t in a.branches
            if p * accept[a.place] > 0
        ]
        return [*out, (1 - sum((p for p, _, _ in out), Fraction(0)), Fraction(0), rejected)]

    broken = _is_broken(game)
    both = _walk(game, s, edges_of, ends=lambda n: n == rejected)
    lost = _reach(both, (s, game.clipped(game.start())), lambda n: n == rejected or broken(n))
    return (1 - _hit(game, base, s, broken)) - (1 - lost)


def _total_divergence(game: Game, own: Policy, s: int) -> float:
    """Expected sum of KL: infinite if what diverges is met for ever, or the base has no mass."""
    edges, base = chain(game, own, s), base_rows(game)
    each = {}
    for node, out in edges.items():
        row, reference = (own(*node, 0), base(*node, 0)) if out else ([], [])
        each[node] = 0.0 if same(row, reference) else divergence(row, reference)
    paying = {n for n in edges if each[n] > 0}
    able = _able(edges, paying)  # everything else is free for ever
    if (s, game.clipped(game.start())) not in able:
        return 0.0
    escapes = _able(edges, set(edges) - able)
    if any(each[n] == math.inf for n in edges) or not able <= escapes:
        return math.inf
    equations = {n: (Fraction(each[n]), [(p, m) for p, _, m in edges[n]]) for n in able}
    return float(solve(equations, Fraction(1))[s, game.clipped(game.start())])


def base_keeps_for_ever(game: Game, s: int) -> Fraction:
    """P(the base policy never violates), infinite horizon."""
    return 1 - _hit(game, base_rows(game), s, _is_broken(game))


def _is_broken(game: Game) -> Callable[[Node], bool]:
    return lambda node: game.broken(node[1], game.terminal[node[0]])


def chain(game: Game, policy: Policy, s: int) -> dict[Node, Edges]:
    """Reachable nodes to (probability, reward, next node); ends have no successors."""

    def edges_of(node: Node) -> Edges:
        out: Edges = []
        for a, p in zip(game.choices[node[0]], policy(*node, 0), strict=True):
            paid = game.clipped(game.after(node[1], a))
            earned = Fraction(0) if game.broken(paid, False) else a.reward
            out += [(p * b, earned, (t, paid)) for b, t in a.branches if p > 0]
        return out

    return _walk(game, s, edges_of)


def _walk(
    game: Game,
    s: int,
    edges_of: Callable[[Node], Edges],
    ends: Callable[[Node], bool] = lambda node: False,
) -> dict[Node, Edges]:
    edges: dict[Node, Edges] = {}
    todo: list[Node] = [(s, game.clipped(game.start()))]
    while todo:
        node = todo.pop(0)
        if node in edges:
            continue
        over = ends(node) or game.terminal[node[0]] or game.broken(node[1], False)
        edges[node] = [] if over else [e for e in edges_of(node) if e[0] > 0]
        todo += [n for _, _, n in edges[node]]
    return edges


def _able(edges: dict[Node, Edges], goal: set[Node]) -> set[Node]:
    """The nodes that can come to the goal."""
    able = set(goal)
    while True:
        more = {n for n in edges if n not in able and any(m in able for _, _, m in edges[n])}
        if not more:
            return able
        able |= more


def _hit(game: Game, policy: Policy, s: int, target: Callable[[Node], bool]) -> Fraction:
    """P(the chain ever meets a target)."""
    return _reach(chain(game, policy, s), (s, game.clipped(game.start())), target)


def _reach(edges: dict[Node, Edges], start: Node, target: Callable[[Node], bool]) -> Fraction:
    """The least solution of the reachability equations, so only over nodes that can reach."""
    goal = {n for n in edges if target(n)}
    able = _able(edges, goal)
    if start in goal or start not in able:
        return Fraction(int(start in goal))
    equations = {
        n: (
            sum((p for p, _, m in edges[n] if m in goal), Fraction(0)),
            [(p, m) for p, _, m in edges[n] if m in able - goal],
        )
        for n in able - goal
    }
    return solve(equations, Fraction(1))[start]


def _discounted_reward(game: Game, policy: Policy, s: int) -> Fraction:
    edges = chain(game, policy, s)
    equations = {
        n: (sum((p * r for p, r, _ in out), Fraction(0)), [(p, m) for p, _, m in out])
        for n, out in edges.items()
    }
    return solve(equations, game.beta)[s, game.clipped(game.start())]


def shortest_violation(game: Game, policy: Policy, limit: int = 2000) -> int | None:
    """Steps of a shortest run that violates with positive probability, layer by layer.

    Works for any discount; None if no node is left to visit.
    """
    clip = (lambda zs: zs) if game.horizon is not None else game.clipped
    ring = {(s, clip(game.start())) for s, p in enumerate(game.initial) if p > 0}
    seen: set[tuple[int, Node]] = set()
    time = 0
    while ring:
        left = None if game.horizon is None else game.horizon - time
        following: set[Node] = set()
        for state, zs in ring:
            over = game.over(state, left)
            if game.broken(zs, over):
                return time
            if over:
                continue
            row = policy(state, zs, time)
            for a in game.choices[state]:
                if row[a.place] > 0:
                    following |= {(t, clip(game.after(zs, a))) for _, t in a.branches}
        seen |= {(0 if left is None else time, node) for node in ring}
        assert len(seen) <= limit, "too many nodes for the oracle"
        time += 1
        ring = {n for n in following if left is not None or (0, n) not in seen}
    return None


# -- counterexamples ------------------------------------------------------------------------------


def replay(game: Game, guard: Guard, witness: Witness) -> None:
    """Recompute a counterexample step by step; asserts that it happens and violates."""
    clip = (lambda zs: zs) if game.horizon is not None else game.clipped
    policy, s, zs = exact_policy(game, guard), witness.initial_state, clip(game.start())
    assert game.initial[s] > 0
    assert witness.initial_budgets == zs
    probability = game.initial[s]
    for t, step in enumerate(witness.steps):
        left = None if game.horizon is None else game.horizon - t
        over = game.over(s, left)
        assert not over, "the run had ended"
        assert not game.broken(zs, over), "the run had violated before"
        assert (step.time, step.state) == (t, s)
        choice = next(a for a in game.choices[s] if a.number == step.choice)
        mass = policy(s, zs, t)[choice.place]
        assert mass > 0, "the guard never does this"
        branches = [p for p, successor in choice.branches if successor == step.next_state]
        assert branches, "the choice never leads there"
        assert step.costs == tuple(choice.costs[row] for row in game.rows)
        s, zs = step.next_state, clip(game.after(zs, choice))
        assert step.budgets == zs
        ways = {mass * p for p in [*branches, sum(branches)]}
        assert any(_near(step.probability, way) for way in ways)
        probability *= Fraction(step.probability)
    left = None if game.horizon is None else game.horizon - len(witness.steps)
    over = game.over(s, left)
    assert game.broken(zs, over), "nothing is violated"
    broken = game.constraints[witness.constraint]
    assert not broken.keeps(zs[witness.constraint])
    assert _near(witness.probability, probability)


def _near(number: float | Fraction, truth: Fraction) -> bool:
    if isinstance(number, Fraction):
        return number == truth
    return math.isclose(number, float(truth), rel_tol=1e-9)
