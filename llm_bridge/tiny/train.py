"""Tiny Llama transformers that the project trains itself, in seconds and always alike.

The same size and seed give the same weights to the bit on one machine and version of torch;
elsewhere sums may be taken in another order. Trained weights are kept as safetensors in the
cache folder, under a hash of all that they depend on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ig_theory.cache import cache_folder
from ig_theory.errors import ModelError
from llm_bridge.language_model import LanguageModel
from llm_bridge.quiet import quiet
from llm_bridge.tiny.grammar import BEGIN, END, NAMES, Grammar, grammar


@dataclass(frozen=True)
class Recipe:
    """What a tiny transformer is and how it is trained; with a seed it fixes the weights."""

    layers: int
    hidden: int
    heads: int
    steps: int
    batch: int = 256
    length: int = 10
    rate: float = 4e-3


SIZES: dict[str, Recipe] = {
    "nano": Recipe(layers=1, hidden=32, heads=2, steps=150),
    "small": Recipe(layers=2, hidden=64, heads=4, steps=400),
}
"""Named sizes: ``nano`` trains in about two seconds, ``small`` in about twenty."""


class Names:
    """A tokenizer that knows tokens by name: ``"please help"`` is two tokens."""

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        """Token numbers of names that are separated by spaces."""
        unknown = [word for word in text.split() if word not in NAMES]
        if unknown:
            raise ModelError.at(
                "text", f"names of tokens: {', '.join(NAMES)}", repr(unknown[0]), "use these names"
            )
        return {"input_ids": [NAMES.index(word) for word in text.split()]}

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The names, separated by spaces."""
        hidden = (BEGIN, END) if skip_special_tokens else ()
        return " ".join(NAMES[int(token)] for token in tokens if int(token) not in hidden)

    def apply_chat_template(self, turns: Sequence[Mapping[str, str]], **_: Any) -> dict[str, Any]:
        """All that was said, after ``begin``."""
        said = " ".join(turn["content"] for turn in turns)
        return {"input_ids": [BEGIN, *self(said)["input_ids"]]}


def tiny_model(size: str = "small", seed: int = 0, dtype: str = "float32") -> LanguageModel:
    """A tiny transformer of the language in `grammar`; trained on first use, then loaded.

    Parameters
    ----------
    size
        One of `SIZES`.
    seed
        Of the first weights and of the training data.
    dtype
        ``float64`` computes with the same weights more exactly: the numbers of a prefix then
        hardly depend on its batch neighbours.

    Raises
    ------
    ModelError
        If there is no such size.
    """
    if size not in SIZES:
        raise ModelError.at("size", " or ".join(SIZES), repr(size), "name one of these")
    folder = cache_folder() / f"tiny-{size}-{seed}-{_digest(SIZES[size], seed)}"
    if not (folder / "config.json").exists():
        _save(train(SIZES[size], seed), folder)
    with quiet():
        network = LlamaForCausalLM.from_pretrained(
            str(folder), dtype=getattr(torch, dtype), local_files_only=True
        )
    return LanguageModel(network, Names(), f"tiny-{size}-{seed}")


def train(recipe: Recipe, seed: int = 0) -> Any:
    """A freshly trained network, in float32 on the CPU.

    One thread, and random numbers of its own: nothing else in the process changes the outcome,
    and it changes no random state of others.
    """
    language, generator = grammar(), np.random.default_rng(seed)
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        make: Any = LlamaForCausalLM
        network = make(_config(recipe)).train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=recipe.rate, total_steps=recipe.steps, pct_start=0.1
        )
        for _ in range(recipe.steps):
            loss = _loss(network, language, recipe, generator)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def held_out_loss(model: LanguageModel, count: int, length: int, seed: int) -> tuple[float, float]:
    """Nats per token of fresh responses, under the model and under the language itself.

    The difference estimates the divergence of the two with little noise, because both are
    judged on the same responses.
    """
    language = grammar()
    tokens = language.sample(count, length, np.random.default_rng(seed))
    said = _before_end(tokens)
    truth = np.log(language.probability[language.contexts(tokens), tokens])
    row = torch.as_tensor(np.concatenate([np.full((count, 1), BEGIN), tokens], axis=1))
    with torch.inference_mode():
        hidden = model.network.base_model(input_ids=row[:, :-1]).last_hidden_state
        guess = model.log_probs(hidden).gather(2, row[:, 1:, None])[:, :, 0].numpy()
    return float(-guess[said].mean()), float(-truth[said].mean())


def _loss(network: Any, language: Grammar, recipe: Recipe, generator: np.random.Generator) -> Any:
    tokens = language.sample(recipe.batch, recipe.length, generator)
    target = torch.as_tensor(np.where(_before_end(tokens), tokens, -100))
    read = np.concatenate([np.full((len(tokens), 1), BEGIN), tokens[:, :-1]], axis=1)
    logits = network(input_ids=torch.as_tensor(read), use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())


def _before_end(tokens: np.ndarray) -> np.ndarray:
    """Where a response is not over yet; its ``end`` counts as part of it."""
    ended = (tokens == END).cumsum(axis=1) - (tokens == END)
    return np.asarray(ended == 0)


def _config(recipe: Recipe) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(NAMES), hidden_size=recipe.hidden, intermediate_size=2 * recipe.hidden,
        num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads,
        max_position_embeddings=64, bos_token_id=BEGIN, eos_token_id=END, pad_token_id=None,
        tie_word_embeddings=False,
    )  # fmt: skip


def _digest(recipe: Recipe, seed: int) -> str:
    language = grammar()
    told = [asdict(recipe), seed, NAMES, torch.__version__]
    content = json.dumps(told).encode() + language.probability.tobytes()
    return hashlib.sha256(content + language.follow.tobytes()).hexdigest()[:16]


def _save(network: Any, folder: Path) -> None:
    """Appears whole or not at all, even if two processes train at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with quiet():
            network.save_pretrained(part)
        try:
            part.rename(folder)
        except OSError:
            if not (folder / "config.json").exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
