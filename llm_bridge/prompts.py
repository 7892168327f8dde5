"""Prompts to compare guards on: the project's own, and public sets read from a file.

The packaged prompts are benign or mild; no harmful text ships with the project. Public sets such
as XSTest, OR-Bench, SALAD-Bench and StrongREJECT are read from a path, in their own columns.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ig_theory.errors import ModelError

TEXT_COLUMNS = (
    "text", "prompt", "forbidden_prompt", "question", "augq", "baseq", "instruction", "goal",
    "objective",
)  # fmt: skip
"""Where public sets keep the prompt; the first column that a file has is taken."""

KIND_COLUMNS = ("kind", "label", "type", "category", "1-category", "harm_category")
ID_COLUMNS = ("id", "aid", "qid", "index")


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes
    ----------
    id : str
        Unique in its set.
    text : str
    kind : str
        ``benign`` or ``mild`` in the packaged set; whatever a public set says.
    note : str
    """

    id: str
    text: str
    kind: str = ""
    note: str = ""


def packaged_prompts(kind: str | None = None) -> list[Prompt]:
    """The project's own prompts, benign and mild.

    Parameters
    ----------
    kind
        ``benign`` or ``mild`` to have only those.

    Raises
    ------
    ModelError
        If there is no such kind.

    Examples
    --------
    >>> packaged_prompts("benign")[0].text
    'Name three colours that go well with dark green.'
    """
    file = resources.files("llm_bridge") / "data" / "prompts.jsonl"
    rows = _json_lines(file.read_text(encoding="utf-8"), "prompts.jsonl")
    prompts = _prompts(rows, "prompts.jsonl", "text", None, None)
    chosen = [prompt for prompt in prompts if kind in (None, prompt.kind)]
    if not chosen:
        raise ModelError.at("kind", "benign or mild", kind, "name one of them")
    return chosen


def read_prompts(
    path: str | Path, text: str | None = None, kind: str | None = None, id: str | None = None
) -> list[Prompt]:
    """Prompts of a file: ``.jsonl``, ``.json``, ``.csv``, ``.tsv``, ``.parquet``, or lines.

    Parameters
    ----------
    path
        Any other ending is read as plain text, one prompt a line; blank lines are skipped.
    text, kind, id
        Names of the columns; by default the first that is there of `TEXT_COLUMNS` and its like.

    Raises
    ------
    ModelError
        Naming file, line and field of what is missing, empty or of the wrong type.
    """
    place = Path(path)
    ending = place.suffix.lower()
    if ending == ".parquet":
        rows = _parquet(place)
    else:
        content = _read(place)
        if ending in (".jsonl", ".ndjson"):
            rows = _json_lines(content, place.name)
        elif ending == ".json":
            rows = _json(content, place.name)
        elif ending in (".csv", ".tsv"):
            rows = _csv(content, place.name, "," if ending == ".csv" else "\t")
        else:
            lines = enumerate(content.split("\n"), 1)
            rows = [(n, {"text": line.strip()}) for n, line in lines if line.strip()]
            text = "text"
    return _prompts(rows, place.name, text, kind, id)


Rows = Sequence[tuple[int, Mapping[str, Any]]]


def _read(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ModelError.at(
            str(place), "a text file in UTF-8", error, "give the path of a file of prompts"
        ) from error


def _prompts(
    rows: Rows, file: str, text: str | None, kind: str | None, id: str | None
) -> list[Prompt]:
    if not rows:
        raise ModelError.at(file, "at least one prompt", "none", "give a file with prompts")
    first = rows[0][1]
    column = text or _first(TEXT_COLUMNS, first)
    if column is None:
        raise ModelError.at(
            f"{file}, line {rows[0][0]}", f"a column {', '.join(TEXT_COLUMNS)}", list(first),
            "name the column that holds the prompt",
        )  # fmt: skip
    kind = kind or _first(KIND_COLUMNS, first)
    id = id or _first(ID_COLUMNS, first)
    prompts, seen = [], dict[str, int]()
    for line, row in rows:
        where = f"{file}, line {line}, field {column}"
        value = row.get(column)
        if not isinstance(value, str) or not value.strip():
            raise ModelError.at(where, "a text", repr(value), "repair or remove the line")
        name = str(line) if id is None else str(_field(row, id, file, line))
        if seen.setdefault(name, line) != line:
            raise ModelError.at(
                f"{file}, line {line}, field {id}", "an id of its own",
                f"{name!r} again (line {seen[name]})", "rename one, or choose another id column",
            )  # fmt: skip
        label = "" if kind is None else str(_field(row, kind, file, line))
        prompts.append(Prompt(name, value.strip(), label, str(row.get("note") or "")))
    return prompts


def _first(names: Sequence[str], row: Mapping[str, Any]) -> str | None:
    return next((name for name in names if name in row), None)


def _field(row: Mapping[str, Any], name: str, file: str, line: int) -> Any:
    if row.get(name) is None:
        raise ModelError.at(
            f"{file}, line {line}, field {name}", "a value", "nothing", "fill it in or name another"
        )
    return row[name]


def _json_lines(content: str, file: str) -> Rows:
    lines = enumerate(content.split("\n"), 1)
    return [(n, _object(line, file, n)) for n, line in lines if line.strip()]


def _object(line: str, file: str, n: int) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ModelError.at(
            f"{file}, line {n}", "a JSON object", error, "write one object a line"
        ) from error
    return _mapping(value, f"{file}, line {n}")


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if not isinstance(value, dict):
        raise ModelError.at(where, "an object", type(value).__name__, "name the fields")
    return value


def _json(content: str, file: str) -> Rows:
    """A list of objects or texts, or an object of which one field is such a list.

    Their place in the list stands for the line.
    """
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ModelError.at(file, "JSON", error, "repair the file") from error
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        value = lists[0] if len(lists) == 1 else value
    if not isinstance(value, list):
        raise ModelError.at(
            file, "a list of prompts", type(value).__name__, "put the prompts in one list"
        )
    return [(n, _mapping(item, f"{file}, line {n}")) for n, item in enumerate(value, 1)]


def _csv(content: str, file: str, separator: str) -> Rows:
    return list(_csv_rows(content, file, separator))


def _csv_rows(content: str, file: str, separator: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(
        io.StringIO(content), delimiter=separator, strict=True, skipinitialspace=True
    )
    try:
        for row in reader:
            if None in row or None in row.values():
                raise ModelError.at(
                    f"{file}, line {reader.line_num}", f"{len(reader.fieldnames or ())} fields",
                    "more or fewer", "quote texts that hold the separator",
                )  # fmt: skip
            yield reader.line_num, row
    except csv.Error as error:
        raise ModelError.at(
            f"{file}, line {reader.line_num}", "a CSV row", error, "repair the quotes"
        ) from error


def _parquet(place: Path) -> Rows:
    try:
        from pyarrow import parquet  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ModelError.at(
            str(place), "the package pyarrow to read Parquet", error,
            "pip install pyarrow, or convert the file to CSV or JSONL",
        ) from error  # fmt: skip
    try:
        table = parquet.read_table(place)
    except Exception as error:
        raise ModelError.at(str(place), "a Parquet file", error, "repair the file") from error
    return list(enumerate(table.to_pylist(), 1))
