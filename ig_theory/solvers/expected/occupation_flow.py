"""The flow equations of the occupation-measure LP, and the policy that a flow describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ig_theory.cmdp import Bools, Floats
from ig_theory.errors import SolverError
from ig_theory.solvers.expected.costs import ExpectedCosts
from ig_theory.solvers.totals.small_graphs import both_signs
from ig_theory.solvers.totals.states import branch_probabilities

NOISE = 1e-11
"""Shares of a state's flow below this are rounding of the LP solver."""


@dataclass(frozen=True, eq=False)
class FlowProgram:
    """The flow equations and the objectives, over (time,) state and choice."""

    states: Bools
    choices: Bools
    flow: Any
    source: Floats
    reward: Floats
    cost: Floats
    stops: Bools
    collects: Bools

    @property
    def K(self) -> int:
        """How many constraints there are."""
        return len(self.cost)


def flow_program(problem: ExpectedCosts) -> FlowProgram:
    """The program over the states that can be reached, expanded over time with a horizon."""
    model, horizon = problem.model, problem.horizon
    states = problem.reached() & ~model.terminal
    stops, collects, choices = _ends(problem, states)
    row = np.cumsum(states) - 1
    kept = np.flatnonzero(choices)
    place = np.full(model.C, -1)
    place[kept] = np.arange(len(kept))
    size = (int(states.sum()), len(kept))
    leave = sp.csr_array(
        (np.ones(len(kept)), (row[model.choice_state[kept]], np.arange(len(kept)))), shape=size
    )
    branch = np.flatnonzero(choices[model.branch_choice] & states[model.branch_state])
    prob = branch_probabilities(model)
    arrive = sp.csr_array(
        (prob[branch],
         (row[model.branch_state[branch]], place[model.branch_choice[branch]])), shape=size,
    )  # fmt: skip
    initial = model.initial.astype(np.float64)
    source = (initial / initial.sum())[states]
    reward, cost = problem.reward[kept], problem.cost[:, kept]
    if horizon is None:
        flow = leave - float(model.reward_discount) * arrive
    else:
        steps = np.arange(horizon)
        later = sp.csr_array((np.ones(horizon - 1), (steps[1:], steps[:-1])), (horizon, horizon))
        flow = (sp.kron(sp.eye_array(horizon), leave) - sp.kron(later, arrive)).tocsr()
        source = np.concatenate([source, np.zeros(size[0] * (horizon - 1))])
        each = [problem.discounted(t) for t in range(horizon)]
        reward = np.concatenate([r[kept] for r, _ in each])
        cost = np.hstack([c[:, kept] for _, c in each])
    return FlowProgram(states, choices, flow, source, reward, cost, stops, collects)


def _ends(problem: ExpectedCosts, states: Bools) -> tuple[Bools, Bools, Bools]:
    """Undiscounted: where a run may stop, where it can collect for ever, and the choices left.

    Within ends that collect, choices are taken out: a flow there could grow without a source.
    """
    model = problem.model
    choices, none = states[model.choice_state], np.zeros(model.S, dtype=bool)
    if problem.horizon is not None or model.reward_discount < 1 or not choices.any():
        return none, none, choices
    from ig_theory.solvers.totals.end_components import StateGraph, end_components

    graph, owner = StateGraph(model), model.choice_state
    _, inside = end_components(graph, choices)
    negative = np.flatnonzero(inside & (problem.cost < 0).any(axis=0))
    if len(negative):
        raise SolverError.at(
            f"undiscounted cost of a choice of state {model.state_name(int(owner[negative[0]]))}",
            "numbers >= 0 where a run can stay for ever", "a negative one",
            "set a discount below 1, or a horizon",
        )  # fmt: skip
    free = choices & (problem.cost == 0).all(axis=0)
    component, within = end_components(graph, free)
    gains = np.unique(component[owner[within & (problem.reward > 0)]])
    pays = np.unique(component[owner[within & (problem.reward < 0)]])
    mixed = np.flatnonzero((component >= 0) & np.isin(component, np.intersect1d(gains, pays)))
    if len(mixed):
        raise both_signs(model.state_name(int(mixed[0])))
    collects = (component >= 0) & np.isin(component, gains)
    choices = choices & ~(within & collects[owner])
    stops = end_components(graph, free & (problem.reward == 0))[0] >= 0
    return stops, collects, choices


def flow_policy(problem: ExpectedCosts, program: FlowProgram, x: Floats, stops: Bools) -> Any:
    """Weights and stop probabilities in proportion to the flow."""
    model = problem.model
    kept = np.flatnonzero(program.choices)
    times = 1 if problem.horizon is None else problem.horizon
    weight, stop = np.zeros((times, model.C)), np.zeros(model.S)
    weight[:, kept] = np.maximum(x[: times * len(kept)], 0.0).reshape(times, len(kept))
    places = np.flatnonzero(stops & program.states)
    stop[places] = np.maximum(x[times * len(kept) :], 0.0)
    first = model.choice_ptr[:-1]
    total = np.add.reduceat(weight, first, axis=1) + stop
    safe = np.where(total > 0, total, 1.0)
    weight = weight / safe[:, model.choice_state]
    stop = stop / safe[0]
    weight[weight < NOISE] = 0.0
    stop[stop < NOISE] = 0.0
    left = np.add.reduceat(weight, first, axis=1)
    weight[:, first] = np.where(left + stop > 0, weight[:, first], 1.0)
    scale = np.add.reduceat(weight, first, axis=1) + stop
    weight, stop = weight / scale[:, model.choice_state], stop / scale[0]
    return (weight[0] if problem.horizon is None else weight), stop
