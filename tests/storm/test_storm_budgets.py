"""Least budgets, to be safe and to reach a goal, against Storm's verdict on each budget."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from storm_oracle import EXAMPLES, FAMILIES, ask, opened, peer, stormpy, worker

from ig_theory.budget import INFINITE
from ig_theory.constraint import BudgetConstraint
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.reaching_budget import reaching_budget

NAMES = [*EXAMPLES, *FAMILIES]
LARGE = ("firewire", "firewire3", "leader4")
"""Where exact arithmetic, or the product of all pairs, would take too long here."""

opened = cache(opened)


def around(least):
    """Budgets on both sides of the least one; some budgets if none is enough."""
    return [0, 1, 9] if least >= INFINITE else [z for z in (least - 2, least - 1, least) if z >= 0]


@pytest.mark.parametrize("name", NAMES)
def test_the_minimal_budget_is_where_exceeding_it_can_be_avoided(name):
    """Storm's least probability to spend more than z, from the start, is 0 iff z >= D."""
    model, _ = opened(name)
    (start,) = np.flatnonzero(model.initial > 0)
    least = int(minimal_budget(model, BudgetConstraint(0)).demand[start])
    for z in around(least):
        spends_more = ask(model, f'Pmin=? [F{{"cost"}}>{z} true]', exact=name not in LARGE)
        assert (spends_more == 0) == (z >= least)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in LARGE])
def test_the_reaching_budget_is_where_storm_says_surely(name):
    """``Pmax>=1 [F{"cost"}<=z "goal"]`` in exact arithmetic; doubles get it wrong."""
    model, goal = opened(name)
    (start,) = np.flatnonzero(model.initial > 0)
    answer = reaching_budget(model, goal)
    assert answer.proves_itself()
    least = int(answer.demand[start])
    for z in around(least):
        assert ask(model, f'Pmax>=1 [F{{"cost"}}<={z} "goal"]') == (z >= least)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in LARGE])
def test_all_states_and_budgets_at_once_on_the_explicit_pairs(name):
    """Storm's graph algorithms decide every pair (s, z <= 8) of the product that the peer makes.

    They are qualitative: no number is rounded. One answer of ours is least over all z.
    """
    model, goal = opened(name)
    storm_peer, top = peer(), 8
    rows, _ = storm_peer.all_pairs(model, top, 0)
    sparse = worker().storm_model(rows)
    everywhere = stormpy.datastructures.BitVector(sparse.nr_states, True)
    safe, _ = stormpy.developer.perform_prob01_min(
        sparse, everywhere, sparse.labeling.get_states("goal")
    )
    # Pairs at the goal, whatever is left there.
    ends = np.flatnonzero(np.append(np.repeat(goal, top + 1), False)).tolist()
    _, surely = stormpy.developer.perform_prob01_max(
        sparse, everywhere, stormpy.datastructures.BitVector(sparse.nr_states, ends)
    )
    for verdict, least in (
        (safe, minimal_budget(model, BudgetConstraint(0)).demand),
        (surely, reaching_budget(model, goal).demand),
    ):
        table = np.zeros(sparse.nr_states, dtype=bool)
        table[list(verdict)] = True
        ours = least[:, None] <= np.arange(top + 1)
        assert (table[:-1].reshape(model.S, top + 1) == ours).all()
