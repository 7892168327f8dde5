"""A constrained MDP from lists or arrays in compressed rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_theory.assembly import counted, mask, numbers, positive
from ig_theory.cmdp import ConstrainedMDP, Ints, Numbers
from ig_theory.errors import ModelError
from ig_theory.exact import common_unit, rational


def from_arrays(
    choice_ptr: npt.ArrayLike,
    branch_ptr: npt.ArrayLike,
    branch_state: npt.ArrayLike,
    branch_prob: npt.ArrayLike,
    *,
    cost: Any,
    reward: Any = None,
    initial: Any = None,
    terminal: npt.ArrayLike | None = None,
    cost_unit: int | str | Fraction | None = None,
    reward_discount: int | str | Fraction = 1,
    base: Any = None,
    action: npt.ArrayLike | None = None,
    labels: Mapping[str, npt.ArrayLike] | None = None,
    exact: bool = False,
    **names: Any,
) -> ConstrainedMDP:
    """Build a model from lists or arrays in compressed rows (see `ConstrainedMDP`).

    Parameters
    ----------
    choice_ptr, branch_ptr, branch_state, branch_prob
        The rows; S, C and B are the states, choices and branches.
    cost : [C] or [K, C]
        Whole numbers are multiples of `cost_unit` (1 if not given). Without a `cost_unit` they
        may also be Fractions or text such as ``"0.1"``: these are in units of the cost, and the
        coarsest exact unit is found.
    reward : [C], optional
        0 when absent.
    initial : [S], optional
        State 0 when absent.
    terminal : bool[S], optional
        None when absent.
    labels : mapping of a label to bool[S] or to a list of states
    exact : bool
        Probabilities and rewards become Fractions; floats are then refused.
    **names
        ``state_names``, ``choice_names``, ``cost_names``.

    Raises
    ------
    ModelError
        Naming the field, the place, the value and the repair.

    Examples
    --------
    >>> model = from_arrays([0, 1], [0, 1], [0], [1], cost=["0.1"])
    >>> model.cost_unit, int(model.cost[0, 0])
    (Fraction(1, 10), 1)
    """
    ptr = _whole("choice_ptr", choice_ptr)
    states, choices = len(ptr) - 1, len(_whole("branch_ptr", branch_ptr)) - 1
    counts, unit = _cost_table(cost, cost_unit)
    first = np.arange(states) == 0

    def convert(field: str, values: Any) -> Numbers:
        if isinstance(values, np.ndarray) and values.dtype == np.float64 and not exact:
            return values.copy()
        return numbers(_sequence(field, values), exact, lambda i: f"{field}[{i}]")

    return ConstrainedMDP(
        choice_ptr=ptr,
        branch_ptr=_whole("branch_ptr", branch_ptr),
        branch_state=_whole("branch_state", branch_state),
        branch_prob=convert("branch_prob", branch_prob),
        reward=convert("reward", [0] * choices if reward is None else reward),
        cost=counts,
        initial=convert("initial", first.astype(np.int64) if initial is None else initial),
        terminal=mask([], states) if terminal is None else _booleans("terminal", terminal),
        cost_unit=unit,
        reward_discount=rational(reward_discount, "reward_discount"),
        base=None if base is None else convert("base", base),
        action=None if action is None else _whole("action", action),
        labels={k: _flags(f"label {k!r}", v, states) for k, v in (labels or {}).items()},
        **{k: v if v is None else tuple(v) for k, v in names.items()},
    )


def _whole(field: str, values: npt.ArrayLike) -> Ints:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty(0, dtype=object)  # ragged
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        kind = "a table" if array.ndim > 1 else f"{array.dtype} entries"
        raise ModelError.at(field, "one row of whole numbers", kind, "use ints")
    return array.astype(np.int64)


def _booleans(field: str, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    array = np.asarray(values)
    if array.dtype != np.bool_:  # [0, 1] could mean flags or states
        raise ModelError.at(field, "True or False for each state", values, "write booleans")
    return array.copy()


def _flags(field: str, values: npt.ArrayLike, states: int) -> npt.NDArray[np.bool_]:
    array = np.asarray(values)
    if array.dtype == np.bool_:
        return array.copy()
    members = _whole(field, array if array.size else np.zeros(0, dtype=np.int64))
    out = np.flatnonzero((members < 0) | (members >= states))
    if len(out):
        raise ModelError.at(field, f"states 0..{states - 1}", int(members[out[0]]), "name a state")
    return mask(members.tolist(), states)


def _sequence(field: str, values: Any) -> Sequence[Any]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise ModelError.at(field, "a list of numbers", repr(values), "use a list")
    return list(values)


def _cost_table(cost: Any, cost_unit: Any) -> tuple[Ints, Fraction]:
    """Counts int64[K, C] and their unit."""
    unit = None if cost_unit is None else positive(cost_unit, "cost_unit")
    if isinstance(cost, np.ndarray) and cost.dtype == np.int64:
        return np.atleast_2d(cost).copy(), unit or Fraction(1)
    rows = _sequence("cost", cost)
    nested = any(isinstance(row, list | tuple | np.ndarray) for row in rows)
    table = [
        [rational(v, f"cost {k} of choice {c}") for c, v in enumerate(_sequence("cost", row))]
        for k, row in enumerate(rows if nested else [rows])
    ]
    if len({len(row) for row in table}) != 1:
        raise ModelError.at("cost", "rows of one length", [len(row) for row in table], "fill them")
    if unit is not None and any(v.denominator != 1 for row in table for v in row):
        raise ModelError.at(
            "cost", f"whole multiples of the cost_unit {unit}", "fractions",
            "leave cost_unit out: the coarsest exact one is then found",
        )  # fmt: skip
    step = Fraction(1) if unit is not None else common_unit(v for row in table for v in row)
    counts = [
        [counted(v, step, f"cost {k} of choice {c}") for c, v in enumerate(row)]
        for k, row in enumerate(table)
    ]
    return np.array(counts, dtype=np.int64), unit or step
