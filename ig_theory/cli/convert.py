"""``ig-theory convert``: any model to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ig_theory.cli.options import QuietOption
from ig_theory.errors import ModelError

SUFFIXES = (".json", ".npz")


def convert(
    source: Annotated[str, typer.Argument(help="A model: a name or a file.", metavar="SRC")],
    target: Annotated[Path, typer.Argument(help="FILE.json or FILE.npz.", metavar="DST")],
    quiet: QuietOption = False,
) -> int:
    """Write a model as JSON or compressed npz, without loss."""
    if target.suffix not in SUFFIXES:
        raise ModelError.at(
            str(target), "a name that ends in .json or .npz", target.suffix or "no ending",
            "name the file so",
        )  # fmt: skip
    from ig_theory.io import open_model, save_model

    model = open_model(source)
    save_model(model, target)
    if not quiet:
        print(f"wrote {target}: {model.S} states, {model.C} choices, {model.B} branches")
    return 0
