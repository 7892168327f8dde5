"""What the words of ``ig-theory decode`` and ``compare`` stand for: model, cost, reward, budget."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import IGTheoryError, ModelError
from ig_theory.io.parameters import arguments
from ig_theory.io.python_file import load_name
from llm_bridge.costs.patterns import PatternCost, words
from llm_bridge.costs.scores import ScoreCost, TextScore, profanity
from llm_bridge.costs.steps import CostModel, Reward
from llm_bridge.decoding.live import LiveWorld
from llm_bridge.language_model import LanguageModel
from llm_bridge.rewards import LogLikelihood, attribute, length
from llm_bridge.tree import TreeModel, expand, latent_mdp

RUDE = {
    "darn": 1, "heck": 1, "damn": 1, "crap": 1, "dumb": 1, "lame": 1, "silly": 1, "ugly": 1,
    "fool": 2, "fools": 2, "foolish": 2, "stupid": 2, "idiot": 2, "idiots": 2, "moron": 2,
    "loser": 2, "losers": 2, "hate": 2, "hated": 2, "shut up": 2, "worthless": 3, "pathetic": 3,
}  # fmt: skip
"""The packaged word list: rude words, in units; mild on purpose."""

TINY = "tiny"


@dataclass(frozen=True, eq=False)
class Setup:
    """All that a response depends on but the prompt, the guard and the seed.

    Attributes
    ----------
    model, cost, reward, constraint
    horizon : int
        Most tokens of a response.
    reward_discount : Fraction
    system : str or None
        What stands before each prompt.
    top_k : int or None
        Only the likeliest tokens, renormalised.
    tiny : bool
        Whether the model is one of the project's own tiny transformers.
    limit : int
        Most nodes of a token tree.
    """

    model: LanguageModel
    cost: CostModel
    reward: Reward | None
    constraint: BudgetConstraint
    horizon: int
    reward_discount: Fraction = Fraction(1)
    system: str | None = None
    top_k: int | None = None
    tiny: bool = False
    limit: int = 500_000

    def tokens(self, prompt: str) -> tuple[int, ...]:
        """The prompt as the model reads it."""
        return tuple(self.model.chat(prompt, self.system))

    def world(self, prompt: str, generator: np.random.Generator) -> LiveWorld:
        """The model with a prompt, ready to be sampled from."""
        return LiveWorld(
            self.model, self.tokens(prompt), self.constraint, self.horizon, self.cost, self.reward,
            generator, reward_discount=self.reward_discount, top_k=self.top_k,
        )  # fmt: skip

    def tree(self, prompt: str, progress: Callable[[int], None] | None = None) -> TreeModel:
        """Every response to a prompt (of the likeliest tokens), as a constrained MDP.

        Raises
        ------
        ModelError
            If there are too many.
        """
        # Guards that read latents are asked about ended responses as well.
        found = expand(
            self.model, self.tokens(prompt), self.horizon, top_k=self.top_k,
            leaf_hidden=True, limit=self.limit, progress=progress,
        )  # fmt: skip
        names = None
        if self.tiny:
            from llm_bridge.tiny import NAMES

            names = NAMES
        return latent_mdp(
            found, self.model, self.cost, self.reward,
            other=None if self.top_k is None else "cut", reward_discount=self.reward_discount,
            token_names=names,
        )  # fmt: skip


def load_setup(
    model: str | None,
    cost: str | None,
    reward: str | None,
    constraint: BudgetConstraint,
    *,
    reward_discount: Fraction = Fraction(1),
    system: str | None = None,
    top_k: int | None = None,
    device: str = "cpu",
    limit: int = 500_000,
) -> Setup:
    """Load what is named.

    Parameters
    ----------
    model
        See `load_model`.
    cost, reward
        See `load_cost` and `load_reward`; None for the model's own: ``harm`` and ``worth`` of a
        tiny transformer, else ``words`` and ``likelihood``.
    constraint
        Its horizon is the length of a response.

    Raises
    ------
    IGTheoryError
        If something is unknown or missing.
    """
    tiny = is_tiny(model)
    # What can fail at once fails before the weights are read.
    worth = load_reward(reward or ("worth" if tiny else "likelihood"))
    named = cost or ("harm" if tiny else "words")
    charged = None if needs_model(named) else load_cost(named, None)
    loaded = load_model(model, device)
    if top_k is not None and not 1 <= top_k <= loaded.setting.vocabulary:
        raise IGTheoryError.at(
            "--top-k", f"1..{loaded.setting.vocabulary}", top_k, "choose how many tokens"
        )
    if charged is None:
        charged = load_cost(named, loaded)
    assert constraint.horizon is not None
    return Setup(
        loaded, charged, worth, constraint, constraint.horizon, reward_discount, system,
        top_k, tiny, limit,
    )  # fmt: skip


def is_tiny(model: str | None) -> bool:
    """Whether a name means one of the project's own transformers."""
    return model is not None and model.partition(":")[0] == TINY


def needs_model(spec: str) -> bool:
    """Whether a cost can only be loaded for a model."""
    return spec.partition(":")[0] == "probe"


def load_model(spec: str | None, device: str = "cpu") -> LanguageModel:
    """A model by name: None for the packaged one, ``tiny``, ``tiny:size=nano``, or a path."""
    if spec is None or not is_tiny(spec):
        return LanguageModel.load(spec, device=device)
    from llm_bridge.tiny import tiny_model

    given = arguments(spec.partition(":")[2], _tiny_options, "--model")
    return tiny_model(dtype="float64", **given)


def load_cost(spec: str, model: LanguageModel | None) -> CostModel:
    """A cost model by name.

    Parameters
    ----------
    spec
        ``words`` (the packaged list), ``words:a,b=2`` or ``words:FILE``; ``profanity`` and
        ``probe``, with ``:mode=…,scale=…,folder=…``; ``harm`` (of tiny models);
        ``file.py:name``.

    Raises
    ------
    IGTheoryError
        If there is no such cost model.
    """
    name, _, more = spec.partition(":")
    if ".py:" in spec:
        return _own_cost(spec)
    if name == "words":
        return _words(more)
    if name == "harm" and not more:
        from llm_bridge.tiny import PairCosts

        return PairCosts()
    if name in ("profanity", "probe"):
        given = arguments(more, _score_options, f"--cost {name}")
        folder = given.pop("folder", None)
        score: Any
        if name == "profanity":
            score = profanity()
        else:
            from llm_bridge.costs.probe import load_probe

            score = load_probe(folder, model)
        return ScoreCost(score, **given)
    raise IGTheoryError.at(
        "--cost", "words, words:FILE, words:WORD,…, profanity, probe, harm, or file.py:function",
        repr(spec), "name one of these",
    )  # fmt: skip


def load_reward(spec: str) -> Reward | None:
    """A reward by name.

    Parameters
    ----------
    spec
        ``likelihood``, ``length:N``, ``words:a,b`` (how many of them), ``worth`` (of tiny
        models), ``none``, or ``file.py:name`` (a function of the text, or a reward).

    Raises
    ------
    IGTheoryError
        If there is no such reward.
    """
    name, _, more = spec.partition(":")
    if ".py:" in spec:
        made = _made(spec)
        return made if hasattr(made, "uses_hidden") else attribute(_number(made, spec), spec)
    if name == "words" and more:
        counted = _words(more)
        return attribute(lambda text: counted.of_text(text), spec)
    if name == "length" and more.isdecimal():
        return length(int(more))
    if name == "worth" and not more:
        from llm_bridge.tiny import TokenWorth

        return TokenWorth()
    simple: dict[str, Reward | None] = {"likelihood": LogLikelihood(), "none": None}
    if spec in simple:
        return simple[spec]
    raise IGTheoryError.at(
        "--reward", "likelihood, length:N, words:WORD,…, worth, none, or file.py:function",
        repr(spec), "name one of these",
    )  # fmt: skip


def _tiny_options(size: str = "small", seed: int = 0) -> None:
    """What may stand after ``tiny:``."""


def _score_options(
    mode: str = "running_max",
    scale: Fraction = Fraction(1),
    unit: Fraction = Fraction(1, 100),
    rounding: str = "up",
    folder: str = "",
) -> None:
    """What may stand after ``profanity:`` and ``probe:``."""


def _words(text: str) -> PatternCost:
    """The packaged list, a file of words, or words that are named, each with ``=COST`` if not 1."""
    if not text:
        return words(RUDE)
    parts: Sequence[str] = text.split(",")
    if len(parts) == 1 and (place := Path(text)).suffix:
        try:
            parts = place.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            raise ModelError.at(
                text, "a text file of words, one a line", error, "give a file that exists"
            ) from error
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in parts)):
        word, equals, cost = part.partition("=")
        if equals and not cost.strip().isdecimal():
            raise IGTheoryError.at(
                "word list", "WORD or WORD=COST, a whole number", repr(part), "write it like darn=2"
            )
        found[word.strip()] = int(cost) if equals else 1
    if not found:
        raise IGTheoryError.at("word list", "at least one word", repr(text), "name some")
    return words(found, name=f"words {text}" if len(text) <= 40 else f"words {text[:39]}…")


def _made(spec: str) -> Any:
    """What ``file.py:name`` names; a class is made, and a function without parameters called."""
    path, _, name = spec.partition(".py:")
    found = load_name(Path(f"{path}.py"), name)
    try:
        empty = callable(found) and not inspect.signature(found).parameters
    except (TypeError, ValueError):
        empty = False
    return found() if inspect.isclass(found) or empty else found


def _own_cost(spec: str) -> CostModel:
    made: Any = _made(spec)
    if hasattr(made, "unit") and hasattr(made, "name"):
        return made  # type: ignore[no-any-return]
    score = TextScore(lambda texts: [_number(made, spec)(text) for text in texts], spec)
    return ScoreCost(score)


def _number(made: Any, spec: str) -> Callable[[str], float]:
    if not callable(made):
        raise IGTheoryError.at(
            spec, "a function of the response's text, a cost model or a reward",
            type(made).__name__, "write one",
        )  # fmt: skip
    return lambda text: float(made(text))
