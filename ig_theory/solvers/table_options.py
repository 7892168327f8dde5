"""What can be done at each level of a value table: groups of states and their options.

An option is a choice seen from a group. States that can move among one another for ever at no
cost and no reward share their value at every budget; for beta = 1 they are merged into one
group, which may also rest there for nothing. All such states have D = 0, so the merging does
not depend on the budget.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ig_theory.budget import INFINITE
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints
from ig_theory.errors import SolverError
from ig_theory.solvers.totals.end_components import StateGraph, end_components

Small = npt.NDArray[np.uint32]

PRUNING = 50


@dataclass(frozen=True, eq=False)
class Rows:
    """Options in a row: owner, first level at which each may be taken, gain and branches."""

    choice: Ints
    owner: Small
    since: npt.NDArray[np.int32]
    gain: Floats
    ptr: Small
    node: Small
    prob: Floats
    place: npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True, eq=False)
class Options:
    """The options of all groups, those that cost nothing apart.

    Attributes
    ----------
    group : int64[S]
        The group of each state.
    stay : float64[G]
        What a group is worth without any option: 0 at terminals and where it can rest, ``inf``
        where reward can be collected for ever, otherwise ``-inf``.
    option_ptr : int64[G+1]; option : int64[O]
        The model's choices of each group; an option's place is its index within its group.
    paid : Rows, sorted by cost
    costs : int64[n]; class_ptr : int64[n+1]
        The distinct positive costs, and where their options start in `paid`.
    free : Rows, sorted by how many the owner has, then by owner
    member : uint32[F]; free_ptr : uint32[F+1]
        The groups with free options, and where these start in `free`.
    internal : bool[C]
        Choices within merged groups.
    endless : int64[G]
        The least level from which reward can be collected for ever; `INFINITE` if there is none.
    endless_choice : int64[S]
        A choice that does so from that level on, or leads there; -1 where none does.
    """

    group: Ints
    stay: Floats
    option_ptr: Ints
    option: Ints
    paid: Rows
    costs: Ints
    class_ptr: Ints
    free: Rows
    member: Small
    free_ptr: Small
    internal: Bools
    endless: Ints
    endless_choice: Ints


def options(
    model: ConstrainedMDP,
    gain: Floats,
    cost: Ints,
    since: Ints,
    beta: float,
    top: int,
    *,
    in_order: bool = False,
) -> Options:
    """Sort a model's choices into options.

    Parameters
    ----------
    gain : float64[C]
    cost : int64[C]
        Not negative.
    since : int64[C]
        The least level (budget in cost units) at which each choice may be taken.
    beta
        Discount of rewards.
    top
        The last level; options that come later are left out.
    in_order
        Whether to sort groups so that free options lead, where they can, to earlier ones: long
        chains then settle in one sweep. Worth its cost for these only.

    Raises
    ------
    SolverError
        For beta = 1, where a run can lose, or both win and lose, reward for ever at no cost.
    """
    endless, within = (
        _endless(model, gain, cost)
        if beta == 1
        else (np.full(model.S, -1), np.zeros(model.C, dtype=bool))
    )
    rests, gainful, internal, group, groups = _merge(model, gain, endless, within)
    stay = np.full(groups, -np.inf)
    stay[group[model.terminal | rests]] = 0.0
    stay[group[gainful]] = np.inf
    usable = (since <= top) & ~internal & ~model.terminal[model.choice_state]
    chosen = np.flatnonzero(usable)
    owner = group[model.choice_state[chosen]]
    if internal.any():  # groups are numbered otherwise than states
        sort = np.argsort(owner, kind="stable")
        chosen, owner = chosen[sort], owner[sort]
    option_ptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=groups))])
    place = (np.arange(len(chosen)) - option_ptr[owner]).astype(
        _unsigned(int(np.diff(option_ptr).max(initial=0)))
    )
    packed = _Packer(model, gain, group, beta)
    free_first = np.flatnonzero(cost[chosen] == 0)
    paid_first = np.flatnonzero(cost[chosen] > 0)
    price = cost[chosen[paid_first]]
    if int(price.max(initial=0)) < 2**16:
        price = price.astype(np.uint16)  # sorted by radix
    by_cost = paid_first[np.argsort(price, kind="stable")]
    costs, starts = np.unique(cost[chosen[by_cost]], return_index=True)
    count = np.bincount(owner[free_first], minlength=groups)
    # Groups with equally many free options follow one another: loops of one length.
    rank = _successors_first(model, group, chosen[free_first], count) if in_order else count
    free_first = free_first[np.argsort(rank[owner[free_first]], kind="stable")]
    member = np.flatnonzero(count)
    member = member[np.argsort(rank[member], kind="stable")]
    level, lead = np.full(model.S, INFINITE), np.full(model.S, -1)
    if gainful.any():
        level, lead = _endless_levels(model, gain, gainful, internal, since, cost)
    return Options(
        group=group, stay=stay, option_ptr=option_ptr, option=chosen,
        paid=packed.rows(chosen, owner, since, place, by_cost, loops=False),
        costs=costs, class_ptr=np.append(starts, len(by_cost)),
        free=packed.rows(chosen, owner, since, place, free_first, loops=True),
        member=member.astype(np.uint32),
        free_ptr=np.concatenate([[0], np.cumsum(count[member])]).astype(np.uint32),
        internal=internal,
        endless=level[_group_first(group, groups)],
        endless_choice=lead,
    )  # fmt: skip


def _successors_first(
    model: ConstrainedMDP, group: Ints, chosen: Ints, count: Ints
) -> npt.NDArray[np.int32]:
    """A rank of the groups by which free choices lead, where they can, to lower ranks."""
    from ig_theory import kernels

    sizes = np.diff(model.branch_ptr)[chosen]
    ends = np.cumsum(sizes)
    first = model.branch_ptr[chosen]
    edges = np.arange(int(ends[-1]) if len(ends) else 0)
    edges += np.repeat(first - ends + sizes, sizes)
    target = group[model.branch_state[edges]].astype(np.int32)
    per_group = np.concatenate([[0], np.cumsum(count)])
    edge_ptr = np.concatenate([[0], ends])[per_group]
    order, _ = kernels.components(edge_ptr, target, np.empty(0, dtype=np.bool_))
    rank = np.empty(len(count), dtype=np.int32)
    rank[order] = np.arange(len(count), dtype=np.int32)
    return rank


def all_rows(
    model: ConstrainedMDP, gain: Floats, cost_class: Ints, beta: float
) -> tuple[Rows, Ints]:
    """Every choice of every running state, sorted by class; and where each class starts."""
    chosen = np.flatnonzero(~model.terminal[model.choice_state])
    owner = model.choice_state[chosen]
    most = int(np.diff(model.choice_ptr).max())
    place = (chosen - model.choice_ptr[owner]).astype(_unsigned(most))
    order = np.argsort(cost_class[chosen], kind="stable")
    packed = _Packer(model, gain, np.arange(model.S), beta)
    anytime = np.zeros(model.C, dtype=np.int64)
    rows = packed.rows(chosen, owner, anytime, place, order, loops=False)
    count = np.bincount(cost_class[chosen], minlength=int(cost_class.max(initial=0)) + 1)
    return rows, np.concatenate([[0], np.cumsum(count)])


def _group_first(group: Ints, groups: int) -> Ints:
    """One state of each group."""
    first = np.empty(groups, dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    return first


def _unsigned(largest: int) -> type[np.unsignedinteger]:
    if largest < np.iinfo(np.uint8).max:
        return np.uint8
    return np.uint16 if largest < np.iinfo(np.uint16).max else np.uint32


@dataclass(frozen=True)
class _Packer:
    model: ConstrainedMDP
    gain: Floats
    group: Ints
    beta: float

    def rows(
        self, chosen: Ints, owner: Ints, since: Ints, place: npt.NDArray[np.unsignedinteger],
        which: Ints, loops: bool,
    ) -> Rows:  # fmt: skip
        from ig_theory.solvers.table_kernels import pack

        model, choices = self.model, chosen[which]
        owners = owner[which].astype(np.uint32)
        gain, ptr, node, prob = pack(
            choices, owners, model.branch_ptr, model.branch_state, _scaled(model), self.gain,
            self.group, self.beta, loops,
        )  # fmt: skip
        late = since[choices].astype(np.int32)
        return Rows(choices, owners, late, gain, ptr, node, prob, place[which])


def _scaled(model: ConstrainedMDP) -> Floats:
    """Branch probabilities as floats, each choice's scaled to total 1."""
    prob = model.branch_prob.astype(np.float64)
    total = np.add.reduceat(prob, model.branch_ptr[:-1])
    off = total != 1.0
    return prob / total[model.branch_choice] if off.any() else prob


def _endless(model: ConstrainedMDP, gain: Floats, cost: Ints) -> tuple[Ints, Bools]:
    """The end components of the choices that cost nothing."""
    from ig_theory.solvers.table_kernels import prune

    usable = (cost == 0) & ~model.terminal[model.choice_state]
    candidate = np.maximum.reduceat(usable, model.choice_ptr[:-1])
    prune(candidate, model.choice_ptr, usable, model.branch_ptr, model.branch_state, PRUNING)
    if not candidate.any():
        return np.full(model.S, -1), np.zeros(model.C, dtype=bool)
    return end_components(StateGraph(model), usable & candidate[model.choice_state])


def _merge(
    model: ConstrainedMDP, gain: Floats, component: Ints, within: Bools
) -> tuple[Bools, Bools, Bools, Ints, int]:
    """Merge where a run can rest at no reward; find where it gains for ever."""
    S = model.S
    nothing, alone = np.zeros(S, dtype=bool), np.arange(S)
    if not within.any():
        return nothing, nothing, np.zeros(model.C, dtype=bool), alone, S
    resting, internal = end_components(StateGraph(model), within & (gain == 0))
    owner = component[model.choice_state]
    size = int(component.max()) + 1
    gains, pays = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    gains[owner[within & (gain > 0)]] = True
    pays[owner[within & (gain < 0)]] = True
    if pays.any():
        state = int(np.flatnonzero((component >= 0) & pays[component])[0])
        raise SolverError.at(
            f"undiscounted reward around state {model.state_name(state)}",
            "no negative reward wherever a run can stay for ever at no cost", "one",
            "set reward_discount below 1, or ask for one budget with budgeted_value",
        )  # fmt: skip
    gainful = (component >= 0) & gains[component]
    key = np.where(gainful, S + component, np.where(resting >= 0, 2 * S + resting, alone))
    group = np.unique(key, return_inverse=True)[1]
    internal = internal | (within & gainful[model.choice_state])
    return (resting >= 0) & ~gainful, gainful, internal, group, int(group.max()) + 1


def _endless_levels(
    model: ConstrainedMDP, gain: Floats, gainful: Bools, internal: Bools, since: Ints, cost: Ints
) -> tuple[Ints, Ints]:
    """The least level from which a run may come to where it gains for ever, and a choice to."""
    owner = model.choice_state
    level, lead = np.full(model.S, INFINITE), np.full(model.S, -1)
    earning = np.flatnonzero(internal & gainful[owner] & (gain > 0))[::-1]
    lead[owner[earning]] = earning
    level[owner[earning]] = 0
    usable = (since < INFINITE) & ~model.terminal[owner] & (~gainful[owner] | internal)
    while True:
        nearest = np.minimum.reduceat(level[model.branch_state], model.branch_ptr[:-1])
        reached = usable & (nearest < INFINITE)
        through = np.where(reached, np.maximum(since, cost + nearest), INFINITE)
        least = np.minimum.reduceat(through, model.choice_ptr[:-1])
        better = np.flatnonzero(reached & (through == least[owner]) & (through < level[owner]))
        if not len(better):
            return level, lead
        # A choice found later leads to a lower level, or to one found earlier: never in circles.
        lead[owner[better]] = better
        level = np.minimum(level, least)
