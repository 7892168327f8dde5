"""What Storm's queries mean, step by step; and the benchmark peer, which relies on it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from storm_oracle import TOLERANCE, ask, bounded_reach, bounded_reward, opened, peer

from ig_theory.builders import from_dict
from ig_theory.constraint import BudgetConstraint
from ig_theory.io import open_model
from ig_theory.solvers.budgeted_value import budgeted_value
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.unconstrained import unconstrained


def model(states, **more):
    return from_dict(states, initial="s", labels={"goal": ["g"]}, exact=True, **more)


def reward(chain, budget):
    return ask(chain, f'R{{"reward"}}max=? [C{{"cost"}}<={budget}]')


def test_the_step_that_exceeds_the_bound_earns_nothing_and_ends_the_count():
    chain = model({"s": {"a": (2, 10, "t")}, "t": {"a": (3, 100, "u")}, "u": {"a": (0, 1000, "g")}})
    assert [reward(chain, d) for d in range(7)] == [0, 0, 10, 10, 10, 1110, 1110]
    assert [round(bounded_reward(chain, d)[0]) for d in range(7)] == [0, 0, 10, 10, 10, 1110, 1110]


def test_exceeding_is_always_an_exit():
    """A policy may overspend on purpose, to be spared the rest."""
    chain = model({"s": {"a": (1, -5, "g")}})
    assert [reward(chain, d) for d in (0, 1)] == [0, -5]


def test_a_free_loop_without_reward_may_be_kept_up():
    chain = model({"s": {"loop": (0, 0, "s"), "a": (1, -5, "g")}})
    assert reward(chain, 1) == 0
    assert bounded_reward(chain, 1) == pytest.approx((0, 0), abs=1e-9)


def test_a_free_loop_with_reward_is_refused():
    chain = model({"s": {"loop": (0, 1, "s"), "a": (1, 0, "g")}})
    with pytest.raises(RuntimeError, match="finite upper bounds"):
        reward(chain, 1)
    assert bounded_reward(chain, 1) == (np.inf, np.inf)


def test_a_goal_is_reached_before_its_own_costs():
    chain = model({"s": {"a": (2, 0, "g")}, "g": {"on": (5, 0, "g")}})
    assert [ask(chain, f'Pmax=? [F{{"cost"}}<={d} "goal"]') for d in (1, 2)] == [0, 1]
    assert [bounded_reach(chain, np.array([False, True]), d)[1] > 0.5 for d in (1, 2)] == [0, 1]


def test_discounting_counts_steps_and_takes_either_sign():
    chain = model({"s": {"a": (0, -1, "s"), "b": (0, -5, "g")}}, reward_discount="9/10")
    answer = ask(chain, 'R{"reward"}max=? [Cdiscount=9/10]', exact=False)
    assert answer == pytest.approx(float(unconstrained(chain, exact=True).start.lower), abs=1e-5)


def test_the_peer_answers_in_a_process_of_its_own():
    storm_peer = peer()
    sheltered = open_model("sheltered-garnet:states=80,seed=4,reward_discount=9/10")
    constraint = BudgetConstraint(6)
    free = storm_peer.unconstrained(sheltered)
    assert np.abs(free.values - unconstrained(sheltered).solution.lower).max() < 1e-5
    safe = storm_peer.safe_reward(sheltered, constraint)
    ours = budgeted_value(sheltered, constraint).initial
    assert safe.answer == pytest.approx(ours.middle, abs=1e-5)
    assert safe.answer < free.answer
    qualitative = storm_peer.qualitative_safety(sheltered, 6)
    demand = minimal_budget(sheltered, constraint).demand
    assert (qualitative.values == np.minimum(demand, 7)).all()
    assert qualitative.answer == demand[0]
    for run in (free, safe, qualitative):
        assert run.version == "2.0.0"
        assert 0 <= run.seconds < 60
        assert run.peak_mb >= 0
        assert run.states > 0


def test_the_peer_bounds_costs():
    storm_peer = peer()
    coin, goal = opened("leader4")
    reach = storm_peer.cost_bounded_reach(coin, "goal", 3)
    lower, upper = bounded_reach(coin, goal, 3)
    assert lower - TOLERANCE <= reach.answer <= upper + TOLERANCE
    assert reach.answer == pytest.approx(float(Fraction(49, 128)), abs=TOLERANCE)
    assert storm_peer.reward_until_bound(coin, 3).answer == 0
    frozen = open_model("frozenlake:4x4")
    reached = storm_peer.safe_reach(frozen, BudgetConstraint(1), frozen.terminal)
    assert reached.answer == pytest.approx(1, abs=TOLERANCE)
