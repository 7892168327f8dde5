"""What a claim is, how it is checked, and what a check may call itself.

A check never has a stronger name than what it does: an identity is no induction, a bounded
unrolling is no proof, and a search through a finite class says which class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Method(Enum):
    """How a claim is checked, strongest first."""

    COQ = "Coq"
    EXHAUSTIVE = "exhaustive"
    SMT = "SMT"
    SYMBOLIC = "symbolic"
    COUNTEREXAMPLE = "counterexample"
    PAPER = "paper"

    @property
    def says(self) -> str:
        """What a passing check of this kind has shown."""
        return _SAYS[self]


_SAYS = {
    Method.COQ: "a proof in Coq, for all models that meet the hypotheses",
    Method.EXHAUSTIVE: "every model of a stated finite class, against brute force in rationals",
    Method.SMT: "one step, for all real numbers; the induction around it is not checked",
    Method.SYMBOLIC: "an identity between expressions; no induction is checked",
    Method.COUNTEREXAMPLE: "one exact instance that refutes a statement, or attains a bound",
    Method.PAPER: "an argument on paper; no machine has checked it",
}


class Status(Enum):
    """What came of a check."""

    HOLDS = "holds"
    FAILS = "FAILS"
    NOT_RUN = "not run"
    ON_PAPER = "on paper"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    status : Status
    detail
        One line: what was counted, which numbers were met, or why it did not run.
    """

    status: Status
    detail: str


@dataclass(frozen=True)
class Check:
    """One way in which a claim is checked.

    Attributes
    ----------
    method : Method
    covers
        What exactly this check shows: the theorem's name, the identity, the class and its size.
    run
        Does it. Raises `AssertionError` where the claim fails; a missing tool is NOT_RUN. None
        for `Method.PAPER`, which nothing runs.
    """

    method: Method
    covers: str
    run: Callable[[], Finding] | None


@dataclass(frozen=True)
class Claim:
    """A statement that the project relies on, or refutes.

    Attributes
    ----------
    id
        Such as ``T4.safety``: the label of docs/theory.md, a dot, a word. The docstring of the
        code that relies on it carries it.
    statement, hypotheses
        In the words of the project. A refuted statement says "false:" first.
    checks
        Strongest first.
    outside
        What no machine has checked; empty if nothing is left.
    used_by
        Dotted names of the code that relies on it.
    """

    id: str
    statement: str
    hypotheses: tuple[str, ...]
    checks: tuple[Check, ...]
    outside: str = ""
    used_by: tuple[str, ...] = ()
