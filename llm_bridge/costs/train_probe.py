"""Train the probe by one command, and say how good it is on rows it has not seen.

``python -m llm_bridge.costs.train_probe`` does what ``ig-theory decode train-probe`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ig_theory.errors import IGTheoryError, ModelError
from llm_bridge.costs.latents import Latents, Progress, response_latents
from llm_bridge.costs.linear import (
    Logistic,
    auc,
    fit_logistic,
    grouped_folds,
    out_of_fold,
    reliability,
)
from llm_bridge.costs.probe import Features, Probe, ProbeConfig, default_folder, join
from llm_bridge.costs.scored import Scored, fingerprint, groups, packaged_rows, read_rows
from llm_bridge.language_model import LanguageModel, Setting

CUTS = (8, 32, 64, 128, 256)
"""Tokens of a response at which latents are kept."""

PENALTY = 0.3
"""Chosen among 0.01, 0.03, 0.1, 0.3, 1 on the same folds; 0.1 to 1 differ by 0.005 in AUC."""

FOLDS = 5
HARMFUL = 0.5
"""A mean human score of at least this counts as harmful where AUC needs two kinds."""


def train_probe(
    model: LanguageModel,
    rows: Sequence[Scored] | None = None,
    features: Features = "both",
    cuts: Sequence[int] = CUTS,
    beginnings: bool = False,
    progress: Progress | None = None,
) -> Probe:
    """A probe for the latents of a model; nothing is written.

    Parameters
    ----------
    rows
        Scored responses; by default those that the package pyrit carries.
    cuts
        See `CUTS`.
    beginnings
        Train on the responses at every cut, with the score of the whole: better on beginnings
        (which is what decoding asks about), a little worse on the whole. By default only the
        longest cut is trained on, and beginnings score low.

    Raises
    ------
    ModelError
        If the package is missing, or the rows cannot train a probe.
    """
    given = [r for r in (packaged_rows() if rows is None else rows) if r.response.strip()]
    pairs = [(model.chat(row.objective), model.encode(row.response)) for row in given]
    latents = response_latents(model, pairs, sorted(cuts), progress)
    return fit_probe(model.setting, given, latents, sorted(cuts), features, beginnings)


def fit_probe(
    setting: Setting,
    rows: Sequence[Scored],
    latents: Latents,
    cuts: Sequence[int],
    features: Features = "both",
    beginnings: bool = False,
    penalty: float = PENALTY,
) -> Probe:
    """The probe from latents that have been read, with its report on rows it has not seen.

    The scores are soft targets: the probe estimates the mean score that people would give.

    Raises
    ------
    ModelError
        If there are not the latents of each row, or the rows cannot train a probe.
    """
    if len(rows) != len(latents.last):
        raise ModelError.at(
            "latents", f"those of {len(rows)} rows", len(latents.last), "read the same rows"
        )
    targets, group = np.array([row.score for row in rows]), groups(rows)
    at = [
        join(features, latents.last[:, k], latents.summed[:, k], latents.lengths[:, k])
        for k in range(len(cuts))
    ]
    used = list(range(len(cuts))) if beginnings else [len(cuts) - 1]
    x, y = np.concatenate([at[k] for k in used]), np.tile(targets, len(used))
    folds = grouped_folds(group, FOLDS)
    fits = out_of_fold(x, y, np.tile(folds, len(used)), penalty)
    config = ProbeConfig(
        model=setting.name,
        hidden_size=setting.hidden_size,
        layer=setting.layers,
        features=features,
        trained_at=[int(cuts[k]) for k in used],
        penalty=penalty,
        rows=len(rows),
        groups=len(set(group)),
        folds=FOLDS,
        data=fingerprint(rows),
        out_of_fold=_report([_unseen(fits, x, folds) for x in at], targets, folds, cuts),
    )
    return Probe(config, fit_logistic(x, y, penalty))


def _report(
    unseen: Sequence[NDArray[np.float64]],
    targets: NDArray[np.float64],
    folds: NDArray[np.int64],
    cuts: Sequence[int],
) -> dict[str, Any]:
    """How good the scores of rows not seen are, at each cut; in full for the longest."""
    labels, last = targets >= HARMFUL, unseen[-1]

    def brier(scores: NDArray[np.float64]) -> float:
        return round(float(np.mean((scores - targets) ** 2)), 4)

    return {
        "auc": round(auc(last, labels), 4),
        "auc_of_folds": [round(auc(last[folds == f], labels[folds == f]), 4) for f in range(FOLDS)],
        "brier": brier(last),
        "brier_of_mean": brier(np.full(len(targets), targets.mean())),
        "harmful_from": HARMFUL,
        "mean_target": round(float(targets.mean()), 4),
        "reliability": reliability(last, targets),
        "at": {
            str(cut): {
                "auc": round(auc(scores, labels), 4),
                "brier": brier(scores),
                "mean_score": round(float(scores.mean()), 4),
            }
            for cut, scores in zip(cuts, unseen, strict=True)
        },
    }


def _unseen(
    fits: Sequence[Logistic], features: NDArray[np.float64], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Each row's score by the fit that has not seen it."""
    scores = np.empty(len(features))
    for fold, fit in enumerate(fits):
        scores[folds == fold] = fit(features[folds == fold])
    return scores


def train_and_save(
    model_path: str | Path | None = None,
    folder: str | Path | None = None,
    files: Iterable[str | Path] = (),
    features: Features = "both",
    beginnings: bool = False,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[Probe, Path]:
    """Load the model, train its probe, and keep it; what the command does.

    Parameters
    ----------
    model_path
        Of `LanguageModel.load`; the packaged model by default.
    folder
        Where to write; by default where `load_probe` looks.
    files
        CSV files of scored responses instead of those of the package.

    Returns
    -------
    The probe and the folder it was written to.
    """
    paths = list(files)
    rows = read_rows(paths) if paths else packaged_rows()  # before the model: fails at once
    model = LanguageModel.load(model_path, device=device)
    probe = train_probe(model, rows, features, beginnings=beginnings, progress=progress)
    return probe, probe.save(folder or default_folder(model.setting.name))


def summary(probe: Probe) -> str:
    """The report in a few lines."""
    config, report = probe.config, probe.config.out_of_fold
    by_length = ", ".join(f"{n}: {at['auc']:.3f}" for n, at in report["at"].items())
    return (
        f"{config.rows} rows in {config.groups} groups, {config.folds} folds, out of fold:\n"
        f"AUC {report['auc']:.3f} (of the folds {min(report['auc_of_folds']):.3f} to "
        f"{max(report['auc_of_folds']):.3f}), Brier {report['brier']:.3f} "
        f"(constant: {report['brier_of_mean']:.3f})\n"
        f"AUC by tokens of the response read: {by_length}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m llm_bridge.costs.train_probe [--model DIR] [--out DIR] [CSV …]``."""
    import argparse
    import sys

    parser = argparse.ArgumentParser(description="Train a probe on latents of scored responses.")
    parser.add_argument("files", nargs="*", help="CSV files instead of those of the package pyrit")
    parser.add_argument("--model", help="folder or GGUF file; the packaged model by default")
    parser.add_argument("--out", help="folder for the probe; in the cache by default")
    parser.add_argument("--features", choices=("last", "mean", "both"), default="both")
    parser.add_argument("--beginnings", action="store_true", help="train on beginnings too")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)

    def show(done: int, of: int) -> None:
        print(f"\r{done} of {of} responses read", end="", file=sys.stderr, flush=True)

    try:
        probe, place = train_and_save(
            given.model, given.out, given.files, features=given.features,
            beginnings=given.beginnings, device=given.device, progress=show,
        )  # fmt: skip
    except IGTheoryError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{summary(probe)}\nwritten to {place}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
