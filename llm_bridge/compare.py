"""Guards on many prompts: responses that are sampled, and what they say.

Every response is a record. Records are kept in a file of JSON lines, which is whole at any time;
a comparison that was interrupted goes on from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ig_theory.errors import IGTheoryError
from ig_theory.report.files import write_whole
from llm_bridge.prompts import Prompt
from simulators.rollout import clopper_pearson

TINY_PROMPTS = ("help", "please help", "please please", "note plain", "please please note")
"""Prompts of the tiny language; all benign."""

FORMAT = "ig-theory comparison"
VERSION = 1

Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One row of work: a guard on a prompt, sampled (`sample` says which response) or exact."""

    guard: str
    prompt: Prompt
    place: int
    sample: int | None

    @property
    def key(self) -> tuple[str, str, int | None]:
        """What a record of it is found by."""
        return self.guard, self.prompt.id, self.sample

    def record(self, **more: Any) -> Record:
        """A record of it."""
        return {
            "kind": "exact" if self.sample is None else "sampled", "guard": self.guard,
            "prompt": self.prompt.id, "sample": self.sample, **more,
        }  # fmt: skip


@dataclass(eq=False)
class Records:
    """What is done, in memory and in a file if there is one.

    Parameters
    ----------
    settings
        All that the records depend on. A file of other settings is refused.
    path
        Rewritten as a whole after each record, so that it is never half written.

    Raises
    ------
    IGTheoryError
        If the file is another one's, or of other settings.
    """

    settings: Record
    path: Path | None = None
    rows: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            self.rows = _read(self.path, self.settings)

    def add(self, row: Record) -> None:
        """One more."""
        self.rows.append(row)
        self.store()

    def store(self) -> None:
        """Write the file."""
        if self.path is not None:
            head = {"format": FORMAT, "version": VERSION, "settings": self.settings}
            lines = [json.dumps(row, allow_nan=False) for row in (head, *self.rows)]
            write_whole(self.path, "\n".join(lines) + "\n")

    def done(self) -> set[tuple[str, str, int | None]]:
        """Keys of the jobs that have a record without an error."""
        return {
            (row["guard"], row["prompt"], row["sample"])
            for row in self.rows
            if row.get("error") is None
        }

    def forget(self, job: Job) -> None:
        """Leave out a record that failed; its job is done again."""
        self.rows = [
            row for row in self.rows if (row["guard"], row["prompt"], row["sample"]) != job.key
        ]


def jobs(guards: Sequence[str], prompts: Sequence[Prompt], samples: int, exact: bool) -> list[Job]:
    """All the work, prompt by prompt, so that an interrupted comparison is a fair one."""
    found = []
    for place, prompt in enumerate(prompts):
        if exact:
            found += [Job(guard, prompt, place, None) for guard in guards]
        for sample in range(samples):
            found += [Job(guard, prompt, place, sample) for guard in guards]
    return found


def work_through(
    todo: Iterable[Job],
    records: Records,
    do: Callable[[Job], Record],
    told: Callable[[Job], None] | None = None,
) -> bool:
    """Do what has no record yet; whether all was done, and not interrupted.

    A job that fails gives a record with an ``error``, and the rest goes on.
    """
    done = records.done()
    records.store()  # a place that cannot be written is told before the work
    try:
        for job in todo:
            if told is not None:
                told(job)
            if job.key in done:
                continue
            records.forget(job)
            try:
                row = do(job)
            except IGTheoryError as error:
                row = job.record(error=" ".join(str(error).split()))
            records.add(row)
    except KeyboardInterrupt:
        return False
    return True


def generator(seed: int, job: Job) -> np.random.Generator:
    """Random numbers of a response: of the prompt and the sample, the same for all guards."""
    return np.random.default_rng(np.random.SeedSequence([seed, job.place, job.sample or 0]))


@dataclass(frozen=True)
class Sampled:
    """What the responses of one guard say.

    Attributes
    ----------
    responses, violations, failed : int
        A response that could not be made is neither kept nor a violation; it is told.
    low, high : float
        Clopper-Pearson interval of P(the budget is kept), 95 %; prompts are taken as drawn.
    reward, reward_error : float
        Mean and its standard error.
    cost, seconds, tokens : float
        Means.
    cost_share : float
        Of the time, in the cost model.
    fallback : float
        Share of responses that are the safe continuation, or nothing.
    """

    guard: str
    responses: int
    violations: int
    failed: int
    low: float
    high: float
    reward: float
    reward_error: float
    cost: float
    seconds: float
    tokens: float
    cost_share: float
    fallback: float

    @property
    def safe(self) -> float:
        """The share of responses that kept the budget."""
        return (self.responses - self.violations) / self.responses if self.responses else math.nan

    @property
    def words(self) -> str:
        """Never *safe*: what was seen.

        Examples
        --------
        >>> Sampled("base", 10, 0, 0, 0.69, 1.0, *[0.0] * 7).words
        'no violation in 10'
        """
        if not self.responses:
            return "no response"
        if not self.violations:
            return f"no violation in {self.responses}"
        return f"{self.violations} of {self.responses} violate"


def sampled(guard: str, rows: Sequence[Record]) -> Sampled:
    """The sampled records of one guard in a row."""
    mine = [row for row in rows if row["guard"] == guard and row["kind"] == "sampled"]
    good = [row for row in mine if row.get("error") is None]
    n = len(good)
    bad = sum(not row["kept"] for row in good)
    low, high = clopper_pearson(n - bad, n) if n else (0.0, 1.0)
    reward = np.array([row["reward"] for row in good])
    spent = sum(row["seconds"] for row in good)
    return Sampled(
        guard, n, bad, len(mine) - n, low, high, _mean(reward),
        float(reward.std(ddof=1) / np.sqrt(n)) if n > 1 else math.nan,
        _mean([row["cost_float"] for row in good]), spent / n if n else math.nan,
        _mean([row["length"] for row in good]),
        sum(row["cost_seconds"] for row in good) / spent if spent else 0.0,
        _mean([float(row["fallback"]) for row in good]),
    )  # fmt: skip


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _read(path: Path, settings: Record) -> list[Record]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        head, *rows = (json.loads(line) for line in lines)
        if head["format"] != FORMAT or head["version"] != VERSION:
            raise ValueError(head["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IGTheoryError.at(
            f"--out {path}", "a new file, or one of an earlier comparison",
            f"{type(error).__name__}: {error}", "give another name",
        ) from error  # fmt: skip
    if head["settings"] != json.loads(json.dumps(settings)):
        known = head["settings"]
        other = [key for key in settings if json.loads(json.dumps(settings[key])) != known.get(key)]
        raise IGTheoryError.at(
            f"--out {path}", "a file of the same settings", f"another {', '.join(other)}",
            "give another name, or the same options",
        )  # fmt: skip
    return list(rows)
