"""Certificates, checked by code that Coq extracted from its soundness theorems.

What is trusted
---------------
Coq's kernel and its extraction, OCaml and Zarith; ``ocaml/main.ml``, which reads words into the
extracted types; and `proofs_check.translation`, plain Python that shares no code with
`ig_theory.checker` and

* compares the digest, the model's hash and the shape of the certificate,
* writes down the model: its choices, branches, costs, its starts and what is terminal,
* with a horizon, makes a place of each state and time (the run is over at the last), and
* for a ``violation``, compares the printed probabilities and costs; the theorem needs the
  supports only.

What the program accepts is then what these theorems of ``proofs_check/coq`` say of that game:
``DemandChecker.demand_sound`` and ``.demand_shield``, ``PairsChecker.pairs_sound``,
``ViolationChecker.violation_sound``, ``ImpossibilityChecker.impossibility_sound``,
``RewardUpper.reward_upper_sound`` and ``RewardLower.reward_lower_sound``.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ig_theory.checker import Claim, check_certificate
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError
from proofs_check.checker_build import OCamlMissing, program
from proofs_check.claim import Finding, Status
from proofs_check.translation import translate

_AT_ONCE = 1 << 16  # characters


@dataclass(frozen=True)
class Answer:
    """What the program said.

    Attributes
    ----------
    accepted
        Whether the certificate proves its claim.
    parse, check
        Seconds of processor time to read the input, and to check it.
    """

    accepted: bool
    parse: float
    check: float


def check_extracted(certificate: Mapping[str, Any], model: ConstrainedMDP) -> Claim:
    """Check a certificate with the extracted checker.

    Parameters
    ----------
    certificate
        As read from JSON.
    model
        The model that it is about.

    Raises
    ------
    CertificateError
        The certificate is malformed, does not belong to the model, or does not follow.
    OCamlMissing, BuildError
        The checker cannot be compiled on this machine.
    """
    checker = program()
    translated = translate(certificate, model)
    answer = ask(str(checker), translated.words)
    if not answer.accepted:
        raise CertificateError.at(
            f"certificate of kind {translated.kind}", "one that the extracted checker accepts",
            "one that it rejects", "`--checker python` says where it fails",
        )  # fmt: skip
    return Claim(translated.kind, translated.sentence, *translated.bounds)


def agreement() -> Finding:
    """Compare both checkers on a small fixed set, and on what is false in it (T4.safety).

    Examples
    --------
    >>> from proofs_check.claim import Status
    >>> agreement().status in (Status.HOLDS, Status.NOT_RUN)
    True
    """
    try:
        program()
    except OCamlMissing as missing:
        return Finding(Status.NOT_RUN, str(missing))
    accepted = rejected = 0
    for certificate, model in _fixed_set():
        python = _accepts(check_certificate, certificate, model)
        if python != _accepts(check_extracted, certificate, model):
            kind = certificate["kind"]
            return Finding(Status.FAILS, f"they differ on a certificate of kind {kind}")
        accepted, rejected = accepted + python, rejected + (not python)
    return Finding(
        Status.HOLDS if accepted and rejected else Status.FAILS,
        f"both accept the same {accepted} certificates and reject the same {rejected}",
    )


def _accepts(check: Callable[..., Claim], certificate: Any, model: ConstrainedMDP) -> bool:
    try:
        check(certificate, model)
    except CertificateError:
        return False
    return True


def _fixed_set() -> Iterator[tuple[dict[str, Any], ConstrainedMDP]]:
    """Each kind once on a model of two states, and each with its numbers moved by one."""
    from ig_theory.builders import from_dict
    from ig_theory.certificate import (
        demand_certificate,
        digest,
        impossibility_certificate,
        reward_certificate,
    )
    from ig_theory.constraint import BudgetConstraint
    from ig_theory.guards.shield import shield
    from ig_theory.solvers.minimal_budget import minimal_budget
    from ig_theory.verification import verify

    model = from_dict({"s": {"pay": (1, 1, {"s": 1})}}, initial="s")
    kept = BudgetConstraint(2, "1/2")
    lost = BudgetConstraint(1, "1/2")
    play = verify(shield(model, kept), model, kept).certificate
    broken = verify(shield(model, lost), model, lost).certificate
    for certificate, key in (
        (demand_certificate(minimal_budget(model, kept)), "demand"),
        (impossibility_certificate(minimal_budget(model, lost)), "lower"),
        (reward_certificate(model, kept, reward_discount="1/2", exact=True), "upper"),
        (play, "budgets"),
        (broken, "steps"),
    ):
        if certificate is None:
            raise CertificateError.at("shield", "a certificate", "none", "report this")
        yield certificate, model
        changed = {**certificate, key: _moved(certificate[key])}
        yield {**changed, "digest": digest(changed)}, model


def _moved(value: Any) -> Any:
    if isinstance(value, list):
        return [_moved(item) for item in value[:-1]] + [_moved(value[-1])] if value else [0]
    if isinstance(value, int):
        return value - 1
    return "7" if isinstance(value, str) else None


def ask(checker: str, words: Iterable[str]) -> Answer:
    """Run the program on an input, which is streamed to it.

    Raises
    ------
    CertificateError
        The program could not read its input, or did not come to an answer.
    """
    with subprocess.Popen(
        [checker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, encoding="ascii", errors="replace",
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for chunk in _chunks(words):
                process.stdin.write(chunk)
            process.stdin.close()
        except BrokenPipeError:  # it stopped reading: its answer says why
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        except BaseException:
            process.kill()
            raise
        said = process.stdout.read().split()
    if process.returncode not in (0, 1) or len(said) != 5:
        raise CertificateError.at(
            "certificate", "an input that the extracted checker can read",
            " ".join(said)[:200] or f"exit {process.returncode}", "this input is not covered by it",
        )  # fmt: skip
    accepted = process.returncode == 0 and said[0] == "accepted"
    return Answer(accepted, float(said[2]), float(said[4]))


def _chunks(words: Iterable[str]) -> Iterable[str]:
    held: list[str] = []
    size = 0
    for word in words:
        held.append(word)
        size += len(word)
        if size > _AT_ONCE:
            yield "\n".join(held) + "\n"
            held, size = [], 0
    yield "\n".join([*held, "end", ""])
