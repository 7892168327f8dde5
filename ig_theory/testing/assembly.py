"""Small models put together from nested lists of whole numbers, for tests and examples."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.cmdp import ConstrainedMDP, LatentMDP, Numbers

Part = tuple[tuple[int, ...], int, tuple[tuple[int, int], ...]]
"""One choice: its costs, its reward, and its branches as (weight, successor)."""


def shares(weights: Sequence[int]) -> list[Fraction]:
    """Whole weights as exact probabilities; uniform if they are all 0.

    >>> shares([1, 3])
    [Fraction(1, 4), Fraction(3, 4)]
    """
    total = sum(weights)
    if total == 0:
        return [Fraction(1, len(weights))] * len(weights)
    return [Fraction(w, total) for w in weights]


def assemble(
    states: Sequence[Sequence[Part]],
    *,
    terminal: Sequence[bool],
    initial: Sequence[Fraction],
    exact: bool = True,
    **others: Any,
) -> ConstrainedMDP:
    """A model from nested lists: per state its choices, in the form of `Part`.

    Parameters
    ----------
    states
        Per state, its choices.
    terminal, initial
        Per state.
    exact
        Whether probabilities and rewards stay Fractions.
    others
        Further fields of `ConstrainedMDP`; a ``base`` is a list of Fractions. With ``latent``
        the result is a `LatentMDP`.

    Examples
    --------
    >>> loop = [(((1,), 2, ((1, 0),)),)]
    >>> assemble(loop, terminal=[False], initial=[Fraction(1)]).cost
    array([[1]])
    """
    choices = [part for state in states for part in state]
    probs = [p for _, _, out in choices for p in shares([weight for weight, _ in out])]
    if others.get("base") is not None:
        others["base"] = numbers(others["base"], exact)
    kind = LatentMDP if "latent" in others else ConstrainedMDP
    return kind(
        choice_ptr=np.cumsum([0] + [len(state) for state in states], dtype=np.int64),
        branch_ptr=np.cumsum([0] + [len(out) for _, _, out in choices], dtype=np.int64),
        branch_state=np.array([t for _, _, out in choices for _, t in out], dtype=np.int64),
        branch_prob=numbers(probs, exact),
        reward=numbers([Fraction(reward) for _, reward, _ in choices], exact),
        cost=np.array([costs for costs, _, _ in choices], dtype=np.int64).T.copy(),
        initial=numbers(initial, exact),
        terminal=np.array(terminal, dtype=np.bool_),
        **others,
    )


def numbers(values: Sequence[Fraction], exact: bool) -> Numbers:
    """Fractions as an array of objects, or as floats.

    >>> numbers([Fraction(1, 2)], exact=False)
    array([0.5])
    """
    if exact:
        return np.array(list(values), dtype=object)
    return np.array([float(v) for v in values], dtype=np.float64)
