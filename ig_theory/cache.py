"""Where what takes long to make is kept between runs: compiled proofs, weights, probes."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "IG_THEORY_CACHE"
"""Names another folder."""


def cache_folder() -> Path:
    """The folder named by IG_THEORY_CACHE, else ``ig-theory`` in the user's cache folder."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ig-theory"
