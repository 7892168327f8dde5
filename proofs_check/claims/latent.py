"""T2: deciding by latents in place of states."""

from proofs_check import symbolic
from proofs_check.claim import Claim
from proofs_check.claims.checks import counterexample, identity, paper, step, theorem
from proofs_check.counterexamples import aliasing

CLAIMS = (
    Claim(
        "T2.sound",
        "What the latent model can keep, the real one can: if the latent's choices exist in the "
        "state, its costs are at least the state's and its branches cover the state's.",
        ("γ > 0", "z is updated with the true cost"),
        (theorem("Latent.T2_sound"), step("simulation")),
        used_by=("llm_bridge.abstraction.fibre.FibreSet",),
    ),
    Claim(
        "T2.exact",
        "If states of one latent have the same choices and costs, and choices lead to the same "
        "set of latents, deciding by latents loses no safety.",
        ("γ > 0", "supports and costs lump; probabilities need not"),
        (theorem("Latent.T2_exact"),),
        used_by=("llm_bridge.abstraction.Residual.exact",),
    ),
    Claim(
        "T2.aliasing",
        "false: if every state is safe by itself, some memoryless policy of the latent is safe "
        "from all of them.",
        ("two states with one latent and opposite free choices", "d = 0"),
        (
            theorem("Aliasing.alias_token_safe", "each state is safe"),
            theorem("Aliasing.alias_latent_unsafe", "each policy by latent fails from one state"),
            counterexample(aliasing),
        ),
        used_by=("simulators.latent.counterexamples.aliased",),
    ),
    Claim(
        "T2.fibre",
        "Budgets by latent that pay, for one choice, for the worst case over all states of the "
        "latent, as the robust demand does, are a certificate for the policy that looks at the "
        "latent only.",
        ("γ > 0",),
        (theorem("Latent.T2_fibre"),),
        used_by=("llm_bridge.abstraction.fibre",),
    ),
    Claim(
        "T2.error",
        "If costs of one latent differ by at most ε and supports lump, the robust demand is at "
        "most D + ε/(1−γ). If each cost is known up to ε, a reserve of ε/(1−γ) of the budget "
        "makes up for it.",
        ("γ < 1",),
        (
            theorem("LatentError.T2_fibre_error", "the robust demand, for randomised play too"),
            theorem("Tracking.T2_error", "a reserve of eps/(1-gamma), on every run"),
            theorem("Tracking.T2_error_horizon", "eps (1 + .. + gamma^(T-1)) over T steps"),
            step("fibre"),
            step("measured"),
            identity(symbolic.cost_error_reserve, "x = eps/(1-gamma) pays eps in every step"),
        ),
        used_by=("llm_bridge.abstraction.Residual",),
    ),
    Claim(
        "T2.optimum",
        "The best safe reward by latents is that by states if rewards, ends and the probabilities "
        "of the next latents agree too.",
        ("those of T2.exact", "a finite horizon"),
        (
            theorem("LatentValue.T2_optimum", "the value of M_n, for each n, horizon and budget"),
            paper("for n > n* (T1.threshold) the optimum of M_n is the best safe reward"),
        ),
        outside="the step from M_n to the safe optimum; no horizon",
    ),
)
