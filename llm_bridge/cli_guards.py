"""The guards that ``ig-theory decode`` and ``compare`` know by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ig_theory.errors import IGTheoryError
from ig_theory.guards.opening import BUILT_IN
from ig_theory.io.parameters import arguments
from llm_bridge.cli_names import GUARDS
from llm_bridge.cli_setup import Setup
from llm_bridge.critic import load_critic, load_value
from llm_bridge.decoding.args import Args, controlled
from llm_bridge.decoding.baselines import base, beam_search, best_of_n
from llm_bridge.decoding.certified import certified_inference_guard
from llm_bridge.decoding.decoder import Decoder
from llm_bridge.decoding.inference_guard import inference_guard
from llm_bridge.decoding.scores import (
    Augmented,
    Cheapness,
    Foreseen,
    Lagrangian,
    Score,
    Worth,
)
from llm_bridge.decoding.tree_guards import tree_guard
from llm_bridge.decoding.twists import re_control
from llm_bridge.tree.latent_mdp import TreeModel


@dataclass(frozen=True)
class Search:
    """How wide and how long guards search; the publication has 128, 32, N/4 and 2.

    Attributes
    ----------
    blocks, width, beams : int
        N blocks of so many tokens each round, in all; the best K go on (None: N/4).
    retries : int
        How often a round is drawn again.
    critic, value : Path or None
        Folders of a trained critic and value net; by default those of the model.
    """

    blocks: int = 8
    width: int = 8
    beams: int | None = None
    retries: int = 2
    critic: Path | None = None
    value: Path | None = None

    def __post_init__(self) -> None:
        least = {"--blocks": (self.blocks, 1), "--width": (self.width, 1)}
        least |= {"--beams": (self.keep, 1), "--retries": (self.retries, 0)}
        for name, (value, least_value) in least.items():
            if value < least_value:
                raise IGTheoryError.at(name, f"a whole number >= {least_value}", value, "raise it")

    @property
    def keep(self) -> int:
        """K."""
        return max(1, self.blocks // 4) if self.beams is None else self.beams


def needs_tree(spec: str) -> bool:
    """Whether a guard is one of the theory, which plays on a token tree."""
    return spec.partition(":")[0] not in GUARDS


def check_guard(spec: str) -> str:
    """The text, if it can name a guard.

    Raises
    ------
    IGTheoryError
        If it names none, or has parameters that the guard does not.
    """
    name, _, more = spec.partition(":")
    if name in GUARDS:
        arguments(more, _PARAMETERS[name], f"--guard {name}", skip=2)
        return spec
    if name in BUILT_IN or (more and "=" not in more.partition(":")[0]):
        return spec
    close = difflib.get_close_matches(name, [*GUARDS, *BUILT_IN], n=1)
    raise IGTheoryError.at(
        "--guard", f"one of {', '.join(GUARDS)}; or on a token tree {', '.join(BUILT_IN)}",
        repr(spec), f"did you mean {close[0]!r}?" if close else "name one of these",
    )  # fmt: skip


def make_decoder(
    spec: str, setup: Setup, search: Search, found: Callable[[], TreeModel]
) -> Decoder:
    """The guard that a text names, as a decoder.

    Parameters
    ----------
    spec
        ``NAME`` or ``NAME:key=value,…``.
    found
        Makes the token tree of the prompt, for guards of the theory.

    Raises
    ------
    IGTheoryError
        If there is no such guard, or a critic that it needs is not there.
    """
    name, _, more = check_guard(spec).partition(":")
    if needs_tree(spec):
        return tree_guard(spec, found(), setup.constraint)
    factory = _PARAMETERS[name]
    made: Decoder = factory(setup, search, **arguments(more, factory, f"--guard {name}", skip=2))
    return made


def _base(setup: Setup, search: Search) -> Any:
    return base()


def _best(score: Callable[[float], Score | None]) -> Callable[..., Any]:
    def make(setup: Setup, search: Search, n: int = 0, price: float = 5.0) -> Any:
        return best_of_n(n or search.blocks, score(price))

    return make


def _beam(score: Callable[[float], Score | None]) -> Callable[..., Any]:
    def make(setup: Setup, search: Search, price: float = 5.0) -> Any:
        return beam_search(search.blocks, search.width, search.keep, score(price), shared=True)

    return make


def _args(score: Callable[[float], Score | None]) -> Callable[..., Any]:
    def make(
        setup: Setup, search: Search, omega: float = 2.5, count: int = 20, price: float = 5.0
    ) -> Any:
        chosen = score(price)
        few = min(count, setup.model.setting.vocabulary)
        return Args("args", few, omega, Worth() if chosen is None else chosen)

    return make


def _controlled(setup: Setup, search: Search, strength: float = 1.0, count: int = 20) -> Any:
    critic = load_critic(search.critic, setup.model)
    return controlled(Foreseen(critic, trust=-1.0), strength, count)


def _steered(setup: Setup, search: Search, steps: int = 30, rate: float = 0.5) -> Any:
    return re_control(setup.model, load_value(search.value, setup.model), steps, rate)


def _published(critic: bool) -> Callable[..., Any]:
    def make(setup: Setup, search: Search) -> Any:
        judge = load_critic(search.critic, setup.model) if critic else None
        return inference_guard(search.blocks, search.width, search.keep, search.retries, judge)

    return make


def _certified(critic: bool) -> Callable[..., Any]:
    def make(setup: Setup, search: Search) -> Any:
        judge = load_critic(search.critic, setup.model) if critic else None
        return certified_inference_guard(
            search.blocks, search.width, search.keep, search.retries, judge
        )

    return make


def _plain(_: float) -> None:
    return None


_PARAMETERS: dict[str, Callable[..., Any]] = {
    "base": _base,
    "best-of-n": _best(_plain),
    "best-of-n-lagrangian": _best(Lagrangian),
    "best-of-n-augmented": _best(lambda _: Augmented()),
    "beam": _beam(_plain),
    "beam-lagrangian": _beam(Lagrangian),
    "beam-augmented": _beam(lambda _: Augmented()),
    "args": _args(_plain),
    "args-lagrangian": _args(Lagrangian),
    "args-cost": _args(lambda _: Cheapness()),
    "controlled": _controlled,
    "re-control": _steered,
    "inference-guard": _published(False),
    "inference-guard-critic": _published(True),
    "certified": _certified(False),
    "certified-critic": _certified(True),
}
