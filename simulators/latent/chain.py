"""latent-chain: spend or save, step by step; everything about it is a binomial sum."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

from ig_theory.cmdp import LatentMDP
from ig_theory.validation import LARGEST_COST
from simulators.latent.assembly import Move, Table, assemble, move
from simulators.parameters import Rational, positive, proportion, whole, yes_no


def latent_chain(
    length: int = 5,
    *,
    toll: int = 0,
    spend: Rational = "1/2",
    unit: Rational = 1,
    exact: bool = False,
) -> LatentMDP:
    """A chain of `length` steps, each with the choices ``spend`` and ``save``.

    Both cost `toll` units; spending costs one unit more and pays reward 1. Latents are
    ``(1, progress)``; the readout makes the base policy spend with probability `spend`.

    Parameters
    ----------
    length : int
        Number of steps, at least 1.
    toll : int
        Units that every step costs whatever is chosen, at least 0.
    spend : rational in (0, 1)
        The base policy's probability of spending, up to float rounding; 1/2 is exact.
    unit : positive rational
        One unit of cost: ``latent_chain(3, unit="1/10")`` has three costs of 1/10.
    exact : bool
        Fractions instead of floats.

    Returns
    -------
    LatentMDP
        S = length + 1, C = 2 length + 1, B = C.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Notes
    -----
    With n steps to go, budget z, ``k = floor(z / unit) - n toll`` spendable units, p = `spend`,
    ``F(n, k) = P(Binomial(n, p) <= k)`` (0 for k < 0), and for gamma = 1 unless said:

    * minimal budget ``D = toll unit (1 + gamma + ... + gamma^(n-1))``, every gamma;
    * optimal safe value ``V = min(n, k)``;
    * P(the base never violates) ``= F(n, k)``, so ``W = -log F(n, k)`` (THEORY T5.limit);
    * the least-intrusive guard spends with probability ``p F(n-1, k-1) / F(n, k)``; the
      shield spends with probability p while k > 0.

    Examples
    --------
    With budget 1, the runs that spend at most once are safe: 6 of 32.

    >>> latent_chain(5).S, safe_share(5, 1)
    (6, Fraction(3, 16))
    """
    length = whole("length", length, low=1)
    toll = whole("toll", toll, low=0, high=LARGEST_COST - 1)
    chance = proportion("spend", spend)
    names = [f"step {i}" for i in range(length)] + ["end"]
    moves: dict[str, list[Move]] = {
        here: [move("spend", there, toll + 1, 1), move("save", there, toll)]
        for here, there in pairwise(names)
    }
    log_odds = math.log(chance.numerator) - math.log(chance.denominator - chance.numerator)
    table = Table(
        moves={**moves, "end": []},
        latent={name: (1.0, i / length) for i, name in enumerate(names)},
        readout={"spend": (log_odds, 0.0), "save": (0.0, 0.0)},
        initial={names[0]: Fraction(1)},
        cost_unit=positive("unit", unit),
    )
    return assemble(table, yes_no("exact", exact))


def safe_share(steps: int, spendable: int, spend: Rational = "1/2") -> Fraction:
    """``F(n, k)``: the share of base runs of n steps that spend at most k units.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Examples
    --------
    >>> safe_share(3, 1), safe_share(3, -1)
    (Fraction(1, 2), Fraction(0, 1))
    """
    n, p = whole("steps", steps, low=0), proportion("spend", spend)
    terms = (math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(min(n, spendable) + 1))
    return sum(terms, Fraction(0))
