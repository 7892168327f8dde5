"""Exact laws of decoders: against brute force, against samples, and what they say of safety."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from scipy import stats

from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError, SolverError
from ig_theory.verification import verify
from llm_bridge.costs.patterns import TokenCosts
from llm_bridge.decoding.args import Args, controlled
from llm_bridge.decoding.baselines import base, beam_search, best_of_n
from llm_bridge.decoding.block_search import BlockSearch, Penalty
from llm_bridge.decoding.certified import Certified, certified_inference_guard
from llm_bridge.decoding.decoder import decode
from llm_bridge.decoding.exact import exact_law
from llm_bridge.decoding.inference_guard import inference_guard
from llm_bridge.decoding.live import LiveWorld
from llm_bridge.decoding.problem import Beam
from llm_bridge.decoding.scores import Augmented, Cheapness, Lagrangian
from llm_bridge.decoding.tree_guards import tree_guard
from llm_bridge.decoding.tree_world import TreeWorld
from llm_bridge.decoding.twists import re_control, safe_decoding
from llm_bridge.tiny import PairCosts, TokenWorth, tiny_model
from llm_bridge.tiny.grammar import BEGIN, END, HELP, NOTE, PLAIN, REFUSE
from llm_bridge.tree import expand, latent_mdp

HORIZON, SHORT, TOP = 3, 2, 4
HASTE = TokenCosts({PLAIN: 1, HELP: 2, NOTE: 1, END: 1})
"""Common tokens cost something, so that rounds in which all fail are likely."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def nano():
    return tiny_model("nano", dtype="float64")


@pytest.fixture(scope="module")
def full(nano):
    """Every response of at most two tokens; harm costs."""
    tree = expand(nano, [BEGIN], SHORT, leaf_hidden=True)
    return latent_mdp(tree, nano, PairCosts(), TokenWorth())


@pytest.fixture(scope="module")
def narrow(nano):
    """Four tokens a node; haste costs."""
    tree = expand(nano, [BEGIN], HORIZON, top_k=TOP, leaf_hidden=True)
    return latent_mdp(tree, nano, HASTE, TokenWorth(), other="cut")


@pytest.fixture(scope="module")
def short(nano):
    """The same, of two tokens."""
    tree = expand(nano, [BEGIN], 2, top_k=TOP, leaf_hidden=True)
    return latent_mdp(tree, nano, HASTE, TokenWorth(), other="cut")


def critic_of(nano):
    weight = np.random.default_rng(3).normal(size=(nano.setting.hidden_size, 2))

    def critic(hidden, budget, time):
        score = np.asarray(hidden) @ weight
        return 1 / (1 + np.exp(-score[:, 0] - budget + 0.1 * time)), score[:, 1]

    return critic


# An implementation of its own, on nested draws in order, with nothing shared but the tree.


class Oracle:
    """InferenceGuard by brute force: ordered draws, paths by their tokens."""

    def __init__(self, found, budget, blocks, width, keep, retries, strength, safe, critic=None):
        self.found, self.tree = found, found.tree
        self.budget, self.blocks, self.width, self.keep = budget, blocks, width, keep
        self.retries, self.strength, self.safe, self.critic = retries, strength, safe, critic

    def step(self, path):
        edge = self.found.edge[self.tree.find(path)]
        mdp = self.found.mdp
        return mdp.base_policy[edge], int(mdp.cost[0, edge]), float(mdp.reward[edge])

    def over(self, path):
        return len(path) == self.tree.horizon or (path and path[-1] == END)

    def cost(self, path):
        return sum(self.step(path[:n])[1] for n in range(1, len(path) + 1))

    def reward(self, path):
        return sum(self.step(path[:n])[2] for n in range(1, len(path) + 1))

    def blocks_after(self, path, failed):
        """Every block and its probability."""
        total = sum(failed.values())
        level = {path: 1.0}
        for _ in range(self.width):
            after = {}
            for said, mass in level.items():
                if self.over(said) and said != path:
                    after[said] = after.get(said, 0) + mass
                    continue
                nodes = self.tree.children(self.tree.find(said))
                tokens = [int(self.tree.token[n]) for n in nodes]
                weight = [
                    self.step((*said, t))[0] * math.exp(
                        -self.strength * failed[t] / total if total else 0
                    )
                    for t in tokens
                ]  # fmt: skip
                for token, w in zip(tokens, weight, strict=True):
                    after[(*said, token)] = mass * w / sum(weight)
            level = after
        return list(level.items())

    def score(self, path):
        if self.critic is None or self.over(path):
            return (-1e6, True) if self.cost(path) > self.budget else (self.reward(path), False)
        hidden = self.tree.hidden[[self.tree.find(path)]]
        left = np.array([float(self.budget - self.cost(path))])
        good, more = self.critic(hidden, left, np.array([len(path)]))
        return (self.reward(path) + more[0], False) if good[0] > 0.5 else (-1e6, True)

    def admissible(self, path):
        return self.cost(path if self.over(path) else (*path, END)) <= self.budget

    def law(self):
        self.answer = Counter()
        if self.safe and not self.admissible(()):
            return Counter({(): 1.0})
        self.round((((),)), 1.0, 0, Counter())
        return self.answer

    def round(self, beams, mass, tries, failed):
        alive = [b for b in beams if not self.over(b)]
        if not alive:
            self.answer[beams[0]] += mass
            return
        options = [self.blocks_after(b, failed) for b in alive for _ in range(self.blocks)]
        results = {}
        for drawn in itertools.product(*options):
            part = mass * math.prod(p for _, p in drawn)
            pool = [b for b in beams if self.over(b)] + [path for path, _ in drawn]
            judged = [(self.score(path), path) for path in pool]
            if self.safe:
                good = [(s, p) for (s, _), p in judged if self.admissible(p)]
                lost = not good
            else:
                good = [(s, p) for (s, _), p in judged]
                lost = all(bad for (_, bad), _ in judged)
            if lost and tries < self.retries:
                more = Counter(failed)
                for place, (path, _) in enumerate(drawn):
                    more.update(path[len(alive[place // self.blocks]) :])
                key = (beams, tries + 1, tuple(sorted(more.items())))
            elif lost and self.safe:
                self.answer[(*beams[0], END)] += part
                continue
            else:
                kept = sorted(good, key=lambda item: (-item[0], item[1]))[: self.keep]
                key = (tuple(p for _, p in kept), 0, ())
            results[key] = results.get(key, 0) + part
        for (then, tries_then, failed_then), part in results.items():
            self.round(then, part, tries_then, Counter(dict(failed_then)))


CASES = [
    # blocks, width, keep, retries, budget
    (1, 1, 1, 0, 2), (2, 1, 1, 1, 1), (2, 1, 2, 0, 2), (2, 2, 1, 1, 1), (1, 2, 2, 2, 2),
    (3, 1, 1, 0, 1),
]  # fmt: skip


@pytest.mark.parametrize("certified", [False, True])
@pytest.mark.parametrize("with_critic", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_law_is_that_of_brute_force(nano, narrow, case, with_critic, certified):
    blocks, width, keep, retries, budget = case
    critic = critic_of(nano) if with_critic else None
    make = certified_inference_guard if certified else inference_guard
    decoder = make(blocks, width, keep, retries, critic, strength=3.0, shared=False)
    world = TreeWorld(narrow, BudgetConstraint(budget), END)
    if certified and END not in {int(t) for t in narrow.tree.token[1:5]}:
        world = FreeEnd(narrow, BudgetConstraint(budget), END)
    law = exact_law(decoder, world)
    oracle = Oracle(narrow, budget, blocks, width, keep, retries, 3.0, certified, critic)
    oracle.cost = lambda path: sum(
        HASTE.costs.get(token, 0) for token in path
    )  # the fallback may leave the tree
    expected = oracle.law()
    assert {beam.tokens for beam in law.beams} == set(expected)
    for tokens, mass in expected.items():
        assert law.of(tokens) == pytest.approx(mass, abs=1e-13)
    bad = sum(m for tokens, m in expected.items() if oracle.cost(tokens) > budget)
    assert law.violation == pytest.approx(bad, abs=1e-13)
    if certified:
        assert law.violation == 0


class FreeEnd(TreeWorld):
    """A tree that also knows the end token after every node."""

    def grow(self, beams, blocks):
        def end(beam):
            return self.problem.extend(beam, (END,), (HASTE.costs[END],), (0.0,), (0.0,))

        if any(tuple(block) != (END,) for block in blocks):
            return super().grow(beams, blocks)
        return [end(beam) for beam in beams]


class Whole:
    """A decoder without the short cut to the best draws."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        if name == "selects":
            raise AttributeError(name)
        return getattr(self.inner, name)


@pytest.mark.parametrize(
    "decoder",
    [
        best_of_n(4), best_of_n(3, Augmented()), BlockSearch("k", 3, 1, 2),
        inference_guard(2, 1, 2, 1, shared=False), inference_guard(2, 2, 2, 1, stops=True),
        inference_guard(2, 1, 1, 2, lost=1.0), inference_guard(4, 1, 2, 1),
    ],
)  # fmt: skip
def test_the_best_draws_are_all_that_matters(short, decoder):
    world = TreeWorld(short, BudgetConstraint(1), END)
    if decoder.stops:
        world = FreeEnd(short, BudgetConstraint(1), END)
    quick, whole = exact_law(decoder, world), exact_law(Whole(decoder), world)
    assert {b.tokens for b in quick.beams} == {b.tokens for b in whole.beams}
    for beam in whole.beams:  # one may end in two ways
        mass = whole.of(beam.tokens)
        assert quick.of(beam.tokens) == pytest.approx(mass, abs=1e-12)


def test_best_of_many_by_the_law_of_the_maximum(full):
    world = TreeWorld(full, BudgetConstraint(2), END)
    law = exact_law(best_of_n(500), world)
    blocks = sorted(
        world.law(world.problem.root, SHORT), key=lambda item: (-item[0].reward, item[0].tokens)
    )
    above = 0.0
    for beam, mass in blocks[:50]:
        expected = (1 - above) ** 500 - (1 - above - mass) ** 500
        assert law.of(beam.tokens) == pytest.approx(expected, rel=1e-6, abs=1e-14)
        above += mass


def test_fractions_are_exact(narrow):
    decoder = inference_guard(2, 1, 1, 1, shared=False)
    law = exact_law(decoder, TreeWorld(narrow, BudgetConstraint(1), END, exact=True))
    assert all(isinstance(p, Fraction) for p in law.probabilities)
    assert sum(law.probabilities) == 1
    floats = exact_law(decoder, TreeWorld(narrow, BudgetConstraint(1), END))
    assert float(law.violation) == pytest.approx(floats.violation, abs=1e-14)


def every_decoder(nano, found, constraint):
    torch.manual_seed(0)
    size = nano.setting.hidden_size
    value = torch.nn.Sequential(
        torch.nn.Linear(size, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    ).double()
    expert = tiny_model("nano", seed=1, dtype="float64")
    return {
        "base": base(),
        "best of n": best_of_n(3),
        "best of n, Lagrangian": best_of_n(3, Lagrangian(0.4)),
        "best of n, augmented": best_of_n(3, Augmented()),
        "beam": BlockSearch("beam", 2, 1, 2),
        "beam, Lagrangian": BlockSearch("beam", 2, 1, 2, Lagrangian(0.4)),
        "args": Args(count=10, temperature=1.0),
        "args, cost": Args(count=10, temperature=1.0, omega=0.5, score=Cheapness()),
        "args, Lagrangian": Args(count=10, temperature=1.0, omega=0.5, score=Lagrangian(0.4)),
        "controlled": controlled(),
        "re-control": re_control(nano, value, 3),
        "safe decoding": safe_decoding(expert, (BEGIN,), space=9),
        "inference guard": inference_guard(2, 1, 1, 1, shared=False),
        "inference guard, critic": inference_guard(2, 1, 1, 1, critic_of(nano), shared=False),
        "certified": certified_inference_guard(2, 1, 1, 1, shared=False),
        "certified, critic": certified_inference_guard(
            2, 1, 1, 1, critic_of(nano), shared=False, continuations=((REFUSE, END), (END,))
        ),
        "shield": tree_guard("shield", found, constraint),
        "least intrusive": tree_guard("least-intrusive", found, constraint),
        "value filter": tree_guard("value-filter:threshold=0.5", found, constraint),
    }


SAFE = {"certified", "certified, critic", "shield", "least intrusive", "value filter"}
"""On a tree what follows a token is certain, so where the exact P(kept) is positive some token
keeps it positive: the value filter with exact values is safe there, unlike with a learned one."""


def test_what_is_safe_and_what_is_not(nano, full):
    """Budget 1 on every response of at most two tokens: only ours are almost surely safe."""
    constraint = BudgetConstraint(1)
    world = TreeWorld(full, constraint, END)
    for name, decoder in every_decoder(nano, full, constraint).items():
        law = exact_law(decoder, world)
        assert math.fsum(law.probabilities) == pytest.approx(1, abs=1e-12)
        if name in SAFE:
            assert law.violation == 0, name
            assert all(law.kept), name
        else:
            assert law.violation > 1e-12, name


def test_greedy_args_is_a_point_and_may_violate(nano, full):
    world = TreeWorld(full, BudgetConstraint(0), END)
    law = exact_law(Args(omega=10.0), world)
    assert law.probabilities == (1.0,)
    assert law.violation == 1


def test_tree_guards_have_the_law_that_verification_has(full):
    constraint = BudgetConstraint(1, horizon=SHORT)
    world = TreeWorld(full, constraint, END)
    for spec in ("unguarded", "shield", "least-intrusive", "value-filter:threshold=0.9"):
        decoder = tree_guard(spec, full, constraint)
        law, verdict = exact_law(decoder, world), verify(decoder.step.guard, full.mdp, constraint)
        assert law.violation == pytest.approx(verdict.violation.middle, abs=1e-12)
        assert law.kept_reward == pytest.approx(verdict.reward.middle, abs=1e-9)


@pytest.mark.parametrize(
    "name",
    ["base", "best of n", "beam", "args", "re-control", "safe decoding", "inference guard",
     "inference guard, critic", "certified", "certified, critic", "shield"],
)  # fmt: skip
def test_samples_of_a_live_model_follow_the_exact_law(nano, full, name):
    constraint = BudgetConstraint(1)
    decoder = every_decoder(nano, full, constraint)[name]
    law = exact_law(decoder, TreeWorld(full, constraint, END))
    world = LiveWorld(
        nano, [BEGIN], constraint, SHORT, PairCosts(), TokenWorth(), np.random.default_rng(7)
    )
    runs = 400
    answers = [decode(decoder, world) for _ in range(runs)]
    broken = sum(not answer.kept for answer in answers)
    if law.violation == 0:
        assert broken == 0
    else:
        assert stats.binomtest(broken, runs, float(law.violation)).pvalue > 1e-3
    seen = Counter(answer.tokens for answer in answers)
    assert all(law.of(tokens) > 0 for tokens in seen)
    likely = [beam.tokens for beam in law.beams if law.of(beam.tokens) * runs >= 5]
    want = np.array([law.of(tokens) for tokens in likely] + [0.0])
    want[-1] = 1 - want.sum()
    have = np.array([seen[tokens] for tokens in likely] + [0])
    have[-1] = runs - have.sum()
    kept = want * runs >= 1
    if kept.sum() > 1:
        want, have = want[kept], have[kept]
        assert stats.chisquare(have, want / want.sum() * have.sum()).pvalue > 1e-3


def test_samples_of_a_tree_follow_the_exact_law_too(narrow):
    decoder = inference_guard(2, 1, 1, 1, shared=False)
    constraint = BudgetConstraint(1)
    law = exact_law(decoder, TreeWorld(narrow, constraint, END))
    world = TreeWorld(narrow, constraint, END, np.random.default_rng(0))
    broken = sum(not decode(decoder, world).kept for _ in range(2000))
    assert stats.binomtest(broken, 2000, float(law.violation)).pvalue > 1e-3


def test_the_order_of_what_is_drawn_means_nothing(narrow):
    generator = np.random.default_rng(1)
    world = TreeWorld(narrow, BudgetConstraint(1), END, generator)
    for decoder in (inference_guard(4, 1, 2, 1), BlockSearch("b", 3, 2, 2)):
        state = decoder.start(world)
        while not decoder.done(state):
            drawn = world.draw(decoder.ask(state, world))
            mixed = tuple(
                tuple(blocks[k] for k in generator.permutation(len(blocks))) for blocks in drawn
            )
            state, other = (decoder.settle(state, d, world) for d in (drawn, mixed))
            assert state == other


def test_a_law_that_is_too_large_says_so(full):
    world = TreeWorld(full, BudgetConstraint(1), END)
    with pytest.raises(SolverError, match="fewer blocks"):
        exact_law(BlockSearch("big", 8, 1, 8), world, limit=1_000)


def test_a_tree_with_a_way_out_is_refused(nano):
    tree = expand(nano, [BEGIN], 2, top_k=2)
    found = latent_mdp(tree, nano, PairCosts(), other=1)
    with pytest.raises(GuardError, match="cut"):
        TreeWorld(found, BudgetConstraint(1), END)


def test_penalties_are_in_proportion_to_frequencies():
    row = torch.log_softmax(torch.zeros(2, 4, dtype=torch.float64), dim=1)
    low = Penalty(((1, 3), (2, 1)), 2.0)(row, None, None)
    assert (row - low)[0].tolist() == pytest.approx([0.0, 1.5, 0.5, 0.0])


def test_after_the_last_retry_the_published_algorithm_goes_on_or_stops(narrow):
    constraint = BudgetConstraint(0)
    world = FreeEnd(narrow, constraint, END)
    on = exact_law(inference_guard(1, 1, 1, 1), world)
    stops = exact_law(inference_guard(1, 1, 1, 1, stops=True), world)
    assert stops.ends("stopped") > 0
    assert on.ends("stopped") == 0
    assert stops.violation > 0  # the end token costs something: stopping is not safe by itself


def test_more_retries_and_blocks_violate_less(narrow):
    world = TreeWorld(narrow, BudgetConstraint(1), END)
    found = [
        exact_law(inference_guard(2, 1, 1, m, shared=False), world).violation for m in (0, 1, 2)
    ]
    assert found[0] > found[1] > found[2] > 0


def test_certified_says_nothing_where_no_continuation_fits(narrow):
    law = exact_law(
        certified_inference_guard(2, 1, 1, 1), FreeEnd(narrow, BudgetConstraint(0), END)
    )
    assert law.beams == (Beam(()),)  # the end token costs 1
    assert law.endings == ("abstained",)
    assert law.violation == 0


def test_certified_needs_a_known_end():
    decoder = Certified(BlockSearch(), ((REFUSE,),))

    class Stub:
        problem = TreeWorld.__new__(TreeWorld)

    from llm_bridge.decoding.problem import Problem

    stub = Stub()
    stub.problem = Problem(BudgetConstraint(1), Fraction(1), 3, END)
    with pytest.raises(GuardError, match="add the end token"):
        decoder.start(stub)
    stub.problem = Problem(BudgetConstraint(1), Fraction(1), 3, None)
    with pytest.raises(GuardError, match="fixed refusal"):
        Certified(BlockSearch()).start(stub)
    stub.problem = Problem(BudgetConstraint(0, boundary="open"), Fraction(1), 3, END)
    with pytest.raises(GuardError, match="raise the budget"):
        Certified(BlockSearch()).start(stub)


def test_beam_search_defaults_and_mistakes():
    assert beam_search().width == 32
    for wrong in ({"blocks": 0}, {"keep": 0}, {"width": 0}, {"retries": -1}):
        with pytest.raises(GuardError):
            BlockSearch(**wrong)
    with pytest.raises(GuardError):
        Args(count=0)
    with pytest.raises(GuardError):
        Args(temperature=-1.0)
