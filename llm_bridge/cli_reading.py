"""From the options of ``ig-theory decode`` and ``compare`` to what they mean, loaded when asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ig_theory.errors import IGTheoryError

if TYPE_CHECKING:
    from ig_theory.constraint import BudgetConstraint
    from llm_bridge.cli_guards import Search
    from llm_bridge.cli_setup import Setup


def response_length(max_tokens: int | None, model: str | None) -> int:
    """Most tokens of a response."""
    tiny = model is not None and model.partition(":")[0] == "tiny"
    return max_tokens or (3 if tiny else 64)


def one_constraint(
    budget: str | None, discount: str, boundary: str, scope: str, horizon: int
) -> BudgetConstraint:
    """The constraint of the command line.

    Raises
    ------
    IGTheoryError
        If no budget is given, or something is no number.
    """
    if budget is None:
        raise IGTheoryError.at("--budget", "a number", "none", "give it like --budget 3")
    from ig_theory.cli.options import read_constraints

    given = {"budget": budget, "discount": discount, "boundary": boundary, "scope": scope}
    return read_constraints(None, given | {"horizon": str(horizon)})[0]


def read_search(
    blocks: int, width: int | None, beams: int | None, retries: int, critic: Path | None,
    value: Path | None, model: str | None,
) -> Search:  # fmt: skip
    """How guards search."""
    from llm_bridge.cli_guards import Search

    tiny = model is not None and model.partition(":")[0] == "tiny"
    wide = width if width is not None else 1 if tiny else 8
    return Search(blocks, wide, beams, retries, critic, value)


def read_setup(
    model: str | None, cost: str | None, reward: str | None, constraint: BudgetConstraint,
    reward_discount: str, system: str | None, top_k: int | None, device: str, node_limit: int,
) -> Setup:  # fmt: skip
    """Load what the options name; see `load_setup`."""
    from ig_theory.constraint import rational
    from llm_bridge.cli_setup import load_setup

    beta = rational(reward_discount, "--reward-discount")
    if not 0 < beta <= 1:
        raise IGTheoryError.at("--reward-discount", "a number in (0, 1]", beta, "1 discounts none")
    return load_setup(
        model, cost, reward, constraint, reward_discount=beta, system=system, top_k=top_k,
        device=device, limit=node_limit,
    )  # fmt: skip


def need_extra() -> None:
    """One clear line where torch or transformers are not installed."""
    import importlib.util

    for name in ("torch", "transformers", "safetensors"):
        if importlib.util.find_spec(name) is None:
            raise IGTheoryError.at(
                "decoding", "torch and transformers", f"no {name}",
                "install the extra: pip install 'ig-theory[llm]'",
            )  # fmt: skip
