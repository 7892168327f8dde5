"""Expected totals of small chains by dense elimination, for many transition models at once."""

from __future__ import annotations

import numpy as np

from ig_theory.augmentation import RUNNING, Product
from ig_theory.chain import ROUNDING, Totals
from ig_theory.cmdp import Floats

LARGEST = 80
"""Running nodes up to which many models at once are eliminated faster than swept one by one."""

_CHUNK = 4_000_000


def direct_totals(
    product: Product, constant: Floats, beta: float, weight: Floats, prob: Floats
) -> Totals:
    """Solve ``x = constant + beta P x`` for E transition models on the same branches.

    The bounds are those of `chain.evaluate`: with ``w >= 0`` and ``w - beta P w >= 1/2`` on every
    running node, which is checked, a residual of ``e`` bounds the error by ``2 e w``.

    Parameters
    ----------
    product : Product
        Without endless classes if ``beta = 1``; meant for at most `LARGEST` running nodes.
    constant : float64[N, R]
        What each node earns at once; leaves earn 0.
    weight : float64[M]
        The policy.
    prob : float64[E, B]
        Probabilities of the model's branches, one row per transition model.

    Returns
    -------
    Totals
        Arrays [E, N, R]; not certified (infinite bounds) where the check failed. Time
        O(E N^3).

    Examples
    --------
    >>> from ig_theory.augmentation import explore
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.constraint import BudgetConstraint
    >>> model = from_dict({"s": {"go": (0, 0, {"s": 0.5, "t": 0.5})}}, initial="s")
    >>> product = explore(model, BudgetConstraint(0))
    >>> prob = np.array([[0.5, 0.5, 1.0], [0.75, 0.25, 1.0]])
    >>> found = direct_totals(product, np.array([[1.0], [0.0]]), 1.0, np.ones(1), prob)
    >>> found.upper[:, 0, 0].round(9).tolist()
    [2.0, 4.0]
    """
    inner = np.flatnonzero(product.outcome == RUNNING)
    size, members = len(inner), len(prob)
    out = np.zeros((2, members, *constant.shape))
    right = np.hstack([constant[inner], np.ones((size, 1))])
    place = np.full(len(product), -1)
    place[inner] = np.arange(size)
    sizes = np.diff(product.branch_ptr)
    choice = np.repeat(np.arange(len(product.choice)), sizes)
    number = product.branch
    target = place[product.branch_node]
    inside = (target >= 0) & (weight[choice] > 0)
    cell = place[product.choice_node[choice]] * size + target
    cell, number, mass = cell[inside], number[inside], beta * weight[choice][inside]
    worst, certified = 0.0, True
    step = max(_CHUNK // max(size * size, 1), 1)
    for low in range(0, members, step):
        part = prob[low : low + step]
        entry = np.arange(len(part))[:, None] * size * size + cell
        flat = np.bincount(
            entry.ravel(), weights=(mass * part[:, number]).ravel(), minlength=len(part) * size**2
        )
        matrix: Floats = -flat.astype(np.float64).reshape(len(part), size, size)
        matrix[:, np.arange(size), np.arange(size)] += 1.0
        value, margin, residual, sound = _enclosed(matrix, right)
        out[0][low : low + step, inner] = value - margin
        out[1][low : low + step, inner] = value + margin
        worst, certified = max(worst, residual), certified and sound
    return Totals(out[0], out[1], certified, worst)


def _enclosed(matrix: Floats, right: Floats) -> tuple[Floats, Floats, float, bool]:
    """Solutions [E, n, R], margins of error, the largest residual, and whether they hold."""
    size = matrix.shape[-1]
    try:
        x: Floats = np.asarray(
            np.linalg.solve(matrix, np.broadcast_to(right, (len(matrix), *right.shape))),
            dtype=np.float64,
        )
    except np.linalg.LinAlgError:
        x = np.full((len(matrix), *right.shape), np.inf)
    with np.errstate(invalid="ignore", over="ignore"):
        image = matrix @ x
        value, time = x[..., :-1], x[..., -1]
        scale = np.abs(value).max(axis=1, initial=0.0) + np.abs(right[:, :-1]).max(
            axis=0, initial=0.0
        )
        off = np.abs(right[:, :-1] - image[..., :-1]).max(axis=1, initial=0.0)
        residual = off + ROUNDING * (size + 4) * scale
        slip = ROUNDING * (size + 4) * np.abs(time).max(initial=0.0)
        sound = np.isfinite(x).all() and (time >= 0).all() and (image[..., -1] - slip >= 0.5).all()
        if not sound:
            zero = np.zeros_like(value)
            return zero, np.full_like(value, np.inf), float("inf"), False
        margin: Floats = np.asarray(2 * residual[:, None, :] * (time * (1 + 1e-9))[..., None])
    return value, margin, float(residual.max(initial=0.0)), True
