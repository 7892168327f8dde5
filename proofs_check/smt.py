"""One-step checks with the SMT solver z3: for all real numbers, the step that a proof repeats.

z3 proves that no real numbers meet the hypotheses of a step and miss its conclusion. The induction
around the step is not checked here. Without z3, or if it gives up, a check is reported as not run.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proofs_check.claim import Finding, Status
from proofs_check.smt_steps import STEPS, reals

MILLISECONDS = 20_000
"""What z3 may spend on one step."""

MISSING = "z3 is not installed (pip install 'ig-theory[proofs]')"


def check_step(name: str) -> Finding:
    """Let z3 prove the step of this name.

    Parameters
    ----------
    name : a key of `STEPS`

    Returns
    -------
    Finding
        NOT_RUN without z3, or if it gives up.

    Raises
    ------
    AssertionError
        If real numbers refute it; they are quoted.

    Examples
    --------
    >>> check_step("certificate").status in (Status.HOLDS, Status.NOT_RUN)
    True
    """
    z3 = solver()
    if z3 is None:
        return Finding(Status.NOT_RUN, MISSING)
    hypotheses, conclusions = STEPS[name].parts(z3, reals(z3))
    return prove(z3, STEPS[name].shown, hypotheses, conclusions)


def prove(z3: Any, shown: str, hypotheses: Sequence[Any], conclusions: Sequence[Any]) -> Finding:
    """Let z3 prove conclusions: HOLDS, NOT_RUN if it gives up, `AssertionError` if refuted."""
    query = z3.Solver()
    query.set("timeout", MILLISECONDS)
    query.add(*hypotheses, z3.Not(z3.And(*conclusions)))
    answer = query.check()
    if answer == z3.unsat:
        return Finding(Status.HOLDS, f"z3 {z3.get_version_string()}: no real numbers refute it")
    if answer == z3.sat:
        raise AssertionError(f"{shown}: refuted by {' '.join(str(query.model()).split())}")
    return Finding(Status.NOT_RUN, f"z3 gave up on this: {shown} ({query.reason_unknown()})")


def solver() -> Any | None:
    """The module z3, or None where it is not installed."""
    try:
        return importlib.import_module("z3")
    except ImportError:
        return None


def bounded_game(horizon: int = 2) -> Finding:
    """The demand against the game, for all support structures and real costs (L2.game, bounded).

    Two states, two choices, each of the three possible supports: 81 structures. Costs are real
    variables >= 0, gamma one in (0, 1]. A proof for this horizon only.
    """
    z3 = solver()
    if z3 is None:
        return Finding(Status.NOT_RUN, MISSING)
    v = reals(z3)
    costs = [[z3.Real(f"c{s}{a}") for a in range(2)] for s in range(2)]
    domain = [v.g > 0, v.g <= 1, *(cost >= 0 for row in costs for cost in row)]
    count = 0
    for structure in itertools.product(((0,), (1,), (0, 1)), repeat=4):
        game = _Game(z3, v.g, costs, structure)
        same = game.won(horizon, 0, v.z) == (v.z >= game.demand(horizon, 0))
        found = prove(z3, f"horizon {horizon}, supports {structure}", domain, [same])
        if found.status is not Status.HOLDS:
            return found
        count += 1
    return Finding(Status.HOLDS, f"horizon {horizon}: {count} support structures, all real costs")


@dataclass(frozen=True)
class _Game:
    """Two states, two choices each; the demand by its recursion, and the game unfolded."""

    z3: Any
    gamma: Any
    costs: list[list[Any]]
    structure: tuple[tuple[int, ...], ...]

    def demand(self, left: int, state: int) -> Any:
        if left == 0:
            return self.z3.RealVal(0)
        one, two = (
            self.costs[state][a]
            + self.gamma * self._largest([self.demand(left - 1, s) for s in self._after(state, a)])
            for a in range(2)
        )
        return self.z3.If(one <= two, one, two)

    def won(self, left: int, state: int, z: Any) -> Any:
        if left == 0:
            return z >= 0
        kept = [
            self.z3.And(
                [
                    self.won(left - 1, s, (z - self.costs[state][a]) / self.gamma)
                    for s in self._after(state, a)
                ]
            )
            for a in range(2)
        ]
        return self.z3.And(z >= 0, self.z3.Or(kept))

    def _after(self, state: int, choice: int) -> tuple[int, ...]:
        return self.structure[2 * state + choice]

    def _largest(self, terms: list[Any]) -> Any:
        if len(terms) == 1:
            return terms[0]
        return self.z3.If(terms[0] >= terms[1], terms[0], terms[1])
