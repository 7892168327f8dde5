"""What the writers of `proofs_check.translation` read certificates with, and how they write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError

_LARGEST = 2**62
_LONGEST = 100_000  # characters of a rational


@dataclass(frozen=True)
class Translated:
    """A certificate for the extracted checker.

    Attributes
    ----------
    kind, sentence
        What is claimed.
    words
        The input, piece by piece.
    bounds
        Kind ``reward``: the lower and the upper end; empty for the others.
    """

    kind: str
    sentence: str
    words: Iterable[str]
    bounds: tuple[Fraction, ...] = ()


@dataclass(frozen=True)
class Limit:
    """One constraint: budgets in units of the model's cost."""

    budget: Fraction
    discount: Fraction
    closed: bool
    anytime: bool
    cost: list[int]
    horizon: int | None

    def words(self) -> str:
        """The constraint, for the program."""
        return f"{ratio(self.budget)} {ratio(self.discount)} {int(self.closed)} {int(self.anytime)}"


class Game:
    """The model's arrays as lists, and its places as words."""

    def __init__(self, model: ConstrainedMDP, limits: list[Limit]) -> None:
        self.model = model
        self.limits = limits
        self.horizon = limits[0].horizon
        self.choice_ptr: list[int] = model.choice_ptr.tolist()
        self.branch_ptr: list[int] = model.branch_ptr.tolist()
        self.branch_state: list[int] = model.branch_state.tolist()
        self.terminal: list[bool] = model.terminal.tolist()
        self.states = model.S
        self.starts = [s for s, p in enumerate(model.initial) if p > 0]

    def over(self, state: int, time: int | None) -> bool:
        """Whether a run that is here has ended."""
        return self.terminal[state] or (time is not None and time == self.horizon)

    def count(self, state: int) -> int:
        """The number of choices of a state."""
        return self.choice_ptr[state + 1] - self.choice_ptr[state]

    def after(self, choice: int) -> list[int]:
        """The states to which a choice may lead, once for each branch."""
        return self.branch_state[self.branch_ptr[choice] : self.branch_ptr[choice + 1]]

    def place(self, state: int, over: bool, names: Callable[[list[int]], list[int]]) -> str:
        """A place; `names` numbers the places that follow."""
        if over:
            return "1 0"
        low, high = self.choice_ptr[state], self.choice_ptr[state + 1]
        words = [f"0 {high - low}"]
        for choice in range(low, high):
            words += [str(limit.cost[choice]) for limit in self.limits]
            after = names(self.branch_state[self.branch_ptr[choice] : self.branch_ptr[choice + 1]])
            words.append(f"{len(after)} {' '.join(map(str, after))}")
        return " ".join(words)


def sentence(game: Game) -> str:
    """The constraints, for people."""
    unit = game.model.cost_unit
    return " and ".join(
        f"budget {limit.budget * unit} (discount {limit.discount}, z "
        f"{'>=' if limit.closed else '>'} 0 {'at every time' if limit.anytime else 'at the end'}"
        + ("" if limit.horizon is None else f", {limit.horizon} steps")
        + ")"
        for limit in game.limits
    )


def refusal(got: str) -> CertificateError:
    """The error for what cannot be read."""
    error = CertificateError.at(
        "certificate", "the documented structure", got[:200],
        "write it anew with `ig-theory check --report`",
    )  # fmt: skip
    assert isinstance(error, CertificateError)
    return error


def need(holds: bool, what: str) -> None:
    """Refuse the certificate unless this holds."""
    if not holds:
        raise refusal(f"something else than {what}")


def listed(value: Any, length: int | None = None) -> list[Any]:
    """Read a list."""
    need(isinstance(value, list), "a list")
    need(length is None or len(value) == length, f"{length} entries")
    return list(value)


def whole(value: Any) -> int:
    """Read an integer; a truth value is none."""
    if type(value) is not int:
        raise refusal("something else than a whole number")
    return int(value)


def natural(value: Any, limit: int = _LARGEST) -> int:
    """Read an integer from 0 up to `limit`, which it does not reach."""
    if not 0 <= whole(value) < limit:
        raise refusal("a whole number outside its range")
    return int(value)


def positive(value: Any) -> int:
    """Read an integer above 0."""
    need(whole(value) > 0, "a positive whole number")
    return int(value)


def rational(value: Any) -> Fraction:
    """Read a rational, which is written in lowest terms."""
    need(isinstance(value, str) and len(value) <= _LONGEST, "a rational as text")
    need("e" not in value.lower(), "a rational without an exponent")  # it may be endless
    number = Fraction(value)
    need(str(number) == value, "a rational in lowest terms")
    return number


def integer(number: int) -> str:
    """Write an integer; Python refuses very long decimals."""
    return str(number) if number.bit_length() < 10_000 else f"{number:#x}"


def ratio(number: Fraction) -> str:
    """Write a rational."""
    return f"{integer(number.numerator)} {integer(number.denominator)}"


def many(rows: list[str]) -> Iterator[str]:
    """Write a list: its length, then its rows."""
    yield str(len(rows))
    yield from rows
