"""Toy latent MDPs whose answers are known, and random families of constrained MDPs."""

from simulators.garnet import garnet, shelter_levels, sheltered_garnet
from simulators.latent import (
    DIALOGUE_BASIS,
    aliased,
    jailbreak_dialogue,
    late_budget,
    late_violation,
    latent_chain,
    safe_share,
    slippery_hall,
    violation_time,
)

__all__ = [
    "DIALOGUE_BASIS",
    "aliased",
    "garnet",
    "jailbreak_dialogue",
    "late_budget",
    "late_violation",
    "latent_chain",
    "safe_share",
    "shelter_levels",
    "sheltered_garnet",
    "slippery_hall",
    "violation_time",
]
