"""aliased and late-violation: two readings of InferenceGuard that are false, as models."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from ig_theory.cmdp import LatentMDP
from simulators.latent.assembly import Move, Table, assemble, move
from simulators.parameters import Rational, positive, proportion, whole, yes_no


def aliased(length: int = 1, *, exact: bool = False) -> LatentMDP:
    """A latent that hides which choice is free (THEORY T2.aliasing).

    At each of `length` steps one is in the left or the right room, with probability 1/2 each.
    In the left room choice ``a`` is free and ``b`` costs 1, in the right room the reverse; the
    free choice pays nothing, the other pays 1. Both rooms have the same latent
    ``(1, progress)``, and the base policy is uniform.

    Parameters
    ----------
    length : int
        Number of steps, at least 1.
    exact : bool
        Fractions instead of floats.

    Returns
    -------
    LatentMDP
        S = 2 length + 1.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Notes
    -----
    With n steps to go (gamma = 1 unless said):

    * minimal budget ``D = 0`` everywhere: each room is safe with d = 0, any gamma;
    * a guard that reads latent, budget and time but not the state violates d = 0 with
      probability ``1 - 2^-n``, whatever it does: each step it errs with probability 1/2;
    * a guard of the latent alone needs the robust demand
      ``D_rob = 1 + gamma + ... + gamma^(n-1)``;
    * ``V = min(n, floor(z))`` and ``W = -log P(Binomial(n, 1/2) <= z)``; ``n log 2`` for d = 0.

    Examples
    --------
    >>> model = aliased()
    >>> bool((model.latent[0] == model.latent[1]).all()), model.cost[0, :4].tolist()
    (True, [0, 1, 1, 0])
    """
    length = whole("length", length, low=1)
    half = Fraction(1, 2)
    moves: dict[str, list[Move]] = {}
    latent: dict[str, tuple[float, float]] = {}
    for i in range(length):
        last = i + 1 == length
        onward = {"end": Fraction(1)} if last else {f"left {i + 1}": half, f"right {i + 1}": half}
        free, dear = Fraction(0), Fraction(1)
        moves[f"left {i}"] = [Move("a", 0, free, onward), Move("b", 1, dear, onward)]
        moves[f"right {i}"] = [Move("a", 1, dear, onward), Move("b", 0, free, onward)]
        latent |= {f"{side} {i}": (1.0, i / length) for side in ("left", "right")}
    table = Table(
        moves={**moves, "end": []},
        latent={**latent, "end": (1.0, 1.0)},
        readout={"a": (0.0, 0.0), "b": (0.0, 0.0)},
        initial={"left 0": half, "right 0": half},
    )
    return assemble(table, yes_no("exact", exact))


def late_violation(
    delay: int = 0, *, reward_discount: Rational = "9/10", exact: bool = False
) -> LatentMDP:
    """No finite penalty is enough for all budgets (THEORY T1.no-threshold).

    In ``q``, choice ``a`` leads to a sink and pays nothing; ``b`` pays 1 and leads, over
    `delay` free states, to ``s1``, where every step costs 1, for ever, and pays nothing. It is
    meant for a cost discount gamma equal to `reward_discount`. Latents are
    ``(asked, spending, progress)``; the base policy is uniform.

    Parameters
    ----------
    delay : int
        Free states between ``q`` and ``s1``, at least 0.
    reward_discount : rational in (0, 1)
    exact : bool
        Fractions instead of floats.

    Returns
    -------
    LatentMDP
        S = delay + 3. The only runs that end are those that choose ``a``.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Notes
    -----
    * minimal budget ``D(q) = 0``, ``D(s1) = 1 / (1 - gamma)``; ``b`` is safe iff
      ``z >= gamma^(delay+1) / (1 - gamma)``, which is 9 for gamma = 9/10 and no delay; for
      gamma = 1, ``D(s1)`` is infinite and ``b`` never safe;
    * ``V(q, z)`` is 1 if b is safe, else 0; ``W(q, z)`` is 0 or log 2;
    * InferenceGuard's penalty of n per step from the violation on prefers ``b`` in ``q`` at
      budget `late_budget` (n), and then violates with probability 1 at `violation_time`. A
      larger n mends that budget, not those still closer to 9.

    Examples
    --------
    >>> z = late_budget(10)
    >>> f"{float(z):.3f}", violation_time(z)
    ('8.892', 44)
    """
    delay = whole("delay", delay, low=0)
    path = ["q", *(f"wait {i}" for i in range(1, delay + 1)), "s1"]
    moves: dict[str, list[Move]] = {"q": [move("a", "sink"), move("b", path[1], reward=1)]}
    for here, there in pairwise(path[1:]):
        moves[here] = [move("wait", there)]
    latent = {name: (float(i == 0), 0.0, i / (delay + 1)) for i, name in enumerate(path)}
    table = Table(
        moves={**moves, "s1": [move("pay", "s1", cost=1)], "sink": []},
        latent={**latent, "s1": (0.0, 1.0, 1.0), "sink": (0.0, 0.0, 0.0)},
        readout=dict.fromkeys(("a", "b", "wait", "pay"), (0.0, 0.0, 0.0)),
        initial={"q": Fraction(1)},
        reward_discount=proportion("reward_discount", reward_discount),
    )
    return assemble(table, yes_no("exact", exact))


def late_budget(penalty: Rational, discount: Rational = "9/10") -> Fraction:
    """A budget at which the penalty is too small in ``late_violation()`` (THEORY T1.no-threshold).

    With ``z = gamma + ... + gamma^m``, choosing ``b`` violates first at ``t = m + 2``, so its
    value in the penalty MDP is ``1 - n gamma^(m+2) / (1 - gamma)``; m >= 1 is the least for
    which that is positive, which makes ``b`` better than ``a`` although it is unsafe.

    Parameters
    ----------
    penalty : positive rational
        The n of InferenceGuard.
    discount : rational in (0, 1)
        gamma, of costs and of rewards.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Examples
    --------
    >>> late_budget(1, "1/2")
    Fraction(1, 2)
    """
    n, gamma = positive("penalty", penalty), proportion("discount", discount)
    budget, m = gamma, 1
    while n * gamma ** (m + 2) >= 1 - gamma:
        m += 1
        budget += gamma**m
    return budget


def violation_time(budget: Rational, discount: Rational = "9/10") -> int | None:
    """The first t with ``z_t < 0`` when ``b`` is chosen in ``late_violation()``; None if never.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Examples
    --------
    >>> violation_time(9), violation_time("1/2")
    (None, 2)
    """
    gamma = proportion("discount", discount)
    z = positive("budget", budget) / gamma
    if z * (1 - gamma) >= 1:
        return None
    time = 1
    while z >= 0:
        z = (z - 1) / gamma
        time += 1
    return time
