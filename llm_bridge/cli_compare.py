"""What ``ig-theory compare`` does once its options are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ig_theory.cli.output import console, print_json, progress
from ig_theory.errors import IGTheoryError
from ig_theory.report.study import describe
from llm_bridge.cli_decode import response_dict, settings
from llm_bridge.cli_guards import Search, check_guard, make_decoder, needs_tree
from llm_bridge.cli_names import COMPARED, ON_TREES, guard_list
from llm_bridge.cli_setup import Setup, is_tiny
from llm_bridge.compare import (
    TINY_PROMPTS,
    Job,
    Record,
    Records,
    generator,
    jobs,
    sampled,
    work_through,
)
from llm_bridge.compare_exact import Exact, exact_rows
from llm_bridge.decoding.decoder import decode
from llm_bridge.decoding.tree_world import TreeWorld
from llm_bridge.prompts import Prompt, packaged_prompts, read_prompts
from llm_bridge.tables import exact_dict, exact_table, notes, sampled_dict, sampled_table
from llm_bridge.tree.latent_mdp import TreeModel

INTERRUPTED = 130
FAILED = 2


@dataclass(eq=False)
class Worker:
    """Does the jobs of a comparison; a prompt's token tree is kept until the next prompt."""

    setup: Setup
    search: Search
    seed: int
    outcomes: int
    _tree: dict[str, TreeModel] = field(default_factory=dict)
    _exact: dict[str, Exact] = field(default_factory=dict)

    def __call__(self, job: Job) -> Record:
        """The record of a job.

        Raises
        ------
        IGTheoryError
            If it cannot be done.
        """
        decoder = make_decoder(
            job.guard, self.setup, self.search, lambda: self.tree(job.prompt)
        )  # fmt: skip
        if job.sample is None:
            return job.record(**self.exact(job.prompt).row(decoder))
        world = self.setup.world(job.prompt.text, generator(self.seed, job))
        response = decode(decoder, world)
        told = response_dict(response)
        for name in ("costs", "budgets"):
            del told[name]
        return job.record(
            **told, cost_float=float(response.cost), length=len(response.tokens), error=None
        )

    def tree(self, prompt: Prompt) -> TreeModel:
        """Of the prompt; one at a time is kept."""
        if prompt.id not in self._tree:
            self._exact.clear()
            self._tree = {prompt.id: self.setup.tree(prompt.text)}
        return self._tree[prompt.id]

    def exact(self, prompt: Prompt) -> Exact:
        """What the exact rows of a prompt share."""
        found = self.tree(prompt)
        if prompt.id not in self._exact:
            world = TreeWorld(found, self.setup.constraint, self.setup.model.end)
            self._exact = {prompt.id: Exact(found, world, self.outcomes)}
        return self._exact[prompt.id]


def run(
    guards: str | None,
    search: Search,
    load: Callable[[], Setup],
    *,
    prompts: Path | None,
    limit: int | None,
    samples: int,
    tree: bool,
    outcomes: int,
    out: Path | None,
    plot: Path | None,
    seed: int,
    as_json: bool,
    quiet: bool,
    model: str | None,
) -> int:
    """Compare, show, and say how it ended by the exit code."""
    names = _guards(guards, tree)
    asked = _prompts(prompts, limit, is_tiny(model))
    if plot is not None:
        from ig_theory.report.curves import plottable

        plottable(plot)
    if out is not None and out.is_dir():
        raise IGTheoryError.at("--out", "a file", f"the folder {out}", "name a file in it")
    with progress(quiet or as_json) as tell:
        if tell is not None:
            tell("loading the model")
        setup = load()
    told = settings(setup, search) | {"seed": seed}
    records = Records(told, out)
    todo = jobs(names, asked, samples, tree)
    worker = Worker(setup, search, seed, outcomes)
    with _bar(len(todo), quiet or as_json) as advance:
        complete = work_through(todo, records, worker, advance)
    wanted = {job.key for job in todo}
    rows = [row for row in records.rows if (row["guard"], row["prompt"], row["sample"]) in wanted]
    _show(names, asked, rows, told, setup, complete, as_json, quiet, plot, len(todo))
    if not complete:
        return INTERRUPTED
    return FAILED if any(row.get("error") is not None for row in rows) else 0


def _guards(text: str | None, tree: bool) -> list[str]:
    names = [*COMPARED, *(ON_TREES if tree else ())] if text is None else guard_list(text)
    if not names:
        raise IGTheoryError.at("--guards", "at least one guard", repr(text), "name some")
    for name in names:
        check_guard(name)
        if needs_tree(name) and not tree:
            raise IGTheoryError.at(
                "--guards", "guards that need no token tree", repr(name), "give --tree as well"
            )
    again = [name for place, name in enumerate(names) if name in names[:place]]
    if again:
        raise IGTheoryError.at("--guards", "each guard once", f"{again[0]} twice", "remove one")
    return names


def _prompts(file: Path | None, limit: int | None, tiny: bool) -> list[Prompt]:
    if file is not None:
        found = read_prompts(file)
    elif tiny:
        found = [Prompt(str(place), text) for place, text in enumerate(TINY_PROMPTS, start=1)]
    else:
        found = packaged_prompts()
    return found[:limit]


@contextmanager
def _bar(total: int, quiet: bool) -> Iterator[Callable[[Job], None] | None]:
    """A progress bar on a terminal; None elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), Left()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True, emoji=False), transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = 0

        def advance(job: Job) -> None:
            nonlocal begun
            kind = "exact" if job.sample is None else "sampled"
            bar.update(
                task, completed=begun, description=f"prompt {job.prompt.id} {kind} {job.guard}"
            )
            begun += 1

        yield advance


def _show(
    names: Sequence[str], asked: Sequence[Prompt], rows: Sequence[Record], told: Record,
    setup: Setup, complete: bool, as_json: bool, quiet: bool, plot: Path | None, total: int,
) -> None:  # fmt: skip
    found = [sampled(name, rows) for name in names]
    exact = exact_rows(names, rows)
    title = (
        f"{setup.model.setting.name}, {_count(len(asked), 'prompt')}, "
        f"at most {_count(setup.horizon, 'token')}: cost {setup.cost.name}, "
        f"{describe(setup.constraint).partition(' ')[2].partition(' ')[2]}"
    )
    if plot is not None and rows:
        from llm_bridge.compare_plot import write_comparison

        write_comparison(plot, found, exact, title)
    if as_json:
        print_json(
            {
                "format": "ig-theory comparison", "version": 1, "complete": complete, **told,
                "prompts": [prompt.id for prompt in asked],
                "sampled": [sampled_dict(row) for row in found],
                "exact": [exact_dict(row) for row in exact],
                "records": list(rows), "plot": None if plot is None else str(plot),
            }
        )  # fmt: skip
        return
    screen = console()
    print(title)
    if exact:
        screen.print(exact_table(exact, "exact: every response of the token trees", screen.width))
    if any(row.responses or row.failed for row in found):
        screen.print(sampled_table(found, "sampled responses", screen.width))
    if not complete:
        print(f"interrupted: {len(rows)} of {total} rows are done")
    if not quiet:
        for line in notes(found, exact, rows):
            print(line)
    if plot is not None and rows:
        print(f"wrote {plot}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
