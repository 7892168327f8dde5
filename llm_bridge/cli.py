"""``ig-theory decode`` and ``ig-theory compare``; torch is loaded when a model is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ig_theory.cli.options import (
    BoundaryOption,
    BudgetOption,
    DiscountOption,
    JsonOption,
    QuietOption,
    ScopeOption,
    SeedOption,
    option,
)
from ig_theory.errors import IGTheoryError
from llm_bridge.cli_names import COMPARED, DEFAULT_GUARD, GUARDS, ON_TREES
from llm_bridge.cli_options import (
    BeamsOption,
    BlocksOption,
    ChargeOption,
    CriticOption,
    DeviceOption,
    LanguageOption,
    NodesOption,
    RetriesOption,
    RewardDiscountOption,
    RewardOption,
    SystemOption,
    TokensOption,
    TopOption,
    ValueOption,
    WidthOption,
)
from llm_bridge.cli_reading import (
    need_extra,
    one_constraint,
    read_search,
    read_setup,
    response_length,
)

SPEAK = "speak"

NODES = 200_000


class _Defaulted(TyperGroup):
    """A group whose first word is a prompt unless it is one of its commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if not args or args[0] not in self.commands:
            args = [SPEAK, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        # Usage then reads "ig-theory decode [OPTIONS] [PROMPT]".
        return ("" if name == SPEAK else name), command, rest


class _Speak(TyperCommand):
    """The command that has no name of its own."""

    def get_usage(self, ctx: Any) -> str:
        return str(super().get_usage(ctx)).replace("  ", " ")


decode = typer.Typer(cls=_Defaulted, add_completion=False, pretty_exceptions_enable=False)
decode.info.name = "decode"
decode.info.help = "Answer a prompt within a budget; or train-probe, train-critic."


@decode.callback()
def _group() -> None:
    """Answer a prompt within a budget; or train-probe, train-critic."""


@decode.command(SPEAK, hidden=True, cls=_Speak)
def speak(
    prompt: Annotated[str, typer.Argument(help="What is asked.", metavar="PROMPT")] = "",
    guard: Annotated[str, option("--guard", "See above.", metavar="NAME")] = DEFAULT_GUARD,
    budget: BudgetOption = None,
    discount: DiscountOption = "1",
    boundary: BoundaryOption = "closed",
    scope: ScopeOption = "anytime",
    model: LanguageOption = None,
    cost: ChargeOption = None,
    reward: RewardOption = None,
    reward_discount: RewardDiscountOption = "1",
    max_tokens: TokensOption = None,
    blocks: BlocksOption = 8,
    width: WidthOption = None,
    beams: BeamsOption = None,
    retries: RetriesOption = 2,
    top_k: TopOption = None,
    system: SystemOption = None,
    critic: CriticOption = None,
    value_net: ValueOption = None,
    node_limit: NodesOption = NODES,
    device: DeviceOption = "cpu",
    seed: SeedOption = 0,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Answer a prompt within a budget, and show what is left of it."""
    if not prompt.strip():
        raise IGTheoryError.at(
            "PROMPT", "a text", "none" if not prompt else "blanks",
            'write it like ig-theory decode "Tell me about the sea." --budget 2',
        )  # fmt: skip
    constraint = one_constraint(
        budget, discount, boundary, scope, response_length(max_tokens, model)
    )
    need_extra()
    from llm_bridge.cli_decode import answer

    search = read_search(blocks, width, beams, retries, critic, value_net, model)
    return answer(
        prompt, guard, search,
        lambda: read_setup(
            model, cost, reward, constraint, reward_discount, system, top_k, device, node_limit
        ),
        seed=seed, as_json=json, quiet=quiet,
    )  # fmt: skip


speak.__doc__ = "\n".join(
    [
        str(speak.__doc__),
        "",
        "\b",
        "A guard is one of:",
        *(f"  {name:<24}{line}" for name, line in GUARDS.items()),
        f"  {'shield, …':<24}guards of the theory, where the token tree is small enough",
        "",
        "ig-theory decode train-probe and ig-theory decode train-critic train what the cost probe "
        "and the guards with a critic need; see their --help.",
        "",
        "Exits with 0 if the response kept the budget, with 1 if it broke it.",
    ]
)


@decode.command("train-probe")
def train_probe(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="CSV files instead of the rows of the package pyrit.", metavar="FILE…"),
    ] = None,
    model: LanguageOption = None,
    out: Annotated[Path | None, option("--out", "Folder to write to.", metavar="DIR")] = None,
    features: Annotated[str, option("--features", "Which latents.", metavar="last|mean|both")]
    = "both",
    beginnings: Annotated[
        bool, option("--beginnings", "Train on beginnings of responses too.")
    ] = False,
    device: DeviceOption = "cpu",
    quiet: QuietOption = False,
) -> int:  # fmt: skip
    """Train the probe that --cost probe asks, on responses that people have scored (minutes)."""
    if features not in ("last", "mean", "both"):
        raise IGTheoryError.at("--features", "last, mean or both", repr(features), "name one")
    if model is not None and model.partition(":")[0] == "tiny":
        raise IGTheoryError.at(
            "--model", "a model that reads text", "tiny", "its own cost model is harm"
        )
    need_extra()
    from llm_bridge.cli_decode import fit_probe

    return fit_probe(files or [], model, out, features, beginnings, device, quiet)


@decode.command("train-critic")
def train_critic(
    budget: BudgetOption = None,
    discount: DiscountOption = "1",
    model: LanguageOption = None,
    cost: ChargeOption = None,
    reward: RewardOption = None,
    reward_discount: RewardDiscountOption = "1",
    prompts: Annotated[
        Path | None, option("--prompts", "A file of prompts; the packaged ones if absent.")
    ] = None,
    per_prompt: Annotated[int, option("--per-prompt", "Responses to each prompt.", min=1)] = 5,
    max_tokens: TokensOption = None,
    hidden_size: Annotated[int, option("--hidden-size", "Of the critic.", min=1)] = 256,
    epochs: Annotated[int, option("--epochs", "Most epochs.", min=1)] = 50,
    value: Annotated[
        bool, option("--value", "A value net for re-control instead of a critic.")
    ] = False,
    penalty: Annotated[float, option("--penalty", "Of costs, in a value net.")] = 0.0,
    out: Annotated[Path | None, option("--out", "Folder to write to.", metavar="DIR")] = None,
    device: DeviceOption = "cpu",
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> int:
    """Train the critic of inference-guard-critic on responses of the base model (minutes).

    --budget may be several: 1,2,4.
    """
    if budget is None:
        raise IGTheoryError.at("--budget", "one or several numbers", "none", "give --budget 1,2,4")
    budgets = [part.strip() for part in budget.split(",") if part.strip()]
    horizon = response_length(max_tokens, model)
    constraints = [one_constraint(part, discount, "closed", "anytime", horizon) for part in budgets]
    if not constraints:
        raise IGTheoryError.at("--budget", "a number", repr(budget), "give --budget 1,2,4")
    need_extra()
    from llm_bridge.cli_decode import fit_critic

    setup = read_setup(
        model, cost, reward, constraints[0], reward_discount, None, None, device, NODES
    )
    return fit_critic(
        setup, [c.budget for c in constraints], prompts, quiet, per_prompt=per_prompt,
        hidden_size=hidden_size, epochs=epochs, value=value, penalty=penalty, output=out,
        device=device, seed=seed,
    )  # fmt: skip


def compare(
    prompts: Annotated[
        Path | None, option("--prompts", "A file of prompts; the packaged ones if absent.")
    ] = None,
    limit: Annotated[int | None, option("--limit", "Only the first so many.", min=1)] = None,
    samples: Annotated[int, option("--samples", "Responses to each prompt.", min=1)] = 1,
    guards: Annotated[
        str | None, option("--guards", "Which; see above, and decode --help.", metavar="A,B,…")
    ] = None,
    budget: BudgetOption = None,
    discount: DiscountOption = "1",
    boundary: BoundaryOption = "closed",
    scope: ScopeOption = "anytime",
    model: LanguageOption = None,
    cost: ChargeOption = None,
    reward: RewardOption = None,
    reward_discount: RewardDiscountOption = "1",
    max_tokens: TokensOption = None,
    blocks: Annotated[
        int | None, option("--blocks", "N: blocks drawn in each round: 8, or 2 with --tree.")
    ] = None,
    width: WidthOption = None,
    beams: BeamsOption = None,
    retries: Annotated[
        int | None, option("--retries", "M: how often a round is drawn again: 2, or 1 with --tree.")
    ] = None,
    top_k: TopOption = None,
    system: SystemOption = None,
    critic: CriticOption = None,
    value_net: ValueOption = None,
    tree: Annotated[
        bool, option("--tree", "Exact numbers too, from the token tree of each prompt.")
    ] = False,
    node_limit: NodesOption = NODES,
    outcomes: Annotated[
        int, option("--outcomes", "Most outcomes of one round gone through (--tree).", min=1)
    ] = 500_000,
    out: Annotated[
        Path | None,
        option("--out", "Keep every response here, and go on from what is there.", metavar="FILE"),
    ] = None,
    plot: Annotated[
        Path | None, option("--plot", "Draw the comparison.", metavar="FILE.svg|png|pdf")
    ] = None,
    device: DeviceOption = "cpu",
    seed: SeedOption = 0,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Compare guards on many prompts: reward, cost, safety rate, seconds; with --tree exactly."""
    constraint = one_constraint(
        budget, discount, boundary, scope, response_length(max_tokens, model)
    )
    need_extra()
    from llm_bridge.cli_compare import run

    drawn = blocks if blocks is not None else 2 if tree else 8
    again = retries if retries is not None else 1 if tree else 2
    search = read_search(drawn, width, beams, again, critic, value_net, model)
    return run(
        guards, search,
        lambda: read_setup(
            model, cost, reward, constraint, reward_discount, system, top_k, device, node_limit
        ),
        prompts=prompts, limit=limit, samples=samples, tree=tree, outcomes=outcomes, out=out,
        plot=plot, seed=seed, as_json=json, quiet=quiet, model=model,
    )  # fmt: skip


compare.__doc__ = "\n".join(
    [
        str(compare.__doc__),
        "",
        f"Without --guards: {', '.join(COMPARED)}; and with --tree {', '.join(ON_TREES)}.",
        "",
        "Sampled rows say how many responses broke the budget, with an exact interval (95 %, "
        "Clopper-Pearson); they prove nothing. Exact rows come from every response that a guard "
        "can give.",
        "",
        "Exits with 0 when all rows are done, with 2 if one failed, with 130 if interrupted: what "
        "is done is shown, and kept with --out.",
    ]
)
