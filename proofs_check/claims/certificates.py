"""T4: what is enough to believe a verdict without trusting the solver."""

from proofs_check.claim import Claim
from proofs_check.claims.checks import counterexample, step, theorem
from proofs_check.counterexamples import antichain, zero_cycle

_FILE = "for a certificate: reading the file, and that the model in it is the real one"

CLAIMS = (
    Claim(
        "T4.safety",
        "If D̂ ≥ 0 and at every state with finite D̂ the named choice has D̂(s) ≥ c + γ D̂(s') on "
        "every branch, playing it keeps the budget from every z ≥ D̂(s), whatever positive "
        "probabilities the branches have.",
        ("γ > 0", "costs of any sign", "closed boundary"),
        (
            theorem("SafetyCertificate.T4_cert", "on every run that the policy can have"),
            theorem("SafetyCertificate.T4_prob", "probability 0 to break at every horizon"),
            theorem("DemandChecker.demand_sound", "the extracted checker: safe from every start"),
            step("certificate"),
        ),
        outside=_FILE,
        used_by=(
            "ig_theory.certificate",
            "ig_theory.certificate.rounding.layers",
            "ig_theory.checker.demand.check_demand",
        ),
    ),
    Claim(
        "T4.impossibility",
        "If L is bounded and every choice has a branch with L(s) ≤ c + γ L(s'), no policy keeps "
        "the budget from z < L(s).",
        ("0 < γ < 1", "closed boundary"),
        (
            theorem("Impossibility.T4_lower"),
            theorem("ImpossibilityChecker.impossibility_sound", "the extracted checker"),
            step("impossibility"),
        ),
        outside=_FILE,
        used_by=(
            "ig_theory.certificate",
            "ig_theory.certificate.rounding.layers",
            "ig_theory.certificate.impossibility.impossibility_certificate",
            "ig_theory.checker.impossibility.check_impossibility",
        ),
    ),
    Claim(
        "T4.ranking",
        "At γ = 1 the same holds if every such branch costs at least δ > 0 or lowers a bounded "
        "rank. Under the open boundary a bound that is just met needs a falling rank at γ < 1 too.",
        ("γ = 1, or the open boundary", "at γ = 1, costs on these branches ≥ 0"),
        (
            theorem("Impossibility.T4_lower_rank", "gamma = 1, closed boundary"),
            theorem("ImpossibilityChecker.impossibility_sound", "both boundaries: the checker"),
            step("ranking"),
        ),
        outside=_FILE,
        used_by=(
            "ig_theory.certificate",
            "ig_theory.checker.impossibility.check_impossibility",
        ),
    ),
    Claim(
        "T4.cycle",
        "false: at γ = 1 the inequalities alone are enough. A free cycle supports L = 5 without a "
        "rank, and D̂ = −1 without D̂ ≥ 0; both are wrong.",
        ("γ = 1",),
        (
            theorem(
                "ZeroCycle.T4_cycle_impossibility", "L = 1 on a free loop, where z = 0 is safe"
            ),
            theorem("ZeroCycle.T4_cycle_safety", "D = -1 on it, where z = -1 is not"),
            theorem("ZeroCycle.T4_nonneg", "gamma < 1, c >= 0: bounded D is >= 0 by itself"),
            counterexample(zero_cycle),
        ),
    ),
    Claim(
        "T4.reward",
        "If U ≥ r + β Σ P U' for all choices and U ≥ −B, every policy earns at most U + βⁿ B in n "
        "steps; dually L ≤ r + β Σ P L' for the named choice and L ≤ B give at least L − βⁿ B.",
        ("β ≥ 0", "exact rational probabilities"),
        (
            theorem("Reward.reward_upper", "for every randomised policy with memory"),
            theorem("Reward.reward_lower", "for the named choices"),
            theorem("RewardForever.T4_reward_upper_discounted", "beta < 1, n large: up to any eps"),
            theorem("RewardForever.T4_reward_lower_discounted", "beta < 1, n large: up to any eps"),
            theorem("RewardForever.T4_reward_upper_forever", "U >= 0: at every n, beta = 1 too"),
            theorem(
                "RewardEnds.T4_reward_lower_ends", "beta = 1, few visits to L > 0: up to any eps"
            ),
            theorem(
                "RewardEnds.T4_reward_upper_ends", "beta = 1, few visits to U < 0: up to any eps"
            ),
            theorem("RewardUpper.reward_upper_sound", "the extracted checker, safe policies only"),
            theorem("RewardLower.reward_lower_sound", "the extracted checker, the named choices"),
            step("reward-upper"),
            step("reward-lower"),
        ),
        outside=f"that the value without a horizon is the limit of those over n steps; {_FILE}",
        used_by=(
            "ig_theory.solvers.table_levels",
            "ig_theory.solvers.unconstrained.unconstrained",
            "ig_theory.solvers.totals.total_reward",
            "ig_theory.certificate",
            "ig_theory.certificate.reward.reward_certificate",
            "ig_theory.checker.reward.check_reward",
        ),
    ),
    Claim(
        "T4.several",
        "Several budgets at once: finite sets U(s) of vectors ≥ 0 are sound if for each u some "
        "choice has on every branch a u' in U(s') with c_i + γ_i u'_i ≤ u_i for all i.",
        ("all γ_i > 0",),
        (
            theorem("Several.multi_cert", "by the greatest set that some choice never leaves"),
            theorem("Several.multi_game", "which is what policies with memory can keep"),
            step("several"),
        ),
        used_by=("ig_theory.solvers.budget_vectors",),
    ),
    Claim(
        "T4.antichain",
        "false: the budgets that can be kept have few least vectors. One state with two choices "
        "has 2^T of them at horizon T.",
        ("two constraints", "γ < 1"),
        (counterexample(antichain),),
        outside="other T and γ < 1, and that there are uncountably many without a horizon",
        used_by=("ig_theory.solvers.budget_vectors",),
    ),
)
