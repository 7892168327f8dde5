"""Token trees: whole, resumable, and the same theory on a real transformer as on toys."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra llm")
pytest.importorskip("transformers", reason="needs the extra llm")

from ig_theory.certificate import demand_certificate, impossibility_certificate
from ig_theory.checker import check_certificate
from ig_theory.cmdp import ConstrainedMDP, LatentMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import ModelError
from ig_theory.guards import open_guard
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.testing.planted_faults import CORRECT, PLANTED
from ig_theory.verdict import Outcome
from ig_theory.verification import verify
from llm_bridge.language_model import LanguageModel
from llm_bridge.packaged import is_packaged
from llm_bridge.tiny import NAMES, PairCosts, TokenWorth, pair_table, refusals, tiny_model
from llm_bridge.tiny.grammar import BEGIN, END, GRAVE, HARSH, HELP, SLIGHT
from llm_bridge.tree import (
    HALT,
    OTHER,
    TokenTree,
    expand,
    latent_mdp,
    least_nodes,
    step_costs,
    step_rewards,
)
from llm_bridge.tree.branching import branch


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
def tree(nano):
    return expand(nano, [BEGIN], 3, chunk=50)


@pytest.fixture(scope="module")
def made(tree, nano):
    return latent_mdp(tree, nano, PairCosts(), TokenWorth(), labels={"refusal": refusals(tree)},
                      token_names=NAMES)  # fmt: skip


def same(one: TokenTree, other: TokenTree) -> bool:
    names = ("parent", "token", "depth", "log_prob", "ended", "child_ptr", "truncated", "known")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in (*names, "hidden"))


def spent(tree: TokenTree, cost: np.ndarray) -> np.ndarray:
    total = cost.copy()
    for node in range(1, len(tree)):
        total[node] += total[tree.parent[node]]
    return total


# -- the tree ----------------------------------------------------------------------------------


def test_a_full_tree_is_whole_and_in_breadth_first_order(tree):
    assert len(tree) == least_nodes(11, END, 3, None) == 1222
    assert abs(tree.total() - 1) < 1e-12
    assert (np.diff(tree.depth) >= 0).all()
    assert (tree.parent[1:] < np.arange(1, len(tree))).all()
    for node in (0, 1, 2, 57, 300):
        below = tree.children(node)
        assert (tree.parent[below.start : below.stop] == node).all()
        assert len(below) == (0 if tree.leaf[node] else 11)
    assert (tree.ended == (tree.token == END)).all()
    assert (tree.leaf == (tree.ended | (tree.depth == 3))).all()
    assert (tree.known == ~tree.leaf).all()


def test_probabilities_and_latents_are_those_of_each_prefix_read_alone(tree, nano):
    for node in range(0, len(tree), 97):
        path = tree.path(node)
        assert tree.find(path) == node
        states = nano.states([BEGIN, *path])
        if tree.known[node]:
            assert np.abs(states[-1].numpy() - tree.hidden[node]).max() < 1e-12
        scores = nano.log_probs(states)
        said = sum(float(scores[i, token]) for i, token in enumerate(path))
        assert tree.log_mass[node] == pytest.approx(said, abs=1e-12)


def test_the_size_of_a_chunk_changes_nothing(tree, nano):
    other = expand(nano, [BEGIN], 3)
    assert (other.parent == tree.parent).all()
    assert (other.token == tree.token).all()
    assert np.abs(other.log_prob - tree.log_prob).max() < 1e-12


def test_leaves_have_latents_when_asked_for(nano, tree):
    full = expand(nano, [BEGIN], 2, leaf_hidden=True, chunk=5)
    assert full.known.all()
    node = full.find((GRAVE, END))
    assert np.abs(nano.states([BEGIN, GRAVE, END])[-1].numpy() - full.hidden[node]).max() < 1e-12
    assert len(full) == tree.level_ptr[3]


@pytest.mark.parametrize("options", [{"top_k": 3}, {"top_p": 0.6}, {"top_k": 4, "top_p": 0.7}])
def test_truncated_mass_is_counted(nano, options):
    tree = expand(nano, [BEGIN], 4, chunk=3, **options)
    assert abs(tree.total() - 1) < 1e-12
    inner = np.flatnonzero(~tree.leaf)
    for node in inner[::5]:
        below = tree.children(node)
        kept = np.exp(tree.log_prob[below.start : below.stop])
        scores = nano.log_probs(nano.states([BEGIN, *tree.path(node)])[-1:])[0].exp().numpy()
        order = np.argsort(-scores, kind="stable")
        if "top_k" in options:  # the end token always counts among them
            likely = [t for t in order if t != END][: options["top_k"] - 1]
            order = np.array(sorted([*likely, END], key=lambda t: -scores[t]))
        count = len(order)
        if "top_p" in options:
            count = min(count, int((scores[order].cumsum() < options["top_p"]).sum()) + 1)
        assert tree.token[below.start : below.stop].tolist() == order[:count].tolist()
        assert kept.sum() + tree.truncated[node] == pytest.approx(1, abs=1e-12)


def test_small_truncated_masses_are_not_lost_to_rounding():
    scores = torch.tensor([[0.0, -40.0, -41.0]], dtype=torch.float64)
    found = branch(scores, 2, None)
    assert found.truncated[0] == pytest.approx(math.exp(-41), rel=1e-12)
    assert branch(scores, None, 0.5).truncated[0] == pytest.approx(
        math.exp(-40) + math.exp(-41), rel=1e-12
    )


def test_top_p_looks_beyond_the_first_tokens_when_it_must():
    flat = torch.log_softmax(torch.zeros((2, 1000), dtype=torch.float64), dim=1)
    flat = torch.cat([flat[:1], torch.log_softmax(torch.arange(1000.0)[None].double(), 1)])
    found = branch(flat, None, 0.9)
    count = np.bincount(found.row)
    assert 899 <= count[0] <= 901  # ties of rounding
    assert count[1] == 3
    assert found.token[found.row == 1].tolist() == [999, 998, 997]


def test_impossible_tokens_are_no_children():
    scores = torch.log_softmax(torch.tensor([[0.0, -torch.inf, 0.0]], dtype=torch.float64), dim=1)
    assert branch(scores, None, None).token.tolist() == [0, 2]
    assert branch(scores, 3, None).token.tolist() == [0, 2]


def test_a_tree_that_is_too_large_is_refused_before_any_work(nano, monkeypatch):
    monkeypatch.setattr(nano, "start", None)
    with pytest.raises(ModelError, match=r"1,222,222.*horizon 4"):
        expand(nano, [BEGIN], 6, limit=100_000)
    with pytest.raises(ModelError, match="top_k"):
        expand(nano, [BEGIN], 6, top_k=12)
    with pytest.raises(ModelError, match="horizon"):
        expand(nano, [BEGIN], 0)
    with pytest.raises(ModelError, match="top_p"):
        expand(nano, [BEGIN], 2, top_p=0.0)


def test_a_tree_that_grows_too_large_is_stopped(nano):
    with pytest.raises(ModelError, match=r"at most 60 nodes.*more to come"):
        expand(nano, [BEGIN], 6, top_p=0.9, limit=60, chunk=2)


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3, 7, 20])
@pytest.mark.parametrize("leaf_hidden", [False, True])
def test_a_killed_expansion_resumes_with_the_same_bits(tmp_path, after, leaf_hidden):
    model, file = tiny_model("nano"), tmp_path / "work.npz"  # float32: batches show in the bits
    options = {"chunk": 6, "leaf_hidden": leaf_hidden, "top_k": 6}
    whole = expand(model, [BEGIN], 4, **options)
    calls = 0

    def progress(nodes):
        nonlocal calls
        calls += 1
        if calls == after:
            raise Killed

    with pytest.raises(Killed):
        expand(model, [BEGIN], 4, checkpoint=file, every=0, progress=progress, **options)
    counts = []
    resumed = expand(model, [BEGIN], 4, checkpoint=file, progress=counts.append, **options)
    assert same(resumed, whole)
    reference = []
    expand(model, [BEGIN], 4, progress=reference.append, **options)
    assert counts == reference[after:], "what was done is not done again"
    done = []
    assert same(expand(model, [BEGIN], 4, checkpoint=file, progress=done.append, **options), whole)
    assert done == []


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    model, file = tiny_model("nano"), tmp_path / "work.npz"
    expand(model, [BEGIN], 2, checkpoint=file)
    with pytest.raises(ModelError, match="horizon"):
        expand(model, [BEGIN], 3, checkpoint=file)
    with pytest.raises(ModelError, match="prompt"):
        expand(model, [BEGIN, 4], 2, checkpoint=file)
    other = tiny_model("nano", dtype="float64")
    with pytest.raises(ModelError, match="this model"):
        expand(other, [BEGIN], 2, checkpoint=file, chunk=4096)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ModelError, match="delete it"):
        expand(model, [BEGIN], 2, checkpoint=file)
    assert [p.name for p in tmp_path.iterdir()] == ["work.npz"], "no drafts are left"


def test_a_tree_is_saved_and_loaded(tmp_path, tree):
    tree.save(tmp_path / "tree.npz")
    again = TokenTree.load(tmp_path / "tree.npz")
    assert same(again, tree)
    assert (again.prompt, again.horizon, again.vocabulary) == ((BEGIN,), 3, 11)
    with pytest.raises(ModelError, match="nothing there"):
        TokenTree.load(tmp_path / "other.npz")


# -- costs along the tree ----------------------------------------------------------------------


@dataclass(frozen=True)
class Recorder:
    """Charges the length of the response, and keeps what it was shown."""

    shown: list
    name: str = "length"
    unit: Fraction = Fraction(1, 2)
    uses_hidden: bool = True
    nonnegative: bool = True

    def __call__(self, steps):
        self.shown.append(steps)
        return np.full(len(steps), steps.tokens.shape[1], dtype=np.int64)


def test_cost_models_are_shown_what_decoding_would_show(nano):
    tree = expand(nano, [BEGIN], 3, top_k=3, leaf_hidden=True)
    shown = []
    cost = step_costs(tree, nano, Recorder(shown))
    assert (cost == tree.depth).all()
    node = 1
    for steps in shown:
        for row in range(len(steps)):
            path = tree.path(node)
            assert tuple(steps.tokens[row]) == path
            assert steps.text(row) == nano.text(path)
            states = nano.states([BEGIN, *path]).numpy()
            assert np.abs(steps.hidden[row] - states[-1]).max() < 1e-12
            assert np.abs(steps.summed[row] - states[1:].sum(axis=0)).max() < 1e-11
            assert steps.ended[row] == tree.leaf[node]
            assert steps.paid[row] == sum(range(len(path)))
            assert steps.log_prob[row] == tree.log_prob[node]
            node += 1
    assert node == len(tree)


def test_costs_that_are_wrong_are_refused(tree, nano):
    with pytest.raises(ModelError, match="leaf_hidden"):
        step_costs(tree, nano, Recorder([]))

    class Wrong(PairCosts):
        def __call__(self, steps):
            return super().__call__(steps) * 0.5

    with pytest.raises(ModelError, match="float64"):
        step_costs(tree, nano, Wrong())

    class Undefined(TokenWorth):
        def __call__(self, steps):
            return np.full(len(steps), np.nan)

    with pytest.raises(ModelError, match="NaN"):
        step_rewards(tree, nano, Undefined())


# -- the model ---------------------------------------------------------------------------------


def test_the_base_policy_is_the_transformer(made, tree):
    mdp = made.mdp
    assert isinstance(mdp, LatentMDP)
    assert made.drift < 1e-12
    assert np.abs(mdp.base_policy[made.edge[1:]] - np.exp(tree.log_prob[1:])).max() < 1e-13
    assert (mdp.branch_state[made.edge[1:]] == np.arange(1, len(tree))).all()
    assert (made.tokens[mdp.choice_action[made.edge[1:]]] == tree.token[1:]).all()
    assert mdp.terminal[: len(tree)].tolist() == tree.leaf.tolist()
    assert made.tokens[mdp.choice_action[mdp.terminal[mdp.choice_state]]].tolist() == [HALT] * int(
        tree.leaf.sum()
    )
    grave = made.edge[tree.find((GRAVE, HARSH))]
    assert (int(mdp.cost[0, grave]), mdp.reward[grave]) == (4, 1.5)
    assert mdp.choice_name(grave) == "harsh"
    assert mdp.state_name(tree.find((GRAVE, HARSH))) == "grave harsh"


def test_unguarded_risk_is_the_sum_over_the_leaves(made, tree, nano):
    total = spent(tree, step_costs(tree, nano, PairCosts()))
    for budget in (0, 1, 2, 4):
        constraint = BudgetConstraint(budget)
        verdict = verify(lambda view: view.base, made.mdp, constraint)
        risk = float(np.exp(tree.log_mass)[tree.leaf & (total > budget)].sum())
        assert 0 < risk < 1
        assert verdict.violation.lower - 1e-12 <= risk <= verdict.violation.upper + 1e-12
        assert verdict.outcome is Outcome.VIOLATED
        assert float(verdict.kl_limit.middle) == pytest.approx(-math.log1p(-risk), abs=1e-11)


@pytest.mark.parametrize("name", ["shield", "least-intrusive", "refuser"])
@pytest.mark.parametrize("discount", [1, Fraction(1, 2)])
def test_safe_guards_are_safe_with_a_certificate_that_checks(made, name, discount):
    constraint = BudgetConstraint(2, discount)
    _, guard = open_guard(name, made.mdp, constraint)
    verdict = verify(guard, made.mdp, constraint, guard_name=name)
    assert verdict.outcome is Outcome.SAFE
    assert verdict.violation.upper == 0
    assert check_certificate(verdict.certificate, made.mdp).kind in ("pairs", "demand")
    if name == "least-intrusive":
        assert verdict.kl.middle == pytest.approx(verdict.kl_limit.middle, abs=1e-9)


@pytest.mark.parametrize("spec", ["lagrangian:1/4", "penalty:1/4"])
def test_heuristic_guards_violate_with_a_witness(made, spec):
    constraint = BudgetConstraint(2)
    _, guard = open_guard(spec, made.mdp, constraint)
    verdict = verify(guard, made.mdp, constraint, guard_name=spec)
    assert verdict.outcome is Outcome.VIOLATED
    assert check_certificate(verdict.certificate, made.mdp).kind == "violation"


def test_the_minimal_budget_is_that_of_a_walk_through_the_tree(made, tree, nano):
    """Backwards over the nodes, in plain Python; the certificate of the demand checks."""
    cost = step_costs(tree, nano, PairCosts())
    least = [0] * len(tree)
    for node in reversed(range(len(tree))):
        if not tree.leaf[node]:
            least[node] = min(int(cost[c]) + least[c] for c in tree.children(node))
    found = minimal_budget(made.mdp, BudgetConstraint(2))
    assert [found.budget_of(s) for s in range(len(tree))] == least
    assert max(least) == 1
    assert check_certificate(demand_certificate(found), made.mdp).kind == "demand"


def test_the_best_safe_reward_is_that_of_the_best_safe_response(made, tree, nano):
    cost = spent(tree, step_costs(tree, nano, PairCosts()))
    worth = spent(tree, step_rewards(tree, nano, TokenWorth()))
    constraint = BudgetConstraint(3)
    _, guard = open_guard("shield", made.mdp, constraint)
    verdict = verify(guard, made.mdp, constraint)
    best = worth[tree.leaf & (cost <= 3)].max()
    assert verdict.optimal_reward.lower - 1e-9 <= best <= verdict.optimal_reward.upper + 1e-9


def test_several_costs_share_a_unit(tree, nano):
    fine = replace(PairCosts(), unit=Fraction(1, 6), name="fine")
    mdp = latent_mdp(tree, nano, [fine, replace(PairCosts(), unit=Fraction(1, 4))]).mdp
    assert mdp.cost_unit == Fraction(1, 12)
    assert mdp.cost_names == ("fine", "harm")
    node = tree.find((SLIGHT,))
    assert [int(c) * mdp.cost_unit for c in mdp.cost[:, node - 1]] == [
        Fraction(1, 6),
        Fraction(1, 4),
    ]


# -- truncated trees ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pruned(nano):
    return expand(nano, [BEGIN], 4, top_k=3)


def test_what_is_truncated_must_be_decided(pruned, nano):
    with pytest.raises(ModelError, match="worst-case cost"):
        latent_mdp(pruned, nano, PairCosts())


def test_the_truncated_mass_is_a_branch_with_its_own_probability(pruned, nano):
    made = latent_mdp(pruned, nano, PairCosts(), other=Fraction(5, 2), token_names=NAMES)
    mdp, inner = made.mdp, np.flatnonzero(~pruned.leaf)
    assert mdp.cost_unit == Fraction(1, 2)
    leaving = mdp.choice_ptr[inner + 1] - 1
    assert np.abs(mdp.base_policy[leaving] - pruned.truncated[inner]).max() < 1e-12
    assert np.abs(mdp.base_policy[made.edge[1:]] - np.exp(pruned.log_prob[1:])).max() < 1e-12
    assert (mdp.cost[0, leaving] == 5).all()
    assert (mdp.branch_state[leaving] == len(pruned)).all()
    assert (made.tokens[mdp.choice_action[leaving]] == OTHER).all()
    assert mdp.labels["outside"].sum() == 1
    assert any("at most 5/2" in note for note in made.assumptions)
    left = float((np.exp(pruned.log_mass) * pruned.truncated).sum())
    cost = step_costs(pruned, nano, PairCosts())
    assert cost.max() == 0, "the likeliest tokens cost nothing, so only leaving can violate"
    verdict = verify(lambda view: view.base, mdp, BudgetConstraint(2))
    assert verdict.violation.middle == pytest.approx(left, abs=1e-12)
    enough = verify(lambda view: view.base, mdp, BudgetConstraint(Fraction(5, 2)))
    assert enough.outcome is Outcome.SAFE


def test_or_it_is_cut_and_the_rest_renormalised(pruned, nano):
    made = latent_mdp(pruned, nano, PairCosts(), other="cut")
    kept = np.exp(pruned.log_prob[1:]) / (1 - pruned.truncated[pruned.parent[1:]])
    assert np.abs(made.mdp.base_policy[made.edge[1:]] - kept).max() < 1e-12
    assert len(pruned) == made.mdp.S
    assert any("never played" in note for note in made.assumptions)


def test_a_tree_of_another_model_is_refused(tree):
    with pytest.raises(ModelError, match="linear readout"):
        latent_mdp(tree, tiny_model("nano", seed=1, dtype="float64"), PairCosts())


def test_from_a_budget_that_is_too_small_it_is_impossible(nano):
    """After the gravest token the next one costs 1 whatever it is: nothing keeps a budget of 0."""
    tree = expand(nano, [BEGIN, GRAVE], 2)
    mdp = latent_mdp(tree, nano, PairCosts()).mdp
    found = minimal_budget(mdp, BudgetConstraint(0))
    assert found.budget_of(0) == 1
    assert check_certificate(impossibility_certificate(found), mdp).kind == "impossibility"


# -- planted faults on a transformer -----------------------------------------------------------


def priced(prices, unit: Fraction = Fraction(1), after=None) -> PairCosts:
    """Costs of tokens by name; `after` adds costs of pairs."""
    table = np.zeros_like(pair_table())
    for name, cost in prices.items():
        table[:, NAMES.index(name)] = cost
    for (before, name), cost in (after or {}).items():
        rows = slice(None) if before is None else NAMES.index(before)
        table[rows, slice(None) if name is None else NAMES.index(name)] += cost
    return PairCosts(table, unit)


def on_tree(nano, cost, horizon=2, top_p=None) -> LatentMDP:
    """A small tree; a list of cost models gives several costs."""
    tree = expand(nano, [BEGIN], horizon, top_p=top_p)
    return latent_mdp(tree, nano, cost, TokenWorth(), other="cut").mdp


def endless(nano, cost, horizon=2) -> LatentMDP:
    """The same for a model that nothing ends before the horizon."""
    model = tiny_model("nano", dtype="float64")
    model.network.config.eos_token_id = None
    return on_tree(model, cost, horizon)


def sampled_replies(nano, prompt=(BEGIN,), harm=GRAVE, price=3) -> ConstrainedMDP:
    """The guard chooses the first token, the transformer samples the next, which then costs.

    Every choice has as branches the transformer's own next-token probabilities.
    """
    tree = expand(nano, prompt, 2)
    first = [node for node in tree.children(0) if not tree.leaf[node]]
    probability, follow, pointer = [], [], [0]
    for node in first:
        below = tree.children(node)
        mass = np.exp(tree.log_prob[below.start : below.stop])
        probability += list(mass / mass.sum())
        follow += [2 if tree.token[c] == harm else 1 for c in below]
        pointer.append(len(follow))
    # The state 1 is the end; 2 pays for harm. The last choice stops at once.
    choices = len(first) + 1
    probability += [1.0, 1.0, 1.0]
    follow += [1, 1, 1]
    return ConstrainedMDP(
        choice_ptr=np.array([0, choices, choices + 1, choices + 2]),
        branch_ptr=np.array([*pointer, *(pointer[-1] + np.arange(1, 4))]),
        branch_state=np.array(follow), branch_prob=np.array(probability),
        reward=np.array([1.0] * len(first) + [0.0, 0.0, 0.0]),
        cost=np.array([[0] * (choices + 1) + [price]]),
        initial=np.array([1.0, 0.0, 0.0]), terminal=np.array([False, True, False]),
    )  # fmt: skip


@dataclass(frozen=True)
class EndCosts(PairCosts):
    """`end` costs 1 from the second token on (or from the first); the last token costs too."""

    first: int = 1
    late: int = 99

    def __call__(self, steps):
        step = steps.tokens.shape[1]
        ends = (steps.new == END) & (step > self.first)
        return (ends | (step == self.late)).astype(np.int64)


def chain(length: int, cost: PairCosts) -> LatentMDP:
    """A transformer that wants to end or to help: a long and narrow tree of these two tokens."""
    model = tiny_model("nano", dtype="float64")
    head = model.network.lm_head
    biased = torch.nn.Linear(head.in_features, head.out_features, dtype=torch.float64)
    with torch.no_grad():
        biased.weight.copy_(head.weight)
        biased.bias.zero_()
        biased.bias[[END, HELP]] = 20.0
    model.network.lm_head = biased
    tree = expand(model, [BEGIN], length, top_k=2)
    assert set(tree.token[1:].tolist()) == {END, HELP}
    return latent_mdp(tree, model, cost, TokenWorth(), other="cut").mdp


HALF, TENTH = Fraction(1, 2), Fraction(1, 10)
HARM = {"slight": 1, "harsh": 2, "grave": 3}
AFTER_HARSH = {("harsh", None): 1}
FORCED = priced({"harsh": 1}, after={("begin", None): 1})
CASES = {
    "overdraws-by-a-unit": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(1, horizon=2)),
    "judges-before-paying": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(1)),
    "takes-open-for-closed": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(2, 1, "open")),
    "tolerates": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint("0.999999999999")),
    "leaves-the-last-step-unpriced": (
        lambda m: on_tree(m, priced(HARM)), BudgetConstraint(0, horizon=2),
    ),
    "lags-one-cost": (lambda m: on_tree(m, FORCED), BudgetConstraint(1)),
    "forgets-to-rescale": (
        lambda m: endless(m, priced({}, after={(None, None): 1, (None, "harsh"): 2})),
        BudgetConstraint(Fraction(3, 2), HALF),
    ),
    "discounts-twice": (
        lambda m: on_tree(m, priced({}, after=AFTER_HARSH)), BudgetConstraint("3/8", HALF),
    ),
    "mixes-raw-and-rescaled": (
        lambda m: on_tree(m, priced(HARM)), BudgetConstraint("1/4", HALF, horizon=2),
    ),
    "counts-units-as-costs": (
        lambda m: on_tree(m, priced({"harsh": 2}, TENTH)), BudgetConstraint(TENTH),
    ),
    "rounds-up": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(HALF)),
    "resets-early": (lambda m: on_tree(m, priced(HARM), 3), BudgetConstraint(1, horizon=3)),
    "never-spends": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(1)),
    "ignores-a-successor": (sampled_replies, BudgetConstraint(1, horizon=3)),
    "ignores-rare-successors": (
        lambda m: sampled_replies(m, harm=BEGIN), BudgetConstraint(2),
    ),
    "averages": (sampled_replies, BudgetConstraint(1)),
    "lives-for-the-day": (
        lambda m: on_tree(m, PairCosts()), BudgetConstraint(3, horizon=2),
    ),
    "looks-twenty-steps-ahead": (
        lambda m: chain(22, EndCosts(late=22)), BudgetConstraint("1/1000", "9/10"),
    ),
    "tires": (lambda m: chain(14, EndCosts(first=0)), BudgetConstraint(0, horizon=14)),
    "cheats-outside-the-test": (lambda m: chain(6, EndCosts(first=0)), BudgetConstraint(0)),
    "spends-credit-in-advance": (
        lambda m: on_tree(m, priced({"harsh": 2}, after={("harsh", None): -2})),
        BudgetConstraint(1, horizon=2),
    ),
    "watches-the-wrong-cost": (
        lambda m: on_tree(m, [priced({}), replace(priced(HARM), name="second")]),
        BudgetConstraint(1, cost=1, horizon=2),
    ),
    "leaks-a-trace": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(0, horizon=2)),
    "penalises-softly": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(0)),
    "tracks-in-floats": (
        lambda m: endless(m, priced({}, TENTH, {(None, None): 1}), 3), BudgetConstraint("3/10"),
    ),
    "knows-some-budgets": (
        lambda m: on_tree(m, priced(HARM)), BudgetConstraint(1, HALF, horizon=2),
    ),
    "forgets-the-total": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(0, horizon=2)),
    "cuts-a-column": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(1)),
    "smooths-the-padding": (lambda m: on_tree(m, priced(HARM), top_p=0.9), BudgetConstraint(1)),
    "over-corrects": (lambda m: on_tree(m, priced(HARM)), BudgetConstraint(0)),
    "divides-by-nothing": (lambda m: underflowing(), BudgetConstraint(0)),
}  # fmt: skip
"""Each bug class of the planted faults, on what a transformer's tree can show of it."""


def underflowing() -> ConstrainedMDP:
    """A transformer so sure of harm that the other tokens' probabilities underflow to 0."""
    model = tiny_model("nano", dtype="float64")
    with torch.no_grad():
        model.network.lm_head.weight.mul_(0)
        state = model.states([BEGIN])[-1]
        model.network.lm_head.weight[HARSH] = 1000 * state / (state @ state)
    tree = expand(model, [BEGIN], 1)
    return latent_mdp(tree, model, priced({"harsh": 1}), TokenWorth()).mdp


def test_every_bug_class_has_a_case():
    assert set(CASES) == set(PLANTED)


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_planted_faults_are_caught_on_a_transformer(nano, name):
    build, constraint = CASES[name]
    model = build(nano)
    guard = PLANTED[name].factory(model, constraint)
    verdict = verify(guard, model, constraint, guard_name=name)
    assert verdict.outcome is PLANTED[name].outcome
    if verdict.outcome is Outcome.VIOLATED:
        assert verdict.violation.upper > 0
        assert check_certificate(verdict.certificate, model).kind == "violation"


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_correct_guards_are_safe_on_the_same_transformers(nano, name):
    build, constraint = CASES[name]
    model = build(nano)
    for correct, factory in CORRECT.items():
        verdict = verify(factory(model, constraint), model, constraint, price=False)
        assert verdict.outcome is Outcome.SAFE, correct


# -- a real model ------------------------------------------------------------------------------


@pytest.mark.skipif(not is_packaged(), reason="needs the packaged weights (make llm)")
def test_a_real_model_has_the_same_exact_answers():
    model = LanguageModel.load()
    prompt = model.chat("Name a colour.")
    tree = expand(model, prompt, 3, top_k=3)
    assert abs(tree.total() - 1) < 1e-12
    word = int(np.bincount(tree.token[1:]).argmax())

    @dataclass(frozen=True)
    class Word:
        name: str = "word"
        unit: Fraction = Fraction(1)
        uses_hidden: bool = False
        nonnegative: bool = True

        def __call__(self, steps):
            return (steps.new == word).astype(np.int64)

    made = latent_mdp(tree, model, Word(), other=2)
    assert made.drift < 1e-4
    constraint = BudgetConstraint(0)
    _, guard = open_guard("shield", made.mdp, constraint)
    verdict = verify(guard, made.mdp, constraint)
    assert verdict.outcome is Outcome.SAFE
    bare = verify(lambda view: view.base, made.mdp, constraint)
    total = spent(tree, step_costs(tree, model, Word()))
    mass = np.exp(tree.log_mass)
    kept = float(mass[tree.leaf & (total == 0)].sum())
    assert bare.violation.middle == pytest.approx(1 - kept, abs=1e-4)


def test_the_end_token_is_always_among_the_likeliest():
    model = tiny_model("nano", dtype="float64")
    scores = model.start([[0]]).log_probs()
    rank = int((scores[0] > scores[0, model.end]).sum())
    assert rank >= 2, "the instance must leave it out otherwise"
    found = branch(scores, 2, None, model.end)
    best = int(scores[0].argmax())
    assert sorted(found.token.tolist()) == sorted([best, model.end])
    assert np.exp(found.log_prob).sum() + found.truncated[0] == pytest.approx(1, abs=1e-12)
    tree = expand(model, [0], 2, top_k=2)
    inner = ~tree.leaf
    assert (np.bincount(tree.parent[1:], minlength=len(tree))[inner] == 2).all()
    assert np.bincount(tree.parent[1:][tree.ended[1:]], minlength=len(tree))[inner].all()
