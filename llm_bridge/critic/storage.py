"""Critics on disk: ``critic.safetensors`` and ``critic.json`` (``value`` likewise), no pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ig_theory.cache import cache_folder
from ig_theory.errors import ModelError
from llm_bridge.critic.network import (
    COMMAND,
    FORMAT,
    Critic,
    CriticConfig,
    Kind,
    Meaning,
    Network,
    ValueNet,
)


def default_folder(model: str) -> Path:
    """Where the critic of a model is kept unless a path is given."""
    return cache_folder() / "critics" / model


def save(critic: Critic | ValueNet, folder: str | Path) -> Path:
    """Write weights and configuration, each whole or not at all; the folder."""
    from safetensors.torch import save as pack

    place, kind = Path(folder), critic.config.kind
    place.mkdir(parents=True, exist_ok=True)
    state = critic.network.state_dict().items()
    content = pack({name: value.detach().cpu().contiguous() for name, value in state})
    digest = {"weights": hashlib.sha256(content).hexdigest()}
    text = json.dumps(asdict(critic.config) | digest, indent=1)
    _write(place / f"{kind}.safetensors", content)
    _write(place / f"{kind}.json", (text + "\n").encode())
    return place


def load_critic(folder: str | Path | None = None, model: Any = None, device: str = "cpu") -> Critic:
    """Read a critic.

    Parameters
    ----------
    folder
        By default that of the model in the cache folder.
    model : LanguageModel, optional
        Whose latents it shall read; its name and hidden size must be those it was trained on.

    Raises
    ------
    ModelError
        If there is none (with the command that makes it), it is damaged, or for another model.
    """
    return Critic(*_load("critic", folder, model, device))


def load_value(
    folder: str | Path | None = None, model: Any = None, device: str = "cpu"
) -> ValueNet:
    """Read a value net; see `load_critic`."""
    return ValueNet(*_load("value", folder, model, device))


def _load(
    kind: Kind, folder: str | Path | None, model: Any, device: str
) -> tuple[CriticConfig, Network]:
    if folder is None and model is None:
        raise ModelError.at(kind, "a folder or a model", "neither", "give one of them")
    place = default_folder(model.setting.name) if folder is None else Path(folder)
    if not (place / f"{kind}.json").exists():
        raise ModelError.at(
            str(place), f"a trained {kind}", "nothing there", f"train it once: {COMMAND}"
        )
    try:
        config, network = _read(place, kind)
    except Exception as error:  # whatever is wrong with the files, the repair is the same
        raise ModelError.at(
            str(place), f"{kind}.json and {kind}.safetensors of one {kind}",
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            f"train it again: {COMMAND}",
        ) from error  # fmt: skip
    if model is not None:
        check_model(config, model)
    return config, network.to(device).eval()


def check_model(config: CriticConfig, model: Any) -> None:
    """Refuse latents of another model.

    Raises
    ------
    ModelError
        If name or hidden size differ.
    """
    have = model.setting.name, model.setting.hidden_size
    if have != (config.meaning.model, config.latent_size):
        raise ModelError.at(
            f"model of the {config.kind}",
            f"{config.meaning.model} with {config.latent_size} units",
            f"{have[0]} with {have[1]}", f"train one for this model: {COMMAND}",
        )  # fmt: skip


def _read(place: Path, kind: Kind) -> tuple[CriticConfig, Network]:
    from safetensors.torch import load as unpack

    written = json.loads((place / f"{kind}.json").read_text(encoding="utf-8"))
    content = (place / f"{kind}.safetensors").read_bytes()
    if written.pop("weights") != hashlib.sha256(content).hexdigest():
        raise ValueError("the weights are not those of the configuration")
    told = written.pop("meaning")
    meaning = Meaning(**(told | {"budgets": tuple(told["budgets"])}))
    config, parts = CriticConfig(meaning=meaning, **written), unpack(content)
    if config.format != FORMAT or config.kind != kind:
        raise ValueError(f"a {config.kind} of format {config.format}")
    network = Network(config, parts["centre"].dtype)
    network.load_state_dict(parts)  # strict: names and sizes must be those of the configuration
    if not all(bool(torch.isfinite(value).all()) for value in parts.values()):
        raise ValueError("weights that are not finite")
    return config, network


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
