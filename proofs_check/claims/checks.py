"""How a claim names its checks, in one line each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

from proofs_check import smt
from proofs_check.claim import Check, Finding, Method
from proofs_check.development import theorem_check as theorem
from proofs_check.smt_steps import STEPS

__all__ = [
    "bounded_game",
    "counterexample",
    "exhaustive",
    "identity",
    "kernel",
    "paper",
    "step",
    "theorem",
]


class Instances(Protocol):
    """A module that checks something by computation on models, and says what it covers."""

    COVERS: str

    def run(self) -> Finding:
        """Run the check."""
        ...


def kernel(function: Callable[[], Finding], covers: str) -> Check:
    """A proof about one named model, by computation in Coq's kernel."""
    return Check(Method.COQ, f"one model, computed in Coq's kernel: {covers}", function)


def step(name: str) -> Check:
    """One step, for all real numbers, by z3.

    Examples
    --------
    >>> step("clip").covers
    "m >= c + g m and z >= m give z' >= m"
    """
    return Check(Method.SMT, STEPS[name].shown, functools.partial(smt.check_step, name))


def bounded_game() -> Check:
    """The demand against the game over two steps, by z3."""
    covers = (
        "two steps only: 2 states, 2 choices, all 81 support structures, all real costs >= 0, "
        "all gamma in (0, 1]"
    )
    return Check(Method.SMT, covers, smt.bounded_game)


def identity(function: Callable[[], Finding], covers: str) -> Check:
    """An identity of `proofs_check.symbolic`."""
    return Check(Method.SYMBOLIC, covers, function)


def exhaustive(module: Instances) -> Check:
    """A search through a stated finite class; several claims share its one run."""
    return Check(Method.EXHAUSTIVE, module.COVERS, functools.partial(_once, module.run))


def counterexample(module: Instances) -> Check:
    """An exact instance of `proofs_check.counterexamples`."""
    return Check(Method.COUNTEREXAMPLE, module.COVERS, module.run)


def paper(argument: str) -> Check:
    """An argument that no machine has checked, in one line."""
    return Check(Method.PAPER, argument, None)


@functools.cache
def _once(run: Callable[[], Finding]) -> Finding:
    return run()
