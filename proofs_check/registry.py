"""Every claim, and running its checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ig_theory.errors import IGTheoryError
from proofs_check.claim import Check, Claim, Finding, Method, Status
from proofs_check.claims import (
    budget,
    certificates,
    continuation,
    grids,
    intervention,
    latent,
    penalty,
    safe_set,
)

_TOPICS = (budget, safe_set, penalty, latent, grids, certificates, intervention, continuation)


class ProofError(IGTheoryError):
    """The claims or checks that were asked for cannot be found."""


@dataclass(frozen=True)
class CheckResult:
    """What one check found, and how long it took.

    Attributes
    ----------
    check : Check
    finding : Finding
    seconds
        Wall clock. Coq builds all its files at once, before the checks; that is not counted here.
    asked
        False if this check was left out on request.
    """

    check: Check
    finding: Finding
    seconds: float = 0.0
    asked: bool = True


@dataclass(frozen=True)
class ClaimResult:
    """What all checks of one claim found, in the order of its checks."""

    claim: Claim
    results: tuple[CheckResult, ...]

    @property
    def status(self) -> Status:
        """What can be said of the claim as it is stated.

        FAILS if any check does, else what the checks of the kind that carries it say.
        """
        if any(result.finding.status is Status.FAILS for result in self.results):
            return Status.FAILS
        method = carrier(self.claim)
        decide = [r.finding.status for r in self.results if r.check.method is method]
        return Status.NOT_RUN if Status.NOT_RUN in decide else decide[0]


def carrier(claim: Claim) -> Method:
    """The kind of check on which a claim rests as it is stated.

    Paper if any part of it rests on paper; an exact instance for a refutation, whose other checks
    show what is true instead; else the strongest kind of check.

    Examples
    --------
    >>> carrier(find_claims(["L2.game"])[0]).value, carrier(find_claims(["L1.signed"])[0]).value
    ('Coq', 'counterexample')
    """
    kinds = {check.method for check in claim.checks}
    if Method.PAPER in kinds:
        return Method.PAPER
    if claim.statement.startswith("false:") and Method.COUNTEREXAMPLE in kinds:
        return Method.COUNTEREXAMPLE
    return next(method for method in Method if method in kinds)


def all_claims() -> tuple[Claim, ...]:
    """Every claim, by topic, in the order of docs/theory.md.

    Examples
    --------
    >>> all_claims()[0].id
    'L1.identity'
    """
    return tuple(claim for topic in _TOPICS for claim in topic.CLAIMS)


def find_claims(names: Sequence[str]) -> tuple[Claim, ...]:
    """The claims of these ids; a label such as ``T4`` stands for all of its claims.

    Raises
    ------
    ProofError
        If an id names no claim.

    Examples
    --------
    >>> [claim.id for claim in find_claims(["L3"])]
    ['L3.safe', 'L3.permissive']
    """
    found: dict[str, Claim] = {}
    for name in names:
        here = [c for c in all_claims() if name in (c.id, c.id.partition(".")[0])]
        if not here:
            known = ", ".join(claim.id for claim in all_claims())
            raise ProofError.at("claim", f"one of {known}", repr(name), "check the spelling")
        found |= {claim.id: claim for claim in here}
    return tuple(claim for claim in all_claims() if claim.id in found)


def run_claims(
    claims: Sequence[Claim],
    methods: Collection[Method] | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[ClaimResult, ...]:
    """Run the checks of claims.

    Parameters
    ----------
    claims : as from `all_claims` or `find_claims`
    methods
        Run only checks of these kinds; all if absent. The others are NOT_RUN and not `asked`.
    tell
        Told, in a line, what is about to run.

    Returns
    -------
    tuple of ClaimResult
        In the order of `claims`.
    """
    wanted = frozenset(Method) if methods is None else frozenset(methods)
    say = tell or _nothing
    todo = [check for claim in claims for check in claim.checks if _runs(check, wanted)]
    if any(check.method is Method.COQ for check in todo):
        _build_coq(say)
    results: list[ClaimResult] = []
    done = 0
    for claim in claims:
        found = []
        for check in claim.checks:
            if _runs(check, wanted):
                done += 1
                say(f"{done} of {len(todo)}: {claim.id}, {check.method.value}")
            found.append(_run(check, wanted))
        results.append(ClaimResult(claim, tuple(found)))
    return tuple(results)


def _runs(check: Check, wanted: Collection[Method]) -> bool:
    return check.run is not None and check.method in wanted


def _run(check: Check, wanted: Collection[Method]) -> CheckResult:
    if check.run is None:
        return CheckResult(check, Finding(Status.ON_PAPER, check.covers))
    if check.method not in wanted:
        return CheckResult(check, Finding(Status.NOT_RUN, "not asked for"), asked=False)
    started = time.perf_counter()
    try:
        finding = check.run()
    except AssertionError as failure:
        finding = Finding(Status.FAILS, " ".join(str(failure).split()) or "an assertion failed")
    except Exception as error:  # fail closed: a check that breaks has shown nothing
        finding = Finding(Status.FAILS, f"the check broke: {type(error).__name__}: {error}")
    return CheckResult(check, finding, time.perf_counter() - started)


def _build_coq(say: Callable[[str], None]) -> None:
    """Build before the clock of any theorem starts; what goes wrong each theorem reports."""
    from proofs_check import development

    try:
        development.build(progress=say)
    except IGTheoryError:
        return


def _nothing(_: str) -> None:
    return None
