"""The extracted checkers as a program: compiled once by OCaml into the cache.

``ocaml/checkers.ml`` is what Coq extracts from ``coq/Extract.v``; it is checked in, so that OCaml
with Zarith is enough, and a test compares it with a fresh extraction wherever Coq is installed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from ig_theory.cache import cache_folder
from ig_theory.errors import IGTheoryError

SOURCES = ("checkers.mli", "checkers.ml", "main.ml")

_NEEDED = "OCaml with Zarith, for the extracted checker"
_REPAIR = "install them (on Debian: apt-get install ocaml-nox ocaml-findlib libzarith-ocaml-dev)"


class OCamlMissing(IGTheoryError):
    """OCaml or its Zarith library is not installed."""


class BuildError(IGTheoryError):
    """The extracted checker cannot be compiled."""


def sources() -> dict[str, str]:
    """Return the OCaml files of the package, by name, in the order of compilation.

    Examples
    --------
    >>> list(sources())
    ['checkers.mli', 'checkers.ml', 'main.ml']
    """
    folder = resources.files("proofs_check") / "ocaml"
    return {name: (folder / name).read_text("utf-8") for name in SOURCES}


def tools() -> tuple[str, str]:
    """Return the versions of OCaml and of Zarith.

    Raises
    ------
    OCamlMissing
        One of them is not installed.
    """
    return (
        _output(["ocamlfind", "ocamlopt", "-version"], "ocamlfind ocamlopt"),
        _output(["ocamlfind", "query", "-format", "%v", "zarith"], "zarith"),
    )


@functools.cache
def program() -> Path:
    """Return the compiled checker; compile it if the cache has none for these sources and tools.

    Safe to call from several processes at once: each compiles beside the wanted place and renames
    at the end.

    Raises
    ------
    OCamlMissing, BuildError
    """
    texts = sources()
    key = hashlib.sha256(json.dumps([tools(), texts], sort_keys=True).encode()).hexdigest()[:20]
    wanted = cache_folder() / f"checker-{key}"
    if not wanted.is_file():
        try:
            wanted.parent.mkdir(parents=True, exist_ok=True)
            working = Path(tempfile.mkdtemp(prefix="checker-build-", dir=wanted.parent))
        except OSError as error:
            raise BuildError.at(
                str(wanted.parent), "a cache folder that can be written", error.strerror,
                "name another one in IG_THEORY_CACHE",
            ) from None  # fmt: skip
        try:
            os.replace(_compiled(working, texts), wanted)
        finally:
            shutil.rmtree(working, ignore_errors=True)
    return wanted


def _compiled(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    command = [
        "ocamlfind", "ocamlopt", "-w", "-a", "-package", "zarith", "-linkpkg", *texts,
        "-o", "checker",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError.at(
            "proofs_check/ocaml", "sources that OCaml compiles", done.stderr.strip()[-300:],
            "extract them anew from proofs_check/coq",
        )  # fmt: skip
    return folder / "checker"


def _output(command: list[str], what: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise OCamlMissing.at(what, _NEEDED, "none", _REPAIR) from error
    return done.stdout.strip()
