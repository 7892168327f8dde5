"""T6: safety on a model that is too large to enumerate."""

from proofs_check import symbolic
from proofs_check.claim import Claim
from proofs_check.claims.checks import identity, step, theorem

CLAIMS = (
    Claim(
        "T6.continuation",
        "If every state has a known continuation of cost at most f(s) that ends the run, taking a "
        "block b only if z − c(b) ≥ γ^|b| f(after b), and the continuation otherwise, never "
        "violates from z ≥ f(s), whatever proposes the blocks.",
        ("γ > 0", "c ≥ 0", "nothing costs after the end"),
        (
            theorem("Continuation.T6_continuation", "every policy that obeys the rule"),
            theorem("Continuation.T6_never_stuck", "the rule always leaves a choice"),
            theorem("Continuation.T6_probability", "probability 0 to break at every horizon"),
            theorem("Continuation.fits_of_list", "z - c(b) >= gamma^|b| f(after b), step by step"),
            theorem("Continuation.finite_plan", "continuations that end after some steps"),
            step("continuation"),
            identity(symbolic.block_identity, "gamma^k z_{t+k} = z_t - c(block), one token longer"),
        ),
        used_by=("llm_bridge.decoding.certified",),
    ),
)
