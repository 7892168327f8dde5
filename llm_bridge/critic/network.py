"""The critic of InferenceGuard as a network: two heads on (latent of a prefix, z, time).

f1 estimates the probability that the base model keeps the budget to the end of the response, f2
the discounted reward to go over the responses that do. Both are fitted to *conditional means*
given what the network reads. That gives no almost-sure guarantee: prefixes with the same latent,
z and time get one answer, a rare one that must violate hides behind many that need not, and the
fit has errors of its own. Theorem, search procedure and learned critic are separate claims;
`llm_bridge.critic.compare` measures what a decision by the critic lets through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ig_theory.errors import ModelError

Floats = NDArray[np.float64]
Kind = Literal["critic", "value"]
FORMAT = 1
COMMAND = "ig-theory decode train-critic"


@dataclass(frozen=True)
class Meaning:
    """What a critic's numbers are about; exact numbers as text.

    Attributes
    ----------
    model, cost, reward : str
        Names of the language model whose latents are read, of the cost model, of the reward.
    unit : str
        Unit of the cost model.
    budgets : tuple of str
        The budgets that the rollouts started with.
    discount, boundary, scope : str
        Of the constraint.
    horizon : int
        Most tokens of a response.
    reward_discount : str
    """

    model: str
    cost: str = ""
    reward: str = ""
    unit: str = "1"
    budgets: tuple[str, ...] = ()
    discount: str = "1"
    boundary: str = "closed"
    scope: str = "anytime"
    horizon: int = 1
    reward_discount: str = "1"


@dataclass(frozen=True)
class CriticConfig:
    """The shape of a network and the constants of its inputs and outputs.

    Attributes
    ----------
    kind : ``critic`` or ``value``
        Two heads, f1 and f2; or one, the value.
    latent_size : int
    hidden_size, layers : int
        Width and number of hidden layers.
    uses_budget, uses_time : bool
        Whether z and the number of generated tokens are read beside the latent.
    standardise : bool
        Whether latents are centred and scaled by their mean and deviation in training.
    budget_scale, time_scale : float
        What z and time are divided by.
    reward_mean, reward_scale : float
        The head of rewards says ``(reward - mean) / scale``.
    seed : int
        Of the first weights, the batches and the split.
    data : str
        SHA-256 of the training rows.
    report : dict
        How training went and how good the result is on rows it has not seen.
    """

    kind: Kind
    meaning: Meaning
    latent_size: int
    hidden_size: int = 256
    layers: int = 2
    uses_budget: bool = True
    uses_time: bool = True
    standardise: bool = True
    budget_scale: float = 1.0
    time_scale: float = 1.0
    reward_mean: float = 0.0
    reward_scale: float = 1.0
    seed: int = 0
    data: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        wrong = [
            name for name in ("latent_size", "hidden_size", "layers") if getattr(self, name) < 1
        ]  # fmt: skip
        if wrong or self.kind not in ("critic", "value"):
            raise ModelError.at(
                "critic", "kind critic or value, and sizes of at least 1",
                wrong or repr(self.kind), "choose other sizes",
            )  # fmt: skip
        for name in ("budget_scale", "time_scale", "reward_scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise ModelError.at(name, "a number above 0", getattr(self, name), "repair it")

    @property
    def reward_discount(self) -> float:
        """The discount of rewards that f2 was trained with."""
        top, _, below = self.meaning.reward_discount.partition("/")
        return int(top) / int(below or 1)


class Network(nn.Module):
    """A multilayer perceptron; the first weights depend on the seed alone.

    Parameters
    ----------
    config
    dtype
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, config: CriticConfig, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        extras = int(config.uses_budget) + int(config.uses_time)
        sizes = [config.latent_size + extras] + [config.hidden_size] * config.layers
        outputs = 2 if config.kind == "critic" else 1
        self.register_buffer("centre", torch.zeros(config.latent_size, dtype=dtype))
        self.register_buffer("spread", torch.ones(config.latent_size, dtype=dtype))
        generator = torch.Generator().manual_seed(config.seed)
        shapes = [*pairwise(sizes), (sizes[-1], outputs)]
        linear = [nn.utils.skip_init(nn.Linear, a, b, dtype=dtype) for a, b in shapes]
        self.linear = nn.ModuleList(linear)
        with torch.no_grad():
            for layer in linear:
                bound = 1 / math.sqrt(layer.in_features)
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.zero_()
            if extras:  # else they would drown among hundreds of latent entries
                linear[0].weight[:, -extras:].uniform_(-1, 1, generator=generator)

    def forward(self, hidden: Tensor, budget: Tensor, time: Tensor) -> Tensor:
        """Raw outputs of the heads, [N, outputs]."""
        parts = [(hidden - self.centre) / self.spread]
        if self.config.uses_budget:
            parts.append(budget[:, None] / self.config.budget_scale)
        if self.config.uses_time:
            parts.append(time[:, None] / self.config.time_scale)
        x = torch.cat(parts, dim=1)
        for layer in self.linear[:-1]:
            x = nn.functional.silu(layer(x))
        out: Tensor = self.linear[-1](x)
        return out

    def place(self) -> tuple[torch.device, torch.dtype]:
        """Where the weights are and what they are."""
        return self.centre.device, self.centre.dtype


@dataclass(frozen=True, eq=False)
class Critic:
    """f1 and f2 of prefixes.

    It gives no guarantee, see the module; ended responses are judged exactly by their budget.

    Raises
    ------
    ModelError
        When it is asked with wrong shapes or numbers that are not finite.
    """

    config: CriticConfig
    network: Network

    def __call__(self, hidden: Any, budget: Any, time: Any) -> tuple[Floats, Floats]:
        """Safety and reward to go if the base model goes on.

        Parameters
        ----------
        hidden : float[N, D]
            The latent after the newest token of each prefix: the one that predicts the next.
        budget : float[N]
            Remaining z after the newest token was paid for, in the units of the cost (not in
            multiples of ``unit``).
        time : int[N]
            Tokens generated so far; 0 for the bare prompt.

        Returns
        -------
        f1 : float64[N]
            P(budget kept to the end), in [0, 1]; exactly 0 where it is broken already and the
            scope is ANYTIME.
        f2 : float64[N]
            Expected reward from here on, discounted to here, over the responses that keep it.
        """
        inputs = checked(self.network, hidden, budget, time)
        with torch.no_grad():
            out = self.network(*inputs).double().cpu().numpy()
        f1 = 1 / (1 + np.exp(-np.clip(out[:, 0], -700, 700)))
        f2 = self.config.reward_mean + self.config.reward_scale * out[:, 1]
        _finite("critic", f1, f2)
        if self.config.meaning.scope == "anytime":
            z = np.asarray(torch.as_tensor(_array(budget)).double().cpu())
            kept = z >= 0 if self.config.meaning.boundary == "closed" else z > 0
            f1 = np.where(kept, f1, 0.0)
        return f1, f2


@dataclass(frozen=True, eq=False)
class ValueNet:
    """The expected reward to go of prefixes, from their latents alone (RE-Control, ARGS)."""

    config: CriticConfig
    network: Network

    def __call__(self, hidden: Any) -> Floats:
        """Values, float64[N], of latents float[N, D] as of `Critic`."""
        inputs = checked(self.network, hidden)
        with torch.no_grad():
            out = self.network(*inputs)[:, 0].double().cpu().numpy()
        value = self.config.reward_mean + self.config.reward_scale * out
        _finite("value net", value)
        return np.asarray(value)

    def gradient(self, hidden: Any) -> Floats:
        """The derivative of each value by its latent, float64[N, D]."""
        latent, *rest = checked(self.network, hidden)
        latent = latent.clone().requires_grad_()
        with torch.enable_grad():
            total = self.config.reward_scale * self.network(latent, *rest).sum()
            (slope,) = torch.autograd.grad(total, latent)
        found = slope.double().cpu().numpy()
        _finite("value net", found)
        return np.asarray(found)


def checked(
    network: Network, hidden: Any, budget: Any = None, time: Any = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs as tensors of the network's type and device.

    Raises
    ------
    ModelError
        Naming what has a wrong shape or is not finite.
    """
    count, size = len(_array(hidden)), network.config.latent_size
    wanted = {"hidden": (count, size), "budget": (count,), "time": (count,)}
    device, dtype = network.place()
    out = []
    for (name, shape), given in zip(wanted.items(), (hidden, budget, time), strict=True):
        if given is None:
            out.append(torch.zeros(count, dtype=dtype, device=device))
            continue
        value = torch.as_tensor(_array(given)).to(device=device, dtype=dtype)
        if tuple(value.shape) != shape:
            raise ModelError.at(
                f"critic's {name}", f"shape {shape}", tuple(value.shape),
                "give a row for each prefix, with latents of the model it was trained on",
            )  # fmt: skip
        if not bool(torch.isfinite(value).all()):
            raise ModelError.at(
                f"critic's {name}", "finite numbers", "NaN or infinity",
                "leave rows out whose latent or budget is unknown: they are not safe",
            )  # fmt: skip
        out.append(value.detach())
    return out[0], out[1], out[2]


def _array(given: Any) -> Any:
    if isinstance(given, Tensor):
        # Tensors made in inference mode cannot take part in a gradient: copied once.
        return given.detach().clone()
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise ModelError.at("critic", "real numbers", f"dtype {array.dtype}", "give floats")
    return np.array(array)


def _finite(name: str, *values: Floats) -> None:
    if not all(np.isfinite(v).all() for v in values):
        raise ModelError.at(
            name, "finite answers", "NaN or infinity", f"its weights are damaged: {COMMAND}"
        )
