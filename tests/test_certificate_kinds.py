"""Certificates of impossibility and of rewards: true against brute force, and no lie passes."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ig_theory.builders import from_dict, rationalised
from ig_theory.certificate import (
    answer_certificate,
    demand_certificate,
    digest,
    impossibility_certificate,
    reward_certificate,
    write_certificate,
)
from ig_theory.checker import COMMON, KINDS, check_certificate
from ig_theory.cli import main
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import CertificateError, IGTheoryError
from ig_theory.io import open_model
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.testing.strategies import constrained_mdps, constraints
from tests.oracle import Game


def resealed(certificate: dict[str, Any], **changes: Any) -> dict[str, Any]:
    whole = {**certificate, **changes}
    return {**whole, "digest": digest(whole)}


def refused(certificate: dict[str, Any], model: ConstrainedMDP, *words: str) -> None:
    with pytest.raises(CertificateError) as caught:
        check_certificate(resealed(certificate), model)
    message = str(caught.value)
    assert all(word in message for word in words), message


def put(certificate: dict[str, Any], value: Any, *path: Any) -> dict[str, Any]:
    out = copy.deepcopy(certificate)
    inner = out
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return out


def lacking(model: ConstrainedMDP, constraint: BudgetConstraint) -> dict[str, Any]:
    return impossibility_certificate(minimal_budget(model, constraint))


# Impossibility: every number in it is true.


def everything_in_it_is_true(certificate, model, constraint):
    """No state and no number of steps claims a budget to be lost that some policy keeps."""
    game, horizon = Game(model, constraint), constraint.horizon
    scale = model.cost_unit / certificate["denominator"]
    for n, (row, strict) in enumerate(
        zip(certificate["lower"], certificate["strict"], strict=True)
    ):
        left = None if horizon is None else n
        for s in range(model.S):
            below = (row[s] - Fraction(1, 7)) * scale
            if constraint.scope.value == "anytime" and below < 0:
                continue
            assert not game.safe(s, (below,), left)
            if strict[s]:
                assert not game.safe(s, (row[s] * scale,), left)


@st.composite
def lost_questions(draw, **options):
    horizon = draw(st.sampled_from([None, None, 0, 1, 3]))
    signed = horizon is not None and draw(st.booleans())
    model = draw(constrained_mdps(max_states=3, signed=signed))
    constraint = draw(
        constraints(model.cost_unit, horizons=[horizon], budgets=[0, 0, 1, 2, "1/2"], **options)
    )
    return model, constraint


def pays(cost=1):
    return from_dict({"s": {"pay": (cost, 0, {"s": 1})}}, initial="s", exact=True)


@given(lost_questions())
@example((pays(), BudgetConstraint(2, "1/2", "open")))
@example((pays(), BudgetConstraint("3/2", "1/2", "open")))
@example((pays(0), BudgetConstraint(0, "1/2", "open")))
@example((pays(0), BudgetConstraint(0, 1, "open")))
@example((pays(0), BudgetConstraint(0, 1, "open", horizon=0)))
def test_what_is_impossible_is_certified_and_nothing_else(asked):
    model, constraint = asked
    game = Game(model, constraint)
    safe_set = minimal_budget(model, constraint)
    first = [s for s in range(model.S) if model.initial[s] > 0]
    safe = all(game.safe(s, game.start(), constraint.horizon) for s in first)
    if safe:
        with pytest.raises(CertificateError, match="some policy keeps it"):
            impossibility_certificate(safe_set)
        assert check_certificate(demand_certificate(safe_set), model).kind == "demand"
        return
    certificate = json.loads(json.dumps(impossibility_certificate(safe_set)))
    claim = check_certificate(certificate, model)
    assert claim.kind == "impossibility"
    assert "no policy" in claim.sentence
    everything_in_it_is_true(certificate, model, constraint)


@given(st.data())
def test_whatever_the_checker_accepts_is_true(data):
    """Certificates that nobody computed: random bounds, strictness and ranks."""
    horizon = data.draw(st.sampled_from([None, None, None, 1, 2]))
    model = data.draw(
        constrained_mdps(max_states=2, max_choices=2, max_branches=2, signed=horizon is not None)
    )
    constraint = data.draw(
        constraints(model.cost_unit, discounts=[1, "1/2"], horizons=[horizon], budgets=[0, 1, 2, 3])
    )
    count = 1 if horizon is None else horizon + 1
    row = st.lists(st.integers(-1, 5), min_size=model.S, max_size=model.S)
    flag = st.lists(st.integers(0, 1), min_size=model.S, max_size=model.S)
    template = demand_certificate(minimal_budget(pays(), BudgetConstraint(99, "1/2")))
    body = {
        "kind": "impossibility",
        "denominator": data.draw(st.integers(1, 2)),
        "lower": data.draw(st.lists(row, min_size=count, max_size=count)),
        "strict": data.draw(st.lists(flag, min_size=count, max_size=count)),
        "rank": None if horizon is not None else [data.draw(st.permutations(range(model.S)))],
    }
    whole = {key: template[key] for key in COMMON} | body
    whole |= {"model": model_hash_of(model), "constraints": [entry_of(constraint)]}
    try:
        check_certificate(resealed(whole), model)
    except CertificateError:
        return
    everything_in_it_is_true(whole, model, constraint)


def model_hash_of(model):
    from ig_theory.fingerprint import model_hash

    return model_hash(model)


def entry_of(constraint):
    return {
        "budget": str(constraint.budget), "discount": str(constraint.discount),
        "boundary": constraint.boundary.value, "scope": constraint.scope.value,
        "cost": 0, "horizon": constraint.horizon,
    }  # fmt: skip


def test_the_bound_at_the_start_is_the_demand():
    for discount in (1, "9/10"):
        for horizon in (None, 4):
            constraint = BudgetConstraint("1/3", discount, horizon=horizon)
            model = open_model("slippery-hall:exits=false")
            safe_set = minimal_budget(model, constraint)
            certificate = impossibility_certificate(safe_set)
            least = safe_set.budget_of(0)
            if discount == 1 and horizon is None:
                assert certificate["lower"][0][0] == 1  # cut off above the budget
                continue
            found = Fraction(certificate["lower"][-1][0], certificate["denominator"])
            assert found * model.cost_unit == least


def test_where_no_budget_is_enough_infinity_is_not_needed():
    model = open_model("garnet")
    for budget in (0, 5, "31/2", 10**30):
        certificate = lacking(model, BudgetConstraint(budget))
        assert max(certificate["lower"][0]) == math.floor(Fraction(budget)) + 1
        assert check_certificate(certificate, model).kind == "impossibility"


def test_long_numbers_are_rounded_down():
    """Demands over some 10^1500 (a cycle of that many states) and 10^2000 (a horizon)."""
    size = 1500
    states = {str(s): {"go": (int(s == 0), 0, {str((s + 1) % size): 1})} for s in range(size)}
    model = from_dict(states, initial="0")
    certificate = lacking(model, BudgetConstraint("1/2", "9/10"))
    assert certificate["denominator"] == 2**64
    check_certificate(certificate, model)
    for boundary in ("closed", "open"):
        timed = BudgetConstraint(1, "9/10", boundary, horizon=2000)
        certificate = lacking(pays(), timed)
        assert certificate["denominator"] == 2**64
        check_certificate(certificate, pays())
        enough = BudgetConstraint(11, "9/10", boundary, horizon=2000)
        certificate = demand_certificate(minimal_budget(pays(), enough))
        assert certificate["denominator"] == 2**64
        check_certificate(certificate, pays())


def test_numbers_that_no_file_can_hold_are_refused():
    """The budget is the demand itself, over 10^4500: rounding proves neither side."""
    spent = sum((Fraction(9, 10) ** k for k in range(4500)), Fraction(0))
    least = replace(BudgetConstraint(1, "9/10", horizon=4500))
    object.__setattr__(least, "budget", spent)
    with pytest.raises(CertificateError, match="common denominator"):
        demand_certificate(minimal_budget(pays(), least))


# Impossibility: no lie passes.


def test_a_free_cycle_proves_nothing():
    """gamma = 1: L = c + L around a free cycle holds for every L, and D is 0."""
    model = pays(0)
    honest = lacking(pays(1), BudgetConstraint(1))
    lie = {**honest, "model": model_hash_of(model), "lower": [[2]]}
    for rank in ([[0]], [[7]]):
        refused({**lie, "rank": rank}, model, "rank that falls")
    refused({**lie, "rank": None}, model, "rank")


def test_a_budget_that_stays_just_above_nothing_is_not_lost():
    """Open boundary, c = 1, gamma = 1/2: from z = 2 the budget is 2 for ever."""
    model = pays(1)
    honest = lacking(model, BudgetConstraint("3/2", "1/2", "open"))
    lie = {**honest, "lower": [[2]], "denominator": 1, "strict": [[1]]}
    lie["constraints"] = [{**honest["constraints"][0], "budget": "2"}]
    for rank in (None, [[0]], [[3]]):
        refused({**lie, "rank": rank}, model, "rank that falls")


def two_ways():
    """D: s 1, t 0, u infinite."""
    states = {
        "s": {"pay": (1, 0, {"t": 1}), "on": (0, 0, {"u": 1})},
        "t": {"stay": (0, 0, {"t": 1})},
        "u": {"pay": (1, 0, {"u": 1})},
    }
    return from_dict(states, initial="s", exact=True)


def test_lies_about_what_is_impossible():
    model = two_ways()
    honest = lacking(model, BudgetConstraint(0))
    assert (honest["lower"], honest["rank"]) == ([[1, 0, 1]], [[1, 0, 0]])
    check_certificate(honest, model)
    refused(put(honest, 2, "lower", 0, 0), model, "choice pay")  # more than pay needs
    refused(put(honest, 0, "lower", 0, 2), model, "choice on")  # then `on` is free
    refused(put(honest, 0, "rank", 0, 0), model, "rank that falls")
    refused(put(honest, 0, "lower", 0, 0), model, "initial states")
    refused(put(honest, 1, "lower", 0, 1), model, "choice stay")
    refused(put(honest, 1, "strict", 0, 0), model, "choice pay")  # z = 1 is enough
    refused(put(honest, "1", "constraints", 0, "budget"), model, "initial states")
    refused(put(honest, "terminal", "constraints", 0, "scope"), model, "horizon")
    refused(put(honest, None, "rank"), model, "rank")
    refused(put(honest, -1, "rank", 0, 0), model, "rank")
    refused({**honest, "constraints": honest["constraints"] * 2}, model, "structure")


def test_lies_where_time_ends():
    model = pays(1)
    honest = lacking(model, BudgetConstraint(1, horizon=2))
    assert honest["lower"] == [[0], [1], [2]]
    assert honest["rank"] is None
    check_certificate(honest, model)
    refused(put(honest, 1, "lower", 0, 0), model, "over")  # nothing is paid after the end
    refused(put(honest, 3, "lower", 2, 0), model, "choice pay")
    refused(put(honest, 0, "lower", 1, 0), model, "choice pay")  # z_T counts
    refused(put(honest, [[0]], "rank"), model, "rank")
    refused(put(honest, 1, "strict", 2, 0), model, "choice pay")
    ending = from_dict({"s": {"pay": (1, 0, {"t": 1})}}, initial="s")
    honest = lacking(ending, BudgetConstraint(0))
    refused(put(honest, 1, "lower", 0, 1), ending, "over")
    signed = from_dict({"s": {"earn": (-1, 0, {"s": 1})}}, initial="s")
    late = lacking(pays(1), BudgetConstraint(0, scope="terminal", horizon=1))
    lie = {**late, "model": model_hash_of(signed)}
    refused(lie, signed, "choice")
    refused(put(lie, 0, "lower", 1, 0), signed, "choice")  # z = -1/2 can still be made good


def test_nothing_left_is_enough_where_nothing_is_paid():
    """Closed boundary: z = 0 is kept, so no strict 0 is claimed for nothing."""
    model = pays(0)
    for horizon, rank in ((None, [[0]]), (1, None)):
        honest = lacking(pays(1), BudgetConstraint(0, horizon=horizon))
        count = len(honest["lower"])
        lie = {
            **honest, "model": model_hash_of(model), "rank": rank,
            "lower": [[0]] * count, "strict": [[1]] * count,
        }  # fmt: skip
        refused(lie, model, "state s")


def test_negative_costs_do_not_force_anything_for_ever():
    """gamma = 1: a cycle of +1 and -1 comes back to where it was, and needs 1 only."""
    model = from_dict(
        {"a": {"pay": (1, 0, {"b": 1})}, "b": {"earn": (-1, 0, {"a": 1})}}, initial="a"
    )
    honest = lacking(pays(1), BudgetConstraint(4))
    lie = {
        **honest, "model": model_hash_of(model), "lower": [[5, 4]], "strict": [[0, 0]],
        "rank": [[0, 1]],
    }  # fmt: skip
    refused(lie, model, "state b")


MALFORMED = (None, True, False, 0.5, "1", [], float("nan"))


@pytest.mark.parametrize("junk", MALFORMED, ids=repr)
def test_malformed_bounds(junk):
    model = two_ways()
    honest = lacking(model, BudgetConstraint(0))
    for path in (("lower", 0, 0), ("strict", 0, 0), ("rank", 0, 0), ("denominator",)):
        refused(put(honest, junk, *path), model)
    for key in ("lower", "strict"):
        refused(put(honest, junk, key), model)
        refused(put(honest, honest[key] * 2, key), model, "rows")
        refused(put(honest, [honest[key][0][:-1]], key), model, "rows")
    refused(put(honest, honest["rank"] * 2, "rank"), model, "rows")
    refused(put(honest, 0, "denominator"), model, "positive")
    refused({**honest, "more": 1}, model, "known entries")
    with pytest.raises(CertificateError):
        check_certificate({k: v for k, v in honest.items() if k != "rank"}, model)


# Rewards: the bounds enclose brute force.


def best(game: Game, horizon: int | None) -> Fraction | None:
    total = Fraction(0)
    for s, share in enumerate(game.initial):
        if share:
            zs = game.start()
            value = game.value_for_ever(s, zs) if horizon is None else game.value(s, zs, horizon)
            if value is None:
                return None
            total += share * value
    return total


@st.composite
def reward_questions(draw):
    horizon = draw(st.sampled_from([None, 0, 1, 3]))
    betas = [Fraction(1, 2), Fraction(9, 10)] + ([] if horizon is None else [Fraction(1)])
    model = draw(
        constrained_mdps(
            max_states=3, exact=draw(st.booleans()), reward_discounts=betas,
            signed=horizon is not None and draw(st.booleans()), number_of_costs=2,
        )
    )  # fmt: skip
    several = [
        draw(
            constraints(
                model.cost_unit, horizons=[horizon], cost=k,
                discounts=[1] if horizon is None else [1, "1/2"],
            )
        )
        for k in range(draw(st.integers(1, 2)))
    ]  # fmt: skip
    return model, several


@given(reward_questions())
def test_rewards_are_enclosed(asked):
    model, several = asked
    truth = best(Game(model, several), several[0].horizon)
    if truth is None:
        with pytest.raises(CertificateError, match="almost surely safe"):
            reward_certificate(model, several)
        return
    for exact in (True, False):
        certificate = json.loads(json.dumps(reward_certificate(model, several, exact=exact)))
        claim = check_certificate(certificate, model)
        assert claim.lower <= truth <= claim.upper
        assert claim.upper - claim.lower <= (0 if exact else Fraction(1, 10**6))


@given(constrained_mdps(max_states=3, reward_discounts=[Fraction(1, 2)]), st.sampled_from([1, 2]))
def test_clipped_budgets(model, units):
    """gamma = 1/2 for ever: budgets stay whole, and are clipped where nothing can be broken."""
    constraint = BudgetConstraint(units * model.cost_unit, "1/2")
    truth = best(Game(model, constraint), None)
    assume(truth is not None)
    certificate = reward_certificate(model, constraint, exact=True)
    assert certificate["clip"] != [None]
    claim = check_certificate(certificate, model)
    assert claim.lower == claim.upper == truth


@given(constrained_mdps(max_states=3, reward_discounts=[Fraction(1)]), st.integers(0, 2))
def test_undiscounted_rewards_are_certified_or_refused(model, units):
    """Where they are certified, no horizon's best safe total exceeds the upper bound.

    Rewards are >= 0, so the best totals of T steps rise to the best total of all.
    """
    constraint = BudgetConstraint(units * model.cost_unit)
    try:
        certificate = reward_certificate(model, constraint, exact=True)
    except IGTheoryError:
        return
    claim = check_certificate(certificate, model)
    assert claim.lower == claim.upper
    # Safe for ever, not for 4 steps: what is safe for ever earns no more in 4 steps.
    demands = minimal_budget(model, constraint)
    totals = Fraction(0)
    for s, share in enumerate(Game(model, constraint).initial):
        if share:
            totals += share * in_steps(model, demands, s, constraint.budget, 4)
    assert totals <= claim.upper


def in_steps(model, demands, s, z, left) -> Fraction:
    """The best total of some steps that a policy inside the shield earns."""
    if left == 0 or model.terminal[s]:
        return Fraction(0)
    totals = []
    for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
        paid = z - int(model.cost[0, c]) * model.cost_unit
        branches = range(model.branch_ptr[c], model.branch_ptr[c + 1])
        after = [(model.branch_prob[b], int(model.branch_state[b])) for b in branches]
        if all(demands.contains(t, paid) for _, t in after):
            totals.append(
                model.reward[c]
                + sum(p * in_steps(model, demands, t, paid, left - 1) for p, t in after)
            )
    return max(totals)


def test_undiscounted_losses_need_an_end():
    """Every run ends, so rewards below 0 can be certified; else they are refused."""
    states = {"s": {"walk": (0, -1, {"s": "1/2", "t": "1/2"}), "pay": (1, "-1/2", {"t": 1})}}
    model = from_dict(states, initial="s", exact=True)
    for budget, worth in ((0, -2), (1, Fraction(-1, 2))):
        claim = check_certificate(reward_certificate(model, BudgetConstraint(budget)), model)
        assert claim.lower == claim.upper == worth
    states["s"]["rest"] = (0, -3, {"s": 1})
    with pytest.raises(CertificateError, match="reward discount"):
        reward_certificate(from_dict(states, initial="s", exact=True), BudgetConstraint(0))


@pytest.mark.parametrize("exact", [True, False])
def test_a_loss_without_end_is_refused(exact):
    model = from_dict({"s": {"stay": (0, -1, {"s": 1}), "pay": (9, 0, "t")}}, initial="s")
    with pytest.raises(CertificateError, match="infinite ones"):
        reward_certificate(model, BudgetConstraint(2), exact=exact)


def test_rest_is_worth_nothing():
    """A run may earn 5 and then rest for ever: no step is counted there."""
    states = {"s": {"earn": (0, 5, {"r": 1}), "rest": (0, 0, {"s": 1})}, "r": {"rest": (0, 0, "r")}}
    model = from_dict(states, initial="s", exact=True)
    certificate = reward_certificate(model, BudgetConstraint(0))
    assert check_certificate(certificate, model).lower == 5


@pytest.mark.parametrize(
    ("spec", "constraint", "beta"),
    [
        ("slippery-hall", BudgetConstraint(1), None),
        ("jailbreak-dialogue", BudgetConstraint(3), None),
        ("latent-chain", BudgetConstraint("5/2", boundary="open"), None),
        ("slippery-hall", BudgetConstraint(3, "9/10", "open", "terminal", horizon=6), None),
        ("sheltered-garnet:states=50", BudgetConstraint(6), "9/10"),
    ],
)
def test_named_models(spec, constraint, beta):
    model = open_model(spec)
    certificate = reward_certificate(model, constraint, reward_discount=beta)
    claim = check_certificate(certificate, model)
    assert 0 <= claim.upper - claim.lower < Fraction(1, 10**5)
    exact = reward_certificate(model, constraint, reward_discount=beta, exact=True)
    tight = check_certificate(exact, model)
    assert claim.lower <= tight.lower <= tight.upper <= claim.upper


def test_too_many_pairs_are_refused():
    model = open_model("sheltered-garnet:states=100")
    with pytest.raises(CertificateError, match="at most 10 exact"):
        reward_certificate(model, BudgetConstraint(4), limit=10)


# Rewards: no lie passes.


def gamble():
    """spend is worth 2 and costs 1; risk may cost 1 more; stop ends."""
    states = {
        "s": {
            "spend": (1, 2, {"s": "1/2", "t": "1/2"}),
            "risk": (0, 9, {"u": "1/2", "t": "1/2"}),
            "stop": (0, 1, {"t": 1}),
        },
        "u": {"pay": (1, 0, {"u": 1})},
    }
    return from_dict(states, initial="s", exact=True, reward_discount="1/2")


def reward_of(certificate: dict[str, Any], model: ConstrainedMDP) -> Fraction:
    claim = check_certificate(certificate, model)
    assert claim.lower == claim.upper
    return claim.upper


def test_what_a_reward_certificate_holds():
    model = gamble()
    found = reward_certificate(model, BudgetConstraint(1))
    assert reward_of(found, model) == Fraction(9, 4)
    assert set(found) == COMMON | KINDS["reward"]
    assert "is 9/4" in check_certificate(found, model).sentence
    states = [[model.state_name(pair[0]), *found["budgets"][pair[1]]] for pair in found["pairs"]]
    assert states == [["s", "1"], ["s", "0"], ["u", "1"], ["u", "0"]]
    assert found["dead"] == [None, None, 1, 0]
    assert found["choice"] == [0, 2, None, None]
    assert [x and Fraction(x, found["denominator"]) for x in found["upper"][:2]] == [2.25, 1]


def test_lies_about_rewards():
    model = gamble()
    honest = reward_certificate(model, BudgetConstraint(1))
    up, low = honest["upper"], honest["lower"]
    refused(put(honest, up[0] - 1, "upper", 0), model, "upper bound")
    refused(put(honest, up[1] - 1, "upper", 1), model, "upper bound")
    refused(put(honest, low[0] + 1, "lower", 0), model, "lower bound")
    refused(put(honest, low[1] + 1, "lower", 1), model, "lower bound")
    refused(put(honest, 1, "choice", 0), model, "stays safe")  # risk may be broken
    refused(put(honest, 9, "choice", 0), model, "choice")
    refused(put(honest, "9/10", "reward_discount"), model, "upper bound")
    refused(put(honest, "1/2", "constraints", 0, "budget"), model, "initial state")
    poorer = resealed(put(honest, "0", "constraints", 0, "budget"))
    assert reward_of(poorer, model) == 1  # that pair is listed too, and it is another claim
    for column in ("upper", "lower", "choice"):
        refused(put(honest, None, column, 0), model)
        refused(put(honest, 3, column, 2), model, "dead")
    refused(put(honest, None, "upper", 1), model)


def test_lies_about_dead_pairs():
    model = gamble()
    honest = reward_certificate(model, BudgetConstraint(1))
    refused(put(honest, 0, "dead", 2), model, "dead")  # not below itself
    refused(put(honest, None, "dead", 3), model, "bounds")
    refused(put(honest, 0, "dead", 0), model, "no bounds at a dead pair")
    # A live pair called dead, so that spending is excluded: it can stop, so it is not.
    lie = put(put(honest, 0, "dead", 1), None, "choice", 1)
    lie = put(put(lie, None, "upper", 1), None, "lower", 1)
    refused(lie, model, "stays safe")
    stops = put(put(lie, 2, "choice", 0), honest["denominator"], "lower", 0)
    refused(stops, model, "not dead")
    # What leads to dead pairs must be listed, or it counts.
    for n, words in enumerate(("initial state", *["not closed"] * 3)):
        less = copy.deepcopy(honest)
        for column in ("pairs", "dead", "upper", "lower", "choice"):
            del less[column][n]
        refused(less, model, words)


def test_a_free_cycle_is_not_dead():
    """Zero-cost cycles: rank n may not rest on rank n."""
    model = from_dict(
        {"s": {"go": (0, 0, {"s": 1}), "end": (0, 1, {"t": 1})}}, initial="s", exact=True,
        reward_discount="1/2",
    )  # fmt: skip
    honest = reward_certificate(model, BudgetConstraint(1))
    lie = put(honest, 5, "dead", 0)
    for column in ("upper", "lower", "choice"):
        lie = put(lie, None, column, 0)
    refused(lie, model, "not dead")


def test_lies_about_the_last_step():
    """z_T counts: with one step to go and nothing left, spending is excluded."""
    model = gamble()
    for boundary, worth in (("closed", 9), ("open", 9)):
        constraint = BudgetConstraint(1, boundary=boundary, horizon=1)
        honest = reward_certificate(model, constraint)
        assert reward_of(honest, model) == worth
    broke = BudgetConstraint(0, horizon=2)
    honest = reward_certificate(model, broke)
    assert reward_of(honest, model) == 1  # risk would pay at u, after which z_2 is broken
    refused(put(honest, "closed2", "constraints", 0, "boundary"), model, "boundary")
    late = put(honest, 2, "pairs", 0, 2)
    refused(late, model, "runs on")
    refused(put(honest, 0, "steps"), model)
    opened = put(honest, "open", "constraints", 0, "boundary")
    refused(opened, model, "runs on")


def test_a_run_that_may_not_end_earns_nothing_by_promises():
    """beta = 1: L = L around a cycle holds for every L, U = U for every U."""
    model = from_dict({"s": {"on": (0, 0, {"s": 1})}}, initial="s", exact=True)
    honest = reward_certificate(model, BudgetConstraint(1))
    assert reward_of(honest, model) == 0
    for steps in (None, [0], [10**9], [None]):
        refused({**honest, "lower": [5], "upper": [5], "steps": steps}, model, "steps")
        refused({**honest, "lower": [-5], "upper": [-5], "steps": steps}, model, "steps")
    fine = resealed(honest, lower=[-5], upper=[5], steps=None)
    claim = check_certificate(fine, model)
    assert (claim.lower, claim.upper) == (-5, 5)


def test_steps_are_checked_under_the_right_choices():
    """Gains need that the named choice ends, losses that all do."""
    states = {"s": {"go": (0, 1, {"s": "1/2", "t": "1/2"}), "end": (0, 1, {"t": 1})}}
    model = from_dict(states, initial="s", exact=True)
    honest = reward_certificate(model, BudgetConstraint(1))
    assert reward_of(honest, model) == 2
    refused(put(honest, 1, "steps", 0), model, "steps")
    refused(put(honest, -1, "steps", 0), model, "steps")
    refused(put(honest, None, "steps"), model, "steps")
    check_certificate(resealed(honest, steps=[2]), model)
    refused(put(resealed(honest, reward_discount="1/2"), [2], "steps"), model, "null")
    states["s"]["rest"] = (0, -1, {"s": 1})
    model = from_dict(states, initial="s", exact=True)
    losing = {**honest, "model": model_hash_of(model), "steps": [2]}
    check_certificate(resealed(losing), model)  # U >= 0: only the named choice must end
    # U = -1 holds around `rest`, which is worth 0, and for `end`.
    model = from_dict({"s": {"end": (0, -1, "t"), "rest": (0, 0, "s")}}, initial="s", exact=True)
    honest = reward_certificate(model, BudgetConstraint(1))
    assert reward_of(honest, model) == 0
    for steps in ([2], [10**6], None):
        lie = {**honest, "upper": [-1], "lower": [-1], "choice": [0], "steps": steps}
        refused(lie, model, "steps")


def test_a_clip_takes_nothing_away():
    """gamma = 1/2, c <= 1: from 2 on all is kept. A clip at 1 hides what may be spent."""
    states = {"s": {"spend": (1, 2, {"s": 1}), "stop": (0, 0, {"t": 1})}}
    model = from_dict(states, initial="s", exact=True, reward_discount="1/2")
    honest = reward_certificate(model, BudgetConstraint(3, "1/2"))
    assert reward_of(honest, model) == 4
    assert honest["clip"] == ["2"]
    for clip in ("1", "3/2", "0", "-1"):
        refused(put(honest, clip, "clip", 0), model, "clip")
    refused(put(honest, 1, "grid", 0), model, "grid")
    free = from_dict({"s": {"go": (0, 2, {"s": 1})}}, initial="s", exact=True,
                     reward_discount="1/2")  # fmt: skip
    whole = reward_certificate(free, BudgetConstraint(3, "1/2", "open"))
    refused({**whole, "clip": ["0"], "budgets": [["0"]]}, free, "clip")
    plain = reward_certificate(model, BudgetConstraint(1))
    refused(put(plain, "5", "clip", 0), model, "clip")  # with gamma = 1 there is none


@pytest.mark.parametrize("junk", [True, 0.5, "1", [], float("nan")], ids=repr)
def test_malformed_rewards(junk):
    model = gamble()
    honest = reward_certificate(model, BudgetConstraint(1))
    for key in ("upper", "lower", "choice", "dead"):
        refused(put(honest, junk, key, 0), model)
        refused(put(honest, junk, key), model)
        refused(put(honest, honest[key][:-1], key), model)
    for path in (
        ("denominator",), ("pairs", 0, 0), ("pairs", 0, 1), ("pairs", 0, 2), ("budgets", 0, 0),
        ("clip", 0), ("grid", 0), ("pairs", 0), ("pairs",), ("steps",), ("grid",), ("clip",),
    ):  # fmt: skip
        if not (junk == "1" and path == ("budgets", 0, 0)):
            refused(put(honest, junk, *path), model)
    for wrong in (junk, "0", "2", "-1/2", 1, "0.5"):
        if wrong != "1":
            refused(put(honest, wrong, "reward_discount"), model, "reward_discount")
    refused(put(honest, [*honest["pairs"][:3], honest["pairs"][0]], "pairs"), model, "once")
    refused(put(honest, [*honest["budgets"], ["0"]], "budgets"), model, "distinct")
    refused(put(honest, -4, "denominator"), model, "positive")


def test_a_certificate_is_of_its_model():
    model = gamble()
    honest = reward_certificate(model, BudgetConstraint(1))
    other = replace(model, reward_discount=Fraction(1, 3))
    with pytest.raises(CertificateError, match="another model"):
        check_certificate(honest, other)
    refused({**honest, "model": model_hash_of(replace(model, reward=model.reward * 2))},
            replace(model, reward=model.reward * 2), "upper bound")  # fmt: skip


def test_floats_are_the_rationals_that_they_are():
    states = {"s": {"go": (0, 0.1, {"s": 0.9, "t": 0.1})}}
    model = from_dict(states, initial="s", reward_discount="9/10")
    found = reward_certificate(model, BudgetConstraint(1), exact=True)
    assert reward_of(found, model) == reward_of(
        reward_certificate(rationalised(model), BudgetConstraint(1)), rationalised(model)
    )
    claim = check_certificate(reward_certificate(model, BudgetConstraint(1)), model)
    assert claim.lower <= reward_of(found, model) <= claim.upper


# On the command line.


@pytest.fixture
def solve(capsys, tmp_path):
    path = tmp_path / "it.json"

    def call(*arguments, model="slippery-hall"):
        path.unlink(missing_ok=True)
        asked = ["solve", "--model", model, *map(str, arguments), "--certificate", str(path)]
        code = main(asked)
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        if not path.exists():
            return code, said.out + said.err, None
        assert main(["verify-cert", str(path), "--model", model]) == 0
        assert capsys.readouterr().out.startswith("valid: ")
        return code, said.out, json.loads(path.read_text("utf-8"))

    return call


CLOSED = "slippery-hall:exits=false"


@pytest.mark.parametrize(
    ("arguments", "model", "kind"),
    [
        (("--budget", 1), "slippery-hall", "demand"),
        (("--budget", 3), CLOSED, "impossibility"),
        (("--budget", 2, "--discount", "9/10", "--horizon", 9), CLOSED, "impossibility"),
        (("--budget", 0, "--boundary", "open"), "slippery-hall", "impossibility"),
        (("--ask", "value", "--budget", 1), "slippery-hall", "reward"),
        (("--ask", "value", "--budget", 1, "--exact"), "slippery-hall", "reward"),
        (("--ask", "value", "--budget", 3), CLOSED, "impossibility"),
        (("--ask", "value", "--budget", 3, "--reward-discount", "9/10"), "garnet",
         "impossibility"),
        (("--ask", "value", "--budget", 6, "--reward-discount", "9/10", "--exact"),
         "sheltered-garnet:states=30", "reward"),
        (("--ask", "value", "--constraint", "budget=1",
          "--constraint", "budget=2,discount=9/10"), "slippery-hall", "reward"),
    ],
)  # fmt: skip
def test_solve_writes_what_proves_its_answer(solve, arguments, model, kind):
    code, out, found = solve(*arguments, model=model)
    assert code == 0
    assert found is not None, out
    assert found["kind"] == kind
    assert out.count("certificate") == 1


def test_solve_says_what_it_certified(solve):
    _, out, _ = solve("--budget", 3, "--json", model=CLOSED)
    assert json.loads(out)["certificate"].endswith("it.json")
    code, out, found = solve("--ask", "value", "--budget", 1, "--exact", "--json")
    answer = json.loads(out)["answer"]["exact"]
    assert code == 0
    assert check_certificate(found, open_model("slippery-hall")).lower == Fraction(answer)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--certificate", "--budget")),
        (("--ask", "pareto", "--budget", 1), ("--certificate", "min-budget, value")),
        (
            ("--ask", "value", "--budget", 6, "--discount", "9/10", "--reward-discount", "9/10"),
            ("reward certificate", "exact (state, budget) pairs"),
        ),
    ],
)
def test_no_certificate_is_an_error_and_no_file(solve, arguments, words):
    code, said, found = solve(*arguments, model="sheltered-garnet:states=30")
    assert (code, found) == (2, None)
    assert all(word in said for word in words), said


def test_a_place_that_cannot_be_written(capsys):
    code = main(
        ["solve", "--model", "slippery-hall", "--budget", "1", "--certificate", "/proc/no/a.json"]
    )
    assert code == 2
    assert "/proc/no/a.json" in capsys.readouterr().err


def test_check_reports_that_nothing_can_be_safe(tmp_path, capsys):
    for budget, impossible in (("3", True), ("5", False)):
        report = tmp_path / budget
        asked = ["unguarded", "--model", CLOSED, "--report", str(report), "--budget", budget]
        assert main(["check", *asked]) == int(impossible)
        path = report / "impossibility.certificate.json"
        assert path.exists() == impossible
        if impossible:
            assert main(["verify-cert", str(path), "--model", CLOSED]) == 0
            assert "no policy keeps budget 3" in capsys.readouterr().out


def test_questions_without_a_certificate():
    with pytest.raises(CertificateError, match="min-budget, value"):
        answer_certificate("soft", gamble(), BudgetConstraint(1))


def test_a_round_trip_through_a_file(tmp_path):
    for certificate, model in (
        (lacking(two_ways(), BudgetConstraint(0)), two_ways()),
        (reward_certificate(gamble(), BudgetConstraint(1)), gamble()),
    ):
        write_certificate(certificate, tmp_path / "it.json")
        again = json.loads((tmp_path / "it.json").read_text("utf-8"))
        assert again == certificate
        check_certificate(again, model)
        assert set(certificate) == COMMON | KINDS[certificate["kind"]]
