"""Fitting a critic or a value net: seeded, in mini-batches, stopped early on rows held out.

The held-out rows are whole prompts (or whole rollouts where there is one prompt): nothing that
is trained on decides when to stop. The same seed gives the same weights to the bit on one CPU
with the same number of threads; no global random state is read or changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ig_theory.errors import ModelError
from llm_bridge.critic.data import Rows
from llm_bridge.critic.network import Critic, CriticConfig, Kind, Network, ValueNet

Ints = NDArray[np.int64]
Progress = Callable[[int, int, float, float], None]


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Attributes
    ----------
    hidden_size, layers : int
    epochs, batch : int
    rate : float
        Of AdamW at the start; it falls to a twentieth along a cosine.
    decay : float
        Weight decay.
    patience : int
        Epochs without a better held-out loss after which training stops.
    held_out : float
        Share of the groups that is held out. With 0 all rows are trained on and nothing stops
        early: for exact rows, where there is nothing else to be good on.
    seed : int
    device : str
    dtype : str
    uses_time, standardise : bool
        See `CriticConfig`.

    Notes
    -----
    The paper trains with hidden size 4096, rate 1e-5, batch 8 and 50 epochs on 37,400 prompts;
    these defaults are for the smaller models and data at hand.
    """

    hidden_size: int = 256
    layers: int = 2
    epochs: int = 50
    batch: int = 64
    rate: float = 1e-3
    decay: float = 1e-2
    patience: int = 8
    held_out: float = 0.2
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    uses_time: bool = True
    standardise: bool = True

    def __post_init__(self) -> None:
        small = [n for n in ("epochs", "batch", "patience") if getattr(self, n) < 1]
        if small or not 0 < self.rate < math.inf or not 0 <= self.held_out < 1:
            raise ModelError.at(
                "training", "epochs, batch and patience of at least 1, a positive rate, a share "
                "in [0, 1) held out", small or (self.rate, self.held_out), "choose others",
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trained:
    """A fitted network and how it came about.

    Attributes
    ----------
    critic : Critic or ValueNet
    history : tuple of (float, float)
        Loss on training and on held-out rows (NaN if there are none), by epoch.
    best : int
        The epoch whose weights were kept, from 1.
    stopped : ``epochs``, ``early`` or ``interrupted``
    trained_on, held_out : int64[]
        Row numbers.
    """

    critic: Any
    history: tuple[tuple[float, float], ...]
    best: int
    stopped: str
    trained_on: Ints
    held_out: Ints


def train_critic(
    rows: Rows, options: TrainOptions | None = None, progress: Progress | None = None
) -> Trained:
    """Fit f1 by binary cross-entropy and f2 by squared error over the rollouts that kept it.

    After Ctrl-C the best weights so far come back, marked ``interrupted``, if an epoch is done.

    Parameters
    ----------
    progress
        Called after every epoch with its number, of how many, and both losses.

    Raises
    ------
    ModelError
        If there are too few groups, or the loss is not finite.
    """
    return _train("critic", rows, options or TrainOptions(), progress)


def train_value(
    rows: Rows, options: TrainOptions | None = None, progress: Progress | None = None
) -> Trained:
    """Fit a value net on `value_rows`: the latent alone tells the reward to go."""
    return _train("value", rows, options or TrainOptions(), progress)


def split(group: Ints, share: float, seed: int) -> tuple[Ints, Ints]:
    """Rows to train on and rows held out: whole groups, about this share of them.

    Raises
    ------
    ModelError
        If some are to be held out and there is one group only.
    """
    if share == 0:
        return np.arange(len(group)), np.arange(0)
    names = np.unique(group)
    if len(names) < 2:
        raise ModelError.at(
            "rows", "at least 2 prompts or rollouts", len(names),
            "sample more, or hold nothing out (held_out=0)",
        )  # fmt: skip
    count = min(max(round(share * len(names)), 1), len(names) - 1)
    apart = np.random.default_rng(seed).permutation(names)[:count]
    held = np.isin(group, apart)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _train(kind: Kind, rows: Rows, options: TrainOptions, progress: Progress | None) -> Trained:
    on, out = split(rows.group, options.held_out, options.seed)
    work = _Fit(_config(kind, rows, rows.take(on), options), rows, on, out, options)
    stopped = work.run(progress)
    config = replace(work.config, report=work.report(stopped))
    network = work.network.eval()
    network.config = config
    made: Any = Critic(config, network) if kind == "critic" else ValueNet(config, network)
    return Trained(made, tuple(work.history), work.best, stopped, on, out)


def _config(kind: Kind, rows: Rows, train: Rows, options: TrainOptions) -> CriticConfig:
    """The network's shape, and constants that the training rows alone determine."""
    weight = train.weight * train.kept
    total = float(weight.sum())
    mean = float(weight @ train.reward) / total if total > 0 else 0.0
    spread = math.sqrt(float(weight @ (train.reward - mean) ** 2) / total) if total > 0 else 1.0
    return CriticConfig(
        kind=kind, meaning=rows.meaning, latent_size=rows.hidden.shape[1],
        hidden_size=options.hidden_size, layers=options.layers, uses_budget=kind == "critic",
        uses_time=kind == "critic" and options.uses_time, standardise=options.standardise,
        budget_scale=float(np.abs(train.budget).max()) or 1.0,
        time_scale=float(max(rows.meaning.horizon, 1)), reward_mean=mean,
        reward_scale=spread if spread > 1e-12 else 1.0, seed=options.seed,
        data=rows.fingerprint(),
    )  # fmt: skip


class _Fit:
    """A fit that is under way."""

    def __init__(
        self, config: CriticConfig, rows: Rows, on: Ints, out: Ints, options: TrainOptions
    ) -> None:
        self.config, self.options = config, options
        self.network = Network(config, getattr(torch, options.dtype)).to(options.device)
        if config.standardise:
            self._standardise(rows.take(on))
        self.train, self.held = self._tensors(rows.take(on)), self._tensors(rows.take(out))
        self.history: list[tuple[float, float]] = []
        self.best, self.best_loss = 0, math.inf
        self.generator = np.random.default_rng([options.seed, 1])
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=options.rate, weight_decay=options.decay
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, options.epochs, eta_min=options.rate / 20
        )
        self.kept_weights: dict[str, Tensor] = {}

    def run(self, progress: Progress | None) -> str:
        """Train; the network has the best weights afterwards."""
        stopped = "epochs"
        try:
            for epoch in range(1, self.options.epochs + 1):
                self.epoch(epoch)
                if progress is not None:
                    progress(epoch, self.options.epochs, *self.history[-1])
                if epoch - self.best >= self.options.patience:
                    stopped = "early"
                    break
        except KeyboardInterrupt:
            if not self.kept_weights:
                raise
            stopped = "interrupted"
        self.network.load_state_dict(self.kept_weights)
        return stopped

    def epoch(self, number: int) -> None:
        """All training rows once, in batches of random order."""
        self.network.train()
        count, total = len(self.train[0]), 0.0
        order = torch.as_tensor(self.generator.permutation(count), device=self.options.device)
        for part in order.split(self.options.batch):
            loss = self.loss(tuple(value[part] for value in self.train))
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            total += float(loss.detach()) * len(part)
        self.schedule.step()
        held = self.held_loss()
        self.history.append((total / count, held))
        if not math.isfinite(total) or not (math.isfinite(held) or not len(self.held[0])):
            raise ModelError.at(
                f"loss of epoch {number}", "a finite number", total / count, "lower the rate"
            )
        if not len(self.held[0]) or held < self.best_loss:
            self.best, self.best_loss = number, held
            state = self.network.state_dict()
            self.kept_weights = {name: value.clone() for name, value in state.items()}

    def held_loss(self) -> float:
        """The loss on the rows held out; NaN if there are none."""
        if not len(self.held[0]):
            return math.nan
        self.network.eval()
        with torch.no_grad():
            parts = [
                float(self.loss(rows)) * len(rows[0])
                for rows in zip(*(value.split(4096) for value in self.held), strict=True)
            ]
        return sum(parts) / len(self.held[0])

    def loss(self, rows: tuple[Tensor, ...]) -> Tensor:
        """Mean loss of some rows, weighted; both heads count alike in standardised units."""
        hidden, budget, time, kept, reward, weight, worth = rows
        out = self.network(hidden, budget, time)
        squared: Tensor = (worth * (out[:, -1] - reward) ** 2).mean()
        if self.config.kind == "value":
            return squared
        entropy: Tensor = nn.functional.binary_cross_entropy_with_logits(
            out[:, 0], kept, weight=weight
        )
        return entropy + squared

    def report(self, stopped: str) -> dict[str, Any]:
        """How the fit went, on rows held out."""
        if not len(self.held[0]):
            return {"stopped": stopped, "epoch": self.best, "rows": len(self.train[0]), "held": 0}
        self.network.eval()
        hidden, budget, time, kept, reward, weight, worth = self.held
        with torch.no_grad():
            out = self.network(hidden, budget, time)
        scale = self.config.reward_scale
        found: dict[str, Any] = {
            "stopped": stopped, "epoch": self.best, "loss": self.best_loss,
            "rows": len(self.train[0]), "held": len(hidden),
            "rmse": scale * _mean((out[:, -1] - reward) ** 2, worth) ** 0.5,
            "rmse_of_mean": scale * _mean(reward**2, worth) ** 0.5,
        }  # fmt: skip
        if self.config.kind == "critic":
            constant = _mean(self.train[3], self.train[5])
            found["brier"] = _mean((out[:, 0].sigmoid() - kept) ** 2, weight)
            found["brier_of_mean"] = _mean((constant - kept) ** 2, weight)
        return found

    def _standardise(self, train: Rows) -> None:
        weight = train.weight / train.weight.sum()
        latent = train.hidden.astype(np.float64)
        mean = weight @ latent
        spread = np.sqrt(weight @ (latent - mean) ** 2)
        spread[spread < 1e-6] = 1.0  # an entry that never moves
        self.network.centre.copy_(torch.as_tensor(mean))
        self.network.spread.copy_(torch.as_tensor(spread))

    def _tensors(self, rows: Rows) -> tuple[Tensor, ...]:
        """What `loss` reads; weights have mean 1, rewards are standardised."""
        reward = (rows.reward - self.config.reward_mean) / self.config.reward_scale
        worth = rows.weight * rows.kept
        values = (
            rows.hidden, rows.budget, rows.time, rows.kept, reward,
            _scaled(rows.weight), _scaled(worth),
        )  # fmt: skip
        device, dtype = self.network.place()
        return tuple(torch.as_tensor(v.copy()).to(device=device, dtype=dtype) for v in values)


def _scaled(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    total = weight.sum()
    return np.asarray(weight * (len(weight) / total)) if total > 0 else weight


def _mean(values: Tensor, weight: Tensor) -> float:
    total = float(weight.sum())
    return float((values * weight).sum()) / total if total > 0 else math.nan
