"""``ig-theory simulate``: seeded rollouts of a guard, with an exact interval."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ig_theory.cli.options import (
    BoundaryOption,
    BudgetOption,
    ConstraintOption,
    CostOption,
    DiscountOption,
    HorizonOption,
    JsonOption,
    ModelOption,
    QuietOption,
    ScopeOption,
    SeedOption,
    option,
    read_constraints,
)
from ig_theory.cli.output import print_json, progress
from ig_theory.errors import IGTheoryError


def simulate(
    guard: Annotated[str, typer.Argument(help="The guard, as for check.", metavar="GUARD")],
    model: ModelOption = None,
    budget: BudgetOption = None,
    discount: DiscountOption = "1",
    boundary: BoundaryOption = "closed",
    scope: ScopeOption = "anytime",
    horizon: HorizonOption = None,
    cost: CostOption = "0",
    constraint: ConstraintOption = None,
    runs: Annotated[int, option("--runs", "How many runs.", metavar="N")] = 10_000,
    seed: SeedOption = 0,
    horizon_cap: Annotated[
        int, option("--horizon-cap", "Steps after which an endless run is cut.", metavar="T")
    ] = 10_000,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Sample runs of a guard: refutes safety (exit 1) or leaves it open (3); never proves it."""
    if runs < 1:
        raise IGTheoryError.at("--runs", "a whole number >= 1", runs, "raise it")
    if model is None:
        raise IGTheoryError.at("--model", "a model", "none", "ig-theory check lists them")
    from ig_theory.guards import open_guard
    from ig_theory.io.catalogue import open_model
    from simulators.rollout import simulate as roll

    constraints = read_constraints(
        constraint,
        {
            "budget": budget, "discount": discount, "boundary": boundary, "scope": scope,
            "horizon": horizon, "cost": cost,
        },
    )  # fmt: skip
    opened = open_model(model)
    name, asked = open_guard(guard, opened, constraints)
    with progress(quiet or json) as tell:
        found = roll(
            asked, opened, constraints, runs=runs, seed=seed, horizon_cap=horizon_cap,
            progress=None if tell is None else lambda step: tell(f"{name}: step {step:,}"),
        )  # fmt: skip
    code = 1 if found.violations else 3
    result: dict[str, Any] = {
        "guard": name, "model": model,
        "outcome": "VIOLATED" if found.violations else "INCONCLUSIVE",
        "violation": {"lower": found.lower, "upper": found.upper, "confidence": 0.95},
        "seed": seed,
    }  # fmt: skip
    if json:
        extra = {k: v for k, v in asdict(found).items() if k not in ("lower", "upper")}
        print_json(result | extra)
    else:
        _say(result, found)
    return code


def _say(result: dict[str, Any], found: Any) -> None:
    share = f"{found.violations} of {found.runs} runs violate"
    print(f"{result['outcome']} {result['guard']} on {result['model']}: {share}")
    print(f"  P(violate) in [{found.lower:.4g}, {found.upper:.4g}], 95 % Clopper-Pearson")
    print(f"  mean reward {found.mean_reward:.4g} ± {found.reward_error:.2g} (standard error)")
    if found.truncated:
        print(f"  {found.truncated} runs were cut; a later violation is not counted")
    if not found.violations:
        print("  sampling cannot prove safety; ig-theory check can")
