"""What is known of transition probabilities: an ensemble of them, and how pessimistic to be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ig_theory.chain import ROUNDING
from ig_theory.cmdp import ConstrainedMDP, Floats
from ig_theory.errors import SolverError
from ig_theory.verdict import Bounds


class Pessimism(Protocol):
    """A pessimistic number of a sample of costs, along the first axis."""

    def of(self, costs: Floats) -> Floats:
        """The number that is kept within the budget."""
        ...  # pragma: no cover

    def bounds(self, lower: Floats, upper: Floats) -> Bounds:
        """What `of` can be for any sample between `lower` and `upper`, float64[E] each."""
        ...  # pragma: no cover

    def least(self, lower: Floats) -> float:
        """No more than `of` any sample that is at least `lower`, member by member."""
        ...  # pragma: no cover


@dataclass(frozen=True)
class Quantile:
    """The least number that at least a share `confidence` of the members do not exceed.

    Examples
    --------
    >>> float(Quantile(0.75).of(np.array([3.0, 1.0, 2.0, 9.0])))
    3.0
    """

    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.confidence <= 1:
            raise SolverError.at(
                "confidence", "a number in (0, 1]", self.confidence, "0.95 is usual"
            )

    def of(self, costs: Floats) -> Floats:
        """The order statistic."""
        place = math.ceil(self.confidence * len(costs) - 1e-9) - 1
        return np.asarray(np.sort(costs, axis=0)[max(place, 0)])

    def bounds(self, lower: Floats, upper: Floats) -> Bounds:
        """Order statistics grow with each member, and round nothing."""
        return Bounds(float(self.of(lower)), float(self.of(upper)))

    def least(self, lower: Floats) -> float:
        """The order statistic."""
        return float(self.of(lower))


@dataclass(frozen=True)
class Deviations:
    """The mean plus `kappa` standard deviations (over the members, without correction).

    Examples
    --------
    >>> float(Deviations(2).of(np.array([1.0, 3.0])))
    4.0
    """

    kappa: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.kappa < math.inf:
            raise SolverError.at("kappa", "a finite number >= 0", self.kappa, "2 is usual")

    def of(self, costs: Floats) -> Floats:
        """``mean + kappa sigma``."""
        return np.asarray(costs.mean(axis=0) + self.kappa * costs.std(axis=0))

    def bounds(self, lower: Floats, upper: Floats) -> Bounds:
        """Neither the mean nor sigma moves by more than the farthest member does."""
        if not np.isfinite(upper - lower).all():
            return Bounds(-math.inf, math.inf)
        middle = (lower + upper) / 2
        off = float(np.maximum(upper - middle, middle - lower).max())
        off += ROUNDING * (len(middle) + 8) * float(np.abs(middle).max())
        number, slip = float(self.of(middle)), (1 + self.kappa) * off
        return Bounds(number - slip, number + slip)

    def least(self, lower: Floats) -> float:
        """The mean alone grows with each member."""
        return float(lower.mean()) - ROUNDING * (len(lower) + 8) * float(np.abs(lower).max())


def dirichlet_ensemble(
    model: ConstrainedMDP,
    counts: npt.ArrayLike,
    members: int,
    rng: np.random.Generator,
    *,
    prior: float = 0.5,
) -> Floats:
    """Draw branch probabilities from the Dirichlet posterior of every choice.

    Parameters
    ----------
    model
        Only its branches are used, not their probabilities: which successors are possible is
        taken as known.
    counts : int[B]
        How often each branch was seen.
    members : int
        Ensemble size E, at least 1.
    rng
    prior
        Pseudo-count of every branch, positive; 1/2 is Jeffreys' prior.

    Returns
    -------
    float64[E, B]
        Positive; each choice's branches total 1 in every row.

    Raises
    ------
    SolverError
        If the counts do not fit the model, or a parameter is out of range.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"go": (1, 1, {"s": 0.5, "t": 0.5})}}, initial="s")
    >>> drawn = dirichlet_ensemble(model, [300, 700, 0], 100, np.random.default_rng(0))
    >>> drawn.mean(axis=0).round(2).tolist()
    [0.3, 0.7, 1.0]
    """
    seen = np.asarray(counts)
    if seen.shape != (model.B,) or seen.dtype.kind not in "iuf" or not (seen >= 0).all():
        raise SolverError.at(
            "counts", f"{model.B} numbers >= 0, one per branch", f"shape {seen.shape}: {seen}",
            "count how often each branch was seen",
        )  # fmt: skip
    if members < 1 or not 0 < prior < math.inf:
        raise SolverError.at(
            "ensemble", "members >= 1 and a positive prior", f"{members} and {prior}",
            "take 200 members and prior 0.5, say",
        )  # fmt: skip
    drawn = rng.standard_gamma(seen + prior, size=(members, model.B))
    drawn = np.maximum(drawn, np.finfo(float).tiny)  # small shapes underflow
    total = np.add.reduceat(drawn, model.branch_ptr[:-1], axis=1)
    return np.asarray(np.maximum(drawn / total[:, model.branch_choice], np.finfo(float).tiny))


def checked(model: ConstrainedMDP, ensemble: npt.ArrayLike) -> Floats:
    """An ensemble as float64[E, B], every choice scaled to total 1, zeros made barely positive.

    Raises
    ------
    SolverError
        If it is no set of transition probabilities of the model.
    """
    rows = np.asarray(ensemble, dtype=np.float64)
    good = rows.ndim == 2 and rows.shape[1:] == (model.B,) and len(rows) > 0
    total = np.add.reduceat(rows, model.branch_ptr[:-1], axis=1) if good else np.zeros(1)
    if not (good and (rows >= 0).all() and (np.abs(total - 1) <= 1e-9).all()):
        raise SolverError.at(
            "ensemble", f"shape (members, {model.B}), each choice's branches of total 1",
            f"shape {rows.shape}, totals {total.min()} to {total.max()}",
            "give one row of branch probabilities per member",
        )  # fmt: skip
    return np.asarray(np.maximum(rows / total[:, model.branch_choice], np.finfo(float).tiny))
