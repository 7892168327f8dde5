"""Generated Coq files: accepted as written, rejected with a fault planted into their data."""

import re
import shutil
from fractions import Fraction

import pytest

from ig_theory.builders import from_dict
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError
from ig_theory.io.catalogue import open_model
from ig_theory.solvers.minimal_budget import minimal_budget
from proofs_check import kernel
from proofs_check.claim import Status
from proofs_check.kernel_data import penalty_run, progress_ranks, tabulate
from simulators.latent.counterexamples import late_budget, violation_time

needs_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed")


def jailbreak(discount="1", spec="jailbreak-dialogue:depth=3"):
    return kernel.kernel_proof(open_model(spec), BudgetConstraint(3, discount=discount), spec)


def late(penalty=10, delay=0):
    budget = late_budget(penalty) * Fraction(9, 10) ** delay
    constraint = BudgetConstraint(budget, discount="9/10")
    return kernel.penalty_proof(open_model(f"late-violation:delay={delay}"), constraint, penalty)


def changed(source, old, new):
    assert source.count(old) == 1, old
    return source.replace(old, new)


def read_states(source):
    """The model in a generated file, read back by its own means: (price, successors) by state."""
    body = source.partition("Definition model")[2].partition("].\n")[0]
    return [
        [
            (int(price), sorted(int(s) - 1 for s in leads.split(";")))
            for price, leads in re.findall(r"Choice \((-?\d+)\) \[([\d; ]+)\]", row)
        ]
        for row in body.splitlines()[1:]
    ]


def read_budgets(source):
    body = source.partition("Definition budgets")[2].partition("])%Z")[0].partition("finite ([")[2]
    return [None if d == "None" else int(d.split()[1]) for d in map(str.strip, body.split(";"))]


def model_states(model: ConstrainedMDP, scale: Fraction):
    """The same from the arrays of the model."""
    states = []
    for s in range(model.S):
        choices = []
        for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
            leads = {int(model.branch_state[b]) for b in range(*model.branch_ptr[c : c + 2])}
            choices.append((int(model.cost[0, c]) * scale, sorted(leads)))
        states.append(choices)
    return states


@needs_coq
def test_the_kernel_accepts_the_flagship():
    finding = kernel.jailbreak_is_safe()
    assert finding.status is Status.HOLDS, finding.detail
    for theorem in (
        "shield_keeps_the_budget", "some_policy_keeps_the_budget", "shield_never_violates",
        "budgets_are_minimal", "shield_leaves_nothing_out",
    ):  # fmt: skip
        assert theorem in finding.detail
    assert finding.detail.endswith("axioms: none")


@needs_coq
def test_the_kernel_accepts_the_violation():
    finding = kernel.late_violation_violates()
    assert finding.status is Status.HOLDS, finding.detail
    for theorem in (
        "every_optimal_policy_violates", "an_optimal_policy_exists", "a_safe_policy_exists",
        "violating_earns_more",
    ):  # fmt: skip
        assert theorem in finding.detail
    assert finding.detail.endswith("axioms: none")


@needs_coq
@pytest.mark.parametrize(
    "source", [jailbreak("9/10"), late(10**3), late(5, delay=2)], ids=["gamma", "n=1000", "delay"]
)
def test_the_kernel_accepts_other_instances(source):
    finding = kernel.prove_in_kernel(source)
    assert finding.status is Status.HOLDS, finding.detail


def lowered(source):
    """The budget of the first state of demand 2 becomes 1."""
    head, found, tail = source.partition("Some 2")
    assert found
    return head + "Some 1" + tail


def raised(source):
    head, found, tail = source.partition("Some 2")
    assert found
    return head + "Some 3" + tail


def harmful(source):
    """The number of a state that demands 2."""
    return 1 + read_budgets(source).index(2)


FAULTS = {
    "a budget lowered": lowered,
    "a budget raised": raised,
    "costs after the end": lambda s: re.sub(r"(refused \*\) \[Choice) \(0\)", r"\1 (1)", s),
    "stopping costs more": lambda s: re.sub(
        r"(direct, harm 3 @3 \*\)) \[Choice \(2\)(.*)Choice \(2\)", r"\1 [Choice (3)\2Choice (3)", s
    ),
    "stopping costs less": lambda s: re.sub(
        r"(direct, harm 3 @3 \*\)) \[Choice \(2\)", r"\1 [Choice (1)", s
    ),
    "a start without a budget": lambda s: changed(s, "positive := [1;", "positive := [99;"),
    "a start with harm": lambda s: changed(
        s.replace("(3 # 1)", "(1 # 1)"), "positive := [1;", f"positive := [{harmful(s)};"
    ),
    "a discount above 1": lambda s: changed(s, "gp : Z := 1", "gp : Z := 2"),
}


@needs_coq
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_kernel_rejects_a_shield_with_a_fault(fault):
    source = jailbreak()
    broken = fault(source)
    assert broken != source
    finding = kernel.prove_in_kernel(broken)
    assert finding.status is Status.FAILS
    assert "Coq rejects the file" in finding.detail


PENALTY_FAULTS = {
    "a penalty that is enough": lambda s: changed(s, "n : Q := (10 # 1)", "n : Q := (11 # 1)"),
    "a budget that is enough": lambda s: re.sub(r"z0 : Q := \(\d+ # \d+\)", "z0 : Q := (9 # 1)", s),
    "too early": lambda s: changed(s, "steps : nat := 43", "steps : nat := 42"),
    "too late": lambda s: changed(s, "model 44 f s0 z0", "model 45 f s0 z0"),
    "no reward": lambda s: changed(s, "[(0 # 1)%Q; (1 # 1)%Q]", "[(0 # 1)%Q; (0 # 1)%Q]"),
    "a margin too large": lambda s: re.sub(
        r"\((\d+) # (\d+)\)%Q <= margin", r"(1\1 # \2)%Q <= margin", s
    ),
}


@needs_coq
@pytest.mark.parametrize("fault", PENALTY_FAULTS.values(), ids=PENALTY_FAULTS.keys())
def test_the_kernel_rejects_a_violation_with_a_fault(fault):
    source = late()
    broken = fault(source)
    assert broken != source
    finding = kernel.prove_in_kernel(broken)
    assert finding.status is Status.FAILS
    assert "Coq rejects the file" in finding.detail


def test_nothing_is_said_without_coq(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = kernel.prove_in_kernel(jailbreak())
    assert finding.status is Status.NOT_RUN
    assert "coqc" in finding.detail


@pytest.mark.parametrize(
    "source",
    [
        "Theorem t : False. Proof. Admitted.",
        "Axiom a : False. Theorem t : False. Proof. exact a. Qed.",
        "Lemma l : True. Proof. exact I. Qed.",
    ],
)
def test_a_file_without_proofs_fails(source):
    assert kernel.prove_in_kernel(source).status is Status.FAILS


@needs_coq
def test_an_axiom_off_the_list_fails():
    source = """Require Import Eqdep.
    Theorem t (U : Type) (p : U) (Q : U -> Type) (x : Q p) (h : p = p) : x = eq_rect p Q x p h.
    Proof. apply Eq_rect_eq.eq_rect_eq. Qed."""
    finding = kernel.prove_in_kernel(source)
    assert finding.status is Status.FAILS
    assert "eq_rect_eq" in finding.detail


@pytest.mark.parametrize("spec", ["jailbreak-dialogue", "aliased:length=3", "frozenlake:4x4"])
@pytest.mark.parametrize("discount", ["1", "2/3"])
def test_the_data_are_those_of_the_model(spec, discount):
    model = open_model(spec)
    constraint = BudgetConstraint(100, discount=discount)
    source = kernel.kernel_proof(model, constraint)
    scale = int(re.search(r"K : Z := (\d+)", source)[1]) * model.cost_unit
    assert read_states(source) == model_states(model, scale)
    safe = minimal_budget(model, constraint)
    denominator = int(re.search(r"K : Z := (\d+)", source)[1])
    assert read_budgets(source) == [safe.budget_of(s) * denominator for s in range(model.S)]


def test_a_random_branch_and_a_fraction_of_a_cost_are_data_too():
    model = from_dict(
        {"s": {"go": (1, 0, {"s": Fraction(1, 2), "t": Fraction(1, 2)}), "no": (3, 0, {"t": 1})}},
        initial="s",
    )
    source = kernel.kernel_proof(model, BudgetConstraint("7/2", discount="1/2"))
    assert read_states(source)[0] == [(1, [0, 1]), (3, [1])]
    assert "z0 : Q := (7 # 2)%Q" in source


def test_every_positive_demand_gets_a_rank():
    model = from_dict(
        {
            "s": {"wait": (0, 0, {"t": 1}), "loop": (1, 0, {"s": 1})},
            "t": {"on": (0, 0, {"u": 1}), "pay": (2, 0, {"end": 1})},
            "u": {"pay": (3, 0, {"end": 1})},
        },
        initial="s",
    )
    table = tabulate(minimal_budget(model, BudgetConstraint(5)))
    assert table.budgets[:3] == (2, 2, 3)
    ranks = progress_ranks(table)
    assert ranks[0] > ranks[1]  # waiting costs nothing: only the rank shows that it leads on


@needs_coq
def test_the_kernel_uses_the_ranks():
    model = from_dict(
        {"s": {"wait": (0, 0, {"t": 1})}, "t": {"pay": (2, 0, {"end": 1})}}, initial="s"
    )
    source = kernel.kernel_proof(model, BudgetConstraint(2))
    assert kernel.prove_in_kernel(source).status is Status.HOLDS
    flat = re.sub(r"(Definition ranks[^[]*\[\s*)2; 1", r"\g<1>1; 1", source)
    assert flat != source
    assert kernel.prove_in_kernel(flat).status is Status.FAILS


@needs_coq
def test_infinite_budgets_are_left_open():
    model = open_model("late-violation")
    source = kernel.kernel_proof(model, BudgetConstraint(1))
    assert "None" in source
    assert "budgets_are_minimal" not in source
    assert kernel.prove_in_kernel(source).status is Status.HOLDS


def test_what_cannot_be_proved_is_refused():
    model = open_model("jailbreak-dialogue:depth=2")
    with pytest.raises(CertificateError, match="no horizon and a closed boundary"):
        kernel.kernel_proof(model, BudgetConstraint(3, horizon=2))
    with pytest.raises(CertificateError, match="no horizon and a closed boundary"):
        kernel.kernel_proof(model, BudgetConstraint(3, boundary="open"))
    costly = from_dict({"s": {"go": (2, 0, {"end": 1})}}, initial="s")
    with pytest.raises(CertificateError, match="raise the budget"):
        kernel.kernel_proof(costly, BudgetConstraint(1))


def test_a_penalty_that_is_enough_is_refused():
    model = open_model("late-violation")
    constraint = BudgetConstraint(late_budget(10), discount="9/10")
    with pytest.raises(CertificateError, match="a penalty too small"):
        kernel.penalty_proof(model, constraint, 11)
    with pytest.raises(CertificateError, match="one start"):
        kernel.penalty_proof(open_model("jailbreak-dialogue"), constraint, 1)
    with pytest.raises(CertificateError, match="a violation within"):
        kernel.penalty_proof(model, BudgetConstraint(9, discount="9/10"), 1)


@pytest.mark.parametrize("penalty", [1, 10, 1000])
def test_the_run_is_the_known_one(penalty):
    budget = late_budget(penalty)
    model = open_model("late-violation")
    run = penalty_run(model, BudgetConstraint(budget, discount="9/10"), Fraction(penalty))
    assert run.time == violation_time(budget)
    exact = 1 - penalty * Fraction(9, 10) ** run.time * 10
    assert exact * Fraction(99, 100) < run.margin <= exact


def test_names_cannot_leave_their_comment():
    model = from_dict(
        {'x *) Axiom a : False. (* "': {"go": (0, 0, {"end": 1})}},
        initial='x *) Axiom a : False. (* "',
    )
    source = kernel.kernel_proof(model, BudgetConstraint(0), title='*) "')
    assert "*) Axiom" not in source
    assert '"' not in source
