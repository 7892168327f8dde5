"""Identities between expressions, with every letter symbolic: the algebra inside the proofs.

Each function simplifies the difference of two expressions to 0 and says what that shows. The
formula that could be wrong is an argument, so that a test can plant a wrong one. No induction
over time is checked here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proofs_check.claim import Finding, Status

Expr = Any
"""A sympy expression."""

Formula = Callable[..., Expr]


def budget_identity(tracker: Formula = lambda z, c, g: (z - c) / g) -> Finding:
    """One step of ``gamma^t z_t = d - S_t`` for symbolic t, gamma, d, S_t and c_t (L1.identity).

    Parameters
    ----------
    tracker : ``(z, c, gamma) -> z'``

    Returns
    -------
    Finding

    Raises
    ------
    AssertionError
        If the identity does not hold; so do all functions of this file.

    Examples
    --------
    >>> budget_identity().status
    <Status.HOLDS: 'holds'>
    """
    s = _Symbols()
    z = (s.d - s.S) / s.g**s.t
    after = (s.d - (s.S + s.g**s.t * s.c)) / s.g ** (s.t + 1)
    return _equal(
        "z_0 = d, and z_t = (d - S_t)/gamma^t gives z_{t+1} = (d - S_{t+1})/gamma^{t+1}",
        (tracker(z, s.c, s.g), after),
        (z.subs({s.t: 0, s.S: 0}), s.d),
    )


def open_boundary(budget: Formula = lambda g: 1 / (1 - g)) -> Finding:
    """Costs of 1 for ever spend a budget of 1/(1-gamma) in the limit, and z stays (L1.open)."""
    import sympy

    s = _Symbols()
    d, gamma = budget(s.g), sympy.Symbol("gamma_", positive=True)
    below_one = gamma / (1 + gamma)  # any number in (0, 1)
    spent = sympy.limit((1 - below_one**s.t) / (1 - below_one), s.t, sympy.oo)
    return _equal(
        "c = 1, d = 1/(1-gamma): z' = (d - 1)/gamma = d, while S_t -> d",
        ((d - 1) / s.g, d),
        (spent, d.subs(s.g, below_one)),
    )


def clip_level(level: Formula = lambda c, g: c / (1 - g)) -> Finding:
    """``m = c_max/(1-gamma)`` is where paying c_max for ever leaves z unchanged (L1.clip)."""
    s = _Symbols()
    m = level(s.c, s.g)
    return _equal("m = c_max/(1-gamma): (m - c_max)/gamma = m", ((m - s.c) / s.g, m))


def path_gap(gap: Formula = lambda h, g, t: h * (1 - g ** (t + 1)) / (1 - g)) -> Finding:
    """The closed form of ``h (1 + gamma + .. + gamma^t)`` and its step (T3.path)."""
    import sympy

    s = _Symbols()
    now = gap(s.h, s.g, s.t)
    at_ten = sympy.limit(now.subs(s.t, 10), s.g, 1)
    return _equal(
        "h(1-gamma^{t+1})/(1-gamma) starts at h, grows by h gamma^{t+1}; at gamma=1, t=10: 11 h",
        (gap(s.h, s.g, 0), s.h),
        (gap(s.h, s.g, s.t + 1), now + s.h * s.g ** (s.t + 1)),
        (at_ten, 11 * s.h),
    )


def rounding_reserve(reserve: Formula = lambda h, g: g * h / (1 - g)) -> Finding:
    """``e = gamma h/(1-gamma)`` pays for rounding down once in every step (T3.gap)."""
    s = _Symbols()
    e = reserve(s.h, s.g)
    return _equal("e = gamma h/(1-gamma): gamma h + gamma e = e", (s.g * s.h + s.g * e, e))


def cost_error_reserve(reserve: Formula = lambda e, g: e / (1 - g)) -> Finding:
    """``eps/(1-gamma)`` pays for an error of eps in every cost (T2.error)."""
    s = _Symbols()
    x = reserve(s.h, s.g)
    spent = s.h * (1 - s.g**s.t) / (1 - s.g)
    return _equal(
        "x = eps/(1-gamma): eps + gamma x = x; eps(1 + .. + gamma^{t-1}) + gamma^t x = x",
        (s.h + s.g * x, x),
        (spent + s.g**s.t * x, x),
    )


def penalty_family(threshold: Formula | None = None) -> Finding:
    """Where the penalty bound is attained: a chain that goes on with probability p (T1.threshold).

    With k steps to go ``A_k = R + beta (p A_{k-1} + (1-p) R G_{k-1})`` and ``A_0 = -n`` is worth
    ``R G_k - n (p beta)^k``; it is 0, what the safe choice earns, exactly at the bound.
    """
    s = _Symbols()

    def geometric(k: Expr) -> Expr:
        return (1 - s.b**k) / (1 - s.b)

    def value(k: Expr, n: Expr) -> Expr:
        return s.R * geometric(k) - n * (s.p * s.b) ** k

    rule = threshold or (lambda k: s.R * geometric(k) / (s.p * s.b) ** k)
    ahead = s.R + s.b * (s.p * value(s.t, s.n) + (1 - s.p) * s.R * geometric(s.t))
    return _equal(
        "A_k = R(1+..+beta^{k-1}) - n (p beta)^k solves its recursion; A_k = 0 at n = n*",
        (value(0, s.n), -s.n),
        (value(s.t + 1, s.n), ahead),
        (value(s.t, rule(s.t)), 0),
    )


def late_penalty(threshold: Formula = lambda R, kappa: R / kappa - R) -> Finding:
    """What a violation at time tau leaves: ``(R - (R+n) beta^tau)/(1-beta)`` (T1.late, T1.gap).

    R until tau and -n from tau on. So what is n-optimal where 0 is safe has
    ``E beta^tau <= R/(R+n)``, which a threshold of ``R/kappa - R`` turns into kappa.
    """
    s = _Symbols()
    earned = s.R * (1 - s.b**s.t) / (1 - s.b) - s.n * s.b**s.t / (1 - s.b)
    kappa = s.p
    return _equal(
        "R(1+..+beta^{tau-1}) - n(beta^tau+..) = (R-(R+n)beta^tau)/(1-beta); R/(R+n*) = kappa",
        (earned, (s.R - (s.R + s.n) * s.b**s.t) / (1 - s.b)),
        (s.R / (s.R + threshold(s.R, kappa)), kappa),
    )


def shortfall_growth(tracker: Formula = lambda z, c, g: (z - c) / g) -> Finding:
    """A shortfall D(s) - z grows by 1/gamma where the demand is met with equality (T1.gap)."""
    s = _Symbols()
    demand_after = (s.S - s.c) / s.g  # S = D(s) = c + gamma D(s')
    return _equal(
        "D(s) = c + gamma D(s') gives D(s') - z' = (D(s) - z)/gamma",
        (demand_after - tracker(s.d, s.c, s.g), (s.S - s.d) / s.g),
    )


def late_violation(budget: Formula = lambda g, t: (1 - g**t) / (1 - g)) -> Finding:
    """Why no finite penalty is enough (T1.no-threshold): for symbolic n, gamma and times.

    A budget of ``1 + gamma + .. + gamma^{t-1}`` that pays 1 a step is down to the same sum with
    one term less, and to 0 at last. What is then charged, ``n gamma^t / (1-gamma)``, tends to 0
    as t grows, so that a reward of 1 before it pays off for t large enough, whatever n is.
    """
    import sympy

    s = _Symbols()
    below_one = s.p / (1 + s.p)  # any number in (0, 1)
    charge = s.n * below_one**s.t / (1 - below_one)
    return _equal(
        "paying 1 takes the last term off 1 + .. + gamma^t; n gamma^t/(1-gamma) -> 0 for every n",
        ((budget(s.g, s.t + 1) - 1) / s.g, budget(s.g, s.t)),
        (budget(s.g, 0), 0),
        (sympy.limit(charge, s.t, sympy.oo), 0),
    )


def free_energy(share: Formula = lambda weight, total: weight / total) -> Finding:
    """The divergence that each step must have (T5.bellman), for three choices.

    With ``q`` any distribution, ``w_i = base_i exp(-W_i)`` and ``Z = sum w``:
    ``sum q_i (log(q_i/base_i) + W_i) = -log Z + KL(q || w/Z)``. The last term is >= 0, and 0 only
    at ``q = w/Z``: the minimum is -log Z.
    """
    import sympy

    q, base, later = _three_choices()
    weights = [b * sympy.exp(-x) for b, x in zip(base, later, strict=True)]
    total = sum(weights)
    spent = sum(
        x * (sympy.log(x) - sympy.log(b) + w) for x, b, w in zip(q, base, later, strict=True)
    )
    best = [share(w, total) for w in weights]
    rest = sum(x * (sympy.log(x) - sympy.log(y)) for x, y in zip(q, best, strict=True))
    return _equal(
        "three choices: sum q(log(q/base) + W) = -log sum base e^-W + KL(q || best)",
        (spent, -sympy.log(total) + rest),
    )


def soft_limits(soft: Formula | None = None) -> Finding:
    """The limits of ``lambda log sum base exp(Q/lambda)`` (T5.temperature), for two choices.

    With Q = 0 and -delta < 0: the value tends to the larger Q as lambda -> 0 and to the base's
    mean as lambda -> infinity; the shares tend to (1, 0) and to the base.
    """
    import sympy

    lam, delta, a, b = sympy.symbols("lambda delta a b", positive=True)
    p = a / (a + b)  # any number in (0, 1)
    rule = soft or (lambda Z, temperature: temperature * sympy.log(Z))
    x = sympy.exp(-delta / lam)
    value, first = rule(p + (1 - p) * x, lam), p / (p + (1 - p) * x)
    return _equal(
        "two choices: lambda -> 0 gives the better one, lambda -> inf the base's mean and shares",
        (sympy.limit(value, lam, 0, "+"), 0),
        (sympy.limit(value, lam, sympy.oo), -(1 - p) * delta),
        (sympy.limit(first, lam, 0, "+"), 1),
        (sympy.limit(first, lam, sympy.oo), p),
    )


def block_identity(paid: Formula | None = None) -> Finding:
    """A block of k tokens: ``gamma^k z_{t+k} = z_t - c(block)``, extended by one (T6)."""
    s = _Symbols()
    rule = paid or (lambda before, k, c: before + s.g**k * c)
    z = (s.d - s.S) / s.g**s.t  # after t tokens that cost S in units of their start
    longer = rule(s.S, s.t, s.c)
    return _equal(
        "gamma^k z_k = z_0 - c(block) passes to a block longer by one token",
        (s.g ** (s.t + 1) * ((z - s.c) / s.g), s.d - longer),
    )


class _Symbols:
    """The letters of all identities; t is a natural number, the others are real or positive."""

    def __init__(self) -> None:
        import sympy

        self.g, self.b, self.p = sympy.symbols("gamma beta p", positive=True)
        self.h, self.R, self.n = sympy.symbols("h R n", positive=True)
        self.d, self.S, self.c = sympy.symbols("d S c", real=True)
        self.t = sympy.Symbol("t", integer=True, nonnegative=True)


def _three_choices() -> tuple[list[Expr], list[Expr], list[Expr]]:
    import sympy

    free = list(sympy.symbols("q1:3", positive=True))
    base = list(sympy.symbols("b1:4", positive=True))
    later = list(sympy.symbols("W1:4", real=True))
    return [*free, 1 - sum(free)], base, later


def _equal(shown: str, *pairs: tuple[Expr, Expr]) -> Finding:
    """All pairs are equal, or an `AssertionError` that shows the difference."""
    import sympy

    for left, right in pairs:
        rest = sympy.simplify(sympy.expand_log(sympy.expand(left - right), force=True))
        if rest != 0:
            raise AssertionError(f"{shown}: {left} and {right} differ by {rest}")
    return Finding(Status.HOLDS, shown)
