"""What is written as a cost: tokens of a list, words, and regular expressions.

Such costs are whole numbers of units and never negative.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ig_theory.errors import ModelError
from llm_bridge.costs.steps import Ints, Steps, need_paid


@dataclass(frozen=True)
class TokenCosts:
    """Each token of a list costs a stated amount whenever it is generated.

    Parameters
    ----------
    costs : mapping of token to int
        In units, not negative; other tokens are free.

    Examples
    --------
    >>> import numpy as np
    >>> new = Steps((1,), np.array([[5, 7], [7, 5]]), None, None, np.zeros(2, bool), lambda i: "")
    >>> TokenCosts({7: 3})(new).tolist()
    [3, 0]
    """

    costs: Mapping[int, int]
    unit: Fraction = Fraction(1)
    name: str = "token list"
    uses_hidden: bool = field(default=False, init=False)
    nonnegative: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        for token, cost in self.costs.items():
            _check_cost(f"cost of token {token}", cost)

    def __call__(self, steps: Steps) -> Ints:
        """The cost of each new token, int64[N]."""
        tokens = np.array(sorted(self.costs), dtype=np.int64)
        amounts = np.array([self.costs[int(t)] for t in tokens] + [0], dtype=np.int64)
        place = np.searchsorted(tokens, steps.new)
        listed = np.append(tokens, -1)[place] == steps.new
        return np.where(listed, amounts[place], 0)


@dataclass(frozen=True)
class PatternCost:
    """Each match of a regular expression in the response costs a stated amount.

    A match is charged at the step that completes it: when text follows it, so that it cannot
    grow or turn into another word, or when the response ends. The charge of a response is then
    the same however its text is cut into tokens. The total charged is the highest total of
    completed matches so far: never below that of the final text, and above it only for
    expressions that look ahead, whose matches later text can undo.

    Matches of one expression do not overlap (`re.finditer`). Only the response is searched; a
    match cannot begin in the prompt. At the end of a text, characters of which only some bytes
    have been generated count as not there yet.

    Parameters
    ----------
    patterns : mapping of expression to int
        In units, not negative.
    eager
        Charge a match that the text ends with at once. What was charged stays charged, so
        *ass* is charged if it comes as a token of its own, even if *ist* follows. For callers
        that stop responses without setting `Steps.ended`.

    Raises
    ------
    ModelError
        For a malformed expression, one that matches the empty text, or a negative cost.
    """

    patterns: Mapping[str, int]
    unit: Fraction = Fraction(1)
    name: str = "patterns"
    eager: bool = False
    flags: re.RegexFlag = re.IGNORECASE
    uses_hidden: bool = field(default=False, init=False)
    nonnegative: bool = field(default=True, init=False)
    _compiled: tuple[tuple[re.Pattern[str], int], ...] = field(
        default=(), init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        compiled = []
        for pattern, cost in self.patterns.items():
            _check_cost(f"cost of pattern {pattern!r}", cost)
            try:
                found = re.compile(pattern, self.flags)
            except re.error as error:
                raise ModelError.at(
                    f"pattern {pattern!r}", "a regular expression", error, "repair it"
                ) from error
            if found.fullmatch(""):
                raise ModelError.at(
                    f"pattern {pattern!r}", "one that matches some text", "matches the empty text",
                    "make a part of it obligatory",
                )  # fmt: skip
            compiled.append((found, cost))
        object.__setattr__(self, "_compiled", tuple(compiled))

    def of_text(self, text: str, ended: bool = True) -> int:
        """What the completed matches in a text cost together, in units.

        Examples
        --------
        >>> words({"darn": 2}).of_text("Darn it, darn")
        4
        >>> words({"darn": 2}).of_text("Darn it, darn", ended=False)
        2
        """
        length = len(text.rstrip("\ufffd"))
        total = 0
        for pattern, cost in self._compiled:
            for match in pattern.finditer(text[:length]):
                total += cost * (self.eager or ended or match.end() < length)
        return total

    def __call__(self, steps: Steps) -> Ints:
        """The cost of the matches that each new token completes, int64[N]."""
        totals = [
            self.of_text(text, bool(ended))
            for text, ended in zip(steps.texts, steps.ended, strict=True)
        ]
        growth: Ints = np.array(totals, dtype=np.int64) - need_paid(steps, self.name)
        return np.maximum(growth, np.int64(0))


def words(
    costs: Mapping[str, int] | Iterable[str],
    unit: Fraction = Fraction(1),
    name: str = "word list",
    eager: bool = False,
) -> PatternCost:
    r"""Whole words or phrases, whatever their case; each costs 1 unit unless a mapping says else.

    A word is bounded by anything that is no letter, digit or underscore. Blanks in a phrase stand
    for any white space.

    Examples
    --------
    >>> words(["darn", "good grief"]).of_text("Good\n grief, darned!")
    1
    """
    given = costs if isinstance(costs, Mapping) else dict.fromkeys(costs, 1)
    patterns = {}
    for word, cost in given.items():
        if not word.split():
            raise ModelError.at("word list", "words", repr(word), "leave empty words out")
        body = r"\s+".join(map(re.escape, word.split()))
        patterns[rf"(?<!\w){body}(?!\w)"] = cost
    return PatternCost(patterns, unit, name, eager)


def _check_cost(where: str, cost: object) -> None:
    if not isinstance(cost, int | np.integer) or isinstance(cost, bool) or cost < 0:
        raise ModelError.at(
            where, "a whole number of units, not negative", repr(cost), "choose a smaller unit"
        )
