"""Certificates: what `ig_theory.checker` needs to believe an answer without trusting a solver.

Five kinds, all with the model's hash and the constraints in exact rationals:

``pairs``
    For a given guard: a set of (state, budgets) pairs with the guard's choices at each, closed
    under every branch, all kept. Budgets are multiples of the cost unit; a clip or a grid only
    rounds them down (THEORY T3.down).
``demand``
    For every policy inside a shield: D as integers over a common denominator, with one chosen
    action per state that makes it inductive (THEORY T4.safety).
``violation``
    A run that violates, step by step.
``impossibility``
    That no policy is safe: a bound L on D, with for each choice a branch that needs as much
    (THEORY T4.impossibility, T4.ranking).
``reward``
    Bounds on the best expected reward of the safe policies, on the pairs that they can reach
    (THEORY T4.reward).

One file a kind; `answer_certificate` picks the one that proves the answer to a question.
"""

from __future__ import annotations

from ig_theory.certificate.answers import answer_certificate
from ig_theory.certificate.demand import demand_certificate
from ig_theory.certificate.impossibility import impossibility_certificate
from ig_theory.certificate.pairs import MOST_PAIRS, safe_certificate
from ig_theory.certificate.reward import reward_certificate
from ig_theory.certificate.sealing import FORMAT, VERSION, about, digest, write_certificate
from ig_theory.certificate.violation import violation_certificate

__all__ = [
    "FORMAT",
    "MOST_PAIRS",
    "VERSION",
    "about",
    "answer_certificate",
    "demand_certificate",
    "digest",
    "impossibility_certificate",
    "reward_certificate",
    "safe_certificate",
    "violation_certificate",
    "write_certificate",
]
