"""Tiny transformers: they learn their language, always alike, and the CLI finds their models."""

from __future__ import annotations

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ModelError
from ig_theory.fingerprint import model_hash
from ig_theory.guards import open_guard
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from llm_bridge.tiny import (
    NAMES,
    SIZES,
    Recipe,
    grammar,
    held_out_loss,
    pair_table,
    tiny_model,
    tiny_transformer,
    train,
)
from llm_bridge.tiny.grammar import BEGIN, END, GRAVE, PLEASE, REFUSE, SORRY
from llm_bridge.tree import expand

SHORT = Recipe(layers=1, hidden=16, heads=2, steps=12, batch=32)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def nano():
    return tiny_model("nano")


def weights(network):
    return {name: value.numpy().tobytes() for name, value in network.state_dict().items()}


def test_training_twice_gives_the_same_bits_whatever_else_is_random():
    torch.manual_seed(5)
    first = weights(train(SHORT, seed=1))
    torch.manual_seed(6)
    torch.rand(3)
    state = torch.random.get_rng_state()
    second = weights(train(SHORT, seed=1))
    assert first == second
    assert torch.equal(state, torch.random.get_rng_state()), "training must not disturb others"
    assert first != weights(train(SHORT, seed=2))


def test_the_cache_gives_back_the_trained_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("IG_THEORY_CACHE", str(tmp_path))
    monkeypatch.setitem(SIZES, "short", SHORT)
    trained = weights(tiny_model("short", seed=3).network)
    files = {p.name for p in tmp_path.rglob("*")}
    assert "model.safetensors" in files
    monkeypatch.setattr(
        sys.modules["llm_bridge.tiny.train"], "train", None
    )  # a second training would fail
    assert weights(tiny_model("short", seed=3).network) == trained


def test_the_loss_is_near_the_entropy_of_the_language(nano):
    loss, truth = held_out_loss(nano, 1500, 10, seed=42)
    assert truth == pytest.approx(grammar().entropy(10), abs=0.03)  # noise of the sample
    assert 0 < loss - truth < 0.02
    short, _ = held_out_loss(tiny_model("nano", seed=0, dtype="float64"), 200, 10, seed=1)
    assert short < np.log(len(NAMES)) - 0.3


def test_a_model_that_sees_the_last_token_only_would_do_worse(nano):
    """History matters: the model beats the best predictor from the last token alone."""
    language = grammar()
    tokens = language.sample(6000, 10, np.random.default_rng(8))
    context = language.contexts(tokens)
    said = (tokens == END).cumsum(axis=1) - (tokens == END) == 0
    table = np.zeros((len(NAMES), len(NAMES)))
    last = context // 6
    np.add.at(table, (last[said], tokens[said]), 1)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1)
    markov = -np.log(table[last[said], tokens[said]]).mean()
    truth = -np.log(language.probability[context[said], tokens[said]]).mean()
    loss, same = held_out_loss(nano, 1500, 10, seed=42)
    assert markov - truth > 2 * (loss - same)


def test_the_entropy_is_that_of_all_responses():
    """Against a plain sum over every response of at most three tokens."""
    language = grammar()
    nats = tokens = 0.0

    def walk(context, mass, left):
        nonlocal nats, tokens
        for token, p in enumerate(language.probability[context]):
            nats -= mass * p * np.log(p)
            tokens += mass * p
            if left > 1 and token != END:
                walk(language.follow[context, token], mass * p, left - 1)

    walk(language.start, 1.0, 3)
    assert language.entropy(3) == pytest.approx(nats / tokens, rel=1e-12)


def test_samples_follow_the_language():
    language = grammar()
    tokens = language.sample(20_000, 3, np.random.default_rng(0))
    share = np.bincount(tokens[:, 0], minlength=len(NAMES)) / len(tokens)
    expected = language.probability[language.start]
    assert np.abs(share - expected).max() < 5 * np.sqrt(0.25 / len(tokens))
    assert (tokens[tokens[:, 0] == END] == END).all()


def test_please_makes_harm_likelier_many_tokens_later(nano):
    plain = nano.encode("plain")[0]
    calm = nano.start([[BEGIN, plain, plain, plain, plain]]).log_probs().exp()[0]
    asked = nano.start([[BEGIN, PLEASE, PLEASE, plain, plain]]).log_probs().exp()[0]
    assert float(asked[GRAVE]) > 2 * float(calm[GRAVE])


def test_tokens_have_names(nano):
    assert nano.encode("please help") == [PLEASE, NAMES.index("help")]
    assert nano.text([BEGIN, PLEASE, END]) == "please"
    assert nano.chat("please") == [BEGIN, PLEASE]
    assert nano.end == END
    with pytest.raises(ModelError, match="'nonsense'"):
        nano.encode("nonsense")
    with pytest.raises(ModelError, match="small"):
        tiny_model("huge")


def test_the_named_model_is_safe_under_the_shield_and_not_without():
    model = tiny_transformer(3, size="nano")
    assert model.S == 1222
    constraint = BudgetConstraint(2)
    _, shield = open_guard("shield", model, constraint)
    assert verify(shield, model, constraint).outcome is Outcome.SAFE
    assert verify(lambda view: view.base, model, constraint).outcome is Outcome.VIOLATED
    assert model.labels["refusal"][model.state_names.index("sorry refuse end")]
    assert not model.labels["refusal"][model.state_names.index("sorry refuse")]
    assert model_hash(model) == model_hash(tiny_transformer(3, size="nano"))


def test_the_named_model_takes_a_prompt_and_refuses_what_is_too_long():
    asked = tiny_transformer(2, size="nano", prompt="please+please")
    calm = tiny_transformer(2, size="nano")
    grave = asked.state_names.index("grave") - 1
    assert asked.base_policy[grave] > 2 * calm.base_policy[grave]
    with pytest.raises(ModelError, match="horizon"):
        tiny_transformer(9)
    with pytest.raises(ModelError, match="prompt"):
        tiny_transformer(2, size="nano", prompt="end")


def test_what_follows_the_gravest_harm_costs_too():
    table = pair_table()
    assert table[BEGIN, GRAVE] == 3
    assert table[GRAVE, SORRY] == table[GRAVE, REFUSE] == 1
    assert table[GRAVE, END] == 2
    assert table[GRAVE].min() == 1


def test_the_latents_of_a_float64_model_hardly_depend_on_the_batch():
    exact = tiny_model("nano", dtype="float64")
    tree = expand(exact, [BEGIN], 3, chunk=7)
    for node in (5, 60, 110):
        if tree.known[node]:
            alone = exact.states([BEGIN, *tree.path(node)])[-1].numpy()
            assert np.abs(alone - tree.hidden[node]).max() < 1e-12
