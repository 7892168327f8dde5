"""A causal language model as a transition system: prefixes in a batch, one token at a time.

`Prefixes` are immutable: stepping, forking and selecting rows give new ones and leave the old
ones usable, so a tree keeps its nodes and a beam goes back without recomputing. The cached keys
and values are shared, not copied, until rows are selected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from ig_theory.errors import ModelError
from llm_bridge.packaged import packaged_model
from llm_bridge.quiet import quiet

READING = (
    OSError, ValueError, RuntimeError, AttributeError, ImportError, KeyError, TypeError,
    AssertionError,  # a device that torch was built without
    SafetensorError,
)  # fmt: skip
"""What a damaged model, or a device that is not there, raises."""

READOUT_TOLERANCE = {"float64": 1e-3, "float32": 1e-3}
"""How far log-probabilities may be from the network's own, relative to the largest; 0.02 for
dtypes of half precision, whose numbers are 2^-8 apart."""


@dataclass(frozen=True)
class Setting:
    """What numbers of a model depend on beside its weights; written into every report."""

    name: str
    parameters: int
    dtype: str
    device: str
    attention: str
    layers: int
    hidden_size: int
    vocabulary: int


@dataclass(frozen=True, eq=False)
class Prefixes:
    """N token sequences that the model has read.

    Attributes
    ----------
    model : LanguageModel
    tokens : int64[N, L]
        On the left padded to one length.
    mask : bool[N, L] or None
        Where `tokens` are real; None if all are.
    hidden : float[N, D]
        The last layer's state of the last token (after the final norm): the latent from which
        the next token is predicted.
    inner : float[N, K, D]
        The states of the last token at the K layers asked for (see `LanguageModel.layers`).
    summed : float[N, D]
        The sum of `hidden` over the `generated` tokens after the prompt; for means.
    generated : int
        Tokens stepped since the prompt, the same for all rows.
    """

    model: LanguageModel
    tokens: Tensor
    mask: Tensor | None
    hidden: Tensor
    inner: Tensor
    summed: Tensor
    generated: int
    cache: DynamicCache

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def response(self) -> Tensor:
        """The tokens after the prompt, int64[N, generated]."""
        return self.tokens[:, self.tokens.shape[1] - self.generated :]

    def log_probs(self) -> Tensor:
        """Log-probabilities of the next token, float64[N, V]; each row's total is 1."""
        return self.model.log_probs(self.hidden)

    def step(self, tokens: Tensor | Sequence[int]) -> Prefixes:
        """Every row followed by its next token.

        Parameters
        ----------
        tokens : int64[N]

        Raises
        ------
        ModelError
            If there is not one token for each row.
        """
        new = torch.as_tensor(tokens, dtype=torch.int64, device=self.tokens.device)
        if new.shape != (len(self),):
            raise ModelError.at(
                "tokens", f"one for each of {len(self)} prefixes", f"shape {tuple(new.shape)}",
                "select rows first, or give a token to each",
            )  # fmt: skip
        mask = self.mask
        if mask is not None:
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        hidden, inner, cache = self.model._read(new[:, None], mask, _shared(self.cache))
        last = hidden[:, -1]
        return replace(
            self,
            tokens=torch.cat([self.tokens, new[:, None]], dim=1),
            mask=mask,
            hidden=last,
            inner=inner[:, :, -1],
            summed=self.summed + last,
            generated=self.generated + 1,
            cache=cache,
        )

    def select(self, rows: Tensor | Sequence[int]) -> Prefixes:
        """Some rows, in the given order; a row named twice is forked.

        Parameters
        ----------
        rows : int64[M]
        """
        index = torch.as_tensor(rows, dtype=torch.int64, device=self.tokens.device)
        cache = _shared(self.cache)
        cache.batch_select_indices(index)
        return replace(
            self,
            tokens=self.tokens[index],
            mask=None if self.mask is None else self.mask[index],
            hidden=self.hidden[index],
            inner=self.inner[index],
            summed=self.summed[index],
            cache=cache,
        )


class LanguageModel:
    """A causal language model and its tokenizer.

    Parameters
    ----------
    network
        A Hugging Face causal language model.
    tokenizer
        Its tokenizer; None for a model of bare token numbers.
    name
        What to call it in reports.
    layers
        Further layers whose states `Prefixes.inner` shall hold; 0 is the embedding.

    Examples
    --------
    >>> from llm_bridge.language_model import LanguageModel      # doctest: +SKIP
    >>> model = LanguageModel.load()                             # doctest: +SKIP
    >>> start = model.start([model.chat("Name a colour.")])      # doctest: +SKIP
    >>> model.text(start.log_probs().argmax(1))                  # doctest: +SKIP
    'Blue'
    """

    def __init__(
        self, network: Any, tokenizer: Any = None, name: str = "model", layers: Sequence[int] = ()
    ) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.layers = tuple(layers)
        config, first = network.config, next(network.parameters())
        self.setting = Setting(
            name=name,
            parameters=sum(p.numel() for p in network.parameters()),
            dtype=str(first.dtype).removeprefix("torch."),
            device=str(first.device),
            attention=str(getattr(config, "_attn_implementation", "unknown")),
            layers=int(config.num_hidden_layers),
            hidden_size=int(config.hidden_size),
            vocabulary=int(config.vocab_size),
        )
        for layer in self.layers:
            if not 0 <= layer <= self.setting.layers:
                raise ModelError.at(
                    "layers", f"0..{self.setting.layers}", layer, "name layers of the model"
                )

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        dtype: str = "float32",
        device: str = "cpu",
        attention: str = "sdpa",
        layers: Sequence[int] = (),
    ) -> LanguageModel:
        """Load from a local folder (safetensors) or GGUF file; the packaged SmolLM2 by default.

        Nothing is ever fetched from a hub.

        Raises
        ------
        ModelError
            If there is no such model, it cannot be read, or its scores are no plain readout of
            its latents.
        """
        place = packaged_model() if path is None else Path(path)
        given: dict[str, Any] = {"local_files_only": True}
        if place.is_file():
            given["gguf_file"] = place.name
        folder = place.parent if place.is_file() else place
        if not folder.is_dir():
            raise ModelError.at(
                str(place), "the folder or GGUF file of a model", "nothing there",
                "give a local path; nothing is fetched from a hub",
            )  # fmt: skip
        try:
            with quiet():
                network = AutoModelForCausalLM.from_pretrained(
                    str(folder), dtype=getattr(torch, dtype), attn_implementation=attention,
                    use_safetensors=None if place.is_file() else True, **given,  # never a pickle
                )  # fmt: skip
                tokenizer = AutoTokenizer.from_pretrained(str(folder), **given)
                tokenizer.clean_up_tokenization_spaces = False  # it would drop spaces
                placed: Any = network
                placed.to(device)
        except READING as error:
            raise ModelError.at(
                str(place), "a causal language model", f"{type(error).__name__}: {error}",
                "give a folder that from_pretrained reads",
            ) from error  # fmt: skip
        model = cls(network, tokenizer, place.stem if place.is_file() else place.name, layers)
        model._check_readout()
        return model

    @property
    def end(self) -> int | None:
        """The token that ends a response, if the model has one.

        Of several the tokenizer's own, which is what ends a turn of a chat; else the first.
        """
        found = self.network.config.eos_token_id
        if not isinstance(found, list | tuple):
            return None if found is None else int(found)
        own = getattr(self.tokenizer, "eos_token_id", None)
        return int(found[0] if own is None or own not in found else own)

    def encode(self, text: str) -> list[int]:
        """Text as tokens, with nothing added."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def text(self, tokens: Tensor | Sequence[int]) -> str:
        """Tokens as text, without special ones."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def chat(self, prompt: str, system: str | None = None) -> list[int]:
        """A user's prompt in the model's chat template, ready for its answer."""
        turns = [{"role": "user", "content": prompt}]
        if system is not None:
            turns.insert(0, {"role": "system", "content": system})
        ids = self.tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_dict=True
        )
        return list(ids["input_ids"])

    def start(self, prompts: Sequence[Sequence[int]]) -> Prefixes:
        """Read prompts, one row each; shorter ones are padded on the left and masked.

        Raises
        ------
        ModelError
            If there is none, or one is empty.
        """
        if not prompts or not all(len(p) for p in prompts):
            raise ModelError.at(
                "prompts", "at least one, each of at least one token",
                [len(p) for p in prompts], "leave empty prompts out",
            )  # fmt: skip
        width, device = max(map(len, prompts)), self.network.device
        tokens = torch.zeros((len(prompts), width), dtype=torch.int64)
        mask = torch.zeros((len(prompts), width), dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            tokens[row, width - len(prompt) :] = torch.as_tensor(list(prompt))
            mask[row, width - len(prompt) :] = True
        padded = None if bool(mask.all()) else mask.to(device)
        tokens = tokens.to(device)
        hidden, inner, cache = self._read(tokens, padded, DynamicCache(config=self.network.config))
        last = hidden[:, -1]
        return Prefixes(
            self, tokens, padded, last, inner[:, :, -1], torch.zeros_like(last), 0, cache
        )

    def states(self, tokens: Sequence[int]) -> Tensor:
        """The last layer's state after each token of one sequence, float[L, D]."""
        row = torch.as_tensor(list(tokens), dtype=torch.int64, device=self.network.device)
        return self._read(row[None], None, None)[0][0]

    def log_probs(self, hidden: Tensor) -> Tensor:
        """Next-token log-probabilities for latents, float64[N, V] from float[N, D]."""
        with torch.inference_mode():
            logits = self.network.get_output_embeddings()(hidden)
            return torch.log_softmax(logits.double(), dim=-1)

    def _check_readout(self) -> None:
        """Refuse networks that scale or cap what the output layer says (`log_probs` does not)."""
        with torch.inference_mode():
            row = torch.arange(min(4, self.setting.vocabulary), device=self.network.device)[None]
            said = torch.log_softmax(self.network(row).logits.double(), dim=-1)
            off = float((self.log_probs(self._read(row, None, None)[0]) - said).abs().max())
        if not off <= READOUT_TOLERANCE.get(self.setting.dtype, 0.02) * (1 + float(-said.min())):
            raise ModelError.at(
                self.setting.name, "scores that the output layer reads from the last latent",
                f"log-probabilities that differ by {off:.2g}",
                "take a model that neither scales nor caps its scores",
            )  # fmt: skip

    def _read(
        self, tokens: Tensor, mask: Tensor | None, cache: DynamicCache | None
    ) -> tuple[Tensor, Tensor, DynamicCache]:
        """States [N, l, D] of new tokens, inner [N, K, l, D], and the cache with them."""
        given: dict[str, Any] = {}
        if mask is not None:
            given["attention_mask"] = mask.long()
            places = (mask.long().cumsum(1) - 1).clamp(min=0)
            given["position_ids"] = places[:, -tokens.shape[1] :]
        with torch.inference_mode():
            out = self.network.base_model(
                input_ids=tokens,
                past_key_values=cache,
                use_cache=cache is not None,
                output_hidden_states=bool(self.layers),
                **given,
            )
        hidden = out.last_hidden_state
        inner = hidden.new_zeros((len(tokens), 0, *hidden.shape[1:]))
        if self.layers:
            inner = torch.stack([out.hidden_states[k] for k in self.layers], dim=1)
        return hidden, inner, out.past_key_values


def _shared(cache: DynamicCache) -> DynamicCache:
    """Another cache of the same keys and values; what is done to it leaves the first alone."""
    fresh = DynamicCache()
    fresh.layers = []
    for layer in cache.layers:
        copy = type(layer).__new__(type(layer))
        copy.__dict__.update(layer.__dict__)
        fresh.layers.append(copy)
    fresh.__dict__.update({k: v for k, v in cache.__dict__.items() if k != "layers"})
    return fresh
