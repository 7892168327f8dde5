"""The pairs that a ``reward`` certificate lists, with what may follow each choice."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ig_theory.augmentation import BROKEN, RUNNING, Product
from ig_theory.solvers.totals.safe_product import SafeProduct


@dataclass(frozen=True)
class Option:
    """A choice that is not excluded.

    Attributes
    ----------
    number : the choice in the product
    place : in its state
    reward : Fraction
    onward : weights and pairs of the branches after which the run goes on
    total : of all weights, those of ended runs included
    """

    number: int
    place: int
    reward: Fraction
    onward: tuple[tuple[int, int], ...]
    total: int


@dataclass
class Listing:
    """Pairs in the order of the certificate.

    Attributes
    ----------
    nodes : the node of the product that each pair is
    dead : the rank of each pair from which no policy is safe, None for the others
    options : the choices that are not excluded; none at dead pairs
    """

    nodes: list[int] = field(default_factory=list)
    dead: list[int | None] = field(default_factory=list)
    options: list[list[Option]] = field(default_factory=list)


def listing(safe: SafeProduct) -> Listing:
    """List what safe policies can reach, and why everything else is excluded. O(edges)."""
    product = safe.product
    ranks = _ranks(product)
    found, place = Listing(), {}
    queue: deque[int] = deque()

    def require(node: int) -> int:
        if node not in place:
            place[node] = len(found.nodes)
            found.nodes.append(node)
            found.dead.append(ranks.get(node))
            queue.append(node)
        return place[node]

    for node in product.initial.tolist():
        if product.outcome[node] == RUNNING:
            require(node)
    shares = _Shares(product)
    while queue:
        node = queue.popleft()
        options = []
        for choice in range(product.choice_ptr[node], product.choice_ptr[node + 1]):
            if product.broken[choice]:
                continue
            after = _after(product, choice)
            if node not in ranks and safe.alive[choice]:
                weights, total = shares.of(choice)
                onward = tuple(
                    (w, require(m))
                    for w, m in zip(weights, after, strict=True)
                    if product.outcome[m] == RUNNING
                )
                gain = Fraction(product.model.reward[product.choice[choice]])
                options.append(Option(choice, int(product.place[choice]), gain, onward, total))
            elif not any(product.outcome[m] == BROKEN for m in after):
                require(min((m for m in after if m in ranks), key=ranks.__getitem__))
        found.options.append(options)
    return found


class _Shares:
    """Branch probabilities as whole weights; floats are the rationals they are."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.known: dict[int, tuple[list[int], int]] = {}

    def of(self, choice: int) -> tuple[list[int], int]:
        """Weights and their total."""
        model, number = self.product.model, int(self.product.choice[choice])
        if number not in self.known:
            low, high = int(model.branch_ptr[number]), int(model.branch_ptr[number + 1])
            self.known[number] = whole_shares(model.branch_prob[low:high].tolist())
        return self.known[number]


def whole_shares(numbers: list[Any]) -> tuple[list[int], int]:
    """Probabilities as whole numbers, and their total."""
    exact = [Fraction(n) for n in numbers]
    common = math.lcm(*(n.denominator for n in exact))
    weights = [int(n * common) for n in exact]
    return weights, sum(weights)


def _after(product: Product, choice: int) -> list[int]:
    low, high = product.branch_ptr[choice], product.branch_ptr[choice + 1]
    found: list[int] = product.branch_node[low:high].tolist()
    return found


def _ranks(product: Product) -> dict[int, int]:
    """The running nodes from which every policy may break a budget, by how soon at most."""
    owner = product.choice_node.tolist()
    left = [0] * len(product)
    waiting: dict[int, list[int]] = {}
    for choice, broken in enumerate(product.broken.tolist()):
        after = () if broken else _after(product, choice)
        if broken or any(product.outcome[m] == BROKEN for m in after):
            continue
        left[owner[choice]] += 1
        for m in after:
            waiting.setdefault(m, []).append(choice)
    ranks = {n: 0 for n in range(len(product)) if product.outcome[n] == RUNNING and not left[n]}
    queue, done = deque(ranks), [False] * len(owner)
    while queue:
        node = queue.popleft()
        for choice in waiting.get(node, ()):
            if done[choice]:
                continue
            done[choice] = True
            before = owner[choice]
            left[before] -= 1
            if not left[before]:
                ranks[before] = ranks[node] + 1
                queue.append(before)
    return ranks
