"""Named models proved safe, or violating, by computation in Coq's kernel.

A generated file defines a model's supports and costs and its minimal budgets as data. A checker
that the development proves sound (``KernelCheck.v``, ``KernelMinimal.v``, ``PenaltyRun.v``) runs
inside the kernel, and the theorems about that model follow. That the data are those of the model
is not proved: they are written out state by state, with the states' names.
"""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import Boundary, BudgetConstraint
from ig_theory.errors import CertificateError, IGTheoryError
from ig_theory.io.catalogue import open_model
from ig_theory.solvers.minimal_budget import minimal_budget
from proofs_check import coqc, development, kernel_text
from proofs_check.claim import Finding, Status
from proofs_check.kernel_data import penalty_run, progress_ranks, tabulate

_FILE = "NamedModel"


def kernel_proof(model: ConstrainedMDP, constraint: BudgetConstraint, title: str = "") -> str:
    """Write the Coq file that proves, in the kernel, what the shield does on one model.

    Its theorems, for every initial state s0 and the constraint's budget z0:

    ``shield_keeps_the_budget``, ``some_policy_keeps_the_budget``
        every policy inside the shield, randomised and with any memory, has ``z >= 0`` at every
        history that it can reach; and there is one;
    ``shield_goes_on``
        a policy inside the shield always has an allowed choice left;
    ``shield_never_violates``
        in probability: 0 at every horizon, whatever the positive branch probabilities;
    ``budgets_are_minimal``, ``shield_leaves_nothing_out``
        some policy keeps the budget from (s, z) iff ``z >= D(s)``, and those that keep it are
        those inside the shield (left out where some minimal budget is infinite).

    Parameters
    ----------
    title
        Named in a comment of the file.

    Raises
    ------
    CertificateError
        If the constraint has a horizon or an open boundary, or its budget is too small.
    SolverError
        If the minimal budgets cannot be computed.

    Examples
    --------
    >>> model = open_model("jailbreak-dialogue:depth=1")
    >>> "Theorem shield_keeps_the_budget" in kernel_proof(model, BudgetConstraint(0))
    True
    """
    _supported(constraint)
    safe = minimal_budget(model, constraint)
    if not safe.start_is_safe():
        raise CertificateError.at(
            "budget", "the minimal budget of every initial state", constraint.budget,
            "raise the budget: no policy keeps this one",
        )  # fmt: skip
    table = tabulate(safe)
    starts = np.flatnonzero((model.initial > 0).astype(bool)).tolist()
    parts = [
        kernel_text.model_text(model, constraint.budget, table, title),
        kernel_text.budgets_text(table, starts),
        kernel_text.SHIELD,
    ]
    if None not in table.budgets:
        ranks = progress_ranks(table) if constraint.discount == 1 else [0]
        parts.append(kernel_text.minimal_text(ranks))
    return "".join(parts)


def penalty_proof(
    model: ConstrainedMDP, constraint: BudgetConstraint, penalty: Fraction | int, title: str = ""
) -> str:
    """Write the Coq file that proves that every n-optimal policy of one model violates.

    For deterministic models with one start and two choices there, one of them to the end, and
    only forced choices after the other. Returns are those of the penalty problem (THEORY T1.late)
    over an infinite horizon: the reward while safe, ``-penalty`` at every step from the first
    violation on. Theorems, for all deterministic policies with any memory:
    ``every_optimal_policy_violates``, ``an_optimal_policy_exists``, ``a_safe_policy_exists``,
    and ``violating_earns_more``, which says by how much at every horizon.

    Raises
    ------
    CertificateError
        If the model is not of this form, or the penalty is large enough here.

    Examples
    --------
    >>> from simulators.latent.counterexamples import late_budget
    >>> constraint = BudgetConstraint(late_budget(10), discount="9/10")
    >>> source = penalty_proof(open_model("late-violation"), constraint, 10)
    >>> "violates_at gp gq K model 44 f s0 z0" in source
    True
    """
    _supported(constraint)
    run = penalty_run(model, constraint, Fraction(penalty))
    table = tabulate(minimal_budget(model, constraint))
    rewards = (
        [Fraction(r) for r in model.reward[first:end]]
        for first, end in zip(model.choice_ptr[:-1], model.choice_ptr[1:], strict=True)
    )
    return kernel_text.model_text(
        model, constraint.budget, table, title
    ) + kernel_text.PENALTY.format(
        rewards=kernel_text.rewards_text(rewards),
        discount=kernel_text.rational(model.reward_discount),
        penalty=kernel_text.rational(Fraction(penalty)),
        margin=kernel_text.rational(run.margin),
        start=run.start + 1, good=run.good, bad=run.bad, steps=run.time - 1, time=run.time,
    )  # fmt: skip


def prove_in_kernel(source: str) -> Finding:
    """Let Coq check a generated file on top of the development.

    Returns
    -------
    Finding
        HOLDS with the theorems and what they assume; FAILS with Coq's words if it rejects the
        file, or if a theorem assumes more than ``axioms.txt`` allows; NOT_RUN without `coqc`.
    """
    names = [f"{_FILE}.{name}" for name in coqc.theorems(source)]
    if skipped := coqc.unproved(source) or ("" if names else "no theorem"):
        return Finding(Status.FAILS, f"the file proves nothing: {skipped}")
    try:
        built = development.build()
        axioms = _assumptions(built.folder, source, names)
    except coqc.CoqMissing as missing:
        return Finding(Status.NOT_RUN, str(missing))
    except coqc.CoqFailure as failure:
        return Finding(Status.FAILS, f"Coq rejects the file: {failure.message}")
    except IGTheoryError as error:
        return Finding(Status.FAILS, str(error))
    used = sorted({axiom for found in axioms.values() for axiom in found})
    if beyond := [axiom for axiom in used if axiom not in development.allowed_axioms()]:
        return Finding(Status.FAILS, f"rests on {', '.join(beyond)}: not in axioms.txt")
    proved = ", ".join(name.partition(".")[2] for name in names)
    rests = ", ".join(used) or "none"
    return Finding(Status.HOLDS, f"{proved} (Coq {built.version}); axioms: {rests}")


def _assumptions(library: Path, source: str, names: list[str]) -> dict[str, list[str]]:
    """Compile a file beside links to the compiled development, whose folder stays as it is."""
    with tempfile.TemporaryDirectory(prefix="ig-theory-") as name:
        folder = Path(name)
        for compiled in library.glob("*.vo"):
            (folder / compiled.name).symlink_to(compiled)
        (folder / f"{_FILE}.v").write_text(source, "utf-8")
        coqc.compile_file(folder, f"{_FILE}.v")
        return coqc.assumptions(folder, names)


def jailbreak_is_safe() -> Finding:
    """Prove that the shield, and nothing else, keeps jailbreak-dialogue within a budget of 3."""
    spec = "jailbreak-dialogue"
    return prove_in_kernel(kernel_proof(open_model(spec), BudgetConstraint(3), spec))


def late_violation_violates() -> Finding:
    """Prove that late-violation's 10-optimal policies violate, at the budget made for n = 10."""
    from simulators.latent.counterexamples import late_budget

    spec = "late-violation"
    constraint = BudgetConstraint(late_budget(10), discount="9/10")
    return prove_in_kernel(penalty_proof(open_model(spec), constraint, 10, spec))


def _supported(constraint: BudgetConstraint) -> None:
    if constraint.horizon is not None or constraint.boundary is Boundary.OPEN:
        raise CertificateError.at(
            "constraint", "no horizon and a closed boundary", constraint,
            "the generated theorems are about z >= 0 for ever",
        )  # fmt: skip
