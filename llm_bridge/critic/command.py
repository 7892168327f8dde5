"""Training a critic from prompts to files: what ``ig-theory decode train-critic`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ModelError
from llm_bridge.costs.steps import CostModel, Reward
from llm_bridge.critic.data import critic_rows, value_rows
from llm_bridge.critic.rollouts import BATCH, sample_rollouts, verify_latents
from llm_bridge.critic.storage import default_folder, save
from llm_bridge.critic.train import Trained, TrainOptions, train_critic, train_value
from llm_bridge.language_model import LanguageModel
from llm_bridge.prompts import Prompt, packaged_prompts, read_prompts
from llm_bridge.rewards import LogLikelihood

Show = Callable[[str], None]


def train_and_save(
    cost: CostModel,
    budgets: int | str | Fraction | Sequence[int | str | Fraction] = 10,
    *,
    model: LanguageModel | str | Path | None = None,
    prompts: Sequence[Prompt | str] | str | Path | None = None,
    reward: Reward | None = None,
    per_prompt: int = 5,
    max_tokens: int = 64,
    discount: Fraction | int | str = 1,
    reward_discount: Fraction | int | str = 1,
    hidden_size: int = 256,
    epochs: int = 50,
    seed: int = 0,
    output: str | Path | None = None,
    value: bool = False,
    penalty: float = 0.0,
    options: TrainOptions | None = None,
    batch: int = BATCH,
    device: str = "cpu",
    show: Show | None = None,
) -> tuple[Trained, Path]:
    """Sample base rollouts, train on them, and keep the critic.

    Nothing is written before the training is over; Ctrl-C in the training keeps the best epoch.

    Parameters
    ----------
    budgets
        One or several: every rollout is used for each.
    model
        A model, or what `LanguageModel.load` reads; the packaged one by default.
    prompts
        Texts, or a file that `read_prompts` reads; the packaged ones by default.
    reward
        By default the log-likelihood under the base model.
    discount
        Of costs; `reward_discount` is that of rewards.
    hidden_size, epochs, seed, device
        They win over those of `options`.
    output
        Folder; by default where `load_critic` looks.
    value
        Train a value net, of ``reward - penalty * cost``, instead of a critic.
    show
        Told lines of progress; a line that begins with ``\\r`` replaces the last.

    Returns
    -------
    What was trained, and the folder it was written to.

    Raises
    ------
    ModelError
        If something is malformed; before any work where that can be told.
    """
    several = budgets if isinstance(budgets, list | tuple) else [budgets]
    constraints = [
        BudgetConstraint(b, discount, horizon=max_tokens)  # type: ignore[arg-type]
        for b in several
    ]
    asked = _prompts(prompts)
    chosen = replace(
        options or TrainOptions(), hidden_size=hidden_size, epochs=epochs, seed=seed, device=device
    )
    if not isinstance(model, LanguageModel):
        model = LanguageModel.load(model, device=device)
    tell = show or (lambda line: None)
    rollouts = sample_rollouts(
        model, [model.chat(p) for p in asked], cost, reward or LogLikelihood(),
        per_prompt=per_prompt, max_tokens=max_tokens, generator=np.random.default_rng(seed),
        batch=batch, progress=lambda done, of: tell(f"\r{done} of {of} responses sampled"),
    )  # fmt: skip
    verify_latents(model, rollouts, tolerance=1e-3 if model.setting.dtype != "bfloat16" else 0.1)

    def epoch(number: int, of: int, loss: float, held: float) -> None:
        tell(f"\repoch {number} of {of}: loss {loss:.4f}, held out {held:.4f}")

    if value:
        trained = train_value(value_rows(rollouts, reward_discount, penalty), chosen, epoch)
    else:
        rows = critic_rows(rollouts, constraints, reward_discount)
        trained = train_critic(rows, chosen, epoch)
    place = save(trained.critic, output or default_folder(model.setting.name))
    tell(f"\n{summary(trained)}\nwritten to {place}")
    return trained, place


def summary(trained: Trained) -> str:
    """How the training went, in a few lines."""
    config, report = trained.critic.config, trained.critic.config.report
    lines = [
        f"{config.kind} of {config.meaning.model}: {report['rows']} rows, "
        f"{report['held']} held out; epoch {report['epoch']} kept ({report['stopped']})"
    ]
    if "brier" in report:
        lines.append(
            f"f1 on rows held out: Brier {report['brier']:.4f} "
            f"(constant: {report['brier_of_mean']:.4f})"
        )
    if "rmse" in report:
        lines.append(
            f"reward to go on rows held out: rmse {report['rmse']:.4g} "
            f"(constant: {report['rmse_of_mean']:.4g})"
        )
    return "\n".join(lines)


def _prompts(given: Sequence[Prompt | str] | str | Path | None) -> list[str]:
    if given is None:
        found: Sequence[Prompt | str] = packaged_prompts()
    else:
        found = read_prompts(given) if isinstance(given, str | Path) else given
    texts = [p.text if isinstance(p, Prompt) else p for p in found]
    if not texts:
        raise ModelError.at("prompts", "at least one", "none", "give some, or a file")
    return texts
