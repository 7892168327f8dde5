"""Certified InferenceGuard: the same search, kept within the budget by a safe continuation.

THEORY T6.continuation, with the continuation's cost computed by the cost model and not assumed:
a block is admissible only if the response would keep its budget when the continuation followed
at once. In current units that is ``z - c(b) >= gamma^|b| f(after b)``; walking through the
continuation step by step also covers costs below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ig_theory.errors import GuardError
from llm_bridge.decoding.block_search import BlockSearch, again, candidates, pooled
from llm_bridge.decoding.decoder import Blocks, Drawn, State, Twist, World
from llm_bridge.decoding.problem import Beam, DecodingFault
from llm_bridge.decoding.scores import LOST, Augmented, Critic, Foreseen, ranked
from llm_bridge.decoding.selection import Law, Selection

FALLBACK = "fallback"
ABSTAINED = "abstained"


@dataclass(frozen=True)
class Certified:
    """Search by blocks in which every beam that is kept has a continuation within the budget.

    If no block is admissible after all retries, or a cost model, a reward or a critic fails,
    the continuation of the best beam is played: it was costed when that beam was admitted. If
    even the prompt has no continuation within the budget, nothing is said: the empty response
    costs nothing.

    Parameters
    ----------
    search
        How blocks are drawn, ranked and drawn again. Its score only ranks: it may be wrong
        about safety.
    continuations : tuple of tuple of int
        Fixed blocks that end a response; the first one that keeps the budget and fits the
        length counts. None: the end token alone.
    """

    search: BlockSearch
    continuations: tuple[tuple[int, ...], ...] | None = None

    @property
    def name(self) -> str:
        """For reports."""
        return f"certified {self.search.name}"

    def start(self, world: World) -> State:
        """The empty response, if it has a continuation; else the end.

        Raises
        ------
        GuardError
            If even the empty response does not keep the budget, or no continuation is known.
        """
        root = world.problem.root
        if not world.problem.keeps(root):
            raise GuardError.at(
                "budget", "one that the empty response keeps",
                f"{world.problem.constraint.budget} under the "
                f"{world.problem.constraint.boundary.value} boundary",
                "raise the budget",
            )  # fmt: skip
        self._blocks(world)
        try:
            (rest,) = self.continued([root], world)
        except DecodingFault as fault:
            return State((root,), outcome=ABSTAINED, fault=str(fault))
        if rest is None:
            return State((root,), outcome=ABSTAINED)
        return State((root,), fallback=rest)

    def done(self, state: State) -> bool:
        """Whether every beam has ended."""
        return self.search.done(state)

    def ask(self, state: State, world: World) -> Blocks:
        """Blocks after every beam that has not ended."""
        return self.search.ask(state, world)

    def settle(self, state: State, drawn: Drawn, world: World) -> State:
        """The best K among the admissible, or another try, or the continuation."""
        pool = pooled(state, drawn)
        scores, _ = self.search.score(pool, world)
        order = [pool[row] for row in ranked(pool, scores)]
        kept, rest = self._admitted(order, world)
        if kept:
            return State(tuple(kept), fallback=rest, resampled=state.resampled)
        if state.retries < self.search.retries:
            return again(state, drawn)
        return self._fallen(state)

    def selects(self, state: State, laws: Sequence[Law], world: World) -> Selection:
        """What of all that could be drawn matters: the K best of what is admissible."""
        order, _ = candidates(self.search.score, laws, world)
        rests = self.continued([laws[parent][row][0] for parent, row in order], world)
        good = tuple(place for place, rest in zip(order, rests, strict=True) if rest is not None)
        bad = tuple(place for place, rest in zip(order, rests, strict=True) if rest is None)
        tried = state.retries >= self.search.retries or any(beam.ended for beam in state.beams)
        return Selection(good + bad, self.search.keep, len(good), False, not tried)

    def answer(self, state: State) -> Beam:
        """The best beam, or the continuation."""
        return state.beams[0]

    def failed(self, state: State, fault: DecodingFault) -> State:
        """The continuation that was costed before anything failed."""
        return replace(self._fallen(state), fault=str(fault))

    def continued(self, beams: Sequence[Beam], world: World) -> list[Beam | None]:
        """Each beam with its continuation; ended ones as they are; None: not within the budget."""
        found: list[Beam | None] = [
            beam if beam.ended and world.problem.keeps(beam) else None for beam in beams
        ]
        for block in self._blocks(world):
            rows = [
                row for row, beam in enumerate(beams)
                if found[row] is None and not beam.ended
                and len(beam) + len(block) <= world.problem.horizon
            ]  # fmt: skip
            if rows:
                grown = world.grow([beams[row] for row in rows], [block] * len(rows))
                for row, beam in zip(rows, grown, strict=True):
                    if beam.ended and world.problem.keeps(beam):
                        found[row] = beam
        return found

    def _admitted(self, order: Sequence[Beam], world: World) -> tuple[list[Beam], Beam | None]:
        """The first K admissible beams, and the continuation of the first of them."""
        kept: list[Beam] = []
        first: Beam | None = None
        for low in range(0, len(order), self.search.keep):
            part = order[low : low + self.search.keep]
            for beam, rest in zip(part, self.continued(part, world), strict=True):
                if rest is not None and len(kept) < self.search.keep:
                    first = first or rest
                    kept.append(beam)
            if len(kept) == self.search.keep:
                break
        return kept, first

    def _blocks(self, world: World) -> tuple[tuple[int, ...], ...]:
        end = world.problem.end
        given = ((end,),) if self.continuations is None and end is not None else self.continuations
        if not given:
            raise GuardError.at(
                "continuations", "a block that ends a response", "none, and no end token",
                "give a fixed refusal",
            )  # fmt: skip
        for block in given:
            if not block or (end is not None and (block[-1] != end or end in block[:-1])):
                raise GuardError.at(
                    "continuations", f"blocks whose last token, and no other, ends a response "
                    f"({end})", block, "add the end token, there alone",
                )  # fmt: skip
        return given

    def _fallen(self, state: State) -> State:
        if state.fallback is None:
            raise GuardError.at(
                "certified decoding", "a continuation costed beforehand", "none", "start() it"
            )
        return State((state.fallback,), outcome=FALLBACK, resampled=state.resampled)


def certified_inference_guard(
    blocks: int = 128,
    width: int = 32,
    keep: int | None = None,
    retries: int = 2,
    critic: Critic | None = None,
    *,
    continuations: tuple[tuple[int, ...], ...] | None = None,
    strength: float = 5.0,
    lost: float = LOST,
    shared: bool = True,
    twist: Twist | None = None,
) -> Certified:
    """InferenceGuard that never leaves its budget, with respect to the cost model.

    The parameters are those of `inference_guard`, and the continuations.
    """
    score = Augmented(lost) if critic is None else Foreseen(critic, lost=lost)
    name = "inference guard" if critic is None else "inference guard with critic"
    keep = max(1, blocks // 4) if keep is None else keep
    search = BlockSearch(
        name, blocks, width, keep, score, retries, strength, shared=shared, twist=twist
    )
    return Certified(search, continuations)
