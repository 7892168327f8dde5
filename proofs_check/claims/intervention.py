"""T5: how much a safe guard must change the base model."""

from proofs_check import symbolic
from proofs_check.claim import Claim
from proofs_check.claims.checks import exhaustive, identity, theorem
from proofs_check.exhaustive import conditioned, divergence

_NO_HORIZON = "no horizon: the limit n → ∞, where runs end almost surely"
_BASE = "the base gives every choice a positive probability"

CLAIMS = (
    Claim(
        "T5.bellman",
        "The least expected divergence from the base among safe policies, summed over the steps, "
        "is W(s,z) = −log Σ_{a in shield} base(a) exp(−Σ P W(s',z')), attained by choosing in "
        "proportion to the terms; ∞ outside the safe set, 0 at the end.",
        ("a finite horizon", _BASE),
        (
            theorem("LeastIntrusive.T5_lower", "W is a lower bound: randomised, with memory"),
            theorem("LeastIntrusive.T5_attained", "the policy in proportion attains it"),
            theorem("LeastIntrusive.T5_lower_only", "no other policy does"),
            theorem(
                "LeastIntrusive.T5_safe_probability", "safe: probability 0 to break in n steps"
            ),
            exhaustive(divergence),
            identity(symbolic.free_energy, "one step with three choices: W + KL(q || best)"),
        ),
        outside=_NO_HORIZON,
        used_by=("ig_theory.solvers.least_intrusive", "ig_theory.guards.least_intrusive"),
    ),
    Claim(
        "T5.limit",
        "With deterministic dynamics the least-intrusive guard is the base conditioned on never "
        "violating, and W(s₀, d) = −log P_base(never violate): no safe guard changes less.",
        ("deterministic dynamics", "a finite horizon", _BASE),
        (
            theorem("NeverViolate.T5_limit", "W = -ln P_base(never violate)"),
            theorem("NeverViolate.T5_divergence_lower", "no safe policy has less divergence"),
            theorem("NeverViolate.T5_divergence_attained"),
            theorem("NeverViolate.T5_conditioned", "the policy is the conditioned base"),
            theorem("RationalPolicies.T5_budget_lower", "the same for (s, z), rational base"),
            theorem("RationalPolicies.T5_budget_attained", "the same for (s, z), rational base"),
            theorem("RationalPolicies.T5_live_is_W", "W is finite exactly on the safe set"),
            exhaustive(conditioned),
        ),
        outside=_NO_HORIZON,
        used_by=(
            "ig_theory.solvers.least_intrusive",
            "ig_theory.query.interventions",
            "ig_theory.verdict.Verdict",
            "simulators.latent.chain.latent_chain",
        ),
    ),
    Claim(
        "T5.temperature",
        "Choosing in proportion to base(a) exp((r + β Σ P V')/λ) inside the shield, with "
        "V = λ log of their sum, is best for reward less λ times divergence. As λ → 0 its reward "
        "reaches the best safe one; as λ → ∞ its divergence falls to the least.",
        ("a finite horizon", "β discounts rewards and divergences", "λ > 0", _BASE),
        (
            theorem("Temperature.T5_soft_safe"),
            theorem("Temperature.T5_soft_optimal"),
            theorem("Temperature.T5_cold_limit"),
            theorem("Temperature.T5_hot_limit"),
            identity(symbolic.soft_limits, "both limits of one step with two choices"),
        ),
        outside=_NO_HORIZON,
        used_by=("ig_theory.solvers.soft",),
    ),
)
