"""Foreign code at its worst: what a decoder must refuse, or answer with its continuation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from transformers import Gemma2Config, Gemma2ForCausalLM, LogitsProcessor, LogitsProcessorList

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError, ModelError, SolverError
from llm_bridge.costs.patterns import TokenCosts
from llm_bridge.decoding.baselines import base
from llm_bridge.decoding.block_search import BlockSearch
from llm_bridge.decoding.certified import certified_inference_guard
from llm_bridge.decoding.decoder import decode
from llm_bridge.decoding.exact import _collected, exact_law
from llm_bridge.decoding.hf import Generation
from llm_bridge.decoding.inference_guard import inference_guard
from llm_bridge.decoding.live import LiveWorld
from llm_bridge.decoding.problem import DecodingFault
from llm_bridge.decoding.tree_world import TreeWorld
from llm_bridge.language_model import LanguageModel
from llm_bridge.tiny import PairCosts, TokenWorth, tiny_model
from llm_bridge.tiny.grammar import BEGIN, END, HARSH, PLAIN, REFUSE
from llm_bridge.tree import expand, latent_mdp


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def nano():
    return tiny_model("nano", dtype="float64")


def world_of(model, constraint, cost=None, length=8, seed=0):
    made = constraint if isinstance(constraint, BudgetConstraint) else BudgetConstraint(constraint)
    return LiveWorld(
        model, [BEGIN], made, length, cost or PairCosts(), TokenWorth(),
        np.random.default_rng(seed),
    )  # fmt: skip


class Odd:
    """Free until the response has three tokens; then each costs a strange number."""

    name, unit, uses_hidden = "odd", Fraction(1), False

    def __init__(self, number, nonnegative=True):
        self.number, self.nonnegative = number, nonnegative

    def __call__(self, steps):
        count = 0 if steps.tokens.shape[1] < 3 else self.number
        return np.full(len(steps), count, dtype=np.asarray(self.number).dtype)


@pytest.mark.parametrize(
    "number", [np.uint64(2**64 - 5), np.uint64(2**63), np.int64(2**62), np.int64(-1)]
)
def test_costs_that_would_wrap_around_or_break_their_word_are_faults(nano, number):
    with pytest.raises(DecodingFault, match="cost model odd"):
        decode(inference_guard(4, 4, 2), world_of(nano, 2, Odd(number)))
    answer = decode(certified_inference_guard(4, 4, 2), world_of(nano, 2, Odd(number)))
    assert answer.kept
    assert answer.why == "fallback"
    assert answer.cost == 0


@pytest.mark.parametrize("unit", [0.1, Fraction(0), Fraction(-1)])
def test_a_unit_must_be_exact_and_positive(nano, unit):
    cost = TokenCosts({HARSH: 1}, unit=unit)
    with pytest.raises(GuardError, match="unit of the cost model"):
        world_of(nano, 1, cost)


@pytest.mark.parametrize("block", [(END, REFUSE, END), (END, END), (REFUSE,), ()])
def test_a_continuation_ends_once_and_at_its_end(nano, block):
    decoder = certified_inference_guard(4, 2, 2, continuations=(block,))
    with pytest.raises(GuardError, match="continuations"):
        decode(decoder, world_of(nano, 2))


def with_gradient(hidden, budget, time):
    """A critic whose author forgot no_grad."""
    return torch.ones(len(hidden), requires_grad=True), torch.zeros(len(hidden))


def test_a_critic_that_answers_with_gradients_is_a_fault(nano):
    decoder = certified_inference_guard(4, 2, 2, critic=with_gradient)
    answer = decode(decoder, world_of(nano, 2))
    assert (answer.why, answer.kept) == ("fallback", True)


def test_a_budget_that_no_float_holds_is_a_fault_of_the_critic(nano):
    def critic(hidden, budget, time):
        return np.ones(len(hidden)), np.zeros(len(hidden))

    constraint = BudgetConstraint(2, discount=Fraction(1, 10**200))
    answer = decode(certified_inference_guard(4, 2, 2, critic=critic), world_of(nano, constraint))
    assert answer.kept
    assert answer.why in ("fallback", "end")


def nan_twist(log_probs, hidden, tokens):
    return log_probs * torch.nan


def all_forbidden(log_probs, hidden, tokens):
    return torch.full_like(log_probs, -torch.inf)


def infinite(log_probs, hidden, tokens):
    return torch.full_like(log_probs, torch.inf)


def one_row(log_probs, hidden, tokens):
    return log_probs[0]


def raising(log_probs, hidden, tokens):
    raise KeyError("no such expert")


TWISTS = [nan_twist, all_forbidden, infinite, one_row, raising]


@pytest.mark.parametrize("twist", TWISTS, ids=lambda t: t.__name__)
def test_a_twist_without_a_law_is_a_fault_live_and_on_trees(nano, twist):
    plain, sure = BlockSearch(blocks=2, twist=twist), certified_inference_guard(4, 2, twist=twist)
    with pytest.raises(DecodingFault):
        decode(plain, world_of(nano, 2))
    answer = decode(sure, world_of(nano, 2))
    assert (answer.why, answer.kept) == ("fallback", True)
    tree = latent_mdp(expand(nano, [BEGIN], 2, leaf_hidden=True), nano, PairCosts(), TokenWorth())
    for exact in (False, True):
        law = exact_law(sure, TreeWorld(tree, BudgetConstraint(2), END, exact=exact))
        assert law.violation == 0
        assert law.ends("fallback") == 1
        with pytest.raises(DecodingFault):
            exact_law(plain, TreeWorld(tree, BudgetConstraint(2), END, exact=exact))


def test_a_model_that_gives_nan_is_answered_with_the_continuation():
    model = tiny_model("nano", dtype="float64")

    class Broken(LanguageModel):
        def log_probs(self, hidden):
            return super().log_probs(hidden) * torch.nan

    broken = Broken(model.network, model.tokenizer)
    answer = decode(certified_inference_guard(4, 2), world_of(broken, 2))
    assert (answer.why, answer.kept) == ("fallback", True)
    with pytest.raises(DecodingFault, match="not finite"):
        decode(base(), world_of(broken, 2))


def test_a_law_of_nan_is_refused(nano):
    tree = latent_mdp(expand(nano, [BEGIN], 2), nano, PairCosts(), TokenWorth())
    world = TreeWorld(tree, BudgetConstraint(2), END)
    with pytest.raises(SolverError, match="total of 1"):
        _collected({(world.beam(1), "end"): np.nan}, world, 1)


class Forbids(LogitsProcessor):
    def __call__(self, input_ids, scores):
        scores = scores.clone()
        scores[:, PLAIN] = -torch.inf
        return scores


@pytest.mark.parametrize(
    "more",
    [
        {"logits_processor": LogitsProcessorList([Forbids()])},
        {"bad_words_ids": [[PLAIN]]},
        {"max_time": 1.0},
        {"eos_token_id": REFUSE},
        {"do_sample": True, "top_k": 2},
    ],
    ids=lambda more: next(iter(more)),
)
def test_generate_does_not_leave_out_other_guards_silently(nano, more):
    generation = Generation(base(), nano, BudgetConstraint(2), PairCosts(), TokenWorth())
    ids = torch.tensor([[BEGIN]])
    given = {"max_new_tokens": 3, "pad_token_id": END, "attention_mask": torch.ones_like(ids)}
    with pytest.raises(GuardError, match="draws by itself"):
        nano.network.generate(ids, custom_generate=generation, **{**given, **more})
    nano.network.generate(ids, custom_generate=generation, **given)


def test_costs_in_far_apart_units_do_not_wrap_around(nano):
    tree = expand(nano, [BEGIN], 2)
    fine = TokenCosts({HARSH: 1}, unit=Fraction(1, 2**40), name="fine")
    rough = TokenCosts({PLAIN: 2**24 + 1, HARSH: 2**23}, name="rough")
    with pytest.raises(ModelError, match="common unit"):
        latent_mdp(tree, nano, [fine, rough])
    top = expand(nano, [BEGIN], 2, top_k=3)
    with pytest.raises(ModelError, match="common unit"):
        latent_mdp(top, nano, rough, other=Fraction(1, 10**30))


def test_a_device_that_is_not_there_and_damaged_weights_are_errors(nano, tmp_path):
    nano.network.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all")
    with pytest.raises(ModelError, match="a causal language model"):
        LanguageModel.load(tmp_path)


def test_scores_that_are_capped_after_the_readout_are_refused():
    torch_state = torch.random.get_rng_state()
    config = Gemma2Config(
        vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1, head_dim=4,
        num_attention_heads=2, num_key_value_heads=1, final_logit_softcapping=1.0,
        initializer_range=1.0,
        max_position_embeddings=16,
    )  # fmt: skip
    model = LanguageModel(Gemma2ForCausalLM(config), None, "capped")
    torch.random.set_rng_state(torch_state)
    with pytest.raises(ModelError, match="scales nor caps"):
        model._check_readout()
    model.network.config.final_logit_softcapping = None
    model._check_readout()


def test_of_several_ends_the_tokenizers_own_counts(nano):
    class Tokenizer:
        eos_token_id = REFUSE

    other = LanguageModel(tiny_model("nano", seed=0).network, Tokenizer())
    before = other.network.config.eos_token_id
    try:
        other.network.config.eos_token_id = [END, REFUSE]
        assert other.end == REFUSE
        other.tokenizer = None
        assert other.end == END
    finally:
        other.network.config.eos_token_id = before


def test_a_pickle_is_not_read(nano, tmp_path):
    nano.network.config.save_pretrained(tmp_path)
    torch.save(nano.network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        LanguageModel.load(tmp_path)


@pytest.mark.parametrize("unit", [0.1, Fraction(0), Fraction(-1)])
def test_trees_want_exact_units_too(nano, unit):
    with pytest.raises(ModelError, match="unit"):
        latent_mdp(expand(nano, [BEGIN], 2), nano, TokenCosts({HARSH: 1}, unit=unit))


@pytest.mark.parametrize("end", [None, REFUSE])
def test_a_tree_world_wants_the_end_of_its_tree(nano, end):
    tree = latent_mdp(expand(nano, [BEGIN], 2), nano, PairCosts())
    with pytest.raises(GuardError, match="ends responses of the tree"):
        TreeWorld(tree, BudgetConstraint(2), end)


@pytest.mark.parametrize("token", [-1, 10**6])
def test_only_tokens_of_the_model_are_forced(nano, token):
    decoder = certified_inference_guard(4, 2, 2, continuations=((token, END),))
    with pytest.raises(GuardError, match="tokens of the model"):
        decode(decoder, world_of(nano, 2))
