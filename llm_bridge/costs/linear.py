"""Logistic regression, folds that keep groups whole, and how good scores are.

Small enough to need no further package; the tests compare it with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from ig_theory.errors import ModelError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Logistic:
    """A probability ``1 / (1 + exp(-(weight · x + bias)))``.

    Attributes
    ----------
    weight : float64[D]
    bias : float
    """

    weight: Array
    bias: float

    def logits(self, features: NDArray[np.floating]) -> Array:
        """``weight · x + bias`` for each row, float64[N], each row by itself."""
        # einsum, not a matrix product: the result must not depend on how many rows there are.
        rows = np.ascontiguousarray(features, dtype=np.float64)
        products: Array = np.einsum("nd,d->n", rows, self.weight)
        return products + self.bias

    def __call__(self, features: NDArray[np.floating]) -> Array:
        """Probabilities, float64[N]."""
        out: Array = expit(self.logits(features))
        return out


def fit_logistic(
    features: NDArray[np.floating], targets: NDArray[np.floating], penalty: float
) -> Logistic:
    """The penalised maximum-likelihood fit, on features scaled to mean 0 and deviation 1.

    Minimises the mean cross-entropy plus ``penalty / 2 * |w|²``, w being the weights of scaled
    features; a strictly convex problem, so the result depends on the data only.

    Parameters
    ----------
    features : float[N, D]
    targets : float[N]
        In [0, 1]; soft targets are allowed.

    Raises
    ------
    ModelError
        If something is not finite, or all targets are the same.
    """
    x, y = features.astype(np.float64), targets.astype(np.float64)
    if not np.isfinite(x).all() or len(x) != len(y) or y.min(initial=1) == y.max(initial=0):
        raise ModelError.at(
            "training data", "finite features, a target for each, and targets that differ",
            f"{x.shape} features, {y.shape} targets", "add rows of both kinds",
        )  # fmt: skip
    mean, scale = x.mean(0), x.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    z = (x - mean) / scale

    def loss(w: Array) -> tuple[float, Array]:
        t = z @ w[:-1] + w[-1]
        gap = (expit(t) - y) / len(y)
        slope = np.append(z.T @ gap + penalty * w[:-1], gap.sum())
        value = float(np.mean(np.logaddexp(0, t) - y * t)) + penalty / 2 * float(w[:-1] @ w[:-1])
        return value, slope

    start = np.zeros(z.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x
    weight = found[:-1] / scale
    return Logistic(weight, float(found[-1] - weight @ mean))


def grouped_folds(groups: Sequence[int], folds: int, seed: int = 0) -> NDArray[np.int64]:
    """A fold for each row, int64[N]: no group is cut, and the sizes are as even as that allows.

    The groups come in random order, the largest first, each into the smallest fold.
    """
    rng = np.random.default_rng(seed)
    names, sizes = np.unique(np.asarray(groups), return_counts=True)
    if len(names) < folds:
        raise ModelError.at(
            "groups", f"at least {folds}", len(names), "give more rows, or ask for fewer folds"
        )
    order = rng.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, of_group = np.zeros(folds, dtype=np.int64), {}
    for i in order:
        fold = int(filled.argmin())
        filled[fold] += sizes[i]
        of_group[int(names[i])] = fold
    return np.array([of_group[int(g)] for g in groups], dtype=np.int64)


def out_of_fold(
    features: NDArray[np.floating],
    targets: NDArray[np.floating],
    folds: NDArray[np.int64],
    penalty: float,
) -> list[Logistic]:
    """For each fold the fit to the rows of all others."""
    return [
        fit_logistic(features[folds != fold], targets[folds != fold], penalty)
        for fold in range(int(folds.max()) + 1)
    ]


def auc(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """The chance that a row with the label scores above one without; ties count half.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    high, low = int(labels.sum()), int((~labels).sum())
    if not high or not low:
        raise ModelError.at("labels", "both kinds", f"{high} and {low}", "add the missing kind")
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - high * (high + 1) / 2) / (high * low))


def reliability(
    scores: NDArray[np.floating], targets: NDArray[np.floating], bins: int = 10
) -> list[dict[str, float]]:
    """Rows by score in bins of equal width: their number, mean score and mean target."""
    at = np.minimum((scores * bins).astype(np.int64), bins - 1)
    return [
        {
            "from": b / bins,
            "rows": int((at == b).sum()),
            "score": round(float(scores[at == b].mean()), 4),
            "target": round(float(targets[at == b].mean()), 4),
        }
        for b in range(bins)
        if (at == b).any()
    ]
