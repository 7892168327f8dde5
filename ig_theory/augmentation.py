"""The product of a model with the remaining budgets: exactly the reachable (state, budget) pairs.

`explore` walks from the initial states along the choices that a policy gives any probability;
with a finite horizon the pairs are (state, budget, time). A policy that allows every choice
gives the whole augmented MDP; a guard gives the Markov chain it induces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.budget import RemainingBudget
from ig_theory.cmdp import ConstrainedMDP, Floats, Ints
from ig_theory.constraint import BudgetConstraint, as_constraints
from ig_theory.guard import GuardFault, GuardView, view_of
from ig_theory.tracker import BudgetStore, ExactTracker, Tracker

RUNNING, KEPT, BROKEN, OPEN = 0, 1, 2, 3
"""Outcomes of nodes: has choices; ended kept; ended broken; not explored or not decidable."""

Policy = Callable[[GuardView], npt.NDArray[Any]]
"""Weights [N, A] of a batch of situations; choices with weight 0 are not followed."""

DEFAULT_LIMIT = 6_000_000
"""How many pairs an exploration may find unless told otherwise."""

_CHUNK = 1 << 15


def every_choice(view: GuardView) -> Floats:
    """The policy that follows all choices."""
    return view.enabled.astype(np.float64)


def base_choices(view: GuardView) -> Floats:
    """The policy of the base model."""
    return view.base


@dataclass(frozen=True, eq=False)
class Product:
    """Reachable pairs as nodes, in the order in which they were found (breadth first).

    Attributes
    ----------
    state, budget, outcome : arrays [N]
        The model's state, the number of the budget in `store`, RUNNING .. OPEN.
    layer_ptr : int64[L+1]
        Nodes of breadth-first layer ``t`` (with a finite horizon: of time ``t``).
    initial : int64[I], initial_prob : [I]
        The first nodes and their probabilities.
    choice_ptr : int64[N+1]; choice : int32[M]; weight : float64[M]; broken : int8[M]
        The choices of each node: the model's choice, the policy's weight, and the constraint
        (numbered from 1) that the choice breaks at once; 0 if none. A breaking choice has no
        branches.
    branch_ptr : int64[M+1]; branch_node : int32[]
        Successors; the i-th branch of a choice has the probability of the i-th branch of the
        model's choice.
    parent : int64[N]
        The product choice by which each node was first found; -1 for first nodes.
    complete : bool
        False if the limit was met; the nodes left are OPEN.
    """

    model: ConstrainedMDP
    constraints: tuple[BudgetConstraint, ...]
    store: BudgetStore
    state: npt.NDArray[np.int32]
    budget: npt.NDArray[np.int32]
    outcome: npt.NDArray[np.int8]
    layer_ptr: Ints
    initial: Ints
    initial_prob: npt.NDArray[Any]
    choice_ptr: Ints
    choice: npt.NDArray[np.int32]
    weight: Floats
    broken: npt.NDArray[np.int8]
    branch_ptr: Ints
    branch_node: npt.NDArray[np.int32]
    parent: Ints
    complete: bool

    def __len__(self) -> int:
        return len(self.state)

    @property
    def timed(self) -> bool:
        """Whether layers are times."""
        return self.constraints[0].horizon is not None

    @cached_property
    def time(self) -> npt.NDArray[np.int32]:
        """The breadth-first layer of each node; its time when the horizon is finite."""
        return np.repeat(
            np.arange(len(self.layer_ptr) - 1, dtype=np.int32), np.diff(self.layer_ptr)
        )

    @cached_property
    def first_prob(self) -> Ints:
        """Where the probabilities of each choice's branches start in ``model.branch_prob``."""
        return self.model.branch_ptr[self.choice]

    @cached_property
    def branch(self) -> Ints:
        """The branch of the model behind each entry of `branch_node`."""
        shift = np.repeat(self.first_prob - self.branch_ptr[:-1], np.diff(self.branch_ptr))
        return np.asarray(np.arange(len(self.branch_node)) + shift)

    @cached_property
    def edge_ptr(self) -> Ints:
        """Where each node's edges start in `branch_node`, int64[N+1]."""
        return self.branch_ptr[self.choice_ptr]

    @cached_property
    def choice_node(self) -> npt.NDArray[np.int32]:
        """The node that owns each choice, int32[M]."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.choice_ptr))

    @cached_property
    def prob(self) -> Floats:
        """The model's branch probabilities as floats, each choice's scaled to total 1."""
        prob = self.model.branch_prob.astype(np.float64)
        return prob / np.add.reduceat(prob, self.model.branch_ptr[:-1])[self.model.branch_choice]

    @cached_property
    def base(self) -> Floats:
        """The base policy of each choice, float64[M], scaled to total 1 over its state."""
        base = self.model.base_policy.astype(np.float64)
        total = np.add.reduceat(base, self.model.choice_ptr[:-1])
        return (base / total[self.model.choice_state])[self.choice]

    @cached_property
    def kept_share(self) -> Floats:
        """The probability that each choice leads to no broken end, float64[M]; 0 if it breaks."""
        share = np.where(self.broken > 0, 0.0, 1.0)
        ends = np.flatnonzero(self.outcome[self.branch_node] == BROKEN)
        if len(ends):
            choice = np.searchsorted(self.branch_ptr, ends, side="right") - 1
            share -= np.bincount(choice, weights=self.prob[self.branch[ends]], minlength=len(share))
            share[np.abs(share) < 1e-12] = 0.0
        return share

    def at_nodes(self, per_choice: npt.NDArray[Any]) -> Floats:
        """Sums over the choices of each node, float64[N]."""
        total = np.bincount(self.choice_node, weights=per_choice, minlength=len(self))
        return np.asarray(total, dtype=np.float64)

    def deterministic(self, policy: Ints) -> Floats:
        """The weights of a policy that takes these choices, [N] (-1: none), as float64[M]."""
        weight = np.zeros(len(self.choice))
        weight[policy[policy >= 0]] = 1.0
        return weight

    @cached_property
    def place(self) -> Ints:
        """The place of each choice within its state: its column in a guard's output."""
        return self.choice - self.model.choice_ptr[self.state[self.choice_node]]

    def view(self, nodes: Ints) -> GuardView:
        """What a guard sees at these nodes."""
        return _view(
            self.model, self.store, self.state[nodes], self.budget[nodes],
            self.time[nodes] if self.timed else None,
        )  # fmt: skip

    def budgets(self, node: int) -> tuple[Any, ...]:
        """The exact budgets of a node, in cost units (the lower end on a grid)."""
        return tuple(
            b.value(0) for b in self.store.shown(self.budget[node : node + 1].astype(np.int64))
        )

    def end_broken(self, node: int) -> int:
        """Which constraint (from 1) a BROKEN node breaks."""
        return int(self.store.end[self.budget[node]])


def explore(
    model: ConstrainedMDP,
    constraints: BudgetConstraint | Sequence[BudgetConstraint],
    policy: Policy = every_choice,
    *,
    trackers: Sequence[Tracker] | None = None,
    limit: int = DEFAULT_LIMIT,
    progress: Callable[[int], None] | None = None,
) -> Product:
    """Explore the pairs that a policy can reach; time and memory in proportion to their edges.

    Parameters
    ----------
    trackers
        One per constraint; exact ones when absent.
    limit
        The exploration stops at about this many pairs; those left are OPEN.
    progress
        Called with the number of pairs found so far.

    Raises
    ------
    GuardFault
        If the policy fails; the message names the state and the budget.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> product = explore(model, BudgetConstraint(2))
    >>> len(product), int(product.broken.sum())  # budgets 2, 1, 0 at s, and their ends
    (6, 1)
    """
    several = as_constraints(constraints)
    chosen = trackers if trackers is not None else [ExactTracker(model, c) for c in several]
    return _Exploration(model, several, BudgetStore(model, chosen), policy, limit, progress).run()


@dataclass
class _Exploration:
    """The growing arrays of one call of `explore`."""

    model: ConstrainedMDP
    constraints: tuple[BudgetConstraint, ...]
    store: BudgetStore
    policy: Policy
    limit: int
    progress: Callable[[int], None] | None
    count: int = 0
    choices: int = 0
    lists: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)

    def run(self) -> Product:
        model, horizon = self.model, self.constraints[0].horizon
        first = np.flatnonzero((model.initial > 0).astype(bool))
        self._fresh_table()
        state, budget = first, np.zeros(len(first), dtype=np.int64)
        self._nodes(
            state, budget, np.full(len(first), -1), self._outcomes(state, budget, horizon == 0)
        )
        self._insert(budget * model.S + state, np.arange(len(first)))
        layers, time, complete = [0, self.count], 0, True
        while layers[-1] > layers[-2] and complete:
            low, high = layers[-2], layers[-1]
            if horizon is not None:
                self._fresh_table()  # a pair at another time is another node
            time += 1
            state, budget, outcome = self._gather(low, high)
            for start in range(low, high, _CHUNK):
                if self.count > self.limit:
                    complete = False
                    break
                stop = min(start + _CHUNK, high)
                part = slice(start - low, stop - low)
                self._expand(state[part], budget[part], outcome[part], time, horizon)
                if self.progress is not None:
                    self.progress(self.count)
            layers.append(self.count)
        return self._finish(first, np.array(layers[:-1] if complete else layers), complete)

    def _expand(
        self, state: Ints, budget: Ints, outcome: Ints, time: int, horizon: int | None
    ) -> None:
        """Follow the policy's choices from one chunk of the current layer."""
        model = self.model
        running = np.flatnonzero(outcome == RUNNING)
        count = np.zeros(len(state), dtype=np.int64)
        if len(running):
            now = np.full(len(running), time - 1) if horizon is not None else None
            view = _view(model, self.store, state[running], budget[running], now)
            weights = _weights(self.policy, view, model)
            mask = weights > 0
            count[running] = mask.sum(axis=1)
            table = model.padded_choices[state[running]]
            choice, weight = table[mask], weights[mask].astype(np.float64)
            owner = np.repeat(budget[running], count[running])
            after = self.store.successors(owner, self.store.cost_class[choice])
            broken = np.maximum(self.store.now[after], 0)
            self._branches(choice, weight, after, broken, time == horizon)
        self._add("count", count)

    def _branches(
        self, choice: Ints, weight: Floats, after: Ints, broken: Ints, last: bool
    ) -> None:
        """Record choices, and number the nodes that their branches lead to."""
        model = self.model
        size = np.where(broken > 0, 0, model.branch_ptr[choice + 1] - model.branch_ptr[choice])
        local = np.repeat(np.arange(len(choice)), size)
        offset = np.arange(len(local)) - np.repeat(np.cumsum(size) - size, size)
        successor = model.branch_state[model.branch_ptr[choice[local]] + offset]
        key = after[local] * model.S + successor
        nodes, new_key, new_owner = self._insert(key, local + self.choices)
        new_state, new_budget = new_key % model.S, new_key // model.S
        self._nodes(new_state, new_budget, new_owner, self._outcomes(new_state, new_budget, last))
        self.choices += len(choice)
        self._add("choice", choice.astype(np.int32))
        self._add("weight", weight)
        self._add("broken", broken.astype(np.int8))
        self._add("size", size)
        self._add("branch", nodes)

    def _outcomes(self, state: Ints, budget: Ints, last: bool) -> npt.NDArray[np.int8]:
        now, end = self.store.now[budget], self.store.end[budget]
        ended = np.full(len(state), last) | self.model.terminal[state]
        judged = np.where(ended, end, now)
        outcome = np.where(ended, KEPT, RUNNING)
        return np.select([judged > 0, judged < 0], [BROKEN, OPEN], outcome).astype(np.int8)

    def _nodes(
        self, state: Ints, budget: Ints, parent: Ints, outcome: npt.NDArray[np.int8]
    ) -> None:
        self._add("state", state.astype(np.int32))
        self._add("budget", budget.astype(np.int32))
        self._add("parent", parent)
        self._add("outcome", outcome)

    def _fresh_table(self) -> None:
        self.keys = np.full(1 << 10, -1, dtype=np.int64)
        self.numbers = np.empty(1 << 10, dtype=np.int32)
        self.filled = 0

    def _insert(self, key: Ints, owner: Ints) -> tuple[npt.NDArray[np.int32], Ints, Ints]:
        from ig_theory import kernels

        if 2 * (self.filled + len(key)) > len(self.keys):
            size = 1 << int(2 * (self.filled + len(key))).bit_length()
            keys, numbers = np.full(size, -1, dtype=np.int64), np.empty(size, dtype=np.int32)
            kernels.rehash(self.keys, self.numbers, keys, numbers)
            self.keys, self.numbers = keys, numbers
        out = np.empty(len(key), dtype=np.int32)
        new_key, new_owner = np.empty(len(key), np.int64), np.empty(len(key), np.int64)
        count = kernels.insert(
            self.keys, self.numbers, key, owner, self.count, out, new_key, new_owner
        )
        added = count - self.count
        self.count, self.filled = count, self.filled + added
        return out, new_key[:added], new_owner[:added]

    def _gather(self, low: int, high: int) -> tuple[Ints, Ints, Ints]:
        """The nodes of one layer; they are the last that were added."""
        out = []
        for name in ("state", "budget", "outcome"):
            parts, missing = [], high - low
            for part in reversed(self.lists[name]):
                parts.append(part)
                missing -= len(part)
                if missing <= 0:
                    break
            out.append(np.concatenate(parts[::-1])[-(high - low) :].astype(np.int64))
        return out[0], out[1], out[2]

    def _add(self, name: str, values: npt.NDArray[Any]) -> None:
        self.lists.setdefault(name, []).append(values)

    def _take(self, name: str, dtype: Any) -> npt.NDArray[Any]:
        parts = self.lists.pop(name, [])
        return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)

    def _finish(self, first: Ints, layer_ptr: Ints, complete: bool) -> Product:
        count = np.zeros(self.count, dtype=np.int64)
        counted = self._take("count", np.int64)
        count[: len(counted)] = counted
        outcome = self._take("outcome", np.int8)
        outcome[len(counted) :][outcome[len(counted) :] == RUNNING] = OPEN
        return Product(
            self.model, self.constraints, self.store,
            self._take("state", np.int32), self._take("budget", np.int32), outcome, layer_ptr,
            np.arange(len(first)), self.model.initial[first], _pointers(count),
            self._take("choice", np.int32), self._take("weight", np.float64),
            self._take("broken", np.int8), _pointers(self._take("size", np.int64)),
            self._take("branch", np.int32), self._take("parent", np.int64), complete,
        )  # fmt: skip


def _view(
    model: ConstrainedMDP, store: BudgetStore, state: npt.NDArray[Any], budget: npt.NDArray[Any],
    time: npt.NDArray[Any] | None,
) -> GuardView:  # fmt: skip
    rows = tuple(model.cost_index(t.constraint.cost) for t in store.trackers)
    shown: tuple[RemainingBudget, ...] = store.shown(budget.astype(np.int64))
    when = None if time is None else time.astype(np.int64)
    return view_of(model, rows, state.astype(np.int64), shown, when)


def _weights(policy: Policy, view: GuardView, model: ConstrainedMDP) -> npt.NDArray[Any]:
    try:
        return policy(view)
    except GuardFault as fault:
        row = fault.row
        name = model.state_name(int(view.state[row])) if view.state is not None else "?"
        budget = ", ".join(str(b.value(row)) for b in view.budgets)
        when = "" if view.time is None else f", time {view.time[row]}"
        raise GuardFault(f"at state {name}, budget {budget}{when}: {fault}", row) from fault


def _pointers(count: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
