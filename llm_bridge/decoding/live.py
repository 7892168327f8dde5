"""A transformer as a world: blocks are sampled in one batch with the cached keys and values.

Nothing is read twice, and nothing that a search throws away is read at all if no one looks at
its latent: the last token of a block is only read when its beam goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError
from llm_bridge.costs.steps import CostModel, Reward
from llm_bridge.decoding.charging import Charger
from llm_bridge.decoding.decoder import Blocks, Drawn, Pick, Twist
from llm_bridge.decoding.foreign import no_law, twisted
from llm_bridge.decoding.problem import Beam, Problem
from llm_bridge.language_model import LanguageModel, Prefixes
from llm_bridge.tree.branching import likeliest

ROWS = 512
"""Rows that are stepped at a time unless said otherwise."""


@dataclass(frozen=True, eq=False)
class _Place:
    """Where the keys and values of a beam are; its last token may still be unread."""

    read: Prefixes
    row: int
    unread: int | None = None


class LiveWorld:
    """A language model with a prompt, a budget, a cost model and a reward.

    Parameters
    ----------
    model, prompt
    constraint, horizon
        A response has at most `horizon` tokens.
    cost
    reward
        None: nothing is worth anything.
    generator
        Every random number comes from it; which ones a beam gets depends on its place in the
        wish alone, not on the batch.
    reward_discount
        ``beta``, a step.
    top_k
        Only the likeliest tokens, renormalised (as a tree of the same `top_k` that is cut); the
        end token is always among them.
    rows
        Rows that are stepped at a time.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt: Sequence[int],
        constraint: BudgetConstraint,
        horizon: int,
        cost: CostModel,
        reward: Reward | None = None,
        generator: np.random.Generator | None = None,
        *,
        reward_discount: Fraction = Fraction(1),
        top_k: int | None = None,
        rows: int = ROWS,
    ) -> None:
        if top_k is not None and not 1 <= top_k <= model.setting.vocabulary:
            raise GuardError.at("top_k", "1..V, or None", top_k, "choose how many tokens")
        self.model, self.prompt = model, tuple(int(token) for token in prompt)
        self.problem = Problem(constraint, cost.unit, horizon, model.end, reward_discount)
        self.seconds = {"transformer": 0.0, "head": 0.0, "sampling": 0.0, "reorder": 0.0}
        """Where the time went, beside cost model and reward."""
        self.forwarded = 0
        self._charger = Charger(model, self.prompt, self.problem, cost, reward)
        self._generator = np.random.default_rng() if generator is None else generator
        self._top_k, self._rows = top_k, rows
        self._start = _Place(model.start([self.prompt]), 0)
        self._places: dict[tuple[int, ...], _Place] = {}

    def effort(self) -> tuple[int, float]:
        """Tokens read after the prompt, and seconds in the cost model."""
        return self.forwarded, self._charger.cost_seconds

    @property
    def breakdown(self) -> dict[str, float]:
        """Seconds by what they went to."""
        charger = self._charger
        return {**self.seconds, "cost": charger.cost_seconds, "reward": charger.reward_seconds}

    def text(self, beam: Beam) -> str:
        """The response as text."""
        return self.model.text(list(beam.tokens)) if self.model.tokenizer is not None else ""

    def draw(self, wish: Blocks | Pick) -> Drawn:
        """Sample what is wished for."""
        if isinstance(wish, Pick):
            weights = np.asarray(wish.weights, dtype=np.float64)
            row = int(self._generator.choice(len(weights), p=weights / weights.sum()))
            return ((wish.options[row],),)
        chance = self._generator.random((len(wish.beams), wish.count, wish.width))
        self._forget(wish.beams)
        drawn: list[tuple[Beam, ...]] = [()] * len(wish.beams)
        for part, read in self._gathered(wish.beams):
            for low, high in _chunks(len(part), max(1, self._rows // wish.count)):
                some = part[low:high]
                rows = self._sampled(
                    [wish.beams[k] for k in some], read.select(list(range(low, high))),
                    chance[some], wish,
                )  # fmt: skip
                for place, k in enumerate(some):
                    drawn[k] = tuple(rows[place * wish.count : (place + 1) * wish.count])
        return tuple(drawn)

    def grow(self, beams: Sequence[Beam], blocks: Sequence[Sequence[int]]) -> list[Beam]:
        """Each beam followed by the given tokens."""
        said = [token for block in blocks for token in block]
        if said and not (min(said) >= 0 and max(said) < self.model.setting.vocabulary):
            raise GuardError.at(
                "tokens", f"0..{self.model.setting.vocabulary - 1}", (min(said), max(said)),
                "force tokens of the model only",
            )  # fmt: skip
        found = list(beams)
        lengths = [len(block) for block in blocks]
        for step in range(max(lengths, default=0)):
            rows = [k for k, length in enumerate(lengths) if length > step]
            for part, read in self._gathered([found[k] for k in rows]):
                some = [rows[k] for k in part]
                tokens = np.array([blocks[k][step] for k in some])
                scores = self._log_probs(read).cpu().numpy()[np.arange(len(some)), tokens]
                grown = self._charged([found[k] for k in some], read, tokens, scores)
                for k, beam in zip(some, grown, strict=True):
                    found[k] = beam
        return found

    def top(self, beam: Beam, count: int | None) -> list[tuple[Beam, float]]:
        """The likeliest next tokens, with costs and rewards."""
        ((_, read),) = self._gathered([beam])
        scores = self._log_probs(read)[0]
        kept = torch.nonzero(scores > -torch.inf)[:, 0]
        order = torch.sort(scores[kept], descending=True, stable=True).indices
        tokens = kept[order][:count]
        found = scores[tokens].cpu().numpy()
        grown = self._charged([beam] * len(tokens), read, tokens.cpu().numpy(), found)
        return list(zip(grown, found.tolist(), strict=True))

    def hidden(self, beams: Sequence[Beam]) -> NDArray[np.floating[Any]]:
        """The latent after the newest token of each beam, float[N, D]."""
        found: list[Tensor] = [torch.zeros(0)] * len(beams)
        for part, read in self._gathered(beams):
            for row, k in enumerate(part):
                found[k] = read.hidden[row]
        rows = torch.stack(found)
        rows = rows if rows.dtype == torch.float64 else rows.float()
        return np.asarray(rows.cpu().numpy())

    # Sampling

    def _sampled(
        self, beams: list[Beam], read: Prefixes, chance: NDArray[np.float64], wish: Blocks
    ) -> list[Beam]:
        """`count` blocks after each of some beams that share one batch."""
        count, start = wish.count, len(beams[0])
        width = min(wish.width, self.problem.horizon - start)
        flat = chance.reshape(-1, chance.shape[2])
        owner = np.repeat(np.arange(len(beams)), count)
        work = self._charger.begin([beams[k] for k in owner], width)
        source: list[int] = owner.tolist()  # the row of `read` that each active row follows
        for step in range(width):
            token, score = self._chosen(read, source, flat[work.active, step], wish.twist)
            ends = self._ends(token, start + step + 1)
            if self._charger.latent:
                read = self._step(self._select(read, source), token)
                source = list(range(len(token)))
            work.charge(token, score, ends, read if self._charger.latent else None)
            on = np.flatnonzero(~ends)
            if not len(on):
                break
            if len(on) < len(token):
                source = [source[k] for k in on]
            if step + 1 < width and not self._charger.latent:
                read = self._step(self._select(read, source), token[on])
                source = list(range(len(on)))
        grown = work.beams()
        for row, k in enumerate(work.active.tolist()):
            unread = None if self._charger.latent else int(grown[k].tokens[-1])
            self._places[grown[k].tokens] = _Place(read, source[row], unread)
        return grown

    def _chosen(
        self, read: Prefixes, source: list[int], chance: NDArray[np.float64], twist: Twist | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """A token for each active row, and its log-probability under the base model."""
        plain = self._log_probs(read)
        began = time.perf_counter()
        law = plain if twist is None else self._twisted(plain, read, twist)
        mass = law.exp().cumsum(dim=1)
        rows = torch.as_tensor(source, device=mass.device)
        if len(source) != len(read) or source != list(range(len(read))):
            mass = mass[rows]
        total = mass[:, -1:]
        point = torch.as_tensor(chance, device=mass.device)[:, None] * total
        point = torch.minimum(point, torch.nextafter(total, torch.zeros_like(total)))
        token = torch.searchsorted(mass, point, right=True)[:, 0].clamp(max=mass.shape[1] - 1)
        score = plain[rows, token]
        found = token.cpu().numpy(), score.cpu().numpy()
        if not bool((total > 0).all()):  # NaN is not above 0
            raise no_law()
        self.seconds["sampling"] += time.perf_counter() - began
        return found

    def _log_probs(self, read: Prefixes) -> Tensor:
        began = time.perf_counter()
        scores = read.log_probs()
        if self._top_k is not None:
            _, kept = likeliest(scores, self._top_k, self.model.end)
            only = torch.full_like(scores, -torch.inf)
            scores = torch.log_softmax(only.scatter(1, kept, scores.gather(1, kept)), dim=1)
        self.seconds["head"] += time.perf_counter() - began
        return scores

    def _twisted(self, plain: Tensor, read: Prefixes, twist: Twist) -> Tensor:
        score = twisted(twist, plain, read.hidden, read.response)
        score = torch.where(plain > -torch.inf, score, -torch.inf)
        return torch.log_softmax(score, dim=1)

    # Keys and values

    def _step(self, read: Prefixes, token: NDArray[np.int64]) -> Prefixes:
        began = time.perf_counter()
        after = read.step(torch.as_tensor(token))
        self.forwarded += len(token)
        self.seconds["transformer"] += time.perf_counter() - began
        return after

    def _select(self, read: Prefixes, rows: list[int]) -> Prefixes:
        if rows == list(range(len(read))):
            return read
        began = time.perf_counter()
        chosen = read.select(rows)
        self.seconds["reorder"] += time.perf_counter() - began
        return chosen

    def _charged(
        self,
        beams: list[Beam],
        read: Prefixes,
        tokens: NDArray[np.int64],
        scores: NDArray[np.float64],
    ) -> list[Beam]:
        """Beams followed by one forced token each; `read` holds them in order, or the one."""
        work = self._charger.begin(beams, 1)
        ends = self._ends(tokens, len(beams[0]) + 1)
        rows = [0] * len(beams) if len(read) == 1 else list(range(len(beams)))
        if self._charger.latent:
            read = self._step(self._select(read, rows), tokens)
            rows = list(range(len(beams)))
        work.charge(tokens, scores, ends, read if self._charger.latent else None)
        grown = work.beams()
        for row, beam in zip(rows, grown, strict=True):
            if not beam.ended:
                unread = None if self._charger.latent else beam.tokens[-1]
                self._places[beam.tokens] = _Place(read, row, unread)
        return grown

    def _ends(self, token: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
        """Whether responses of a length whose last token this is are over."""
        if length >= self.problem.horizon or self.problem.end is None:
            return np.full(len(token), length >= self.problem.horizon)
        return np.asarray(token == self.problem.end)

    def _gathered(self, beams: Sequence[Beam]) -> list[tuple[list[int], Prefixes]]:
        """Beams in groups that share a batch: which they are, and their prefixes in order."""
        groups: dict[tuple[int, bool], list[int]] = {}
        for k, beam in enumerate(beams):
            place = self._place(beam)
            groups.setdefault((id(place.read), place.unread is None), []).append(k)
        found = []
        for (_, known), part in groups.items():
            places = [self._places.get(beams[k].tokens, self._start) for k in part]
            read = self._select(places[0].read, [place.row for place in places])
            if not known:
                read = self._step(read, np.array([place.unread for place in places]))
                for row, k in enumerate(part):
                    self._places[beams[k].tokens] = _Place(read, row)
            found.append((part, read))
        return found

    def _place(self, beam: Beam) -> _Place:
        if not beam.tokens:
            return self._start
        if beam.tokens not in self._places:  # let go of earlier: read it again
            read = self.model.start([self.prompt])
            for token in beam.tokens:
                read = self._step(read, np.array([token]))
            self._places[beam.tokens] = _Place(read, 0)
        return self._places[beam.tokens]

    def _forget(self, beams: Sequence[Beam]) -> None:
        """Let go of all keys and values but those of these beams."""
        kept = {beam.tokens: self._place(beam) for beam in beams if beam.tokens}
        self._places = kept


def _chunks(total: int, size: int) -> list[tuple[int, int]]:
    return [(low, min(low + size, total)) for low in range(0, total, size)]
