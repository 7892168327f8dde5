"""A linear probe on latents: how harmful people would find the response so far, from 0 to 1.

Kept as safetensors (the weights) and JSON (what they belong to). `llm_bridge.costs.train_probe`
makes one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ig_theory.cache import cache_folder
from ig_theory.errors import ModelError
from llm_bridge.costs.linear import Logistic
from llm_bridge.costs.steps import Steps

Features = Literal["last", "mean", "both"]
COMMAND = "ig-theory decode train-probe"
FORMAT = 1


@dataclass(frozen=True)
class ProbeConfig:
    """What a probe's weights belong to, and how good they are on rows they have not seen.

    Attributes
    ----------
    model : str
        Name of the language model whose latents it reads.
    hidden_size, layer : int
        Of that model; the layer is its last.
    features : ``last``, ``mean`` or ``both``
        The newest token's latent, the mean over the response, or one after the other.
    trained_at : list of int
        Responses were cut to so many tokens for training (several: each response several times).
    penalty : float
        Of the logistic regression.
    rows, groups, folds : int
        Of the training data.
    data : str
        SHA-256 of the training rows.
    out_of_fold : dict
        ``auc``, ``brier``, ``reliability``, and ``at`` (by tokens of the response read: AUC,
        Brier score, mean score), all on rows that were not in training.
    """

    model: str
    hidden_size: int
    layer: int
    features: Features
    trained_at: list[int]
    penalty: float
    rows: int
    groups: int
    folds: int
    data: str
    out_of_fold: dict[str, Any]
    format: int = FORMAT


@dataclass(frozen=True, eq=False)
class Probe:
    """A score of the response so far (a `Score` for costs and rewards), in (0, 1).

    Raises
    ------
    ModelError
        When it is asked without latents or with latents of another size.
    """

    config: ProbeConfig
    logistic: Logistic
    uses_hidden: bool = field(default=True, init=False)
    lowest: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        width = feature_size(self.config.features, self.config.hidden_size)
        if self.config.features not in get_args(Features) or self.logistic.weight.shape != (width,):
            raise ModelError.at(
                "probe", f"{width} weights for features {self.config.features}",
                f"shape {self.logistic.weight.shape}", f"train it again: {COMMAND}",
            )  # fmt: skip

    @property
    def name(self) -> str:
        """For reports."""
        return f"probe {self.config.features} of {self.config.model}"

    def check_model(self, name: str, hidden_size: int) -> None:
        """Refuse latents of another model.

        Raises
        ------
        ModelError
            If name or hidden size differ.
        """
        if (name, hidden_size) != (self.config.model, self.config.hidden_size):
            raise ModelError.at(
                "model of the probe", f"{self.config.model} with {self.config.hidden_size} units",
                f"{name} with {hidden_size}", f"train a probe for this model: {COMMAND}",
            )  # fmt: skip

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """Scores of the responses up to and with the new token, float64[N]."""
        if steps.hidden is None or steps.summed is None:
            raise ModelError.at(
                "steps.hidden and steps.summed", "latents", "none",
                "choose a cost of texts or tokens, or pass the latents along",
            )  # fmt: skip
        for name, latents in (("hidden", steps.hidden), ("summed", steps.summed)):
            if latents.shape[1] != self.config.hidden_size:
                raise ModelError.at(
                    f"steps.{name}", f"latents of {self.config.hidden_size} units",
                    latents.shape[1], "use the model that the probe was trained on",
                )  # fmt: skip
        n = np.full(len(steps), steps.tokens.shape[1])
        return self.logistic(join(self.config.features, steps.hidden, steps.summed, n))

    def save(self, folder: str | Path) -> Path:
        """Write ``probe.safetensors`` and ``probe.json``, each whole or not at all; the folder."""
        from safetensors.numpy import save

        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        parts = {"weight": self.logistic.weight, "bias": np.array([self.logistic.bias])}
        content = save(parts)
        digest = {"weights": hashlib.sha256(content).hexdigest()}
        text = json.dumps(asdict(self.config) | digest, indent=1)
        _write(place / "probe.safetensors", content)
        _write(place / "probe.json", (text + "\n").encode())
        return place


def feature_size(features: Features, hidden_size: int) -> int:
    """How many numbers describe a response."""
    return hidden_size * (2 if features == "both" else 1)


def join(
    features: Features,
    last: NDArray[np.floating],
    summed: NDArray[np.floating],
    lengths: NDArray[np.int64],
) -> NDArray[np.float64]:
    """What the probe reads, float64[N, F], from latents [N, D] and numbers of tokens [N]."""
    mean = summed.astype(np.float64) / lengths[:, None]
    if features == "mean":
        return mean
    new = last.astype(np.float64)
    return new if features == "last" else np.concatenate([new, mean], axis=1)


def default_folder(model: str) -> Path:
    """Where the probe of a model is kept unless a path is given."""
    return cache_folder() / "probes" / model


def load_probe(folder: str | Path | None = None, model: Any = None) -> Probe:
    """Read a probe.

    Parameters
    ----------
    folder
        By default that of the model in the cache folder.
    model : LanguageModel, optional
        Whose latents it shall read; name and hidden size must be those it was trained on.

    Raises
    ------
    ModelError
        If there is none (with the command that makes it), it is damaged, or for another model.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if folder is None and model is None:
        raise ModelError.at("probe", "a folder or a model", "neither", "give one of them")
    place = default_folder(model.setting.name) if folder is None else Path(folder)
    if not (place / "probe.json").exists():
        raise ModelError.at(
            str(place), "a trained probe", "nothing there",
            f"train it once (some minutes): {COMMAND}",
        )  # fmt: skip
    try:
        written = json.loads((place / "probe.json").read_text(encoding="utf-8"))
        content = (place / "probe.safetensors").read_bytes()
        if written.pop("weights") != hashlib.sha256(content).hexdigest():
            raise ValueError("the weights are not those of the configuration")
        config, parts = ProbeConfig(**written), load(content)
        logistic = Logistic(parts["weight"].astype(np.float64), float(parts["bias"][0]))
        if config.format != FORMAT or not np.isfinite([*logistic.weight, logistic.bias]).all():
            raise ValueError(f"format {config.format}, or weights that are not finite")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, SafetensorError) as error:
        raise ModelError.at(
            str(place), "probe.json and probe.safetensors of one probe",
            f"{type(error).__name__}: {error}", f"train it again: {COMMAND}",
        ) from error  # fmt: skip
    probe = Probe(config, logistic)
    if model is not None:
        probe.check_model(model.setting.name, model.setting.hidden_size)
    return probe


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
