"""The Coq development: built once, and asked which theorems it proves from which axioms.

The sources in ``proofs_check/coq`` are compiled by `coqc` into a cache folder that is named by a
hash of the sources and of Coq's version, and checked a second time by `coqchk`. Then Coq itself
says, by ``Print Assumptions``, what each theorem rests on. A theorem holds if it was compiled and
if all of that stands in ``axioms.txt``; without Coq nothing holds and nothing fails.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ig_theory.cache import CACHE_VARIABLE, cache_folder
from ig_theory.errors import IGTheoryError
from proofs_check import coqc
from proofs_check.claim import Check, Finding, Method, Status

_FORMAT = 1  # of the cache folder
_REPORT = "assumptions.json"


class DevelopmentError(IGTheoryError):
    """The Coq development cannot be built, or does not prove what it should."""


@dataclass(frozen=True)
class Development:
    """A compiled development.

    Attributes
    ----------
    folder : Path
        Where the compiled files lie; other files use them with ``coqc -Q folder IGTheory``.
    version
        Of Coq, such as ``8.16.1``.
    axioms : mapping from str to tuple of str
        For each theorem, named as ``File.theorem``: what it rests on, in Coq's words.
    seconds
        What the build took, wall clock, when it was made.
    """

    folder: Path
    version: str
    axioms: Mapping[str, tuple[str, ...]]
    seconds: float


def sources() -> dict[str, str]:
    """Return the text of every Coq file of the package, by file name.

    Examples
    --------
    >>> "Game.v" in sources()
    True
    """
    folder = resources.files("proofs_check") / "coq"
    found = {item.name: item.read_text("utf-8") for item in folder.iterdir()}
    return {name: found[name] for name in sorted(found) if name.endswith(".v")}


def allowed_axioms() -> frozenset[str]:
    """Return the axioms that a proof may use: the lines of ``coq/axioms.txt``.

    Examples
    --------
    >>> "Classical_Prop.classic" in allowed_axioms()
    True
    """
    text = (resources.files("proofs_check") / "coq" / "axioms.txt").read_text("utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def build(
    progress: Callable[[str], None] | None = None,
    texts: Mapping[str, str] | None = None,
) -> Development:
    """Compile and check the development, or find it compiled in the cache.

    Safe to call from several processes at once: one builds, the others wait for it.

    Parameters
    ----------
    progress
        Told, in a line, that a build begins; it takes about half a minute.
    texts
        The Coq files by name; by default those of the package.

    Raises
    ------
    coqc.CoqMissing
        `coqc` is not installed.
    DevelopmentError
        A file does not compile, or skips a proof.
    """
    version = coqc.version()
    chosen = tuple(sorted((sources() if texts is None else texts).items()))
    key = hashlib.sha256(json.dumps([_FORMAT, version, chosen]).encode()).hexdigest()[:20]
    folder = cache_folder() / f"coq-{key}"
    if progress is not None and not folder.is_dir():
        progress(f"building the Coq development with Coq {version}, once for these sources")
    outcome = _outcome(folder, chosen, version)
    if isinstance(outcome, IGTheoryError):
        raise outcome
    return outcome


@functools.cache
def _outcome(
    folder: Path, texts: tuple[tuple[str, str], ...], version: str
) -> Development | IGTheoryError:
    """Build once in this process; a failure is remembered too, since it takes as long."""
    try:
        for name, text in texts:
            if skipped := coqc.unproved(text):
                raise DevelopmentError.at(
                    f"proofs_check/coq/{name}", "proofs only", skipped, "prove it, or remove it"
                )
        with _alone(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _make(folder, dict(texts), version)
        report = json.loads((folder / _REPORT).read_text("utf-8"))
    except IGTheoryError as error:
        return error
    axioms = {name: tuple(found) for name, found in report["axioms"].items()}
    return Development(folder, version, axioms, report["seconds"])


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the system lets go of it if the process dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a")
    except OSError as error:
        raise DevelopmentError.at(
            str(path.parent), "a cache folder that can be written", error.strerror,
            f"name another one in {CACHE_VARIABLE}",
        ) from None  # fmt: skip
    with lock:
        try:
            import fcntl
        except ImportError:  # not on this system: two builds at once waste time, nothing else
            pass
        else:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path, texts: Mapping[str, str], version: str) -> None:
    """Compile in a folder beside the wanted one and rename it when all is done."""
    started = time.perf_counter()
    working = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    try:
        for name, text in texts.items():
            (working / name).write_text(text, "utf-8")
        try:
            coqc.compile_all(working, sorted(texts))
            theorems = [
                f"{name.removesuffix('.v')}.{theorem}"
                for name, text in texts.items()
                for theorem in coqc.theorems(text)
            ]
            axioms = coqc.assumptions(working, theorems)
            coqc.check_again(working, sorted(texts))
        except coqc.CoqFailure as failure:
            raise DevelopmentError.at(
                f"proofs_check/coq/{failure.file}", f"a file that Coq {version} accepts",
                failure.message, "the proofs are written for Coq 8.16; correct the file",
            ) from None  # fmt: skip
        report = {"axioms": axioms, "seconds": round(time.perf_counter() - started, 1)}
        (working / _REPORT).write_text(json.dumps(report, indent=1), "utf-8")
        with contextlib.suppress(FileExistsError):
            working.chmod(0o755)
            working.rename(folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def judge(name: str, development: Development, allowed: frozenset[str]) -> Finding:
    """Say whether a compiled development proves a theorem from allowed axioms alone.

    Examples
    --------
    >>> compiled = Development(Path(), "8.16.1", {"Game.L2_gfp": ()}, 0.0)
    >>> judge("Game.L2_gfp", compiled, frozenset()).status.value
    'holds'
    >>> judge("Game.L9", compiled, frozenset()).detail
    'the Coq development has no theorem Game.L9'
    """
    if name not in development.axioms:
        return Finding(Status.FAILS, f"the Coq development has no theorem {name}")
    used = development.axioms[name]
    if beyond := [axiom for axiom in used if axiom not in allowed]:
        return Finding(Status.FAILS, f"{name} rests on {', '.join(beyond)}: not in axioms.txt")
    rests = ", ".join(axiom.rpartition(".")[2] for axiom in used) or "none"
    return Finding(Status.HOLDS, f"{name} (Coq {development.version}); axioms: {rests}")


def theorem(name: str) -> Finding:
    """Say whether the Coq development proves the theorem ``File.name``.

    Holds only if every file compiles; without `coqc` the answer is NOT_RUN.
    """
    try:
        return judge(name, build(), allowed_axioms())
    except coqc.CoqMissing as missing:
        return Finding(Status.NOT_RUN, str(missing))
    except DevelopmentError as error:
        return Finding(Status.FAILS, str(error))


def theorem_check(name: str, covers: str = "") -> Check:
    """Return the check of a claim by the theorem ``File.name``; `covers` says what it shows.

    Examples
    --------
    >>> theorem_check("Game.L2_gfp").covers
    'theorem Game.L2_gfp'
    """
    shown = f"theorem {name}" + (f": {covers}" if covers else "")
    return Check(Method.COQ, shown, functools.partial(theorem, name))


def main() -> int:
    """Build, and print every theorem with the axioms that it rests on."""
    try:
        development = build(progress=print)
    except IGTheoryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, coqc.CoqMissing) else 1
    allowed = allowed_axioms()
    findings = [judge(name, development, allowed) for name in development.axioms]
    for name, finding in zip(development.axioms, findings, strict=True):
        print(f"  {finding.status.value:6} {name:44} {finding.detail.partition('; ')[2]}")
    failed = [found.detail for found in findings if found.status is not Status.HOLDS]
    print(
        f"{len(findings) - len(failed)} theorems are proved, by Coq {development.version}, checked"
        f" again by coqchk; the build took {development.seconds} s. Compiled: {development.folder}"
    )
    for line in failed:
        print(f"error: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
