"""T3: budgets rounded to a grid of mesh h."""

from proofs_check import symbolic
from proofs_check.claim import Claim
from proofs_check.claims.checks import counterexample, identity, step, theorem
from proofs_check.counterexamples import sharp_grid

CLAIMS = (
    Claim(
        "T3.down",
        "Rounding the tracker down is sound: what is safe on the grid is safe.",
        ("γ > 0", "rounding never exceeds its argument"),
        (
            theorem("Grid.T3_down"),
            theorem("PairsChecker.pairs_sound", "the extracted checker of pairs on a grid"),
            step("down"),
        ),
        used_by=(
            "ig_theory.tracker.GridTracker",
            "ig_theory.solvers.budget_grid",
            "ig_theory.solvers.budgeted_value",
            "ig_theory.solvers.grid_table",
            "ig_theory.solvers.totals.safe_product.brackets",
            "ig_theory.certificate",
            "ig_theory.solvers.policy_violation.policy_violation",
        ),
    ),
    Claim(
        "T3.up",
        "Rounding the tracker up is complete: what is safe is safe on the grid.",
        ("γ > 0", "rounding is monotone and never falls below its argument"),
        (theorem("Grid.T3_up"), step("up")),
        used_by=(
            "ig_theory.tracker.GridTracker",
            "ig_theory.solvers.budget_grid",
            "ig_theory.solvers.budgeted_value",
            "ig_theory.solvers.grid_table",
            "ig_theory.solvers.totals.safe_product.brackets",
            "ig_theory.solvers.policy_violation.policy_violation",
        ),
    ),
    Claim(
        "T3.path",
        "Along a run the tracker ẑ rounded down by at most h a step has ẑ_t ≤ z_t and "
        "γᵗ(z_t − ẑ_t) ≤ h(1 + γ + … + γᵗ).",
        ("γ > 0", "costs of any sign"),
        (
            theorem("Rounding.T3_path_sound"),
            theorem("Rounding.T3_path_gap"),
            step("path"),
            identity(symbolic.path_gap, "the closed form of the sum, and its step"),
        ),
    ),
    Claim(
        "T3.gap",
        "A budget of D + γh/(1−γ) is enough for the game rounded down by at most h a step, if the "
        "start is not rounded.",
        ("0 < γ < 1", "D has a certificate (T4.safety)"),
        (
            theorem("Grid.T3_gap"),
            step("reserve"),
            identity(symbolic.rounding_reserve, "gamma h + gamma e = e at e = gamma h/(1-gamma)"),
        ),
    ),
    Claim(
        "T3.sharp",
        "Over a horizon T, h Σ_{k<T} γᵏ more budget makes up for rounding down, that of the start "
        "included; nothing less does for all models: a chain needs (1−δ) of it, any δ > 0.",
        ("horizon T ≥ 1", "0 < γ ≤ 1", "rounding keeps the sign and loses at most h"),
        (
            theorem("GridHorizon.T3_gap_horizon", "it is enough"),
            theorem("GridChain.T3_sharp", "the chain, with h = 1"),
            theorem("GridChain.T3_chain_exact", "what the chain needs"),
            theorem("GridChain.T3_chain_rounded", "what it needs when rounded"),
            counterexample(sharp_grid),
        ),
    ),
    Claim(
        "T3.lattice",
        "At γ = 1 rounding is exact if all costs and the budget are whole multiples of h; without "
        "that no bound holds for all horizons.",
        ("γ = 1",),
        (
            theorem("GridHorizon.T3_lattice", "rounding loses nothing"),
            theorem("GridChain.T3_sharp", "at gamma = 1 a chain of T steps loses (1-delta) h T"),
        ),
    ),
)
