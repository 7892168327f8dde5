"""A response while it is being made: its text and what is left of the budget."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from ig_theory.report.numbers import short
from llm_bridge.decoding.decoder import Blocks, Decoder, Drawing, Drawn, Pick, Response, State
from llm_bridge.decoding.problem import Beam, DecodingFault

COLUMN = 12


class Screen(Protocol):
    """Something that shows how far a response is."""

    def update(self, beams: tuple[Beam, ...], world: Any) -> None:
        """After each round: the beams, the best first."""
        ...


@dataclass(frozen=True, eq=False)
class Watched:
    """A decoder that tells a screen where it stands after each round; nothing else changes."""

    decoder: Decoder
    screen: Screen

    @property
    def name(self) -> str:
        """That of the decoder."""
        return self.decoder.name

    def start(self, world: Any) -> State:
        """Where the decoder begins."""
        return self.decoder.start(world)

    def done(self, state: State) -> bool:
        """Whether nothing is left to do."""
        return self.decoder.done(state)

    def ask(self, state: State, world: Any) -> Blocks | Pick:
        """What the decoder wants drawn next."""
        return self.decoder.ask(state, world)

    def settle(self, state: State, drawn: Drawn, world: Any) -> State:
        """Where the decoder stands after that; it is shown."""
        after = self.decoder.settle(state, drawn, world)
        self.screen.update(after.beams, world)
        return after

    def answer(self, state: State) -> Beam:
        """The response."""
        return self.decoder.answer(state)

    def failed(self, state: State, fault: DecodingFault) -> State:
        """Where the decoder stands after something failed."""
        return self.decoder.failed(state, fault)


@dataclass(eq=False)
class Lines:
    """For pipes and files: what is certain to stay, a line a round, after what is then left.

    Text is certain when all beams agree on it.
    """

    shown: int = 0
    text: str = ""
    begun: bool = field(default=False)

    def update(self, beams: tuple[Beam, ...], world: Drawing) -> None:
        """Show what all beams have in common and was not shown yet."""
        tokens = common(beams)
        if len(tokens) <= self.shown:
            return
        self._say(Beam(tokens, beams[0].costs[: len(tokens)]), world)

    def finish(self, response: Response, world: Drawing) -> None:
        """Show the rest."""
        costs = tuple(int(cost / world.problem.unit) for cost in response.costs)
        if len(response.tokens) > self.shown or not self.begun:
            self._say(Beam(response.tokens, costs), world)

    def _say(self, beam: Beam, world: Drawing) -> None:
        if not self.begun:
            print(f"{'budget left':>{COLUMN}}  text")
            self.begun = True
        text = world.text(beam)
        new = text[len(self.text) :] if text.startswith(self.text) else text
        if new.endswith("\ufffd"):  # half a character: the rest comes with the next round
            return
        left = world.problem.budgets(beam)[-1]
        print(f"{amount(left):>{COLUMN}}  {' '.join(new.split())}", flush=True)
        self.shown, self.text = len(beam.tokens), text


class Live:
    """For terminals: the best beam so far, rewritten in place."""

    def __init__(self, screen: Any) -> None:
        self._screen = screen

    def update(self, beams: tuple[Beam, ...], world: Drawing) -> None:
        """Show the best beam."""
        from rich.console import Group
        from rich.text import Text

        best = beams[0]
        left = world.problem.budgets(best)[-1]
        style = "green" if world.problem.keeps(best) else "bold red"
        status = f"budget left {amount(left)}   {len(best)} tokens"
        if len(beams) > 1:
            status += f"   the best of {len(beams)} beams"
        self._screen.update(Group(Text(world.text(best)), Text(status, style=style)))


@contextmanager
def live() -> Iterator[Live]:
    """A live region on standard output that vanishes at the end."""
    from rich.console import Console
    from rich.live import Live as Region

    console = Console(emoji=False, highlight=False)
    with Region(console=console, transient=True, vertical_overflow="visible") as region:
        yield Live(region)


def is_terminal() -> bool:
    """Whether standard output is one."""
    return sys.stdout.isatty()


def common(beams: tuple[Beam, ...]) -> tuple[int, ...]:
    """The tokens with which all beams begin."""
    first = beams[0].tokens
    for count in range(len(first), 0, -1):
        if all(beam.tokens[:count] == first[:count] for beam in beams):
            return first[:count]
    return ()


def amount(number: Fraction) -> str:
    """An exact amount, in full where it is short.

    Examples
    --------
    >>> amount(Fraction(3)), amount(Fraction(3, 4)), amount(Fraction(10**12 + 1, 10**12))
    ('3', '0.75', '1.000')
    """
    if number.denominator == 1:
        return str(number)
    text = f"{float(number):.6g}"
    return text if Fraction(text) == number else short(number, near_one=True)


def summary(response: Response, budget: Fraction) -> str:
    """One line: cost, what is left, why it ended, fallback, seconds."""
    left = response.budgets[-1]
    word = "kept" if response.kept else "BROKEN"
    end = {
        "end": "ended by itself", "length": "length used up",
        "fallback": "safe continuation played",
        "abstained": "nothing said: no continuation is within the budget",
        "stopped": "stopped after all retries failed",
    }.get(response.why, response.why)  # fmt: skip
    retries = f", {response.retries} retries" if response.retries else ""
    fallback = "fallback used" if response.why in ("fallback", "abstained") else "no fallback"
    return (
        f"budget {word}: cost {amount(response.cost)} of {amount(budget)}, {amount(left)} left; "
        f"{end}, {fallback}{retries}; {len(response.tokens)} tokens in {response.seconds:.2f} s"
    )
