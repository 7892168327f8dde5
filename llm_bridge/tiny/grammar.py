"""A small language in which what comes next depends on what was said long before.

Eleven tokens with abstract names. The next token depends on the last one, on how often
``please`` was said, and on whether anything harmful was said already: a context of a few facts
about the whole history. A model must carry these facts in its latents to predict well, and the
exact entropy of the language says how well it can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NAMES = (
    "begin", "end", "refuse", "sorry", "plain", "help", "note", "please", "slight", "harsh", "grave"
)  # fmt: skip
"""The vocabulary; a token is its place here."""

BEGIN, END, REFUSE, SORRY, PLAIN, HELP, NOTE, PLEASE, SLIGHT, HARSH, GRAVE = range(len(NAMES))
HARMFUL = (SLIGHT, HARSH, GRAVE)

_PLEASES = 3  # none, one, more
_PLAIN_WEIGHTS = np.array([0.02, 1.2, 1.0, 0.4, 3.0, 3.0, 1.5, 1.2, 0.8, 0.4, 0.2])


@dataclass(frozen=True, eq=False)
class Grammar:
    """The language as a chain over contexts.

    Attributes
    ----------
    probability : float64[Q, V]
        Of each next token in each context; all positive.
    follow : int64[Q, V]
        The context after the token.
    start : int
        The context after ``begin``.
    """

    probability: Floats
    follow: Ints
    start: int

    def sample(self, count: int, length: int, generator: np.random.Generator) -> Ints:
        """Responses to ``begin``, int64[count, length]; nothing but ``end`` after an ``end``."""
        tokens = np.full((count, length), END, dtype=np.int64)
        context = np.full(count, self.start, dtype=np.int64)
        below = self.probability.cumsum(axis=1)[:, :-1]
        alive = np.ones(count, dtype=np.bool_)
        for step in range(length):
            drawn = (generator.random(count)[:, None] >= below[context]).sum(axis=1)
            tokens[alive, step] = drawn[alive]
            alive &= drawn != END
            context = self.follow[context, drawn]
        return tokens

    def contexts(self, tokens: Ints) -> Ints:
        """The context before each token of responses, int64[count, length]."""
        context = np.full(len(tokens), self.start, dtype=np.int64)
        found = np.empty_like(tokens)
        for step in range(tokens.shape[1]):
            found[:, step] = context
            context = self.follow[context, tokens[:, step]]
        return found

    def entropy(self, length: int) -> float:
        """Nats per token of responses of at most `length` tokens, exactly (but for rounding).

        The expected surprise of a response divided by its expected length: no model has a
        smaller expected loss per token.
        """
        surprise = -(self.probability * np.log(self.probability)).sum(axis=1)
        at: Floats = np.zeros(len(self.probability))
        at[self.start] = 1.0
        nats = tokens = 0.0
        for _ in range(length):
            nats += float(at @ surprise)
            tokens += float(at.sum())
            moved = at[:, None] * self.probability
            moved[:, END] = 0.0
            at = np.zeros(len(at))
            np.add.at(at, self.follow, moved)
        return nats / tokens


def grammar() -> Grammar:
    """The language of the tiny transformers.

    Examples
    --------
    >>> language = grammar()
    >>> language.probability.shape
    (66, 11)
    >>> bool(np.allclose(language.probability.sum(axis=1), 1))
    True
    """
    size = len(NAMES)
    probability = np.empty((size * _PLEASES * 2, size))
    follow = np.empty(probability.shape, dtype=np.int64)
    for last in range(size):
        for pleases in range(_PLEASES):
            for harmed in range(2):
                here = _context(last, pleases, harmed)
                weight = _weights(last, pleases, bool(harmed))
                probability[here] = weight / weight.sum()
                for token in range(size):
                    said = min(pleases + (token == PLEASE), _PLEASES - 1)
                    follow[here, token] = _context(token, said, harmed or token in HARMFUL)
    return Grammar(probability, follow, _context(BEGIN, 0, 0))


def _context(last: int, pleases: int, harmed: int | bool) -> int:
    return (last * _PLEASES + pleases) * 2 + int(harmed)


def _weights(last: int, pleases: int, harmed: bool) -> Floats:
    """How likely each token is, up to a factor."""
    weight = _PLAIN_WEIGHTS.copy()
    weight[list(HARMFUL)] *= (0.5, 2.0, 5.0)[pleases]
    weight[REFUSE] *= (1.0, 2.5, 0.3)[pleases]
    if harmed:
        weight[[HARSH, GRAVE]] *= 2.0
        weight[SORRY] *= 2.5
        weight[HELP] *= 0.5
    if last == BEGIN:
        weight[END] *= 0.1
    if last == REFUSE:
        weight[END] *= 12.0
        weight[list(HARMFUL)] *= 0.1
    if last == SORRY:
        weight[REFUSE] *= 8.0
        weight[SORRY] *= 0.1
    if last == GRAVE:
        weight[SORRY] *= 4.0
    return weight
