"""L1: the tracker z and the budget that was spent."""

from proofs_check import symbolic
from proofs_check.claim import Claim
from proofs_check.claims.checks import counterexample, identity, step, theorem
from proofs_check.counterexamples import floats, open_boundary, signed_costs

CLAIMS = (
    Claim(
        "L1.identity",
        "γᵗ z_t = d − S_t, where S_t = Σ_{k<t} γᵏ c_k is what was spent. So z_t ≥ 0 exactly if "
        "S_t ≤ d, and z_t > 0 exactly if S_t < d.",
        ("γ > 0", "costs of any sign", "exact numbers: in float64 it fails"),
        (
            theorem("Budget.L1_closed_form", "by induction over t, in rationals"),
            theorem("Budget.L1_sign", "z_t >= 0 exactly if S_t <= d"),
            theorem("Budget.L1_strict", "z_t > 0 exactly if S_t < d"),
            step("budget"),
            identity(symbolic.budget_identity, "one step, for symbolic t, gamma, d, S_t and c_t"),
            counterexample(floats),
        ),
        used_by=("ig_theory.constraint", "ig_theory.solvers.spent"),
    ),
    Claim(
        "L1.series",
        "z_t ≥ 0 at all times exactly if the series Σ γᵗ c_t converges to at most d.",
        ("γ > 0, γ = 1 included", "c ≥ 0"),
        (theorem("BudgetSeries.L1_series", "with real numbers and limits"),),
    ),
    Claim(
        "L1.horizon",
        "A horizon T judges z_T too, after the last cost. Then z_T ≥ 0 alone decides, since a "
        "budget once broken stays broken: anytime and terminal ask the same.",
        ("γ > 0", "c ≥ 0"),
        (
            theorem("Budget.L1_horizon", "z_t >= 0 for all t <= T exactly if z_T >= 0"),
            theorem("Budget.neg_absorbing", "z_t < 0 gives z_{t+1} < 0"),
            step("absorbing"),
        ),
        used_by=("ig_theory.constraint.Scope",),
    ),
    Claim(
        "L1.signed",
        "false: a budget that is kept at the end was kept at every time.",
        ("signed costs",),
        (theorem("Budget.L1_signed", "z_2 = 0 after z_1 < 0"), counterexample(signed_costs)),
        used_by=("ig_theory.constraint.Scope", "llm_bridge.costs.scores.ScoreCost"),
    ),
    Claim(
        "L1.open",
        "false: z_t > 0 at all times exactly if less than d is spent in the limit. With c = 1 "
        "and d = 1/(1−γ), z stays at d > 0 although the whole budget is spent.",
        ("γ < 1", "open boundary z > 0"),
        (
            theorem("BudgetSeries.L1_open", "for every gamma < 1, with the infinite series"),
            identity(symbolic.open_boundary, "z' = z and S_t -> d, for symbolic gamma in (0, 1)"),
            counterexample(open_boundary),
        ),
        used_by=("ig_theory.constraint.Boundary",),
    ),
    Claim(
        "L1.clip",
        "Clipping z at a level m with m ≥ c_max + γ m, such as c_max/(1−γ), changes the sign of "
        "no z_t.",
        ("γ > 0", "m ≥ 0", "no cost above c_max", "closed boundary"),
        (
            theorem("Clip.clip_exact"),
            step("clip"),
            identity(symbolic.clip_level, "m = c_max/(1-gamma) is the least such level"),
        ),
        outside="the open boundary, for which m > 0 is wanted (tested, not proved)",
        used_by=(
            "ig_theory.constraint.BudgetConstraint.clip",
            "ig_theory.tracker.ExactTracker",
            "ig_theory.checker.unfolded._harmless",
        ),
    ),
)
