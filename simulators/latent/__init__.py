"""Toy latent MDPs whose answers are known in closed form."""

from simulators.latent.chain import latent_chain, safe_share
from simulators.latent.counterexamples import (
    aliased,
    late_budget,
    late_violation,
    violation_time,
)
from simulators.latent.dialogue import DIALOGUE_BASIS, jailbreak_dialogue
from simulators.latent.hall import slippery_hall

__all__ = [
    "DIALOGUE_BASIS",
    "aliased",
    "jailbreak_dialogue",
    "late_budget",
    "late_violation",
    "latent_chain",
    "safe_share",
    "slippery_hall",
    "violation_time",
]
