"""The steps that z3 checks: what one step of the tracker assumes and concludes.

g and b discount costs and rewards, w stands for g^t; z, c, D and D1 are the budget, the cost and
the demands here and after the step; y is a tracker that deviates; the rest belongs to single steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

Parts = tuple[tuple[Any, ...], tuple[Any, ...]]
"""Hypotheses and conclusions, as formulas of z3."""


@dataclass(frozen=True)
class Step:
    """One step of a proof.

    Attributes
    ----------
    shown : what it says, in words
    parts : given the module z3 and its variables, the hypotheses and the conclusions
    """

    shown: str
    parts: Callable[[Any, Any], Parts]


def reals(z3: Any) -> Any:
    """The real variables that the steps share, by name."""
    names = (
        "g", "w", "d", "S", "c", "z", "D", "D1", "m", "h", "y", "rz", "P", "e", "b", "p", "q",
        "r", "R", "G", "K", "n", "v1", "v2", "U", "U1", "U2", "B", "f", "cost", "delta",
        "g2", "z2", "c2", "u", "u2", "x", "x2",
    )  # fmt: skip
    return SimpleNamespace(**{name: z3.Real(name) for name in names})


def _budget(z3: Any, v: Any) -> Parts:
    after = (v.z - v.c) / v.g
    return (
        (v.g > 0, v.w > 0, v.w * v.z == v.d - v.S),
        (
            v.g * v.w * after == v.d - (v.S + v.w * v.c),
            (after >= 0) == (v.S + v.w * v.c <= v.d),
        ),
    )


def _absorbing(z3: Any, v: Any) -> Parts:
    return ((v.g > 0, v.z < 0, v.c >= 0), (_next(v) < 0,))


def _clip(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.m >= v.c + v.g * v.m, v.z >= v.m),
        (_next(v) >= v.m,),
    )  # fmt: skip


def _allowed(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0,),
        ((v.c + v.g * v.D1 <= v.z) == (v.D1 <= _next(v)),),
    )  # fmt: skip


def _certificate(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.D >= 0, v.z >= v.D, v.D >= v.c + v.g * v.D1),
        (v.z >= 0, _next(v) >= v.D1),
    )


def _impossibility(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.z < v.D, v.D <= v.c + v.g * v.D1),
        (v.D1 - _next(v) >= (v.D - v.z) / v.g, v.D1 > _next(v)),
    )


def _ranking(z3: Any, v: Any) -> Parts:
    after = v.z - v.c
    return (
        (v.z < v.D, v.D <= v.c + v.D1, v.c >= 0, z3.Or(v.c >= v.delta, v.n < v.m)),
        (after < v.D1, after <= v.z, z3.Or(after <= v.z - v.delta, v.n < v.m)),
    )  # fmt: skip


def _simulation(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.y <= v.z, v.cost >= v.c), ((v.y - v.cost) / v.g <= _next(v),),
    )  # fmt: skip


def _fibre(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.cost <= v.c + v.h, v.D1 <= v.D + v.e, v.h + v.g * v.e == v.e),
        (v.cost + v.g * v.D1 <= v.c + v.g * v.D + v.e,),
    )  # fmt: skip


def _measured(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.w > 0, v.w * (v.y - v.z) <= v.P, v.c - v.cost <= v.e),
        (v.g * v.w * ((v.y - v.cost) / v.g - _next(v)) <= v.P + v.w * v.e,),
    )  # fmt: skip


def _down(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.rz <= v.z, v.y <= (v.rz - v.c) / v.g), (v.y <= _next(v),),
    )  # fmt: skip


def _up(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.rz >= v.z, v.y >= (v.rz - v.c) / v.g), (v.y >= _next(v),),
    )  # fmt: skip


def _path(z3: Any, v: Any) -> Parts:
    return (
        (v.g > 0, v.w > 0, v.w * (v.z - v.rz) <= v.P, v.y >= (v.rz - v.c) / v.g - v.h),
        (v.g * v.w * (_next(v) - v.y) <= v.P + v.g * v.w * v.h,),
    )


def _reserve(z3: Any, v: Any) -> Parts:
    return (
        (
            v.g > 0, v.e == v.g * v.e + v.g * v.h, v.z >= v.D + v.e,
            v.D >= v.c + v.g * v.D1, v.y >= _next(v) - v.h,
        ),
        (v.y >= v.D1 + v.e,),
    )  # fmt: skip


def _penalty(z3: Any, v: Any) -> Parts:
    return (
        (
            v.b > 0, v.p > 0, v.p <= v.q, v.q <= 1, v.n >= 0, v.K >= 0, v.r <= v.R,
            v.v1 <= v.R * v.G - v.n * v.K, v.v2 <= v.R * v.G,
        ),
        (v.r + v.b * (v.q * v.v1 + (1 - v.q) * v.v2)
         <= v.R * (1 + v.b * v.G) - v.n * (v.p * v.b * v.K),),
    )  # fmt: skip


def _last_step(z3: Any, v: Any) -> Parts:
    return (
        (v.b > 0, v.p <= v.q, v.n >= 0, v.r <= v.R, v.n * v.p * v.b > v.R),
        (v.r - v.b * v.q * v.n < 0,),
    )


def _reward_upper(z3: Any, v: Any) -> Parts:
    ahead = v.q * v.v1 + (1 - v.q) * v.v2
    bound = v.q * v.U1 + (1 - v.q) * v.U2
    return (
        (
            v.b >= 0, v.q >= 0, v.q <= 1, v.v1 <= v.U1 + v.B, v.v2 <= v.U2 + v.B,
            v.r + v.b * bound <= v.U,
        ),
        (v.r + v.b * ahead <= v.U + v.b * v.B,),
    )  # fmt: skip


def _reward_lower(z3: Any, v: Any) -> Parts:
    ahead = v.q * v.v1 + (1 - v.q) * v.v2
    bound = v.q * v.U1 + (1 - v.q) * v.U2
    return (
        (
            v.b >= 0, v.q >= 0, v.q <= 1, v.v1 >= v.U1 - v.B, v.v2 >= v.U2 - v.B,
            v.r + v.b * bound >= v.U,
        ),
        (v.r + v.b * ahead >= v.U - v.b * v.B,),
    )  # fmt: skip


def _several(z3: Any, v: Any) -> Parts:
    return (
        (
            v.g > 0, v.g2 > 0, v.u <= v.z, v.u2 <= v.z2,
            v.c + v.g * v.x <= v.u, v.c2 + v.g2 * v.x2 <= v.u2,
        ),
        (v.x <= _next(v), v.x2 <= (v.z2 - v.c2) / v.g2),
    )  # fmt: skip


def _continuation(z3: Any, v: Any) -> Parts:
    return (
        (v.w > 0, v.f >= 0, v.z - v.c >= v.w * v.f),
        ((v.z - v.c) / v.w >= v.f, (v.z - v.c) / v.w >= 0),
    )


def _next(v: Any) -> Any:
    return (v.z - v.c) / v.g


STEPS = {
    "budget": Step(
        "w z = d - S gives (g w) z' = d - (S + w c), and z' >= 0 exactly if S + w c <= d",
        _budget,
    ),
    "absorbing": Step(
        "z < 0 and c >= 0 give z' < 0",
        _absorbing,
    ),
    "clip": Step(
        "m >= c + g m and z >= m give z' >= m",
        _clip,
    ),
    "allowed": Step(
        "c + g D(s') <= z exactly if D(s') <= z'",
        _allowed,
    ),
    "certificate": Step(
        "z >= D(s) >= 0 and D(s) >= c + g D(s') give z >= 0 and z' >= D(s')",
        _certificate,
    ),
    "impossibility": Step(
        "z < L(s) <= c + g L(s') gives L(s') - z' >= (L(s) - z)/g > 0",
        _impossibility,
    ),
    "ranking": Step(
        "gamma = 1, c >= 0, z < L(s) <= c + L(s'): z' < L(s'); z falls by delta, or the rank",
        _ranking,
    ),
    "simulation": Step(
        "a latent budget y <= z and a latent cost >= c give y' <= z'",
        _simulation,
    ),
    "fibre": Step(
        "cost <= c + eps, R(s') <= D(s') + e, eps + g e = e give cost + g R(s') <= c + g D(s') + e",
        _fibre,
    ),
    "measured": Step(
        "w(y - z) <= P gives g w(y' - z') <= P + w eps if y pays at most eps less",
        _measured,
    ),
    "down": Step(
        "rounded down: y <= z gives y' <= z'",
        _down,
    ),
    "up": Step(
        "rounded up: y >= z gives y' >= z'",
        _up,
    ),
    "path": Step(
        "w(z - y) <= P gives g w(z' - y') <= P + g w h when y' is rounded down by at most h",
        _path,
    ),
    "reserve": Step(
        "y >= D(s) + e and e = g e + g h survive a step rounded down by at most h",
        _reserve,
    ),
    "penalty": Step(
        "a branch of probability >= p that is worth <= R G - n K costs the choice n p b K",
        _penalty,
    ),
    "last-step": Step(
        "one step to go, n > R/(p b): a choice that may end below 0 is worth less than 0",
        _last_step,
    ),
    "reward-upper": Step(
        "two branches: v' <= U' + B and r + b sum P U' <= U give r + b sum P v' <= U + b B",
        _reward_upper,
    ),
    "reward-lower": Step(
        "two branches: v' >= L' - B and r + b sum P L' >= L give r + b sum P v' >= L - b B",
        _reward_lower,
    ),
    "several": Step(
        "two constraints: u <= z and c_i + g_i u'_i <= u_i give u' <= z'",
        _several,
    ),
    "continuation": Step(
        "f >= 0, z - c(block) >= w f, w = g^length: z' = (z - c(block))/w >= f >= 0",
        _continuation,
    ),
}
"""By name."""
