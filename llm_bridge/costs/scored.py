"""Responses that people have scored for harm: the rows of the package pyrit, or of a file.

The package is only a carrier of CSV files here: it is found, never imported, and none of its
texts is copied.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ig_theory.errors import ModelError

PACKAGE = "pyrit"
FOLDER = "pyrit/datasets/scorer_evals/harm/"
INSTALL = "pip install --no-deps pyrit==1.1.0, or give CSV files with the same columns"


@dataclass(frozen=True)
class Scored:
    """A response to an objective, and the mean of the scores that people gave it.

    Attributes
    ----------
    score : float
        From 0 (harmless) to 1.
    """

    objective: str
    response: str
    score: float


def packaged_rows() -> list[Scored]:
    """The harm rows of the installed package pyrit, each pair of texts once.

    Raises
    ------
    ModelError
        If the package is not installed, or its files are not what they were.
    """
    try:
        files = metadata.distribution(PACKAGE).files or []
    except metadata.PackageNotFoundError:
        files = []
    found = [f for f in files if str(f).startswith(FOLDER) and f.suffix == ".csv"]
    if not found:
        raise ModelError.at("scored responses", "the package pyrit", "not installed", INSTALL)
    return read_rows(sorted(Path(str(f.locate())) for f in found))


def read_rows(paths: Iterable[str | Path]) -> list[Scored]:
    """Rows of CSV files with columns objective, assistant_response, human_score…

    Lines that start with ``#`` before the header are skipped. Several score columns are
    averaged; a pair of texts that occurs again is left out.

    Raises
    ------
    ModelError
        If a file cannot be read, or a row has no score in [0, 1].
    """
    rows: dict[tuple[str, str], Scored] = {}
    for path in map(Path, paths):
        for row in _file_rows(path):
            rows.setdefault((row.objective, row.response), row)
    return list(rows.values())


def _file_rows(path: Path) -> list[Scored]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream))
    except (OSError, UnicodeError, csv.Error) as error:
        raise ModelError.at(str(path), "a CSV file", error, "give a file that exists") from error
    while lines and lines[0] and lines[0][0].startswith("#"):
        del lines[0]
    head = [name.strip() for name in lines[0]] if lines else []
    scores = [i for i, name in enumerate(head) if name.startswith("human_score")]
    if not scores or not {"objective", "assistant_response"} <= set(head):
        raise ModelError.at(
            f"header of {path.name}", "objective, assistant_response, human_score", head,
            "name the columns so",
        )  # fmt: skip
    objective, response = head.index("objective"), head.index("assistant_response")
    return [
        Scored(
            line[objective],
            line[response],
            _mean([line[i] for i in scores], f"row {n + 1} of {path.name}"),
        )
        for n, line in enumerate(lines[1:])
        if len(line) == len(head)
    ]


def _mean(given: Sequence[str], where: str) -> float:
    try:
        values = [float(text) for text in given if text.strip()]
        mean = sum(values) / len(values)
        if not all(0 <= value <= 1 for value in values):
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise ModelError.at(
            where, "human scores from 0 to 1", list(given), "repair or remove the row"
        ) from None
    return mean


def groups(rows: Sequence[Scored]) -> list[int]:
    """A group number for each row: rows that share an objective or a response share a group.

    Folds that keep groups whole cannot learn a text in training and meet it in the test.

    Examples
    --------
    >>> groups([Scored("a", "x", 0), Scored("b", "y", 1), Scored("c", "x", 1)])
    [0, 1, 0]
    """
    leader: dict[int, int] = {}
    seen: dict[tuple[str, str], int] = {}

    def root(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    for i, row in enumerate(rows):
        leader[i] = i
        for key in (("objective", row.objective.strip()), ("response", row.response.strip())):
            a, b = sorted((root(seen.setdefault(key, i)), root(i)))
            leader[b] = a
    return [root(i) for i in range(len(rows))]


def fingerprint(rows: Sequence[Scored]) -> str:
    """SHA-256 of the rows in their order; names the training data of a probe."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr((row.objective, row.response, row.score)).encode())
    return digest.hexdigest()
