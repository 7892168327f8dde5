"""What a solver returns besides its answer: how it ended, and how good the answer is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt


class Status(Enum):
    """How a solver ended."""

    EXACT = "exact"
    """The values are exact rationals."""
    CERTIFIED = "certified"
    """The true values lie between the bounds; checked after the fact."""
    UNCERTIFIED = "not certified"
    """The check failed, or the iterations ran out; the bounds hold but may be wide or trivial."""
    INFEASIBLE = "infeasible"
    """No policy meets the constraints; there is no value."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Two-sided values of nodes (of a product, or states), and a policy where one was asked for.

    Attributes
    ----------
    lower, upper : [N]
        ``lower <= value <= upper``; float64, or equal Fractions when the status is EXACT.
    policy : int64[N] or None
        The chosen choice of each node; -1 at leaves.
    status : Status
    residual : float
        The largest Bellman error that the bounds account for; 0 if exact.
    iterations : int
        Sweeps, policy improvements or LP iterations, as the solver says; 0 if it does not count.
    """

    lower: npt.NDArray[Any]
    upper: npt.NDArray[Any]
    policy: npt.NDArray[np.int64] | None
    status: Status
    residual: float
    iterations: int = 0
