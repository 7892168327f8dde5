"""What ``ig-theory decode`` does once its options are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

from ig_theory.cli.output import print_json, progress
from ig_theory.errors import IGTheoryError
from llm_bridge.cli_guards import Search, check_guard, make_decoder
from llm_bridge.cli_setup import Setup
from llm_bridge.decoding.decoder import Decoder, Response
from llm_bridge.decoding.decoder import decode as decoded
from llm_bridge.decoding.live import LiveWorld
from llm_bridge.show import Lines, Watched, is_terminal, live, summary


def answer(
    prompt: str,
    guard: str,
    search: Search,
    load: Callable[[], Setup],
    *,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make a response and show it; the exit code."""
    check_guard(guard)
    with progress(quiet or as_json) as tell:
        if tell is not None:
            tell("loading the model")
        setup = load()
        if tell is not None:
            tell("reading the prompt")
        decoder = make_decoder(guard, setup, search, lambda: setup.tree(prompt))
        world = setup.world(prompt, np.random.default_rng(seed))
    response = _shown(decoder, world, quiet, as_json)
    if as_json:
        print_json(_document(prompt, guard, seed, setup, search, response))
    else:
        print(f"{guard}: {summary(response, setup.constraint.budget)}")
        if response.fault:
            print(f"  something failed: {' '.join(response.fault.split())}", file=sys.stderr)
    return 0 if response.kept else 1


def _shown(decoder: Decoder, world: LiveWorld, quiet: bool, as_json: bool) -> Response:
    """The response, streamed where someone looks."""
    if quiet or as_json:
        response = decoded(decoder, world)
        if not as_json:
            print(response.text)
        return response
    if is_terminal():
        with live() as screen:
            response = decoded(Watched(decoder, screen), world)
        print(response.text)
        return response
    lines = Lines()
    response = decoded(Watched(decoder, lines), world)
    lines.finish(response, world)
    return response


def _document(
    prompt: str, guard: str, seed: int, setup: Setup, search: Search, response: Response
) -> dict[str, Any]:
    return {
        "format": "ig-theory response", "version": 1, "prompt": prompt, "guard": guard,
        "outcome": "KEPT" if response.kept else "BROKEN", **settings(setup, search), "seed": seed,
        "response": response_dict(response),
    }  # fmt: skip


def settings(setup: Setup, search: Search) -> dict[str, Any]:
    """Everything that responses depend on beside prompt, guard and seed."""
    from ig_theory.report.as_json import constraint_dict

    return {
        "model": vars(setup.model.setting), "cost": setup.cost.name,
        "cost_unit": str(setup.cost.unit),
        "reward": None if setup.reward is None else setup.reward.name,
        "reward_discount": str(setup.reward_discount),
        "constraint": constraint_dict(setup.constraint), "max_tokens": setup.horizon,
        "system": setup.system, "top_k": setup.top_k, "blocks": search.blocks,
        "width": search.width, "beams": search.keep, "retries": search.retries,
        "critic": None if search.critic is None else str(search.critic),
        "value_net": None if search.value is None else str(search.value),
    }  # fmt: skip


def response_dict(response: Response) -> dict[str, Any]:
    """A response for machines; amounts are exact, as text."""
    return {
        "text": response.text, "tokens": list(response.tokens), "kept": response.kept,
        "cost": str(response.cost), "left": str(response.budgets[-1]),
        "costs": [str(cost) for cost in response.costs],
        "budgets": [str(left) for left in response.budgets],
        "reward": response.reward, "why": response.why,
        "fallback": response.why in ("fallback", "abstained"), "retries": response.retries,
        "forwarded": response.forwarded, "seconds": response.seconds,
        "cost_seconds": response.cost_seconds, "fault": response.fault or None,
    }  # fmt: skip


def fit_probe(
    files: Sequence[Path], model: str | None, out: Path | None, features: str, beginnings: bool,
    device: str, quiet: bool,
) -> int:  # fmt: skip
    """Train the probe; says how good it is on rows that it has not seen."""
    from llm_bridge.costs.probe import Features
    from llm_bridge.costs.train_probe import summary as report
    from llm_bridge.costs.train_probe import train_and_save

    with progress(quiet) as tell:
        shown = None
        if tell is not None:
            say = tell
            say("loading the model")

            def shown(done: int, of: int) -> None:
                say(f"{done} of {of} responses read")

        probe, place = train_and_save(
            model, out, files, features=cast(Features, features), beginnings=beginnings,
            device=device, progress=shown,
        )  # fmt: skip
    print(f"{report(probe)}\nwritten to {place}")
    return 0


def fit_critic(
    setup: Setup, budgets: Sequence[Fraction], prompts: Path | None, quiet: bool, **more: Any
) -> int:
    """Train the critic or the value net on responses of the base model."""
    from llm_bridge.compare import TINY_PROMPTS
    from llm_bridge.critic import train_and_save
    from llm_bridge.critic.command import summary as report

    if prompts is not None and not prompts.is_file():
        raise IGTheoryError.at("--prompts", "a file", f"no {prompts}", "give one that exists")
    asked = TINY_PROMPTS if prompts is None and setup.tiny else prompts
    with progress(quiet) as tell:
        trained, place = train_and_save(
            setup.cost, list(budgets), model=setup.model, prompts=asked, reward=setup.reward,
            max_tokens=setup.horizon, discount=setup.constraint.discount,
            reward_discount=setup.reward_discount,
            show=None if tell is None else lambda line: tell(line.strip().partition("\n")[0]),
            **more,
        )  # fmt: skip
    print(f"{report(trained)}\nwritten to {place}")
    return 0
