"""Random small models for Hypothesis: exact or float, with or without each optional field."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ig_theory.cmdp import ConstrainedMDP, LatentMDP

# NUL, quotes, a lone surrogate and an emoji are names too: tokens of a language model are.
NAMES = st.text(alphabet=st.sampled_from([*'ab(,)"\\ \n\x00é', "\ud800", "\U0001f600"]))


def _row(draw: st.DrawFn, size: int, exact: bool, zeros: bool = False) -> list[Any]:
    weights = draw(st.lists(st.integers(0 if zeros else 1, 9), min_size=size, max_size=size))
    if not any(weights):
        weights[0] = 1
    row = [Fraction(w, sum(weights)) for w in weights]
    return row if exact else [float(p) for p in row]


def _array(values: list[Any], exact: bool) -> np.ndarray[Any, Any]:
    out = np.empty(len(values), dtype=object if exact else np.float64)
    out[:] = values
    return out


@st.composite
def models(
    draw: st.DrawFn, exact: bool | None = None, latent: bool | None = None
) -> ConstrainedMDP:
    """A model of at most 4 states, 3 choices a state, 3 branches a choice."""
    exact = draw(st.booleans()) if exact is None else exact
    latent = draw(st.booleans()) if latent is None else latent
    states = draw(st.integers(1, 4))
    terminal = [s > 0 and draw(st.booleans()) for s in range(states)]
    counts = [1 if terminal[s] else draw(st.integers(1, 3)) for s in range(states)]
    owner = [s for s in range(states) for _ in range(counts[s])]
    targets = [
        [s] if terminal[s] else draw(st.lists(st.integers(0, states - 1), min_size=1, max_size=3))
        for s in owner
    ]
    paying = [not terminal[s] for s in owner]
    costs = draw(st.integers(1, 2))
    number: st.SearchStrategy[Any] = st.fractions() if exact else st.floats(-1e100, 1e100)
    optional: dict[str, Any] = {}
    if draw(st.booleans()):
        optional["state_names"] = tuple(draw(NAMES) for _ in range(states))
    if draw(st.booleans()):
        optional["choice_names"] = tuple(draw(NAMES) for _ in owner)
    if draw(st.booleans()):
        optional["cost_names"] = ("harm", "leak")[:costs]
    if draw(st.booleans()):
        optional["labels"] = {
            draw(NAMES): np.array([draw(st.booleans()) for _ in range(states)])
            for _ in range(draw(st.integers(0, 2)))
        }
    if latent or draw(st.booleans()):
        optional["action"] = np.array([draw(st.integers(0, 3)) for _ in owner], dtype=np.int64)
    if latent:
        width = draw(st.integers(0, 2))
        small = st.floats(-9, 9)
        optional["latent"] = np.array(
            [[draw(small) for _ in range(width)] for _ in range(states)]
        ).reshape(states, width)
        optional["readout"] = np.array(
            [[draw(small) for _ in range(width)] for _ in range(4)]
        ).reshape(4, width)
        if draw(st.booleans()):
            optional["readout_bias"] = np.array([draw(small) for _ in range(4)])
    elif draw(st.booleans()):
        base = [p for s in range(states) for p in _row(draw, counts[s], exact, zeros=True)]
        optional["base"] = _array(base, exact)
    return (LatentMDP if latent else ConstrainedMDP)(
        choice_ptr=np.cumsum([0, *counts]),
        branch_ptr=np.cumsum([0, *(len(t) for t in targets)]),
        branch_state=np.array([s for t in targets for s in t]),
        branch_prob=_array([p for t in targets for p in _row(draw, len(t), exact)], exact),
        reward=_array([draw(number) if pays else Fraction(0) for pays in paying], exact),
        cost=np.array(
            [[draw(st.integers(-(2**40), 2**40)) if pays else 0 for pays in paying]
             for _ in range(costs)]
        ),
        initial=_array(_row(draw, states, exact, zeros=True), exact),
        terminal=np.array(terminal),
        cost_unit=draw(st.fractions(min_value=Fraction(1, 1000)).filter(lambda f: f > 0)),
        reward_discount=Fraction(draw(st.integers(1, 9)), 9),
        **optional,
    )  # fmt: skip


def same(one: ConstrainedMDP, two: ConstrainedMDP) -> bool:
    """Whether every field of two models is the same, to the last bit."""

    def alike(x: Any, y: Any) -> bool:
        if isinstance(x, np.ndarray) and x.dtype == np.float64:
            return y.dtype == x.dtype and y.shape == x.shape and x.tobytes() == y.tobytes()
        if isinstance(x, np.ndarray):
            return y.dtype == x.dtype and y.shape == x.shape and bool((x == y).all())
        if isinstance(x, dict):
            return list(x) == list(y) and all(alike(x[k], y[k]) for k in x)
        return type(x) is type(y) and bool(x == y)

    return type(one) is type(two) and all(
        alike(getattr(one, name), getattr(two, name)) for name in one.__dataclass_fields__
    )
