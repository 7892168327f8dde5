"""T1: the penalty MDP M_n, which pays the reward while safe and -n from the first violation on."""

from proofs_check import symbolic
from proofs_check.claim import Claim
from proofs_check.claims.checks import (
    counterexample,
    exhaustive,
    identity,
    kernel,
    paper,
    step,
    theorem,
)
from proofs_check.counterexamples import last_step, no_threshold, tight_threshold
from proofs_check.exhaustive import penalties
from proofs_check.kernel import late_violation_violates

_REWARDS = "rewards in [0, R]"
_ENDLESS = "infinite horizon, β < 1"

CLAIMS = (
    Claim(
        "T1.limit",
        "As n grows the value V_n of M_n falls to the best value among safe policies where one "
        "exists, and to −∞ elsewhere.",
        (_REWARDS, _ENDLESS, "c ≥ 0", "finite model"),
        (
            paper(
                "values are continuous on the compact set of policies; the maxima of a falling "
                "sequence of continuous functions fall to the maximum of the limit"
            ),
        ),
        outside="all of it",
        used_by=("ig_theory.solvers.penalty", "ig_theory.solvers.penalty_curve"),
    ),
    Claim(
        "T1.late",
        "From a safe pair an n-optimal policy violates within t steps with probability at most "
        "β⁻ᵗ R/(n+R).",
        (_REWARDS, _ENDLESS, "c ≥ 0"),
        (
            identity(symbolic.late_penalty, "a violation at tau leaves (R-(R+n)beta^tau)/(1-beta)"),
            paper("a safe policy earns >= 0, so E beta^tau <= R/(n+R); then Markov's inequality"),
        ),
        outside="the expectation over runs, and Markov's inequality",
        used_by=("ig_theory.query.penalties",),
    ),
    Claim(
        "T1.threshold",
        "If z_T is charged too, every greedy choice of M_n at a safe pair leads to safe pairs "
        "only, for n > n* = R(1+β+…+β^{T−1})/(pβ)^T. With costs c(s,a,s') n* is attained; with "
        "costs c(s,a) p n* is.",
        ("horizon T", _REWARDS, "0 < β ≤ 1", "every branch has probability ≥ p > 0"),
        (
            theorem("Penalty.T1_threshold", "n > n* is enough, one step"),
            theorem("PenaltyGreedy.T1_greedy_safe", "and along whole runs of greedy choices"),
            theorem("PenaltyGreedy.T1_tokens", "p = beta = 1: n* = R T"),
            theorem(
                "PenaltySharp.T1_sharp",
                "costs c(s,a,s'), p = 1 or p <= 1/2: at n* itself a greedy choice is unsafe",
            ),
            exhaustive(penalties),
            step("penalty"),
            identity(symbolic.penalty_family, "a family of chains is worth 0 at n = n*"),
            counterexample(tight_threshold),
        ),
        outside="n > p n* for costs c(s,a): checked on the finite class and on chains only",
        used_by=("ig_theory.solvers.penalty.finite_threshold",),
    ),
    Claim(
        "T1.no-threshold",
        "false: over an infinite horizon some finite penalty n makes every n-optimal policy safe "
        "from every budget. A violation can be so late that its discounted penalty vanishes.",
        ("γ = β < 1",),
        (
            kernel(
                late_violation_violates,
                "late-violation at n = 10: each deterministic n-optimal policy breaks",
            ),
            identity(symbolic.late_violation, "for every n some budget is broken late enough"),
            counterexample(no_threshold),
        ),
        outside="the induction over the steps, for penalties other than those tried",
        used_by=(
            "simulators.latent.counterexamples.late_violation",
            "simulators.latent.counterexamples.late_budget",
            "ig_theory.solvers.penalty_threshold.penalty_threshold",
            "ig_theory.solvers.penalty",
            "ig_theory.testing.planted_faults._debt",
        ),
    ),
    Claim(
        "T1.gap",
        "If D(s') − z' ≥ δ at all unsafe pairs that can be reached, n > R((pβ)^{−(k+1)} − 1) is "
        "enough, k = ⌊ln(D_max/δ)/ln(1/γ)⌋ + 1. So is n > R/κ − R, with κ the least E β^τ over "
        "unsafe first choices and policies, τ the time of the violation.",
        (_REWARDS, _ENDLESS, "c ≥ 0 and γ < 1 for the form with δ"),
        (
            identity(symbolic.shortfall_growth, "the shortfall D - z grows by 1/gamma a step"),
            identity(symbolic.late_penalty, "n* = R/kappa - R is where R/(R+n) = kappa"),
            paper("the shortfall passes D_max after k steps, so a branch of P >= p^(k+1) violates"),
        ),
        outside="the induction over the steps, and the expectation over runs",
        used_by=("ig_theory.solvers.penalty_threshold",),
    ),
    Claim(
        "T1.last-step",
        "false: charging the budget z_t before the step, so that z_T is free, makes n-optimal "
        "policies safe for large n.",
        ("horizon T",),
        (step("last-step"), counterexample(last_step)),
        used_by=("ig_theory.solvers.penalty", "ig_theory.guards.penalty"),
    ),
)
