"""``ig-theory convert``: any model to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ig_theory.cli.options import QuietOption
from ig_theory.errors import ModelError

SUFFIXES = (".json", ".npz", ".drn")


def convert(
    source: Annotated[str, typer.Argument(help="A model: a name or a file.", metavar="SRC")],
    target: Annotated[Path, typer.Argument(help="FILE.json, .npz or .drn.", metavar="DST")],
    quiet: QuietOption = False,
) -> int:
    """Write a model as JSON or compressed npz, without loss, or as DRN for Storm."""
    if target.suffix not in SUFFIXES:
        raise ModelError.at(
            str(target), "a name that ends in .json, .npz or .drn", target.suffix or "no ending",
            "name the file so",
        )  # fmt: skip
    from ig_theory.io import open_model, save_model
    from ig_theory.io.storm_drn import left_behind, save_drn

    model = open_model(source)
    drn = target.suffix == ".drn"
    (save_drn if drn else save_model)(model, target)
    if not quiet:
        print(f"wrote {target}: {model.S} states, {model.C} choices, {model.B} branches")
        lost = left_behind(model) if drn else []
        if lost:
            print(f"DRN has no place for {', '.join(lost)}")
    return 0
