"""The largest expected total reward on a product, with certified bounds and a policy.

Value iteration finds the value; the bounds are then checked, not trusted: the upper one is a
function U with ``U >= gain + beta P U`` for every choice (THEORY T4.reward), the lower one is
the certified value of the policy found. Undiscounted totals (beta = 1) have many solutions
where a policy can go round at no reward; such end components are first merged into one node
that may also stay for ever, worth 0. Merged or not, an end component where reward can be
collected for ever is worth infinity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import RUNNING, Product
from ig_theory.chain import MOST_SWEEPS, ROUNDING, TOLERANCE, evaluate
from ig_theory.cmdp import Bools, Floats, Ints
from ig_theory.errors import SolverError
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.totals.end_components import almost_sure, end_components


def best_total(
    product: Product, gain: Floats, leaf: Floats, beta: Fraction, alive: Bools
) -> Solution:
    """The supremum over policies of the expected total reward, at every node.

    Parameters
    ----------
    gain : float64[M]
        What each choice earns at once.
    leaf : float64[N]
        The value of each leaf (0 at running nodes).
    beta
        Discount in (0, 1].
    alive : bool[M]
        The choices that may be taken. A running node without any is worth ``-inf``.

    Raises
    ------
    SolverError
        If beta = 1 and some end component has rewards of both signs.
    """
    quotient = _quotient(product, gain, leaf, beta, alive)
    value = _iterate(quotient, gain, float(beta))
    policy = _policy(product, quotient, gain, float(beta), value)
    lower, certified = _policy_value(product, policy, gain, leaf, float(beta), value, quotient)
    upper, residual = _upper(quotient, gain, float(beta), value)
    certified = certified and np.isfinite(residual)
    upper_nodes = np.maximum(upper[quotient.group], lower)
    status = Status.CERTIFIED if certified else Status.UNCERTIFIED
    return Solution(lower, upper_nodes, policy, status, float(residual))


@dataclass(frozen=True, eq=False)
class _Quotient:
    """A product whose reward-free end components are merged into groups."""

    product: Product
    group: Ints
    option_ptr: Ints
    option: Ints
    stay: Floats
    internal: Bools
    order: Ints
    start: Ints


def _quotient(
    product: Product, gain: Floats, leaf: Floats, beta: Fraction, alive: Bools
) -> _Quotient:
    nodes = len(product)
    group = np.arange(nodes)
    internal = np.zeros(len(alive), dtype=bool)
    merged = np.zeros(nodes, dtype=bool)
    endless = np.full(nodes, -1)
    if beta == 1 and not product.timed:
        component, internal = end_components(product, alive & (gain == 0))
        merged = component >= 0
        first = np.full(nodes, nodes)
        np.minimum.at(first, component[merged], np.flatnonzero(merged))
        group[merged] = first[component[merged]]
        endless, within = end_components(product, alive)
        endless = _gainful(product, gain, endless, within)
        # Elsewhere a run that never ends loses reward for ever: it must be able to end. A choice
        # that breaks the budget ends it too.
        ends = (product.outcome != RUNNING) | merged | (endless >= 0)
        ends[product.choice_node[alive & (np.diff(product.branch_ptr) == 0)]] = True
        alive = almost_sure(product, alive, ends)[1]
    representatives, group = np.unique(group, return_inverse=True)
    groups = len(representatives)
    stay = np.full(groups, -np.inf)
    leaves = product.outcome != RUNNING
    stay[group[leaves]] = leaf[leaves]
    stay[group[merged]] = 0.0
    stay[group[endless >= 0]] = np.inf
    offered = np.flatnonzero(alive & ~internal)
    owner = group[product.choice_node[offered]]
    sort = np.argsort(owner, kind="stable")
    option = offered[sort]
    option_ptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=groups))])
    order, start = _order(product, group, option_ptr, option)
    return _Quotient(product, group, option_ptr, option, stay, internal, order, start)


def _gainful(product: Product, gain: Floats, component: Ints, internal: Bools) -> Ints:
    """Keep only the end components in which reward can be collected for ever."""
    owner = component[product.choice_node]
    size = int(component.max(initial=-1)) + 1
    gains, pays = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    gains[owner[internal & (gain > 0)]] = True
    pays[owner[internal & (gain < 0)]] = True
    both = np.flatnonzero(gains & pays)
    if len(both):
        node = int(np.flatnonzero(component == both[0])[0])
        name = product.model.state_name(int(product.state[node]))
        raise SolverError.at(
            f"undiscounted reward around state {name}",
            "rewards of one sign wherever a run can stay for ever", "both signs",
            "set reward_discount below 1, or a horizon",
        )  # fmt: skip
    keep = np.zeros(size + 1, dtype=bool)
    keep[:size] = gains
    return np.where(keep[component], component, -1)


def _order(product: Product, group: Ints, option_ptr: Ints, option: Ints) -> tuple[Ints, Ints]:
    from ig_theory import kernels

    sizes = np.diff(product.branch_ptr)[option]
    ends = np.cumsum(sizes)
    offset = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - sizes, sizes)
    target = product.branch_node[np.repeat(product.branch_ptr[option], sizes) + offset]
    edge_ptr = np.concatenate([[0], ends])[option_ptr]
    order, start = kernels.components(
        edge_ptr, group[target].astype(np.int32), np.empty(0, dtype=np.bool_)
    )
    return order, start


def _iterate(quotient: _Quotient, gain: Floats, beta: float) -> Floats:
    """Value iteration from 0 (from below where every gain is >= 0)."""
    from ig_theory.solvers.kernels.reward import optimise

    x = np.where(np.isfinite(quotient.stay), quotient.stay, 0.0)
    optimise(
        quotient.order, quotient.start, *_flat(quotient, gain), quotient.stay, beta, x,
        TOLERANCE, MOST_SWEEPS,
    )  # fmt: skip
    return x


def _upper(quotient: _Quotient, gain: Floats, beta: float, value: Floats) -> tuple[Floats, float]:
    """A checked function above the value, and the error it allows for (inf: none was found).

    ``U = value + e w`` with w the longest expected time that a nearly optimal policy can take.
    """
    from ig_theory.solvers.kernels.reward import backups, optimise

    flat = _flat(quotient, gain)
    owner = np.repeat(np.arange(len(value)), np.diff(quotient.option_ptr))
    finite = np.isfinite(value)
    out = np.empty(len(quotient.option))
    backups(*flat, beta, value, out)
    size = float(np.abs(value[finite]).max(initial=0.0) + np.abs(gain).max(initial=0.0))
    longest = int(np.diff(quotient.product.branch_ptr).max(initial=0)) + 4
    rounding = ROUNDING * longest * size
    relevant = finite[owner]
    with np.errstate(invalid="ignore"):
        short = np.where(relevant, out - value[owner], 0.0)
    error = 2 * (max(float(short.max(initial=0.0)), 0.0) + rounding)
    if beta < 1:
        time = np.full(len(value), 1 / (1 - beta))
    else:
        near = short > -1e-6 * (1 + size)
        kept = np.where(near & relevant, 1.0, -np.inf)
        steps = np.full(len(gain), -np.inf)
        steps[quotient.option] = kept
        time = np.zeros(len(value))
        optimise(
            quotient.order, quotient.start, *_flat(quotient, steps), np.zeros(len(value)), beta,
            time, 1e-9, 10_000,
        )  # fmt: skip
        time = time + 1
    with np.errstate(over="ignore"):
        candidate = np.where(finite, value + error * time, value)
    if not np.isfinite(time).all():
        return np.full(len(value), np.inf), np.inf
    backups(*flat, beta, candidate, out)
    sound = out[relevant] + rounding <= candidate[owner[relevant]]
    if not sound.all():
        return np.full(len(value), np.inf), np.inf
    return candidate, error


def _policy(
    product: Product, quotient: _Quotient, gain: Floats, beta: float, value: Floats
) -> Ints:
    """A choice for every running node that attains the value."""
    from ig_theory.solvers.kernels.reward import backups

    groups = len(value)
    out = np.empty(len(quotient.option))
    backups(*_flat(quotient, gain), beta, value, out)
    policy = np.full(len(product), -1)
    internal_first = _first_internal(product, quotient)
    counts = np.diff(quotient.option_ptr)
    has = np.flatnonzero(counts > 0)
    best = np.full(groups, -np.inf)
    if len(has):
        best[has] = np.maximum.reduceat(out, quotient.option_ptr[has])
    owner = np.repeat(np.arange(groups), counts)
    pick = np.full(groups, -1)
    # The earliest best option of each group: written last.
    attains = np.flatnonzero(out == best[owner])[::-1]
    pick[owner[attains]] = quotient.option[attains]
    sizes = np.bincount(quotient.group, minlength=groups)
    alone = sizes == 1
    single = alone[quotient.group] & (product.outcome == RUNNING)
    policy[single] = pick[quotient.group[single]]
    # A node that can stay for ever by itself at no reward, and does best so.
    rests = single & (internal_first >= 0) & (best[quotient.group] <= 0)
    policy[rests] = internal_first[rests]
    by_group = np.argsort(quotient.group, kind="stable")
    ends = np.cumsum(sizes)
    for g in np.flatnonzero(~alone).tolist():
        members = by_group[ends[g] - sizes[g] : ends[g]]
        policy[members] = internal_first[members]
        if pick[g] >= 0 and best[g] > 0 and np.isfinite(best[g]):
            _leave(product, quotient, members, int(pick[g]), policy)
    return policy


def _leave(product: Product, quotient: _Quotient, members: Ints, exit_: int, policy: Ints) -> None:
    """Inside a merged group, go to the member that leaves best, almost surely."""
    target = int(product.choice_node[exit_])
    policy[target] = exit_
    reached, waiting = {target}, set(members.tolist()) - {target}
    while waiting:
        closer = []
        for n in waiting:
            for j in range(product.choice_ptr[n], product.choice_ptr[n + 1]):
                low, high = product.branch_ptr[j], product.branch_ptr[j + 1]
                if quotient.internal[j] and any(
                    int(u) in reached for u in product.branch_node[low:high]
                ):
                    policy[n] = j
                    closer.append(n)
                    break
        reached.update(closer)
        waiting.difference_update(closer)


def _first_internal(product: Product, quotient: _Quotient) -> Ints:
    first = np.full(len(product), -1)
    inner = np.flatnonzero(quotient.internal)[::-1]
    first[product.choice_node[inner]] = inner
    return first


def _policy_value(
    product: Product, policy: Ints, gain: Floats, leaf: Floats, beta: float, value: Floats,
    quotient: _Quotient,
) -> tuple[Floats, bool]:  # fmt: skip
    """The certified value of the policy; infinities come from the iteration."""
    weight = product.deterministic(policy)
    constant = leaf.copy()
    running = policy >= 0
    constant[running] = gain[policy[running]]
    infinite = ~np.isfinite(value[quotient.group])
    constant[infinite] = 0.0
    cut = weight.copy()
    cut[policy[infinite & running]] = 0.0
    outcome = np.where(infinite & running, 1, product.outcome).astype(np.int8)
    totals = evaluate(replace(product, outcome=outcome), constant[:, None], beta, weight=cut)
    lower = np.where(infinite, value[quotient.group], totals.lower[:, 0])
    return lower, totals.certified


def _flat(quotient: _Quotient, gain: Floats) -> tuple[Any, ...]:
    product = quotient.product
    return (
        quotient.option_ptr, quotient.option, gain, product.branch_ptr, product.branch_node,
        product.first_prob, product.prob, quotient.group,
    )  # fmt: skip
