"""L2 and L3: from where a budget can be kept, and what may then be done."""

from proofs_check.claim import Claim
from proofs_check.claims.checks import (
    bounded_game,
    counterexample,
    exhaustive,
    kernel,
    paper,
    step,
    theorem,
)
from proofs_check.counterexamples import not_least
from proofs_check.exhaustive import endless, every_policy, safe_sets
from proofs_check.kernel import jailbreak_is_safe

_FINITE = "finitely many choices at a state and branches of a choice"
_CHOICE = "every state has a choice"

CLAIMS = (
    Claim(
        "L2.game",
        "Some policy, randomised and with memory of the whole history, keeps z ≥ 0 on every run "
        "it can have exactly if (s, z) lies in the greatest set of pairs with z ≥ 0 where some "
        "choice stays in the set on every branch.",
        ("γ > 0", "costs of any sign", _FINITE),
        (
            theorem("Game.L2_gfp", "with policies as sets of choices after each history"),
            exhaustive(safe_sets),
            bounded_game(),
        ),
    ),
    Claim(
        "L2.demand",
        "With T D(s) = min_a max(0, max_{s'} [c + γ D(s')]) and D_n = Tⁿ 0: the budget can be "
        "kept for n steps exactly if z ≥ D_n(s), and for ever exactly if z ≥ D(s) = sup_n D_n(s), "
        "the minimal budget.",
        ("γ > 0", "costs of any sign", "closed boundary", _FINITE),
        (
            theorem("Demand.W_policy", "n steps: policies, randomised and with memory"),
            theorem("Demand.W_Dn", "n steps: the iterates"),
            theorem("Demand.L2_complete", "for ever"),
            exhaustive(safe_sets),
            step("certificate"),
            step("impossibility"),
            bounded_game(),
        ),
        used_by=(
            "ig_theory.solvers.minimal_budget",
            "ig_theory.query.budgets.min_budget",
            "ig_theory.solvers.violation",
            "ig_theory.testing.hand_written.TableShield",
            "ig_theory.solvers.pareto",
        ),
    ),
    Claim(
        "L2.least",
        "D is the least function in [0, ∞] with T D ≤ D. For γ < 1 any bounded fixed point is D; "
        "at γ = 1 others can lie above it, and D may be ∞.",
        ("γ > 0", _FINITE),
        (
            theorem("Demand.L2_least", "D_n lies below every function with T D <= D"),
            theorem("Demand.L2_prefixed", "every such function is enough"),
            theorem("FixedPoints.L2_fixed_point", "the minimal budget is a fixed point"),
            theorem("FixedPoints.L2_least_fixed_point", "and lies below every such function"),
            theorem("FixedPoints.L2_unique", "gamma < 1: a bounded fixed point is D"),
            theorem("FixedPoints.L2_loop_fixed", "gamma = 1: on a free loop every D >= 0 is one"),
            exhaustive(endless),
            counterexample(not_least),
        ),
        outside="a D that is no rational number; finite models with rational costs and γ have none",
        used_by=("ig_theory.solvers.minimal_budget._discounted",),
    ),
    Claim(
        "L2.probability",
        "A violation within n steps has probability 0 for every n exactly if no run of positive "
        "probability breaks the budget. So only the supports matter, never the probabilities.",
        ("γ > 0", "exact rational probabilities", _FINITE, _CHOICE),
        (
            theorem("Probability.prob_zero_iff", "for every randomised policy with memory"),
            theorem(
                "Deterministic.L2_probability", "some policy attains 0 exactly where it is safe"
            ),
        ),
        used_by=("ig_theory.guards.value_filter.value_filter",),
    ),
    Claim(
        "L2.paths",
        "P(z_t < 0 for some t) is the limit of P(z_t < 0 for some t ≤ n): what has probability 0 "
        "at every horizon has probability 0 for ever.",
        ("the path measure of the model and a policy",),
        (
            theorem("Paths.L2_paths_grow", "the probabilities do not fall as n grows"),
            theorem("Paths.L2_paths_bounded", "and lie in [0, 1], so that they have a limit"),
            paper("continuity from below: that limit is the probability of the union"),
        ),
        outside="the measure on infinite runs is not formalised",
    ),
    Claim(
        "L2.deterministic",
        "Where any policy keeps the budget, one does that is deterministic and looks at (s, z) "
        "only: randomising and remembering more add nothing.",
        ("γ > 0", _FINITE, _CHOICE),
        (
            theorem("Deterministic.L2_deterministic", "one such policy for every start at once"),
            theorem("FixedPoints.L2_attained", "even one that looks at the state only"),
            exhaustive(every_policy),
        ),
    ),
    Claim(
        "L3.safe",
        "The shield allows at (s, z) the choices with c + γ D(s') ≤ z on every branch. From "
        "z ≥ D(s) every policy that takes only such choices keeps the budget.",
        ("γ > 0", "closed boundary", _FINITE),
        (
            theorem("Shield.L3_safe", "randomised policies with memory"),
            theorem("Shield.L3_demand", "the choices allowed, by D"),
            theorem("Shield.L3_nonempty", "where the budget can be kept some choice is allowed"),
            theorem("Shield.T4_shield", "the same with any certificate D >= 0"),
            kernel(jailbreak_is_safe, "jailbreak-dialogue: the shield keeps the given budget"),
            exhaustive(safe_sets),
            step("allowed"),
        ),
        used_by=(
            "ig_theory.solvers.minimal_budget.SafeSet.allowed",
            "ig_theory.guards.shield",
            "ig_theory.testing.hand_written.TableShield",
        ),
    ),
    Claim(
        "L3.permissive",
        "Every policy that keeps the budget almost surely takes only choices of the shield, so "
        "that optimising inside the shield loses nothing and needs no penalty.",
        ("γ > 0", "closed boundary", _FINITE),
        (
            theorem("Shield.L3_permissive", "randomised policies with memory"),
            theorem("Shield.L3_probability", "the policies of probability 0 to break, exactly"),
            exhaustive(every_policy),
            step("allowed"),
            step("impossibility"),
        ),
        used_by=(
            "ig_theory.solvers.totals.safe_product",
            "ig_theory.solvers.pareto",
            "ig_theory.guards.shield",
        ),
    ),
)
