"""Checkpoints of an expansion: all levels so far, and where the work stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ig_theory.errors import ModelError
from llm_bridge.tree.files import read_npz, write_npz
from llm_bridge.tree.levels import Levels

FORMAT = "ig-theory token tree checkpoint"

Stand = list[tuple[int, int, int]]
"""For each depth from 1 on: nodes that the last chunk added, and the rows read last."""


@dataclass(frozen=True)
class Options:
    """What an expansion depends on, beside the weights."""

    model: str
    prompt: tuple[int, ...]
    horizon: int
    top_k: int | None
    top_p: float | None
    leaf_hidden: bool
    chunk: int


def store(file: Path, options: Options, levels: Levels, stand: Stand) -> None:
    """Write a checkpoint; it appears whole or not at all."""
    header = {"options": asdict(options), "stand": stand}
    write_npz(file, FORMAT, header, levels.arrays())


def load(file: Path, options: Options) -> tuple[Levels, Stand]:
    """Read a checkpoint of these options.

    Raises
    ------
    ModelError
        Naming the option that differs, or what is damaged.
    """
    header, arrays = read_npz(file, FORMAT)
    for name, want in asdict(options).items():
        found = header["options"].get(name)
        if found != (list(want) if isinstance(want, tuple) else want):
            raise ModelError.at(
                f"{file}: {name}", repr(want), repr(found),
                "give the options that it was written with, or another file",
            )  # fmt: skip
    levels = Levels.restored(arrays, options.horizon)
    return levels, [(int(size), int(low), int(high)) for size, low, high in header["stand"]]
