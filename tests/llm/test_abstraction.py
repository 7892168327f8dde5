"""Merging by latents: robust budgets against a brute force, and safety of what is lifted back."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from ig_theory.certificate import demand_certificate
from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP, LatentMDP
from ig_theory.constraint import Boundary, BudgetConstraint
from ig_theory.errors import ModelError
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.solvers.safe_value import safe_value
from ig_theory.testing.assembly import assemble
from ig_theory.testing.strategies import constrained_mdps, constraints, latent_mdps
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from llm_bridge.abstraction import (
    LatentBest,
    Partition,
    Pooling,
    best_inside,
    blind_shield,
    by_equality,
    by_kmeans,
    by_radius,
    cells_of,
    fibre_set,
    full_cache,
    informed_shield,
    last_layer,
    latent_model,
    node_weight,
    residual,
    simulation,
    study,
    study_plot,
    study_table,
    tree_cells,
    write_study,
)
from llm_bridge.language_model import LanguageModel
from llm_bridge.packaged import is_packaged
from llm_bridge.tiny import NAMES, PairCosts, TokenWorth, pair_table, tiny_model
from llm_bridge.tiny.grammar import BEGIN, END, SORRY
from llm_bridge.tree import expand, latent_mdp
from simulators.latent import aliased

HALF = Fraction(1, 2)
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def nano():
    return tiny_model("nano", dtype="float64")


def whole_tree(model, horizon=3, costs=None):
    tree = expand(model, [BEGIN], horizon)
    return latent_mdp(tree, model, costs or PairCosts(), TokenWorth(), token_names=NAMES)


@pytest.fixture(scope="module")
def made(nano):
    return whole_tree(nano)


def merged(model: ConstrainedMDP, labels: list[int]) -> Partition:
    """Blocks by drawn labels, ended states apart."""
    cells = cells_of(model)
    return Partition.of(np.array(labels[: model.S]) + 10 * (cells < 0))


def start(found) -> Fraction | float:
    return max(found.budget_of(s) for s in np.flatnonzero(found.model.initial > 0).tolist())


blocks = st.lists(st.integers(0, 2), min_size=8, max_size=8)
small_models = st.one_of(latent_mdps(max_states=4), constrained_mdps(max_states=4))


# -- the robust minimal budget -----------------------------------------------------------------


def brute_demand(model: ConstrainedMDP, partition: Partition, gamma: Fraction) -> list:
    """min over latent policies of max over members and branches, by trying them all."""
    block, size = partition.block.tolist(), len(partition)
    moves: list[dict[int, list[tuple[int, int]]]] = [{} for _ in range(size)]
    over = [False] * size
    for x in range(size):
        members = [s for s in range(model.S) if block[s] == x]
        over[x] = bool(model.terminal[members[0]])
        offers = []
        for s in members:
            own: dict[int, list[tuple[int, int]]] = {}
            for c in range(model.choice_ptr[s], model.choice_ptr[s + 1]):
                after = model.branch_state[model.branch_ptr[c] : model.branch_ptr[c + 1]]
                own[int(model.choice_action[c])] = [
                    (int(model.cost[0, c]), block[t]) for t in after.tolist()
                ]
            offers.append(own)
        for action in set.intersection(*(set(own) for own in offers)):
            moves[x][action] = sorted({pair for own in offers for pair in own[action]})

    def worth(x: int, play: tuple) -> Fraction | float:
        total, weight, seen = Fraction(0), Fraction(1), {}
        while not over[x]:
            if play[x] is None:
                return math.inf
            if x in seen:
                before, scale = seen[x]
                around = total - before
                if gamma == 1:
                    return math.inf if around else total
                return before + around / (1 - weight / scale)
            seen[x] = total, weight
            cost, x = play[x]
            total += weight * cost
            weight *= gamma
        return total

    least: list = [math.inf] * size
    for policy in itertools.product(*(sorted(m) or [None] for m in moves)):
        most: list = [Fraction(0)] * size
        answers = [m.get(a) or [None] for m, a in zip(moves, policy, strict=True)]
        for play in itertools.product(*answers):
            most = [max(most[x], worth(x, play)) for x in range(size)]
        least = [min(a, b) for a, b in zip(least, most, strict=True)]
    return [d if d == math.inf else d * model.cost_unit for d in least]


@QUICK
@given(st.one_of(latent_mdps(max_states=3), constrained_mdps(max_states=3, max_branches=2)),
       blocks, st.sampled_from([Fraction(1), HALF, Fraction(9, 10)]))  # fmt: skip
@example(aliased(2, exact=True), [0, 0, 1, 1, 0, 0, 0, 0], Fraction(1))
def test_robust_budgets_are_those_of_a_brute_force(model, labels, gamma):
    partition = merged(model, labels)
    found = fibre_set(model, partition, BudgetConstraint(0, gamma))
    wanted = brute_demand(model, partition, gamma)
    assert [found.budget_of(s) for s in range(model.S)] == [
        wanted[x] for x in partition.block.tolist()
    ]
    assert found.demand.dtype == minimal_budget(model, BudgetConstraint(0, gamma)).demand.dtype


@QUICK
@given(constrained_mdps(max_states=4, signed=True), blocks, st.sampled_from([Fraction(1), HALF]),
       st.sampled_from(["anytime", "terminal"]))  # fmt: skip
def test_robust_budgets_with_a_horizon_are_those_of_the_recursion(model, labels, gamma, scope):
    partition = merged(model, labels)
    found = fibre_set(model, partition, BudgetConstraint(0, gamma, scope=scope, horizon=3))
    assume(not found.latent.lost.any())
    block, ptr = partition.block.tolist(), model.choice_ptr.tolist()
    own = [
        {int(model.choice_action[c]): c for c in range(ptr[s], ptr[s + 1])} for s in range(model.S)
    ]
    due = [Fraction(0)] * len(partition)
    for steps in range(1, 4):
        before, due = due, []
        for x in range(len(partition)):
            members = partition.members(x).tolist()
            demands = [
                max(
                    int(model.cost[0, c]) + gamma * before[block[t]]
                    for c in (own[s][action] for s in members)
                    for t in model.branch_state[model.branch_ptr[c] : model.branch_ptr[c + 1]]
                )
                for action in set.intersection(*(set(own[s]) for s in members))
            ]
            due.append(max(min(demands), 0) if scope == "anytime" else min(demands))
        assert [found.demand[steps][s] for s in range(model.S)] == [due[x] for x in block]


@QUICK
@given(small_models, st.data())
def test_the_finest_partition_loses_nothing(model, data):
    constraint = data.draw(constraints(unit=model.cost_unit))
    partition = Partition.of(np.arange(model.S))
    found, own = fibre_set(model, partition, constraint), minimal_budget(model, constraint)
    assert (found.demand == own.demand).all()
    assert (found.strict == own.strict).all()
    assert residual(model, partition).optimum


@QUICK
@given(small_models, blocks, st.data())
def test_merging_never_demands_less_and_the_robust_model_simulates(model, labels, data):
    constraint = data.draw(constraints(unit=model.cost_unit))
    partition = merged(model, labels)
    found, own = fibre_set(model, partition, constraint), minimal_budget(model, constraint)
    assert (found.demand >= own.demand).all()
    assert simulation(found.latent).holds
    if residual(model, partition).exact:
        assert (found.demand == own.demand).all()


@QUICK
@given(constrained_mdps(max_states=3, max_branches=2, signed=True), blocks, st.data())
@example(aliased(2, exact=True), [0, 0, 1, 1, 0, 0, 0, 0], None)
def test_lifted_shields_are_safe_on_the_real_model(model, labels, data):
    """From z >= D_rob; one that pools by means, or by the likeliest successor, fails this."""
    constraint = BudgetConstraint(0, HALF, horizon=2) if data is None else data.draw(
        constraints(unit=model.cost_unit, horizons=(3, 1, 2, 4)))  # fmt: skip
    partition = merged(model, labels)
    least = start(fibre_set(model, partition, constraint))
    assume(least < math.inf)
    spare = 0 if constraint.boundary is Boundary.CLOSED else model.cost_unit / 8
    constraint = BudgetConstraint(
        max(least, 0) + spare, constraint.discount, constraint.boundary, constraint.scope,
        horizon=constraint.horizon,
    )  # fmt: skip
    found = fibre_set(model, partition, constraint)
    for guard in (blind_shield(found), informed_shield(found)):
        assert verify(guard, model, constraint, price=False).outcome is Outcome.SAFE


@QUICK
@given(small_models, blocks, st.sampled_from([Fraction(1), HALF]))
def test_endless_runs_are_safe_too_and_the_budgets_are_a_certificate(model, labels, gamma):
    partition = merged(model, labels)
    least = start(fibre_set(model, partition, BudgetConstraint(0, gamma)))
    assume(least < math.inf)
    constraint = BudgetConstraint(least, gamma)
    found = fibre_set(model, partition, constraint)
    assert check_certificate(demand_certificate(found.informed), model).kind == "demand"
    if gamma == 1:
        assert verify(blind_shield(found), model, constraint, price=False).outcome is Outcome.SAFE


@st.composite
def blurred(draw):
    """A model of which every state has copies whose costs differ by at most `spread`."""
    size, copies, spread = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    width = draw(st.integers(1, 2))
    shape = [
        [(draw(st.integers(0, 2)), sorted(draw(st.sets(st.integers(0, size - 1), min_size=1))))
         for _ in range(width)] for _ in range(size)
    ]  # fmt: skip
    states = [
        [((cost + draw(st.integers(0, spread)),), 0,
          tuple((1, t * copies + draw(st.integers(0, copies - 1))) for t in targets))
         for cost, targets in row]
        for row in shape for _ in range(copies)
    ]  # fmt: skip
    total = size * copies
    model = assemble(
        states, terminal=[False] * total, initial=[Fraction(1)] + [Fraction(0)] * (total - 1)
    )
    return model, Partition.of(np.arange(total) // copies), spread


@QUICK
@given(blurred(), st.sampled_from([HALF, Fraction(9, 10)]))
def test_blurred_costs_raise_the_demand_by_no_more_than_the_bound(case, gamma):
    model, partition, spread = case
    measured = residual(model, partition)
    assert measured.lumps
    assert measured.cost <= spread
    found = fibre_set(model, partition, BudgetConstraint(0, gamma))
    own = minimal_budget(model, BudgetConstraint(0, gamma))
    assert (found.demand - own.demand <= measured.cost / (1 - gamma)).all()


def test_the_bound_is_attained():
    """Copies that pay 1 and 0 for ever: D = 0 for the free one, and the other is next door."""
    states = [[((1,), 0, ((1, 1),))], [((0,), 0, ((1, 1),))]]
    model = assemble(states, terminal=[False] * 2, initial=[Fraction(0), Fraction(1)])
    found = fibre_set(model, Partition.of(np.zeros(2)), BudgetConstraint(0, HALF))
    assert minimal_budget(model, BudgetConstraint(0, HALF)).budget_of(1) == 0
    assert found.budget_of(1) == 2 == residual(model, found.latent.partition).cost / (1 - HALF)


# -- aliasing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 3])
def test_rooms_that_look_alike(length):
    model = aliased(length, exact=True)
    partition = by_equality(model.latent, cells_of(model))
    assert len(partition) == length + 1
    own, none = minimal_budget(model, BudgetConstraint(0)), BudgetConstraint(0)
    assert start(own) == 0
    assert start(fibre_set(model, partition, none)) == length
    short = fibre_set(model, partition, BudgetConstraint(0, HALF))
    assert start(short) == 2 - Fraction(2, 2**length)
    enough = BudgetConstraint(length)
    verdict = verify(blind_shield(fibre_set(model, partition, enough)), model, enough)
    assert verdict.outcome is Outcome.SAFE
    assert check_certificate(verdict.certificate, model).kind in ("pairs", "demand")
    # The guard that also sees costs needs no latents to tell the rooms apart: but not less budget.
    assert best_inside(fibre_set(model, partition, enough).informed).middle == pytest.approx(length)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_means_over_rooms_that_look_alike_are_unsafe(length):
    """Costs 0 and 1 have mean 1/2, taken as 0: no budget seems needed, and both choices free."""
    model, none = aliased(length, exact=True), BudgetConstraint(0)
    partition = by_equality(model.latent, cells_of(model))
    naive = fibre_set(model, partition, none, Pooling.NAIVE)
    assert start(naive) == 0
    gaps = simulation(naive.latent)
    assert (gaps.missing, gaps.underpriced, gaps.holds) == (0, 1, False)
    verdict = verify(blind_shield(naive), model, none, exact=True)
    assert verdict.outcome is Outcome.VIOLATED
    assert verdict.violation.lower == verdict.violation.upper == 1 - Fraction(1, 2**length)
    assert check_certificate(verdict.certificate, model).kind == "violation"


def test_what_differs_is_named():
    model = aliased(2)
    found = residual(model, by_equality(model.latent, cells_of(model)))
    assert (found.actions, found.cost, found.successors, found.reward) == (0, 1, 0, 1.0)
    assert found.probability < 1e-12
    assert [each.kind for each in found.worst] == ["cost", "reward"]
    assert "cost of 'a': 0 in 'left 0', 1 in 'right 0'" in found.text
    assert found.lumps
    assert not found.exact


@QUICK
@given(small_models, blocks)
def test_the_residual_is_that_of_all_pairs(model, labels):
    partition = merged(model, labels)
    block = partition.block.tolist()
    ptr, action = model.choice_ptr.tolist(), model.choice_action.tolist()
    own = [{action[c]: c for c in range(ptr[s], ptr[s + 1])} for s in range(model.S)]

    def law(c: int) -> dict[int, float]:
        out: dict[int, float] = {}
        for b in range(model.branch_ptr[c], model.branch_ptr[c + 1]):
            x = block[int(model.branch_state[b])]
            out[x] = out.get(x, 0.0) + float(model.branch_prob[b])
        return out

    cost, reward, apart = 0, 0.0, 0.0
    actions, successors = set(), set()
    for s, t in itertools.combinations(np.flatnonzero(~model.terminal).tolist(), 2):
        if block[s] != block[t]:
            continue
        if set(own[s]) != set(own[t]):
            actions.add(block[s])
        for a in set(own[s]) & set(own[t]):
            c, d = own[s][a], own[t][a]
            cost = max(cost, abs(int(model.cost[0, c]) - int(model.cost[0, d])))
            reward = max(reward, abs(float(model.reward[c]) - float(model.reward[d])))
            one, two = law(c), law(d)
            if set(one) != set(two):
                successors.add((block[s], a))
            apart = max(apart, sum(abs(one.get(x, 0) - two.get(x, 0)) for x in {*one, *two}) / 2)
    found = residual(model, partition)
    assert (found.actions, found.successors) == (len(actions), len(successors))
    assert found.cost == cost * model.cost_unit
    assert found.reward == reward
    assert found.probability == pytest.approx(apart, abs=1e-12)
    for each in found.worst:
        assert block[each.states[0]] == block[each.states[1]]
        assert each.action in own[each.states[0]]


def test_members_without_a_common_action_leave_the_block_without_budget():
    """s has only a, t only b: whatever is played cannot be played in one of them."""
    states = [[((0,), 0, ((1, 1), (1, 2)))], [((0,), 0, ((1, 3),))], [((0,), 0, ((1, 3),))],
              [((0,), 0, ((1, 3),))]]  # fmt: skip
    model = assemble(
        states, terminal=[False, False, False, True], initial=[Fraction(1)] + [Fraction(0)] * 3,
        action=np.array([0, 0, 1, 0]),
    )  # fmt: skip
    partition = Partition.of(np.array([0, 1, 1, 2]))
    for constraint in (
        BudgetConstraint(9),
        BudgetConstraint(9, HALF),
        BudgetConstraint(9, horizon=3),
    ):
        found = fibre_set(model, partition, constraint)
        assert found.latent.lost.tolist() == [True, True, False]
        assert start(found) == math.inf
        assert best_inside(found).upper == -math.inf
        assert simulation(found.latent).holds
    assert residual(model, partition).worst[0].kind == "actions"
    verdict = verify(blind_shield(found), model, constraint)
    assert verdict.outcome is Outcome.SAFE, "all costs are 0; the guard falls back, and fails not"


def test_what_cannot_be_merged_is_refused():
    model = aliased()
    with pytest.raises(ModelError, match="cells_of"):
        latent_model(model, Partition.of(np.zeros(3)))
    with pytest.raises(ModelError, match="3 states"):
        residual(model, Partition.of(np.zeros(2)))
    with pytest.raises(ModelError, match="weight"):
        latent_model(model, Partition.of(np.arange(3)), weight=np.array([1.0, np.nan, 1.0]))
    twice = replace(model, action=np.zeros(model.C, dtype=np.int64), base=None)
    with pytest.raises(ModelError, match="one choice for each action"):
        latent_model(twice, Partition.of(np.arange(3)))


# -- partitions --------------------------------------------------------------------------------


def test_leaders_claim_what_is_near_in_order():
    line = np.array([[0.0], [3.0], [1.0], [2.0], [4.0], [0.5]])
    cells = np.array([0, 0, 0, 0, 1, 0])
    found = by_radius(line, 1.0, cells)
    assert found.block.tolist() == [0, 1, 0, 1, 2, 0]
    assert found.radius.tolist() == [1.0, 1.0, 0.0]
    assert by_radius(line, 0.0, cells).block.tolist() == list(range(6))
    assert by_radius(line, 9.0, np.zeros(6, dtype=int)).block.tolist() == [0] * 6
    plane = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    none = np.zeros(4, dtype=np.int64)
    assert by_radius(plane, 0.1, none, "angle").block.tolist() == [0, 0, 1, 2]
    assert by_radius(plane, math.pi / 2 + 1e-9, none, "angle").block.tolist() == [0, 0, 0, 1]
    assert by_radius(plane, 2.0, none, "maximum").block.tolist() == [0, 0, 1, 0]
    with pytest.raises(ModelError, match="euclidean or maximum or angle"):
        by_radius(plane, 1.0, none, "taxi")
    with pytest.raises(ModelError, match="radius"):
        by_radius(plane, math.nan, none)
    with pytest.raises(ModelError, match="finite"):
        by_radius(np.full((4, 2), math.inf), 1.0, none)


def test_kmeans_finds_separate_clouds_and_repeats_itself():
    generator = np.random.default_rng(3)
    clouds = np.repeat(np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), 20, axis=0)
    points = clouds + generator.normal(size=(60, 2))
    cells = np.zeros(60, dtype=np.int64)
    found = [by_kmeans(points, 3, cells, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert (found[0].block == np.repeat([0, 1, 2], 20)).all()
    assert (found[0].block == found[1].block).all()
    assert (found[0].block == found[2].block).all()
    assert found[0].centre[1] == pytest.approx(points[20:40].mean(axis=0))
    split = by_kmeans(points, 2, np.arange(60) % 2, np.random.default_rng(0))
    assert len(split) == 4
    assert all(len({n % 2 for n in split.members(b).tolist()}) == 1 for b in range(4))
    assert len(by_kmeans(np.zeros((5, 1)), 3, np.zeros(5, dtype=int), generator)) == 1


def test_times_are_kept_apart_when_asked(made):
    tree = made.tree
    none = np.zeros((made.mdp.S, 1))
    apart = by_equality(none, tree_cells(made))
    assert len(apart) == tree.horizon + 1
    pairs = set(zip(apart.block[: len(tree)].tolist(), tree_cells(made).tolist(), strict=False))
    assert len(pairs) == tree.horizon + 1
    assert len(by_equality(none, tree_cells(made, timed=False))) == 2


# -- a transformer -----------------------------------------------------------------------------


def priced_ends() -> PairCosts:
    """Ending costs 2 unless an apology came last: what is due depends on what was said."""
    table = pair_table()
    table[:, END] = 2
    table[SORRY, END] = 0
    return PairCosts(table)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("horizon", [2, 3])
@pytest.mark.parametrize("costs", [PairCosts(), priced_ends()])
@pytest.mark.parametrize("discount", [1, HALF])
def test_the_full_cache_loses_nothing(seed, horizon, costs, discount):
    tiny = whole_tree(tiny_model("nano", seed, dtype="float64"), horizon, costs)
    partition = by_equality(full_cache(tiny), tree_cells(tiny, timed=False))
    assert len(partition) == int((~tiny.tree.leaf).sum()) + 1, "every prefix, and the end"
    constraint = BudgetConstraint(2, discount)
    found, own = fibre_set(tiny.mdp, partition, constraint), minimal_budget(tiny.mdp, constraint)
    assert (found.demand == own.demand).all()
    assert residual(tiny.mdp, partition).optimum
    best = safe_value(tiny.mdp, constraint).initial.middle
    assert best_inside(found).middle == pytest.approx(best, abs=1e-9)
    if discount == 1:
        guard = LatentBest(found)
        verdict = verify(guard, tiny.mdp, constraint)
        assert verdict.outcome is Outcome.SAFE
        assert verdict.reward.middle == pytest.approx(best, abs=1e-9)
        assert guard.promised.middle == pytest.approx(best, abs=1e-6)


def test_last_layers_lose_more_the_more_is_merged(made, tmp_path):
    constraint = BudgetConstraint(3)
    rows = study(made, (0.0, 0.5, 2.0, 7.0, 100.0), constraint)
    assert rows[0].how == "full cache"
    assert all(row.sound and row.outcome is Outcome.SAFE for row in rows)
    for row in rows[:2]:  # no two prefixes of one length have the same last state
        assert row.residual.optimum
        assert (row.blocks, row.excess, row.lost) == (111, 0, pytest.approx(0, abs=1e-9))
        assert row.earned.middle == pytest.approx(row.optimum.middle, abs=1e-9)
        assert row.naive_outcome is Outcome.SAFE
    counts = [row.blocks for row in rows]
    assert counts == sorted(counts, reverse=True)
    last = rows[-1]
    assert last.blocks == 3
    assert last.excess == 2 == last.residual.cost
    assert last.lost == pytest.approx(1, abs=1e-6)
    assert last.informed.middle == pytest.approx(last.optimum.middle, abs=1e-6)
    assert last.earned.upper <= last.kept.upper + 1e-9
    assert last.naive_outcome is Outcome.VIOLATED
    assert 0 < last.naive_violation.lower <= last.naive_violation.upper < 1
    table = study_table(rows)
    assert len(table.rows) == 6
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert [len(panel.lines) for panel in study_plot(rows).panels] == [3, 1]
    write_study(rows, tmp_path / "study.svg")
    assert (tmp_path / "study.svg").stat().st_size > 1000


def test_a_budget_below_the_robust_demand_is_said_not_to_be_covered(nano):
    tiny = whole_tree(nano, 3, priced_ends())
    row = study(tiny, (100.0,), BudgetConstraint(0))[-1]
    assert row.robust > row.demand == 0
    assert row.outcome is None
    assert row.earned is None
    assert row.kept.upper == -math.inf
    enough = study(tiny, (100.0,), BudgetConstraint(row.robust))[-1]
    assert enough.outcome is Outcome.SAFE
    assert enough.kept.upper > -math.inf
    assert "not covered" in study_table([row]).rows[0]


@pytest.mark.parametrize("radius", [0.5, 4.0, 9.0])
@pytest.mark.parametrize("discount", [1, HALF])
def test_lifted_shields_are_safe_on_the_tree_with_a_certificate(nano, radius, discount):
    tiny = whole_tree(nano, 3, priced_ends())
    for timed in (True, False):
        partition = by_radius(last_layer(tiny), radius, tree_cells(tiny, timed))
        least = start(fibre_set(tiny.mdp, partition, BudgetConstraint(0, discount)))
        constraint = BudgetConstraint(least, discount)
        found = fibre_set(tiny.mdp, partition, constraint)
        for guard in (blind_shield(found), informed_shield(found)):
            verdict = verify(guard, tiny.mdp, constraint, price=False)
            assert verdict.outcome is Outcome.SAFE
            assert check_certificate(verdict.certificate, tiny.mdp).kind in ("pairs", "demand")


def test_merging_times_is_sound_and_still_not_exact(made):
    """``begin`` and ``begin begin`` have one last state: what may follow differs all the same."""
    latent, constraint = last_layer(made), BudgetConstraint(3)
    merged_times = by_radius(latent, 1e-9, tree_cells(made, timed=False))
    again = made.tree.find((BEGIN,))
    assert merged_times.block[again] == merged_times.block[0]
    assert not residual(made.mdp, merged_times).lumps
    assert simulation(fibre_set(made.mdp, merged_times, constraint).latent).holds
    assert residual(made.mdp, by_radius(latent, 1e-9, tree_cells(made))).optimum


def test_means_are_weighted_by_how_likely_prefixes_are(made):
    whole = Partition.of(tree_cells(made))
    plain = latent_model(made.mdp, whole).mdp
    weighted = latent_model(made.mdp, whole, weight=node_weight(made)).mdp
    assert (plain.cost == weighted.cost).all()
    assert (plain.branch_state == weighted.branch_state).all()
    assert not np.allclose(plain.base_policy, weighted.base_policy)
    # P(end as second token) under the model, from the tree's own masses.
    tree = made.tree
    second = np.flatnonzero((tree.depth == 2) & (tree.token == END))
    ended = np.exp(tree.log_mass)[second].sum()
    alive = np.exp(tree.log_mass)[(tree.depth == 1) & ~tree.leaf].sum()
    block = whole.block[made.tree.find((BEGIN,))]
    choice = weighted.choice_ptr[block] + END
    assert weighted.choice_action[choice] == END
    assert weighted.base_policy[choice] == pytest.approx(ended / alive, abs=1e-12)


@pytest.mark.skipif(not is_packaged(), reason="needs the packaged weights (make llm)")
def test_a_real_model():
    model = LanguageModel.load()
    tree = expand(model, model.chat("Name a colour."), 4, top_k=3)
    word = int(np.bincount(tree.token[1:]).argmax())

    @dataclass(frozen=True)
    class Word:
        name: str = "word"
        unit: Fraction = Fraction(1)
        uses_hidden: bool = False
        nonnegative: bool = True

        def __call__(self, steps):
            return (steps.new == word).astype(np.int64)

    real = latent_mdp(tree, model, Word(), other=2)
    assert isinstance(real.mdp, LatentMDP)
    rows = study(real, (0.0, 30.0, 1e6), BudgetConstraint(2))
    assert all(row.sound for row in rows)
    assert rows[0].residual.optimum
    assert (rows[0].excess, rows[0].outcome) == (0, Outcome.SAFE)
    last = rows[-1]
    assert last.residual.actions > 0, "prefixes differ in their likeliest tokens"
    for row in rows:
        assert (row.outcome is Outcome.SAFE) == (row.robust <= 2)
