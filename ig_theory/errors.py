"""Errors of the package: each says where, what was wanted, what came, and the repair."""

from __future__ import annotations


class IGTheoryError(Exception):
    """Base class of every error that this package raises on purpose.

    Examples
    --------
    >>> print(ModelError.at("reward of choice 3", "a finite number", "nan", "give a number"))
    reward of choice 3: want a finite number, got nan; give a number
    """

    @classmethod
    def at(cls, where: str, want: str, got: object, repair: str) -> IGTheoryError:
        """Build the error from its four parts, in the one wording used everywhere."""
        return cls(f"{where}: want {want}, got {got}; {repair}")


class ModelError(IGTheoryError):
    """A constrained MDP, or a file that should hold one, is malformed."""


class ConstraintError(IGTheoryError):
    """A budget constraint is malformed or does not fit its model."""


class GuardError(IGTheoryError):
    """A guard cannot be loaded, or returned something that is no policy."""


class SolverError(IGTheoryError):
    """A question cannot be answered by the solver that was asked."""


class CertificateError(IGTheoryError):
    """A certificate or a counterexample does not prove what it claims."""
