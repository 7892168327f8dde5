"""Base rollouts: responses sampled from a language model, or from a token tree's MDP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ig_theory.cmdp import LatentMDP
from ig_theory.errors import ModelError
from llm_bridge.costs.steps import CostModel, Reward, Steps
from llm_bridge.language_model import LanguageModel, Prefixes

Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]

BATCH = 32
"""Responses that are sampled together."""


@dataclass(frozen=True, eq=False)
class Rollouts:
    """R responses of at most T tokens, with the latent *before* each token.

    Attributes
    ----------
    model, cost, reward : str
        Names.
    prompts : tuple of tuple of int
        Tokens; empty where there are none to tell (an MDP).
    prompt : int64[R]
        Which prompt each response answers.
    tokens : int64[R, T]
        -1 behind the end.
    length : int64[R]
    hidden : float32[R, T, D]
        ``hidden[r, t]`` is the state after the prompt and the first t tokens: it predicts
        ``tokens[r, t]``, as in `llm_bridge.alignment`.
    costs : int64[R, T]
        What each token costs, in multiples of `unit`.
    rewards : float64[R, T]
    unit : Fraction
    weight : float64[R]
    """

    model: str
    cost: str
    reward: str
    prompts: tuple[tuple[int, ...], ...]
    prompt: Ints
    tokens: Ints
    length: Ints
    hidden: NDArray[np.float32]
    costs: Ints
    rewards: NDArray[np.float64]
    unit: Fraction
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def horizon(self) -> int:
        """Most tokens of a response."""
        return int(self.tokens.shape[1])


def sample_rollouts(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    cost: CostModel,
    reward: Reward,
    *,
    per_prompt: int = 5,
    max_tokens: int = 64,
    generator: np.random.Generator,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> Rollouts:
    """Sample responses from the base model with its KV cache, several prompts at a time.

    The random numbers of a response are drawn before any batch is formed: they do not depend on
    `batch`. Only the last digits of a model's probabilities do.

    Parameters
    ----------
    prompts
        Tokens, as of `LanguageModel.chat`.
    progress
        Called with (responses done, of how many) after every batch.

    Raises
    ------
    ModelError
        If there is nothing to sample, or costs or rewards cannot be found.
    """
    if not prompts or per_prompt < 1 or max_tokens < 1 or batch < 1:
        raise ModelError.at(
            "rollouts", "prompts, and at least 1 rollout, token and row of a batch",
            f"{len(prompts)} prompts, {per_prompt}, {max_tokens}, {batch}", "ask for more",
        )  # fmt: skip
    known = tuple(tuple(int(t) for t in prompt) for prompt in prompts)
    which = np.repeat(np.arange(len(known), dtype=np.int64), per_prompt)
    uniform = generator.random((len(which), max_tokens))
    count, width = len(which), model.setting.hidden_size
    made = Rollouts(
        model.setting.name, cost.name, reward.name, known, which,
        np.full((count, max_tokens), -1, dtype=np.int64), np.zeros(count, dtype=np.int64),
        np.zeros((count, max_tokens, width), dtype=np.float32),
        np.zeros((count, max_tokens), dtype=np.int64), np.zeros((count, max_tokens)), cost.unit,
        np.ones(count),
    )  # fmt: skip
    order = np.argsort([len(known[p]) for p in which], kind="stable")  # little padding
    for low in range(0, count, batch):
        _fill(model, made, order[low : low + batch], uniform, cost, reward)
        if progress is not None:
            progress(min(low + batch, count), count)
    return made


def _fill(
    model: LanguageModel, made: Rollouts, rows: Ints, uniform: NDArray[np.float64],
    cost: CostModel, reward: Reward,
) -> None:  # fmt: skip
    """Sample the responses of some rows to their ends; arrays of `made` are fresh and ours."""
    prefixes = model.start([made.prompts[made.prompt[r]] for r in rows])
    latents = cost.uses_hidden or reward.uses_hidden
    for t in range(made.horizon):
        scores = prefixes.log_probs().cpu()
        token = draw(scores, uniform[rows, t])
        made.hidden[rows, t] = prefixes.hidden.float().cpu().numpy()
        made.tokens[rows, t], made.length[rows] = token, t + 1
        last = t + 1 == made.horizon
        ended = np.full(len(rows), last) | (token == (-1 if model.end is None else model.end))
        if latents or not ended.all():
            prefixes = prefixes.step(torch.as_tensor(token))
        log_prob = scores.gather(1, torch.as_tensor(token)[:, None])[:, 0].numpy()
        for p in np.unique(made.prompt[rows]):
            at = np.flatnonzero(made.prompt[rows] == p)
            _charge(model, made, rows, at, prefixes, ended[at], log_prob[at], cost, reward)
        if ended.all():
            break
        alive = np.flatnonzero(~ended)
        rows = rows[alive]
        if len(alive) < len(ended):
            prefixes = prefixes.select(torch.as_tensor(alive))


def _charge(
    model: LanguageModel, made: Rollouts, rows: Ints, at: Ints, prefixes: Prefixes,
    ended: NDArray[np.bool_], log_prob: NDArray[np.float64], cost: CostModel, reward: Reward,
) -> None:  # fmt: skip
    """Costs and rewards of the newest token of the rows of one prompt."""
    chosen = rows[at]
    t = int(made.length[chosen[0]]) - 1
    said = made.tokens[chosen, : t + 1]

    def steps(asked: CostModel | Reward) -> Steps:
        index = torch.as_tensor(at)
        return Steps(
            prompt=made.prompts[made.prompt[chosen[0]]], tokens=said,
            hidden=prefixes.hidden[index].float().cpu().numpy() if asked.uses_hidden else None,
            summed=prefixes.summed[index].float().cpu().numpy() if asked.uses_hidden else None,
            ended=ended, text=lambda row: model.text(said[row].tolist()),
            paid=made.costs[chosen, :t].sum(axis=1), gained=made.rewards[chosen, :t].sum(axis=1),
            log_prob=log_prob,
        )  # fmt: skip

    made.costs[chosen, t] = _answer(cost.name, cost(steps(cost)), len(at), np.int64)
    made.rewards[chosen, t] = _answer(reward.name, reward(steps(reward)), len(at), np.float64)


def _answer(name: str, given: object, count: int, kind: type) -> NDArray[Any]:
    """What a cost model or reward said, if it is one number of the kind for each row."""
    answer = np.asarray(given)
    if answer.shape != (count,) or not np.can_cast(answer.dtype, kind, "safe"):
        raise ModelError.at(
            name, f"{np.dtype(kind)}[{count}]", f"{answer.dtype}{list(answer.shape)}",
            "return one number for each row",
        )  # fmt: skip
    if not np.isfinite(answer).all():
        raise ModelError.at(name, "finite numbers", "NaN or infinity", "repair it")
    return answer


def draw(log_probs: torch.Tensor, uniform: NDArray[np.float64]) -> Ints:
    """A token for each row by inversion, int64[N]; never one of probability 0."""
    below = log_probs.double().exp().cumsum(dim=1)
    total = below[:, -1:]
    goal = torch.as_tensor(uniform)[:, None] * total
    goal = torch.minimum(goal, torch.nextafter(total, torch.zeros_like(total)))  # if it rounds up
    return np.asarray(torch.searchsorted(below, goal, right=True)[:, 0].numpy(), dtype=np.int64)


def walk_rollouts(
    mdp: LatentMDP,
    count: int,
    max_tokens: int,
    generator: np.random.Generator,
    *,
    cost: int | str = 0,
    latent_size: int | None = None,
    model: str = "tree",
) -> Rollouts:
    """Sample runs of the base policy through a token tree's MDP.

    Parameters
    ----------
    latent_size
        How many entries of a latent are the model's; a truncated tree's MDP has one more.
    """
    k, width = mdp.cost_index(cost), latent_size or mdp.latent.shape[1]
    made = Rollouts(
        model, mdp.cost_names[k] if mdp.cost_names else "cost", "reward", ((),),
        np.zeros(count, dtype=np.int64), np.full((count, max_tokens), -1, dtype=np.int64),
        np.zeros(count, dtype=np.int64), np.zeros((count, max_tokens, width), dtype=np.float32),
        np.zeros((count, max_tokens), dtype=np.int64), np.zeros((count, max_tokens)),
        mdp.cost_unit, np.ones(count),
    )  # fmt: skip
    table, base = mdp.padded_choices, mdp.base_policy.astype(np.float64)
    prob = mdp.branch_prob.astype(np.float64)
    state = _pick(np.tile(mdp.initial.astype(np.float64), (count, 1)), generator)
    for t in range(max_tokens):
        alive = np.flatnonzero(~mdp.terminal[state])
        if not len(alive):
            break
        rows = table[state[alive]]
        choice = rows[np.arange(len(alive)), _pick(np.where(rows < 0, 0, base[rows]), generator)]
        made.hidden[alive, t] = mdp.latent[state[alive], :width]
        made.tokens[alive, t], made.length[alive] = mdp.choice_action[choice], t + 1
        made.costs[alive, t] = mdp.cost[k, choice]
        made.rewards[alive, t] = mdp.reward[choice].astype(np.float64)
        first, size = mdp.branch_ptr[choice], np.diff(mdp.branch_ptr)[choice]
        place = np.arange(int(size.max()))[None, :]
        chance = np.where(
            place < size[:, None], prob[np.minimum(first[:, None] + place, mdp.B - 1)], 0
        )
        state[alive] = mdp.branch_state[first + _pick(chance, generator)]
    return made


def _pick(weights: NDArray[np.float64], generator: np.random.Generator) -> Ints:
    """A column of each row in proportion to the weights; never one of weight 0."""
    total = weights.cumsum(axis=1)
    goal = generator.random(len(weights)) * total[:, -1]
    goal = np.minimum(goal, np.nextafter(total[:, -1], 0))  # if it rounds up
    return np.asarray((goal[:, None] >= total).sum(axis=1), dtype=np.int64)


def verify_latents(
    model: LanguageModel, rollouts: Rollouts, tolerance: float = 1e-3, most: int = 6
) -> float:
    """Recompute latents of some prefixes from their tokens alone; the largest relative distance.

    Raises
    ------
    ModelError
        If a latent is not that of the prefix before its token: most likely it is shifted.
    """
    worst = 0.0
    for r in np.unique(np.linspace(0, len(rollouts) - 1, most).astype(int)).tolist():
        t = int(rollouts.length[r]) // 2
        prefix = [*rollouts.prompts[rollouts.prompt[r]], *rollouts.tokens[r, :t].tolist()]
        again = model.start([prefix]).hidden[0].float().cpu().numpy()
        far = float(np.linalg.norm(again - rollouts.hidden[r, t]) / np.linalg.norm(again))
        worst = max(worst, far)
        if not far <= tolerance:
            raise ModelError.at(
                f"hidden[{r}, {t}]", f"the state after the prompt and {t} tokens",
                f"another, {far:.2g} away", "row t is the latent before token t",
            )  # fmt: skip
    return worst
