"""Questions in Python: their answers agree with each other, and say what they are."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_theory.builders import from_dict
from ig_theory.constraint import Boundary, BudgetConstraint, Scope
from ig_theory.errors import IGTheoryError, SolverError
from ig_theory.query import QUESTIONS, Line, Mark, Panel, Plot, ask
from ig_theory.query.fronts import front_of, merged
from ig_theory.query.wording import between
from ig_theory.report.answers import answer_dict, cell_text
from ig_theory.report.curves import write_plot
from ig_theory.solvers.safe_value import safe_value
from ig_theory.solvers.solution import Status
from ig_theory.testing.strategies import constrained_mdps, constraints
from ig_theory.verdict import Bounds
from simulators.latent import jailbreak_dialogue, late_violation, slippery_hall

SLACK = 1e-6
FEWER = settings(max_examples=max(settings.default.max_examples // 4, 1))
SOME = {"reach": {"goal": "terminal"}}


def choosing(exact=True):
    """Spending costs 1 and pays 1; the run then ends."""
    moves = {"spend": (1, 1, {"t": 1}), "end": (0, 0, {"t": 1})}
    return from_dict({"s": moves}, initial="s", exact=exact)


def overlap(a, b):
    return a.lower <= b.upper + SLACK and b.lower <= a.upper + SLACK


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_a_whole_answer(question, exact):
    options = SOME.get(question, {}) | (
        {"curve": True} if "curve" in QUESTIONS[question].options else {}
    )
    answer = ask(question, choosing(exact), BudgetConstraint("1/2"), **options)
    assert answer.question == question
    assert answer.subject in answer.sentence
    assert answer.status is not Status.UNCERTIFIED
    assert (answer.plot is not None) == QUESTIONS[question].plots
    if answer.table is not None:
        assert answer.table.rows
        assert all(len(row) == len(answer.table.columns) for row in answer.table.rows)
    for panel in answer.plot.panels if answer.plot else ():
        for line in panel.lines:
            assert len(line.x) == len(line.lower) == len(line.upper)
            assert all(a <= b for a, b in zip(line.lower, line.upper, strict=True))
    found = answer_dict(answer, "choosing")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_numbers_of_a_model_that_can_be_solved_by_hand():
    model, constraint = choosing(), BudgetConstraint("1/2")
    exactly = {
        "min-budget": 0, "value": 0, "unconstrained": 1, "violation": 0, "reach": 0, "cvar": 0,
    }  # fmt: skip
    for question, number in exactly.items():
        answer = ask(question, model, constraint, **SOME.get(question, {}))
        assert answer.value == Bounds(Fraction(number), Fraction(number)), question
        assert answer.status is not Status.INFEASIBLE
    chance = ask("chance", model, constraint, deltas=["1/3", "1/4"], after="free")
    assert [row[1].lower for row in chance.table.rows] == [Fraction(1, 3), Fraction(1, 4)]
    for question in ("lp", "lagrangian", "lyapunov"):
        answer = ask(question, model, constraint)
        assert answer.value.middle == pytest.approx(0.5, abs=1e-6)
        assert any("not almost sure" in note for note in answer.notes)
    least = ask("least-intrusive", model, constraint).value
    assert least.lower <= math.log(2) <= least.upper


ENDING = {"reward_discounts": [Fraction(1, 2), Fraction(9, 10)]}


@FEWER
@given(st.data())
def test_answers_agree_with_each_other(data):
    model = data.draw(constrained_mdps(3, 3, 2, **ENDING))
    constraint = data.draw(
        constraints(model.cost_unit, discounts=[1], horizons=[None], scopes=[Scope.ANYTIME])
    )
    value = ask("value", model, constraint)
    safe = ask("min-budget", model, constraint)
    violation = ask("violation", model, constraint).value
    best = ask("unconstrained", model, constraint).value
    exceed = constraint.boundary is Boundary.OPEN
    enough = constraint.budget > safe.value.lower or (
        constraint.budget == safe.value.lower and not exceed
    )
    assert enough == (violation.upper == 0) == (value.status is not Status.INFEASIBLE)
    front = ask("pareto", model, constraint)
    if enough:
        assert overlap(front.value, value.value)
        assert value.value.lower <= best.upper + SLACK
        assert value.value == safe_value(model, constraint).initial
        chance = ask("chance", model, constraint, deltas=[0, 1], after="free")
        assert overlap(chance.value, value.value)
        assert overlap(chance.table.rows[1][1], best)
    else:
        assert front.status is Status.INFEASIBLE
        assert "no policy is almost surely safe" in value.findings[0]


@FEWER
@given(st.data())
def test_fronts_of_the_three_solvers_are_the_best_safe_reward(data):
    model = data.draw(constrained_mdps(3, 2, 2, **ENDING))
    constraint = data.draw(
        constraints(
            model.cost_unit, discounts=[1, Fraction(1, 2)], horizons=[None, 2],
            scopes=[Scope.ANYTIME],
        )
    )  # fmt: skip
    front = front_of(model, constraint)
    assert list(front.points) == sorted(front.points, key=lambda point: point[0])
    strict = constraint.boundary is Boundary.OPEN
    found = front.at(constraint.budget, strict)
    assert overlap(found, safe_value(model, constraint).initial)


def test_expected_costs_agree_and_say_how_often_they_violate():
    constraint = BudgetConstraint(3)
    model = jailbreak_dialogue()
    program, mixture, steps = (ask(q, model, constraint) for q in ("lp", "lagrangian", "lyapunov"))
    assert overlap(program.value, mixture.value)
    assert steps.value.lower <= program.value.upper + SLACK
    for answer in (program, mixture, steps):
        assert answer.quantity("P(violate), read almost surely").lower > 0.1
    assert ask("value", model, constraint).value.upper < program.value.lower


def test_two_budgets_on_one_cost_are_told_apart():
    several = [BudgetConstraint("1/2"), BudgetConstraint("1/4")]
    answer = ask("lagrangian", choosing(), several)
    names = [name for name, _ in answer.quantities]
    assert len(set(names)) == len(names)
    assert answer.value.middle == pytest.approx(0.25, abs=1e-6)
    assert overlap(ask("lp", choosing(), several).value, answer.value)


def test_no_penalty_is_enough_for_all_budgets():
    budgets = ["8.9", "8.99", "8.999"]
    thresholds, late = [], []
    for budget in budgets:
        constraint = BudgetConstraint(budget, discount="9/10")
        answer = ask("penalty", late_violation(), constraint, penalties=[1])
        (row,) = answer.table.rows
        assert row[4] is False
        assert "not enough" in answer.findings[0]
        late.append(row[5])
        thresholds.append(answer.value.upper)
    assert sorted(thresholds) == thresholds
    assert thresholds[-1] > 50 * thresholds[0]
    assert late == sorted(set(late))


def test_a_front_with_a_horizon_covers_all_budgets():
    model = slippery_hall(exact=True)
    below = ask("pareto", model, BudgetConstraint(0, horizon=3))
    above = ask("pareto", model, BudgetConstraint(50, horizon=3))
    assert below.table == above.table
    assert above.value == above.table.rows[-1][1]
    assert above.status is Status.EXACT


def test_what_cannot_be_asked():
    model, constraint = choosing(), BudgetConstraint(1)
    with pytest.raises(IGTheoryError, match="did you mean value"):
        ask("valeu", model, constraint)
    with pytest.raises(IGTheoryError, match=r"value: want options among: limit, curve, got delta"):
        ask("value", model, constraint, delta=1)
    with pytest.raises(IGTheoryError, match="want a budget, got none"):
        ask("value", model)
    with pytest.raises(IGTheoryError, match="one constraint, got 2"):
        ask("pareto", model, [constraint, constraint])
    with pytest.raises(SolverError, match="'terminal'"):
        ask("reach", model, goal="nowhere")
    with pytest.raises(SolverError, match="discount 1/2 and an open boundary"):
        ask("reach", model, BudgetConstraint(1, discount="1/2", boundary="open"))
    with pytest.raises(SolverError, match="ask value for the limit 0"):
        ask("soft", model, constraint, temperatures=[0])
    for question, name in (
        ("soft", "temperatures"),
        ("penalty", "penalties"),
        ("chance", "deltas"),
    ):
        with pytest.raises(SolverError, match="at least one"):
            ask(question, model, constraint, **{name: []})
    with pytest.raises(SolverError, match="stop or free"):
        ask("chance", model, constraint, after="soon")


def test_infeasible_answers_say_so():
    doomed = from_dict({"s": {"go": (1, 1, {"s": 1})}}, initial="s", reward_discount="1/2")
    for question in ("value", "pareto", "least-intrusive", "soft", "chance"):
        answer = ask(question, doomed, BudgetConstraint(3))
        assert answer.status is Status.INFEASIBLE
        assert answer.findings
    assert ask("min-budget", doomed).value.lower == math.inf
    assert ask("violation", doomed, BudgetConstraint(3)).value.lower == 1
    short = BudgetConstraint(1, discount="1/2")
    for question in ("lp", "lagrangian", "lyapunov"):
        assert ask(question, doomed, short).status is Status.INFEASIBLE


# Words and numbers.

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64).filter(lambda x: abs(x) < 1e200)


@given(st.tuples(FINITE, FINITE).map(sorted))
def test_bounds_are_rounded_outwards(pair):
    low, high = pair
    text = between(Bounds(low, high))
    if low == high:
        assert float(text) == low
        return
    shown = text.split(" to ")
    assert Decimal(shown[0]) <= Decimal(low)
    assert Decimal(shown[1]) >= Decimal(high)


@given(st.fractions(), st.fractions(min_value=0))
def test_rational_bounds_are_rounded_outwards(low, width):
    shown = between(Bounds(low, low + width)).split(" to ")
    if width:
        assert Fraction(shown[0]) <= low
        assert Fraction(shown[1]) >= low + width
    elif low.denominator == 1 and len(str(low)) <= 24:
        assert Fraction(shown[0]) == low


def test_cells_are_honest():
    assert cell_text(Bounds(1.0, math.inf)) == "1 to ∞"
    assert cell_text(Bounds(0.5, 0.75)) == "0.5 to 0.75"
    assert cell_text(Fraction(1, 10**30 + 1)) != "0"
    assert cell_text("a\x00\nb\ud800") == "a\N{REPLACEMENT CHARACTER} b\N{REPLACEMENT CHARACTER}"


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 0.1)), min_size=1, max_size=8))
def test_merging_rows_encloses_them(pairs):
    points = tuple((Fraction(z), Bounds(v, v + w)) for z, (v, w) in enumerate(pairs))
    kept = merged(points, 0.05)
    for budget, value in points:
        holds = [v for z, v in kept if z <= budget][-1]
        assert holds.lower <= value.lower
        assert value.upper <= holds.upper


# Plots.


@pytest.fixture
def plot():
    line = Line("one", (1, 2, 3), (0.0, 0.5, 1.0), (0.1, 0.6, 1.0), names=("a$b", "", "c"))
    steps = Line("two", (1, 2, 3), (0.0, 0.5, 1.0), (0.0, 0.5, 1.0), "steps")
    rising = Line("", (1, 2), (0.0, 0.5), (0.5, 1.0), "rising")
    panels = (Panel("height", (line, steps), (Mark(0.5, "half"),)), Panel("other", (rising,)))
    return Plot("A title", "length x [m]", panels, (Mark(2, "two"), Mark(2.1, "next")), log_x=True)


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_plots_are_written_the_same_each_time(plot, tmp_path, suffix, start):
    for name in ("a", "b"):
        write_plot(plot, tmp_path / f"{name}.{suffix}", "subject")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
    assert first == second
    assert first.startswith(start)


def test_an_interrupted_plot_leaves_no_file(plot, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def interrupted(self, path, **more):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_plot(plot, tmp_path / "a.svg")
    assert list(tmp_path.iterdir()) == []


def test_what_is_drawn_is_what_is_known(plot):
    from ig_theory.report.curves import _figure

    top, bottom = _figure(plot, "subject").axes
    assert [line.get_label() for line in top.get_lines()[:2]] == ["one", "two"]
    assert list(top.get_lines()[0].get_ydata()) == pytest.approx([0.05, 0.55, 1.0])
    assert {"half", "two", "next", "a$b", "c"} <= {text.get_text() for text in top.texts}
    assert bottom.get_xlabel() == "length x [m]"
    lower, upper = bottom.get_lines()[:2]
    assert list(lower.get_ydata()) == [0.0, 0.5]
    assert list(upper.get_ydata()) == [1.0, 1.0]  # between two points, the later upper bound
