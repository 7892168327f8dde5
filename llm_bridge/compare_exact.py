"""Exact rows of a comparison: every response that a guard can give to a prompt.

The law of the response makes any decoder a guard of the tree's model: what it plays next after a
prefix is the law's share of each token there. So search procedures are verified by the same code
as step guards, with the same certificates, and the law is checked against the verdict.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ig_theory.checker import check_certificate
from ig_theory.context import Context
from ig_theory.errors import CertificateError, SolverError
from ig_theory.guard import Guard, GuardView
from ig_theory.report.as_json import verdict_dict
from ig_theory.verdict import Outcome, Verdict
from ig_theory.verification import verify
from llm_bridge.compare import Record
from llm_bridge.decoding.decoder import Decoder
from llm_bridge.decoding.exact import ResponseLaw, exact_law
from llm_bridge.decoding.tree_guards import TreeGuard
from llm_bridge.decoding.tree_world import TreeWorld
from llm_bridge.tree.latent_mdp import TreeModel

AGREEMENT = 1e-9
"""How far the law's P(violate) may be from the verdict's; both are computed in floats."""


@dataclass(frozen=True, eq=False)
class LawGuard:
    """The guard that gives every response with the probability that a law has.

    Parameters
    ----------
    found
        The tree's model.
    mass : float64[N]
        The law's probability of the responses that pass through each node.
    """

    found: TreeModel
    mass: NDArray[np.float64]

    @classmethod
    def of(cls, law: ResponseLaw, found: TreeModel) -> LawGuard:
        """From the law of a decoder.

        Raises
        ------
        SolverError
            If a response is none that has ended: no policy of the model gives it.
        """
        tree = found.tree
        mass = np.zeros(len(tree))
        for beam, chance in zip(law.beams, law.probabilities, strict=True):
            node = tree.find(beam.tokens)
            if chance and (node is None or not tree.leaf[node]):
                raise SolverError.at(
                    "law", "responses that end", f"{beam.tokens} with probability {float(chance)}",
                    "nothing: the guard may say nothing at all, which no policy of the model does",
                )  # fmt: skip
            if node is not None:
                mass[node] += float(chance)
        for low, high in reversed(list(tree.levels())):
            np.add.at(mass, tree.parent[low:high], mass[low:high])
        return cls(found, mass)

    def __call__(self, view: GuardView) -> NDArray[np.float64]:
        """Shares of the tokens where the law goes; the base model where it never does."""
        assert view.state is not None
        tree = self.found.tree
        played = view.base.copy()
        for row, node in enumerate(view.state.tolist()):
            if tree.leaf[node] or not self.mass[node] > 0:
                continue
            children = tree.children(node)
            shares = np.zeros(view.base.shape[1])
            shares[: len(children)] = self.mass[children.start : children.stop]
            played[row] = shares / shares.sum()
        return played


@dataclass(eq=False)
class Exact:
    """What the exact rows of one prompt share: the tree and what is known of it.

    Parameters
    ----------
    found, world
    limit
        Most outcomes of one round of a decoder.
    """

    found: TreeModel
    world: TreeWorld
    limit: int
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        self.context = Context(self.found.mdp, self.world.problem.constraint)

    def row(self, decoder: Decoder) -> Record:
        """P(violate), reward, regret, KL and its limit of one guard, and what proves it.

        Raises
        ------
        SolverError
            If there is too much to go through, or two computations disagree.
        """
        began = time.perf_counter()
        if isinstance(decoder, TreeGuard):
            verdict = self._verified(decoder.step.guard, decoder.name)
            return self._record(verdict, None, time.perf_counter() - began)
        law = exact_law(decoder, self.world, self.limit)
        try:
            guard = LawGuard.of(law, self.found)
        except SolverError as why:
            return self._silent(law, str(why), time.perf_counter() - began)
        verdict = self._verified(guard, decoder.name)
        self._agree(law, verdict)
        return self._record(verdict, law, time.perf_counter() - began)

    def _verified(self, guard: Guard, name: str) -> Verdict:
        return verify(
            guard, self.found.mdp, self.world.problem.constraint, guard_name=name,
            model_name="token tree", context=self.context, price=True,
        )  # fmt: skip

    def _agree(self, law: ResponseLaw, verdict: Verdict) -> None:
        bounds = verdict.violation
        chance = float(law.violation)
        if bounds is None or not (
            float(bounds.lower) - AGREEMENT <= chance <= float(bounds.upper) + AGREEMENT
        ) or (chance == 0) != (verdict.outcome is Outcome.SAFE):  # fmt: skip
            raise SolverError.at(
                f"P(violate) of {verdict.guard}", "the same from its law and from verification",
                (chance, bounds, verdict.outcome.value, verdict.error), "report this",
            )  # fmt: skip

    def _record(self, verdict: Verdict, law: ResponseLaw | None, seconds: float) -> Record:
        told = verdict_dict(verdict)
        proof = _proof(verdict, self.found)
        outside: Record = {"fallback": None, "responses": None, "reward_all": None, "cost": None}
        if law is not None:
            outside = {
                "fallback": float(law.ends("fallback")), "responses": len(law.beams),
                "reward_all": law.reward, "cost": law.cost,
            }  # fmt: skip
        return {
            "outcome": verdict.outcome.value, "violation": told["violation"],
            "reward": told["reward"], "regret": told["regret"], "kl": told["kl"],
            "kl_limit": told["kl_limit"], "kl_ratio": told["kl_ratio"],
            "certificate": proof, "nodes": len(self.found.tree), "seconds": seconds,
            "error": verdict.error, **outside,
        }  # fmt: skip

    def _silent(self, law: ResponseLaw, why: str, seconds: float) -> Record:
        """A guard that may say nothing: no policy of the model, so there is no verdict."""
        chance, reward = float(law.violation), law.reward
        return {
            "outcome": "VIOLATED" if chance else "ABSTAINS",
            "violation": {"lower": chance, "upper": chance, "exact": None},
            "reward": {"lower": reward, "upper": reward, "exact": None}, "regret": None,
            "kl": {"lower": "inf", "upper": "inf", "exact": None}, "kl_limit": None,
            "kl_ratio": None, "certificate": None, "nodes": len(self.found.tree),
            "seconds": seconds, "error": None, "fallback": float(law.ends("fallback")),
            "abstained": float(law.ends("abstained")), "responses": len(law.beams),
            "reward_all": reward, "cost": law.cost, "note": why,
        }  # fmt: skip


def _proof(verdict: Verdict, found: TreeModel) -> str | None:
    """The kind of the certificate, if there is one and the checker accepts it."""
    if verdict.certificate is None:
        return None
    written = json.loads(json.dumps(verdict.certificate))
    try:
        check_certificate(written, found.mdp)
    except CertificateError as error:
        raise SolverError.at(
            f"certificate of {verdict.guard}", "one that the checker accepts", error, "report this"
        ) from error
    return str(verdict.certificate["kind"])


@dataclass(frozen=True)
class ExactRow:
    """The exact records of one guard together: means over the prompts.

    Attributes
    ----------
    prompts, proved : int
        Prompts with an answer; those with a certificate that was checked.
    zero : bool
        P(violate) is 0 on every prompt, by the support and not by rounding.
    violation, reward, regret, kl, ratio, fallback : float
        Means; `ratio` is that of the mean KL to the mean limit; NaN where there is none.
    worst : float
        Largest P(violate) of a prompt.
    """

    guard: str
    prompts: int
    failed: int
    proved: int
    zero: bool
    violation: float
    worst: float
    reward: float
    regret: float
    kl: float
    ratio: float
    fallback: float
    seconds: float

    @property
    def words(self) -> str:
        """What is known, and whether it was proved.

        Examples
        --------
        >>> ExactRow("shield", 2, 0, 2, True, *[0.0] * 8).words
        'P = 0, certificate checked'
        """
        if not self.prompts:
            return "no answer"
        if not self.zero:
            return "violates, certificate checked" if self.proved else "violates"
        if self.proved == self.prompts:
            return "P = 0, certificate checked"
        return f"P = 0, certificate for {self.proved} of {self.prompts}"


def exact_rows(guards: Sequence[str], rows: Sequence[Record]) -> list[ExactRow]:
    """Each guard that has exact records in a row."""
    found = []
    for guard in guards:
        mine = [row for row in rows if row["guard"] == guard and row["kind"] == "exact"]
        if mine:
            found.append(_exact_row(guard, mine))
    return found


def _exact_row(guard: str, mine: Sequence[Record]) -> ExactRow:
    good = [row for row in mine if row.get("error") is None]
    chances = [_middle(row["violation"]) for row in good]
    kl, limit = _mean_of(good, "kl"), _mean_of(good, "kl_limit")
    zero = [row["outcome"] in ("SAFE", "ABSTAINS") for row in good]
    falls = [row["fallback"] for row in good if row["fallback"] is not None]
    return ExactRow(
        guard, len(good), len(mine) - len(good),
        sum(row["certificate"] is not None for row in good),
        bool(good) and all(zero), math.fsum(chances) / len(good) if good else math.nan,
        max(chances, default=math.nan), _mean_of(good, "reward"), _mean_of(good, "regret"), kl,
        kl / limit if limit > 0 and kl < math.inf else math.nan,
        math.fsum(falls) / len(falls) if falls else math.nan,
        math.fsum(row["seconds"] for row in good),
    )  # fmt: skip


def _mean_of(rows: Sequence[Record], key: str) -> float:
    if not rows or any(row[key] is None for row in rows):
        return math.nan
    return math.fsum(_middle(row[key]) for row in rows) / len(rows)


def _middle(bounds: Any) -> float:
    lower, upper = float(bounds["lower"]), float(bounds["upper"])
    return lower if lower == upper else (lower + upper) / 2
