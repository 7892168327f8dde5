"""A learned critic against the exact f1 and f2 of a tree: errors, calibration, wrong decisions.

Means are weighted by how often the base model comes by; the worst case is over all pairs. A
small mean error says nothing about the worst case, and it is the worst case that decides
whether a filter can be passed by a response that violates (see `filtered_violation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ig_theory.augmentation import BROKEN, KEPT
from ig_theory.cmdp import LatentMDP
from ig_theory.errors import ModelError
from llm_bridge.critic.exact import ExactCritic, violation

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
THRESHOLD = 0.5
"""InferenceGuard takes a prefix as safe above it."""


class Judge(Protocol):
    """A critic, or anything that answers like one."""

    def __call__(self, hidden: Any, budget: Any, time: Any) -> tuple[Floats, Floats]:
        """f1 and f2, float64[N] each."""
        ...


@dataclass(frozen=True)
class Errors:
    """How far one head is off.

    Attributes
    ----------
    mean, rms : float
        Weighted by reachability.
    plain_mean : float
        Each pair counts alike.
    largest : float
    rank : float
        Spearman's rank correlation over all pairs; NaN where one side is constant.
    worst : str
        The pair with the largest error, for people.
    """

    mean: float
    rms: float
    plain_mean: float
    largest: float
    rank: float
    worst: str


@dataclass(frozen=True)
class Bin:
    """One row of a reliability table: predictions of f1 from ``low`` to ``high``."""

    low: float
    high: float
    mass: float
    predicted: float
    exact: float


@dataclass(frozen=True)
class Comparison:
    """A critic against the truth, on M pairs of node and budget.

    Attributes
    ----------
    pairs : int
    f1, f2 : Errors
        f2 only where some response keeps the budget.
    reliability : tuple of Bin
    brier, least_brier : float
        Expected squared error of f1 against what happens, and that of the exact f1: what is
        left is chance.
    calibration_error : float
        ECE: the mean over bins of ``|predicted - exact|``.
    false_safe, false_unsafe : float
        Share of the reached mass that is judged safe though f1 <= threshold, and conversely.
    doomed_safe : float
        Share of the mass judged safe where no response keeps the budget at all.
    """

    pairs: int
    f1: Errors
    f2: Errors
    reliability: tuple[Bin, ...]
    brier: float
    least_brier: float
    calibration_error: float
    false_safe: float
    false_unsafe: float
    doomed_safe: float

    def __str__(self) -> str:
        lines = [
            f"{self.pairs} pairs of node and budget",
            *(
                f"{name}: mean error {e.mean:.4g} (unweighted {e.plain_mean:.4g}), "
                f"rms {e.rms:.4g}, rank correlation {e.rank:.4f}, largest {e.largest:.4g} "
                f"at {e.worst}"
                for name, e in (("f1", self.f1), ("f2", self.f2))
            ),
            f"Brier {self.brier:.5g} (chance alone {self.least_brier:.5g}), "
            f"calibration error {self.calibration_error:.4g}",
            f"decision: {self.false_safe:.4g} falsely safe ({self.doomed_safe:.4g} beyond rescue), "
            f"{self.false_unsafe:.4g} falsely unsafe",
            *(
                f"  {b.low:.1f} to {b.high:.1f}: predicted {b.predicted:.3f}, exact {b.exact:.3f}, "
                f"mass {b.mass:.4g}"
                for b in self.reliability
            ),
        ]
        return "\n".join(lines)


def compare(
    critic: Judge, exact: ExactCritic, *, threshold: float = THRESHOLD, bins: int = 10
) -> Comparison:
    """Ask a critic about every pair of a tree.

    Raises
    ------
    ModelError
        If the critic answers with a wrong shape, or with numbers that are not finite.
    """
    f1, f2 = _asked(critic, exact)
    weight = exact.mass / exact.mass.sum()
    some = np.flatnonzero(exact.f1 > 0)
    safe, true = f1 > threshold, exact.f1 > threshold
    table = reliability(f1, exact.f1, weight, bins)
    return Comparison(
        pairs=len(exact),
        f1=_errors(f1, exact.f1, weight, exact, np.arange(len(exact))),
        f2=_errors(f2[some], exact.f2[some], (weight * exact.f1)[some], exact, some),
        reliability=table,
        brier=float(weight @ (exact.f1 * (1 - f1) ** 2 + (1 - exact.f1) * f1**2)),
        least_brier=float(weight @ (exact.f1 * (1 - exact.f1))),
        calibration_error=sum(b.mass * abs(b.predicted - b.exact) for b in table),
        false_safe=float(weight[safe & ~true].sum()),
        false_unsafe=float(weight[~safe & true].sum()),
        doomed_safe=float(weight[safe & (exact.f1 == 0)].sum()),
    )


def reliability(
    predicted: Floats, exact: Floats, weight: Floats, bins: int = 10
) -> tuple[Bin, ...]:
    """Mean prediction and truth in equally wide bins of the prediction; empty ones left out."""
    place = np.minimum((predicted * bins).astype(np.int64), bins - 1)
    mass = np.bincount(place, weights=weight, minlength=bins)
    said = np.bincount(place, weights=weight * predicted, minlength=bins)
    true = np.bincount(place, weights=weight * exact, minlength=bins)
    return tuple(
        Bin(i / bins, (i + 1) / bins, float(mass[i]), float(said[i] / mass[i]),
            float(true[i] / mass[i]))
        for i in np.flatnonzero(mass > 0).tolist()
    )  # fmt: skip


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation, ties sharing their mean rank; NaN if one side is constant.

    Examples
    --------
    >>> spearman(np.array([0.1, 0.5, 0.9]), np.array([1.0, 4.0, 9.0]))
    1.0
    """
    ranks = []
    for values in (a, b):
        _, place, count = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(count) - (count + 1) / 2)[place])
    x, y = (r - r.mean() for r in ranks)
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else float("nan")


def filtered_violation(
    critic: Judge, exact: ExactCritic, threshold: float = THRESHOLD
) -> tuple[float, float]:
    """P(violate) of a filter that lets a token pass where f1 after it is above a threshold.

    Tokens that end the response are judged by their budget, exactly; if no token passes, the
    filter takes the one with the largest f1 (the published procedure leaves that open). What
    passes keeps its base proportions.

    A critic is a fit to conditional means: its error may be small on average and the filter
    still violates with positive probability, because what it lets through at a node that is
    misjudged cannot be taken back.

    Returns
    -------
    violate, base : float
        Exact up to rounding, of the filter and of the base model; 0.0 only if nothing can.
    """
    product = exact.product
    score = np.zeros(len(product))
    score[product.outcome == KEPT], score[product.outcome == BROKEN] = 1.0, 0.0
    score[exact.node] = _asked(critic, exact)[0]
    owner = np.repeat(np.arange(len(product.choice)), np.diff(product.branch_ptr))
    share = product.prob[product.branch] * score[product.branch_node]
    of_choice = np.bincount(owner, weights=share, minlength=len(product.choice))
    best = np.full(len(product), -1.0)
    np.maximum.at(best, product.choice_node, of_choice)
    top = best[product.choice_node]
    weight = product.base * np.where(top > threshold, of_choice > threshold, of_choice == top)
    weight = weight / product.at_nodes(weight)[product.choice_node]
    return violation(product, weight), violation(product, product.base)


def _asked(critic: Judge, exact: ExactCritic) -> tuple[Floats, Floats]:
    f1, f2 = (
        np.asarray(v, dtype=np.float64) for v in critic(exact.hidden, exact.budget, exact.time)
    )
    for name, value in (("f1", f1), ("f2", f2)):
        if value.shape != (len(exact),) or not np.isfinite(value).all():
            raise ModelError.at(
                name, f"{len(exact)} finite numbers", f"shape {value.shape}, or not finite",
                "repair the critic",
            )  # fmt: skip
    if len(f1) and (f1.min() < 0 or f1.max() > 1):
        raise ModelError.at("f1", "probabilities", f"{f1.min()}..{f1.max()}", "repair the critic")
    return f1, f2


def _errors(said: Floats, true: Floats, weight: Floats, exact: ExactCritic, at: Ints) -> Errors:
    if not len(at) or not weight.sum() > 0:
        raise ModelError.at(
            "tree", "pairs from which some response keeps the budget", "none", "raise the budget"
        )
    off, share = np.abs(said - true), weight / weight.sum()
    worst = int(off.argmax())
    pair = int(at[worst])
    model: LatentMDP = exact.product.model  # type: ignore[assignment]
    where = (
        f"{model.state_name(int(exact.state[pair]))!r} with z = "
        f"{exact.product.budgets(int(exact.node[pair]))[0]}, time {exact.time[pair]} "
        f"(reached with {exact.mass[pair]:.3g}): {said[worst]:.4g}, exactly {true[worst]:.4g}"
    )
    return Errors(
        mean=float(share @ off), rms=float(np.sqrt(share @ off**2)), plain_mean=float(off.mean()),
        largest=float(off[worst]), rank=spearman(said, true), worst=where,
    )  # fmt: skip
