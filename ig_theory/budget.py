"""Batches of remaining budgets, compared exactly and shown as floats that are rounded down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

INFINITE = np.int64(2**62)
"""Stands for an infinite demand in int64 arrays; larger than every demand that is allowed."""


@dataclass(frozen=True, eq=False)
class RemainingBudget:
    """N exact budgets ``z = numerator / denominator * unit`` of one constraint.

    Parameters
    ----------
    numerator : int64[N], or Fraction[N] with denominator 1
    denominator : int
    unit : Fraction
        The model's ``cost_unit``.

    Examples
    --------
    >>> z = RemainingBudget(np.array([0, 3]), 2, Fraction(1, 10))
    >>> z.value(1), z.covers(np.array([0, 2]))
    (Fraction(3, 20), array([ True, False]))
    """

    numerator: npt.NDArray[Any]
    denominator: int
    unit: Fraction

    def __len__(self) -> int:
        return len(self.numerator)

    def value(self, row: int) -> Fraction:
        """The exact budget of one row, in the units of the cost."""
        number = self.numerator[row]
        return Fraction(number if isinstance(number, Fraction) else int(number)) * (
            self.unit / self.denominator
        )

    def covers(
        self, demand: npt.NDArray[Any], strict: bool | npt.NDArray[np.bool_] = False
    ) -> npt.NDArray[np.bool_]:
        """Whether ``demand * unit <= z`` (``<`` where strict), decided exactly.

        Parameters
        ----------
        demand : int64[N] or int64[N, A] with `INFINITE`, or Fractions with ``math.inf``
            In multiples of ``unit``.
        strict : bool, or bool array of the shape of `demand`
        """
        have = self.numerator if demand.ndim == 1 else self.numerator[:, None]
        if demand.dtype == object or have.dtype == object:
            if demand.dtype != object:
                exact = demand.astype(object)
                exact[demand >= INFINITE] = math.inf
                demand = exact
            scaled = demand * self.denominator
            return np.where(strict, scaled < have, scaled <= have).astype(bool)
        # For whole numbers q and den: q*den <= n iff q <= floor(n/den), and
        # q*den < n iff q <= ceil(n/den) - 1; the product itself could overflow.
        most = np.where(strict, -(-have // self.denominator) - 1, have // self.denominator)
        return np.asarray((demand <= most) & (demand < INFINITE))

    @cached_property
    def rounded_down(self) -> npt.NDArray[np.float64]:
        """The budgets as floats, none above its exact value."""
        if self.numerator.dtype == object:
            distinct: dict[Any, float] = dict.fromkeys(self.numerator, 0.0)
            for n in distinct:
                distinct[n] = float_down(n * self.unit / self.denominator)
            return np.array([distinct[n] for n in self.numerator], dtype=np.float64)
        numbers, place = np.unique(self.numerator, return_inverse=True)
        scale = self.unit / self.denominator
        floats = np.array([float_down(int(n) * scale) for n in numbers], dtype=np.float64)
        return np.asarray(floats[place])

    def take(self, rows: npt.NDArray[Any]) -> RemainingBudget:
        """The budgets of some rows."""
        return RemainingBudget(self.numerator[rows], self.denominator, self.unit)


def float_down(number: Fraction) -> float:
    """The largest float that is not above `number`.

    >>> float_down(Fraction(1, 10)) <= Fraction(1, 10)
    True
    """
    nearest = float(number)
    return nearest if Fraction(nearest) <= number else math.nextafter(nearest, -math.inf)


def float_up(number: Fraction) -> float:
    """The smallest float that is not below `number`."""
    return -float_down(-number)
