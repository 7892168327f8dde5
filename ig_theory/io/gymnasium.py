"""Gymnasium's toy-text environments as exact constrained MDPs, without their time limit."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from ig_theory.builders import from_successors
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from ig_theory.exact import rational

Cost = int | str | Fraction
Outcomes = Sequence[tuple[Any, Any, Any, Any]]
"""What ``P[state][action]`` lists: (probability, next state, reward, done)."""
Table = Mapping[int, Mapping[int, Outcomes]]

MAX_DENOMINATOR = 10**6
"""Float probabilities and rewards become the nearest rational with at most this denominator."""

_SINK = (-1, "sink")


def from_gymnasium(
    env: Any,
    cost: Mapping[str, Cost] | Callable[[int, int], Cost] | None = None,
    *,
    base: Callable[[int, int], Cost] | None = None,
    reward_discount: Cost = 1,
    max_denominator: int = MAX_DENOMINATOR,
    state_name: Callable[[int], str] = str,
    action_names: Sequence[str] | None = None,
) -> ConstrainedMDP:
    """The exact model of an environment that lists its transitions in ``env.unwrapped.P``.

    States that no run reaches are left out. Successors that are listed twice are merged, and the
    reward of a choice is its expected reward. Every float becomes the nearest rational with at
    most `max_denominator` (``0.33333333333333337`` is 1/3); each choice must then total exactly
    1. A transition that is ``done`` leads to a terminal state. There is no time limit: give the
    constraint a horizon instead.

    Parameters
    ----------
    env
        An environment, or any object with ``P`` and ``initial_state_distrib``.
    cost
        Either ``{tile: cost}`` over the letters of ``env.unwrapped.desc``: the cost of standing on
        a tile, paid by every choice taken there; a tile that ends the run and costs something
        becomes a state whose one choice ``end`` pays it. Or a function of state and action.
        Exact: whole numbers, Fractions or text. Free if None.
    base
        Base probability of an action in a state; uniform if None.
    state_name, action_names
        Names for people.

    Raises
    ------
    ModelError
        If the environment has no such table, or its probabilities do not become exact.

    Examples
    --------
    >>> from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
    >>> model = from_gymnasium(FrozenLakeEnv(), {"H": "1/2"})
    >>> model.branch_prob[0], model.cost_unit, int(model.terminal.sum())
    (Fraction(2, 3), Fraction(1, 2), 2)
    """
    inner = getattr(env, "unwrapped", env)
    table, start = getattr(inner, "P", None), getattr(inner, "initial_state_distrib", None)
    if not isinstance(table, Mapping) or start is None:
        raise ModelError.at(
            f"environment {type(inner).__name__}", "a table P and an initial_state_distrib",
            "no such table", "only toy-text environments have one; use from_successors",
        )  # fmt: skip
    toll = _tile_cost(inner, cost) if isinstance(cost, Mapping) else None
    price = cost if callable(cost) else None
    numbers = {
        str(a) if action_names is None else action_names[a]: a for s in table for a in table[s]
    }
    names = {a: name for name, a in numbers.items()}
    ordinary: set[int] = set()  # states in which a run goes on

    def successors(state: tuple[int, str]) -> list[tuple[str, Any, Fraction, Any]]:
        s, part = state
        if part:
            paid = toll(s) if toll and state != _SINK else 0
            return [("end", paid, Fraction(0), [(1, _SINK)])] if paid else []
        ordinary.add(s)
        return [
            (
                names[a],
                price(s, a) if price else toll(s) if toll else 0,
                *_merged(outcomes, max_denominator, f"P[{s}][{a}]"),
            )
            for a, outcomes in table[s].items()
        ]

    def name(state: tuple[int, str]) -> str:
        s, part = state
        if state == _SINK:
            return "sink"
        return f"{state_name(s)} (end)" if part and s in ordinary else state_name(s)

    def base_of(state: tuple[int, str], choice: str) -> Any:
        return 1 if state[1] or base is None else base(state[0], numbers[choice])

    return from_successors(
        successors,
        {(s, ""): _near(p, max_denominator, f"start {s}") for s, p in enumerate(start) if p},
        exact=True,
        name=name,
        base=None if base is None else base_of,
        reward_discount=reward_discount,
    )


def frozenlake(
    size: str = "4x4",
    slippery: bool = True,
    hole_cost: Cost = 1,
    success_rate: Cost = "1/3",
    reward_discount: Cost = 1,
) -> ConstrainedMDP:
    """FrozenLake of Gymnasium: ending in a hole costs 1, reaching the goal earns 1.

    Parameters
    ----------
    size
        ``4x4`` or ``8x8``, the maps of Gymnasium.
    slippery
        Whether a move may go to either side.
    hole_cost
        Paid on leaving a hole for the sink in which such runs end.
    success_rate
        Probability of the intended direction when slippery.
    reward_discount
        Discount of rewards.

    Examples
    --------
    >>> lake = frozenlake("4x4")
    >>> lake.S, lake.state_names[-1], lake.choice_names[:4]
    (17, '(3,3)', ('left', 'down', 'right', 'up'))
    """
    lake = _toy_text("frozen_lake")
    if size not in lake.MAPS:
        raise ModelError.at("size", f"one of {', '.join(lake.MAPS)}", repr(size), "name a map")
    rate = rational(success_rate, "success_rate")
    if not 0 <= rate <= 1:
        raise ModelError.at("success_rate", "a probability", rate, "give a number in [0, 1]")
    # Older versions know no success_rate, so it is passed only where it is not the default.
    options = {} if rate == Fraction(1, 3) else {"success_rate": float(rate)}
    env = lake.FrozenLakeEnv(map_name=size, is_slippery=slippery, **options)
    return from_gymnasium(
        env,
        {"H": hole_cost},
        reward_discount=reward_discount,
        state_name=lambda s: f"({s // env.ncol},{s % env.ncol})",
        action_names=("left", "down", "right", "up"),
    )


def cliffwalking(slippery: bool = False, reward_discount: Cost = 1) -> ConstrainedMDP:
    """CliffWalking of Gymnasium: each step into the cliff costs 1 and leads back to the start.

    Parameters
    ----------
    slippery
        Whether a move may go to either side. A fall is then no choice, so it leads to a state
        ``cliff``, whose one choice ``climb`` costs 1 and leads to the start.
    reward_discount
        Discount of rewards (-1 a step, -100 a fall).

    Examples
    --------
    >>> cliff = cliffwalking()
    >>> cliff.choice_names[:4], cliff.cost[0, :4].tolist()
    (('up', 'right', 'down', 'left'), [0, 1, 0, 0])
    """
    env = _toy_text("cliffwalking").CliffWalkingEnv(**({"is_slippery": True} if slippery else {}))
    cliff, climb, fall = len(env.P), 4, -100
    table = dict(env.P)

    def cost(state: int, action: int) -> int:
        falls = any(reward == fall for _, _, reward, _ in table[state][action])
        return int(state == cliff if slippery else falls)

    if slippery:
        table = {
            s: {
                a: [(p, cliff if r == fall else t, r, done) for p, t, r, done in outcomes]
                for a, outcomes in row.items()
            }
            for s, row in env.P.items()
        }
        table[cliff] = {climb: [(1, int(env.start_state_index), 0, False)]}
    columns = int(env.shape[1])
    return from_gymnasium(
        SimpleNamespace(P=table, initial_state_distrib=env.initial_state_distrib),
        cost,
        reward_discount=reward_discount,
        state_name=lambda s: "cliff" if s == cliff else f"({s // columns},{s % columns})",
        action_names=("up", "right", "down", "left", "climb"),
    )


def taxi(rainy: bool = False, reward_discount: Cost = 1) -> ConstrainedMDP:
    """Taxi of Gymnasium: an illegal pickup or dropoff costs 1.

    Parameters
    ----------
    rainy
        Whether a move may go to either side.
    reward_discount
        Discount of rewards (-1 a step, -10 for what is illegal, 20 for arriving).

    Examples
    --------
    >>> model = taxi()
    >>> model.S, model.state_names[0], model.choice_names[4:6]
    (404, '(0,0) passenger at R, to G', ('pickup', 'dropoff'))
    """
    env = _toy_text("taxi").TaxiEnv(**({"is_rainy": True} if rainy else {}))
    places = ("R", "G", "Y", "B")

    def name(state: int) -> str:
        row, column, passenger, destination = env.decode(state)
        where = "in taxi" if passenger == 4 else f"at {places[passenger]}"
        return f"({row},{column}) passenger {where}, to {places[destination]}"

    return from_gymnasium(
        env,
        lambda s, a: int(any(reward == -10 for _, _, reward, _ in env.P[s][a])),
        reward_discount=reward_discount,
        state_name=name,
        action_names=("south", "north", "east", "west", "pickup", "dropoff"),
    )


def _toy_text(module: str) -> Any:
    try:
        return importlib.import_module(f"gymnasium.envs.toy_text.{module}")
    except ImportError as error:
        raise ModelError.at(
            "gymnasium", "the package", f"{error}", "install it: pip install 'ig-theory[rl]'"
        ) from None


def _tile_cost(inner: Any, cost: Mapping[str, Cost]) -> Callable[[int], Fraction]:
    """The cost of standing on the tile of a state."""
    desc = getattr(inner, "desc", None)
    if desc is None or np.size(desc) != len(inner.P):
        raise ModelError.at(
            f"environment {type(inner).__name__}", "a map `desc` with one tile a state", "none",
            "give cost as a function of state and action",
        )  # fmt: skip
    tiles = [t.decode() if isinstance(t, bytes) else str(t) for t in np.ravel(desc).tolist()]
    for tile in cost:
        if tile not in tiles:
            raise ModelError.at(
                "cost", f"tiles of the map ({', '.join(sorted(set(tiles)))})", repr(tile), "drop it"
            )
    exact = {tile: rational(c, f"cost of tile {tile!r}") for tile, c in cost.items()}
    return lambda s: exact.get(tiles[s], Fraction(0))


def _merged(
    outcomes: Outcomes, max_denominator: int, where: str
) -> tuple[Fraction, list[tuple[Fraction, tuple[int, str]]]]:
    """Expected reward and distinct successors of an action, exactly."""
    reward = Fraction(0)
    merged: dict[tuple[int, str], Fraction] = {}
    for p, t, r, done in outcomes:
        prob = _near(p, max_denominator, where)
        if prob == 0 and p > 0:
            raise ModelError.at(
                where, "probabilities that stay positive", f"{p}, which rounds to 0",
                "raise max_denominator",
            )  # fmt: skip
        reward += prob * _near(r, max_denominator, where)
        successor = (int(t), "done" if done else "")
        merged[successor] = merged.get(successor, Fraction(0)) + prob
    total = sum(merged.values())
    if total != 1:
        raise ModelError.at(
            where, "probabilities that total exactly 1 when rationalised", total,
            f"choose another max_denominator than {max_denominator}",
        )  # fmt: skip
    return reward, [(p, t) for t, p in merged.items() if p]


def _near(number: Any, max_denominator: int, where: str) -> Fraction:
    try:
        return Fraction(float(number)).limit_denominator(max_denominator)
    except (TypeError, ValueError, OverflowError):
        raise ModelError.at(where, "finite numbers", repr(number), "repair the table") from None
