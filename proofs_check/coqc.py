"""Coq's programs: compile files in order, ask what theorems rest on, check compiled files again."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from ig_theory.errors import IGTheoryError

LIBRARY = "IGTheory"

_JOBS = 2
_SECONDS = 300  # for one file; a proof that takes longer has gone wrong

_TOKENS = re.compile(r'\(\*|\*\)|"[^"]*"|.', re.DOTALL)
_THEOREM = re.compile(r"\b(?:Theorem|Corollary)\s+([\w']+)")
_UNPROVED = re.compile(
    r"\b(?:Admitted|admit|give_up|Axioms?|Parameters?|Conjectures?|bypass_check"
    r"|Unset\s+(?:Guard|Positivity|Universe)\s+Checking)\b"
)


class CoqMissing(IGTheoryError):
    """Coq is not installed."""


class CoqFailure(IGTheoryError):
    """Coq rejects a file; `file` and `message` say which and why."""

    def __init__(self, file: str, message: str) -> None:
        super().__init__(f"{file}: {message}")
        self.file = file
        self.message = message


def version() -> str:
    """Return the version of the `coqc` on the path, such as ``8.16.1``.

    Raises
    ------
    CoqMissing
    """
    path = shutil.which("coqc")
    if path is None:
        raise CoqMissing("coqc is not installed (Debian: apt-get install coq libzarith-ocaml-dev)")
    return _version_of(path)


@functools.cache
def _version_of(path: str) -> str:
    return _run([path, "--print-version"], Path.cwd(), "coqc").split()[0]


def without_comments(text: str) -> str:
    """Blank out comments, which nest, and strings.

    Examples
    --------
    >>> without_comments('Lemma a (* not (* a *) Lemma *) : True.')
    'Lemma a  : True.'
    """
    depth, kept = 0, []
    for token in _TOKENS.findall(text):
        if token == "(*":
            depth += 1
        elif token == "*)" and depth:
            depth -= 1
        elif not depth and not token.startswith('"'):
            kept.append(token)
    return "".join(kept)


def theorems(text: str) -> list[str]:
    """Return the names of the theorems that a Coq file states; lemmas are its own affair.

    Examples
    --------
    >>> theorems("Theorem t : True. Proof. exact I. Qed. Lemma l : True.")
    ['t']
    """
    return _THEOREM.findall(without_comments(text))


def unproved(text: str) -> str:
    """Return the first word by which a Coq file skips a proof or states an axiom, or ''.

    Examples
    --------
    >>> unproved("Theorem t : True. Proof. Admitted."), unproved("(* Admitted *)")
    ('Admitted', '')
    """
    found = _UNPROVED.search(without_comments(text))
    return found.group() if found else ""


def compile_all(folder: Path, names: Sequence[str]) -> None:
    """Compile the named files of a folder, each after those that it needs, two at a time.

    Raises
    ------
    CoqFailure
    """
    needs = _needs(folder, names)
    done: set[str] = set()
    running: dict[Future[str], str] = {}
    with ThreadPoolExecutor(_JOBS) as pool:
        while len(done) < len(needs):
            started = done | set(running.values())
            ready = sorted(name for name in needs if name not in started and needs[name] <= done)
            running |= {pool.submit(compile_file, folder, name): name for name in ready}
            if not running:
                raise CoqFailure(min(set(needs) - done), "the files need each other in a circle")
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                name = running.pop(future)
                if error := future.exception():
                    pool.shutdown(cancel_futures=True)
                    raise error
                done.add(name)


def compile_file(folder: Path, name: str) -> str:
    """Compile one file that lies in a folder with those that it needs; return what Coq prints.

    Raises
    ------
    CoqFailure
    """
    return _run(["coqc", "-noglob", "-Q", ".", LIBRARY, name], folder, name)


def _needs(folder: Path, names: Sequence[str]) -> dict[str, set[str]]:
    """Return, for each file, the files of the same folder that must be compiled first."""
    output = _run(["coqdep", "-Q", ".", LIBRARY, *names], folder, "(coqdep)")
    needs: dict[str, set[str]] = {name: set() for name in names}
    for line in output.splitlines():
        made, _, used = line.partition(":")
        source = made.split()[0].removesuffix("o") if made.split() else ""
        if source in needs and made.split()[0].endswith(".vo"):
            needs[source] = {word[:-1] for word in used.split() if word[:-1] in needs}
    return needs


def assumptions(folder: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """Return what each compiled theorem, named ``File.theorem``, rests on: its axioms' names.

    Most files use no axiom at all, so Coq is asked about each file's theorems together first.

    Raises
    ------
    CoqFailure
    """
    wanted = list(names)
    files: dict[str, list[str]] = {}
    for name in wanted:
        files.setdefault(_file(name), []).append(name)
    together = _ask(folder, files)
    alone = _ask(folder, {name: [name] for name in wanted if together[_file(name)]})
    return {name: alone.get(name, []) for name in wanted}


def _file(theorem: str) -> str:
    return theorem.partition(".")[0]


def _ask(folder: Path, groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what each group of theorems rests on, asked of Coq by several processes at once."""
    labels = list(groups)
    shares = [share for job in range(_JOBS) if (share := labels[job::_JOBS])]
    queries = []
    for number, share in enumerate(shares):
        lines = [f"From {LIBRARY} Require {_file(groups[label][0])}." for label in share]
        for place, label in enumerate(share):
            pair = ", ".join(f"@{LIBRARY}.{name}" for name in groups[label])
            lines.append(f'Definition asked_{place} := ({pair}). Goal True. idtac "== {label}".')
            lines.append(f"Abort. Print Assumptions asked_{place}.")
        queries.append(f"AskAssumptions{number}.v")
        (folder / queries[-1]).write_text("\n".join(lines) + "\n", "utf-8")
    with ThreadPoolExecutor(_JOBS) as pool:
        said = list(pool.map(functools.partial(compile_file, folder), queries))
    answers = read_assumptions("".join(said))
    if sorted(answers) != sorted(labels):
        raise CoqFailure("(Print Assumptions)", "Coq did not say what every theorem rests on")
    return answers


def read_assumptions(output: str) -> dict[str, list[str]]:
    """Read what ``Print Assumptions`` printed after each line ``== name``.

    A line of a kind that is not known is kept whole, so that no whitelist holds it.

    Examples
    --------
    >>> read_assumptions("== A.t\\nClosed under the global context\\n")
    {'A.t': []}
    >>> read_assumptions("== A.t\\nAxioms:\\nX.a : True\\nX.b\\n  : True\\n")
    {'A.t': ['X.a', 'X.b']}
    """
    answers: dict[str, list[str]] = {}
    blocks = re.split(r"^== (\S+)\n", output, flags=re.MULTILINE)
    for name, block in zip(blocks[1::2], blocks[2::2], strict=True):
        said = [line for line in block.splitlines() if line.strip()]
        if said == ["Closed under the global context"]:
            answers[name] = []
        elif said and said[0] == "Axioms:":
            answers[name] = [line.partition(" : ")[0] for line in said[1:] if line[0] != " "]
        else:
            answers[name] = [" ".join(block.split()) or "no answer"]
    return answers


def check_again(folder: Path, names: Sequence[str]) -> None:
    """Let the separate checker `coqchk` check the compiled files; Coq's own library is trusted.

    Raises
    ------
    CoqFailure
    """
    modules = [f"{LIBRARY}.{name.removesuffix('.v')}" for name in names]
    norec = [word for module in modules for word in ("-norec", module)]
    _run(["coqchk", "-silent", "-Q", ".", LIBRARY, *norec], folder, "(coqchk)")


def _run(command: Sequence[str], folder: Path, file: str) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=_SECONDS, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise CoqMissing(f"{command[0]} is not installed (Debian: apt-get install coq)") from None
    except subprocess.TimeoutExpired:
        raise CoqFailure(file, f"{command[0]} took more than {_SECONDS} s") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise CoqFailure(file, said[:500] or f"{command[0]} ended with {done.returncode}")
    return done.stdout
