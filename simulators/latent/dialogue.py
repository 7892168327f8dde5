"""jailbreak-dialogue: a reply, token by token, that may turn harmful, recover, or refuse."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ig_theory.cmdp import LatentMDP
from simulators.latent.assembly import Move, Table, assemble, move
from simulators.parameters import Rational, proportion, whole, yes_no

DIALOGUE_BASIS = (
    "harm", "refusal", "escalation", "progress", "recovered", "benign", "disguise", "one",
)  # fmt: skip
"""What each of the eight latent coordinates of the dialogue stands for."""

_READOUT = {
    # harm, refusal, escalation, progress, recovered, benign, disguise, one
    "answer": (-1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 1.5),
    "escalate": (2.0, -0.5, 0.5, 0.0, -1.5, -1.5, 0.5, 0.0),
    "hedge": (0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5),
    "recover": (-0.5, 0.5, -0.5, 0.0, 0.0, 1.0, -0.5, 0.5),
    "refuse": (0.5, 2.5, -0.5, -0.5, 0.5, 0.0, -0.5, -2.0),
    "stop": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
}

_RECOVERED = -1
"""The place of a reply that took its harm back; 0 is a clean reply, h >= 1 harm of level h."""


@dataclass(frozen=True)
class _Prompt:
    """A kind of prompt: whether it asks for harm, its latent, and its share of its side."""

    name: str
    unsafe: bool
    harm: float
    refusal: float
    disguise: float
    share: Fraction


_PROMPTS = (
    _Prompt("direct", True, 1.0, 1.0, 0.0, Fraction(1, 2)),
    _Prompt("disguised", True, 0.5, 0.25, 1.0, Fraction(1, 2)),
    _Prompt("plain", False, 0.0, 0.0, 0.0, Fraction(2, 3)),
    _Prompt("borderline", False, 0.5, 0.5, 0.0, Fraction(1, 3)),
)


def jailbreak_dialogue(
    depth: int = 6,
    *,
    levels: int = 3,
    unsafe: Rational = "2/5",
    leak: bool = True,
    exact: bool = False,
) -> LatentMDP:
    """A reply of `depth` tokens to a harmful or a benign prompt; transitions are deterministic.

    The first state is the prompt: ``direct`` or ``disguised`` (they ask for harm), ``plain``
    or ``borderline`` (they do not, but the last looks like it). A reply is clean, recovered,
    or harmful of a level 1..`levels`. Choices, with cost and reward (the reward in brackets is
    for prompts that do not ask for harm):

    =========== ============ ========= ============ ===========================================
    choice      where        cost      reward       leads to
    =========== ============ ========= ============ ===========================================
    answer      clean,       0         1/4 [1]      the same, one token later
                recovered
    escalate    any h        h + 1     2(h + 1) [0] harm of level h + 1 (at most `levels`);
                                                    clean and recovered replies count as h = 0
    hedge       harm h       1         1 [0]        harm of level h
    recover     harm h       1         0            harm of level h - 1; recovered from h = 1
    refuse      any h        h - 1     1/10         ``refused``, the end
    stop        any, after   h - 1     1/2          ``finished``, the end
                `depth`
                tokens
    =========== ============ ========= ============ ===========================================

    ``h - 1`` (0 below) is what leaks when one breaks off in the middle of harm: refusing always
    ends the run, but is not always free, so a guard must think of it *before* it escalates.
    Costs are multiples of 1, and budget 3 with gamma = 1 is the example to start with.

    Latents have the basis `DIALOGUE_BASIS`: what the request looks like (harm, disguise,
    benign), how much the model is inclined to refuse it (refusal), and where the reply is
    (escalation, progress, recovered); the last coordinate is 1. The base policy is
    softmax(readout @ latent). Steering adds ``alpha e_refusal`` to the latent; since the refuse
    row reads that coordinate most, refusal grows to probability 1 as alpha grows, but no
    finite alpha makes any choice impossible: steering alone is never almost surely safe.

    Parameters
    ----------
    depth : int
        Tokens of a reply that is not refused, at least 1.
    levels : int
        Highest level of harm, at least 1.
    unsafe : rational in [0, 1]
        Probability that the prompt asks for harm.
    leak : bool
        False: refusing and stopping cost nothing anywhere, and D = 0.
    exact : bool
        Fractions instead of floats.

    Returns
    -------
    LatentMDP
        Labels ``refusal`` (the state ``refused``) and ``unsafe_prompt``. 110 states at depth 6;
        every run ends within depth + 1 choices.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Notes
    -----
    * Minimal budget with `leak`, for harm of level h with n tokens to go and
      ``m = min(n, h - 1)``: ``D = 1 + gamma + ... + gamma^(m-1) + gamma^m (h - 1 - m)``, which
      is ``h - 1`` for gamma = 1; 0 for clean and recovered replies. Recovering one token after
      the other and breaking off at level 1 attains it.
    * V for gamma = 1: ``depth + 1/2`` from the benign prompts, whatever the budget;
      ``depth / 4 + 1/2`` from the harmful ones with budget 0; with budget 3, depth >= 3 and
      levels >= 2 it is ``(depth - 3) / 4 + 4 + 1/2`` (escalate once, hedge twice).
    * Transitions are deterministic, so W = -log P(the base never violates) from each prompt.
    * In the penalty MDP with budget 3, n on the step that violates, depth >= 3 and levels >= 2,
      escalating twice and then having to violate earns ``6 - n`` where the safe optimum has
      ``4 + 1/4`` (depth > 3: the 1/4 is one more answer): every n < 7/4 is too small.

    Examples
    --------
    >>> model = jailbreak_dialogue(depth=6)
    >>> model.S, [model.state_name(s) for s in range(4)]
    (110, ['direct', 'disguised', 'plain', 'borderline'])
    >>> int(model.labels["unsafe_prompt"].sum()), int(model.labels["refusal"].sum())
    (2, 1)
    """
    depth, levels = whole("depth", depth, low=1), whole("levels", levels, low=1)
    share = proportion("unsafe", unsafe, zero=True, one=True)
    leak, exact = yes_no("leak", leak), yes_no("exact", exact)
    nodes = _reachable(depth, levels)
    moves = {_name(*node): _moves(*node, depth, levels, leak) for node in nodes}
    latent = {_name(*node): _latent(*node, depth, levels) for node in nodes}
    ends = ("refused", "finished")
    table = Table(
        moves={**moves, **{end: [] for end in ends}},
        latent={**latent, **{end: (0.0,) * len(DIALOGUE_BASIS) for end in ends}},
        readout=_READOUT,
        initial={p.name: p.share * (share if p.unsafe else 1 - share) for p in _PROMPTS},
        labels={"refusal": {"refused"}, "unsafe_prompt": {p.name for p in _PROMPTS if p.unsafe}},
    )
    return assemble(table, exact)


def _reachable(depth: int, levels: int) -> list[tuple[_Prompt, int, int]]:
    """All (prompt, place, tokens so far) that a run can be in, prompts first."""
    layer = {0}
    nodes = [(prompt, 0, 0) for prompt in _PROMPTS]
    for token in range(1, depth + 1):
        layer = {there for here in layer for _, there in _places(here, levels)}
        nodes += [(prompt, place, token) for prompt in _PROMPTS for place in sorted(layer)]
    return nodes


def _places(place: int, levels: int) -> list[tuple[str, int]]:
    """The choices that go on with the reply, and the place each leads to."""
    if place < 1:
        return [("answer", place), ("escalate", 1)]
    back = place - 1 if place > 1 else _RECOVERED
    return [("escalate", min(place + 1, levels)), ("hedge", place), ("recover", back)]


def _moves(
    prompt: _Prompt, place: int, token: int, depth: int, levels: int, leak: bool
) -> list[Move]:
    level = max(place, 0)
    price = {"answer": 0, "escalate": level + 1, "hedge": 1, "recover": 1}
    pay = {"answer": Fraction(1)}
    if prompt.unsafe:
        pay = {
            "answer": Fraction(1, 4),
            "escalate": Fraction(2 * (level + 1)),
            "hedge": Fraction(1),
        }
    broken_off = max(level - 1, 0) if leak else 0
    refuse = move("refuse", "refused", broken_off, Fraction(1, 10))
    if token == depth:
        return [move("stop", "finished", broken_off, Fraction(1, 2)), refuse]
    onward = [
        move(action, _name(prompt, there, token + 1), price[action], pay.get(action, 0))
        for action, there in _places(place, levels)
    ]
    return [*onward, refuse]


def _latent(prompt: _Prompt, place: int, token: int, depth: int, levels: int) -> tuple[float, ...]:
    return (
        prompt.harm, prompt.refusal, max(place, 0) / levels, token / depth,
        float(place == _RECOVERED), float(not prompt.unsafe), prompt.disguise, 1.0,
    )  # fmt: skip


def _name(prompt: _Prompt, place: int, token: int) -> str:
    """``direct`` for the prompt itself, then such as ``direct, harm 2 @3``."""
    if token == 0:
        return prompt.name
    what = {0: "clean", _RECOVERED: "recovered"}.get(place, f"harm {place}")
    return f"{prompt.name}, {what} @{token}"
