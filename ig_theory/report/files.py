"""Writing files so that an interrupted run never leaves half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ig_theory.errors import IGTheoryError


def write_whole(path: Path, text: str) -> None:
    """Write `text`, UTF-8, in one step: readers see the old file or the new one.

    Raises
    ------
    IGTheoryError
        If the place cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.txt", "whole")
    ...     sorted(p.name for p in Path(folder).iterdir())
    ['a.txt']
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix that becomes `path` if the block ends well.

    Raises
    ------
    IGTheoryError
        If the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".ig-theory-", dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            yield temporary
            os.replace(temporary, path)
    except OSError as error:
        raise IGTheoryError.at(
            str(path), "a place that can be written", error.strerror or error, "name another"
        ) from error
