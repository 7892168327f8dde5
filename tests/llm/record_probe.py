"""Writes what `test_probe.py` compares with: ``python tests/llm/record_probe.py`` (some minutes).

``probe_record/probe.json`` is the report of the default probe; ``probe_record/without_fold_0`` is
a probe that has not seen the rows of fold 0, so that a test can score some of them afresh.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from llm_bridge.costs.latents import Latents, response_latents
from llm_bridge.costs.linear import grouped_folds
from llm_bridge.costs.scored import groups, packaged_rows
from llm_bridge.costs.train_probe import CUTS, FOLDS, fit_probe
from llm_bridge.language_model import LanguageModel

FOLDER = Path(__file__).with_name("probe_record")


def record(setting, rows, latents: Latents, folder: Path = FOLDER) -> None:
    """Both parts, from latents of all rows at `CUTS`."""
    with tempfile.TemporaryDirectory() as temporary:
        whole = fit_probe(setting, rows, latents, CUTS).save(temporary)
        folder.mkdir(exist_ok=True)
        shutil.copy(whole / "probe.json", folder / "probe.json")
    kept = np.flatnonzero(grouped_folds(groups(rows), FOLDS) != 0)
    part = Latents(latents.lengths[kept], latents.last[kept], latents.summed[kept])
    fit_probe(setting, [rows[i] for i in kept], part, CUTS).save(folder / "without_fold_0")


if __name__ == "__main__":
    model, rows = LanguageModel.load(), packaged_rows()
    pairs = [(model.chat(row.objective), model.encode(row.response)) for row in rows]

    def show(done: int, of: int) -> None:
        print(f"\r{done} of {of}", end="", file=sys.stderr, flush=True)

    record(model.setting, rows, response_latents(model, pairs, CUTS, show))
