"""Names that the help of the commands shows; nothing heavy is imported here."""

from __future__ import annotations

GUARDS = {
    "base": "the model as it is",
    "best-of-n": "the best of N responses by reward (n)",
    "best-of-n-lagrangian": "by reward minus a price on cost (n, price)",
    "best-of-n-augmented": "by reward among those within the budget (n)",
    "beam": "beam search by blocks, by reward",
    "beam-lagrangian": "by reward minus a price on cost (price)",
    "beam-augmented": "by reward among those within the budget",
    "args": "token by token, by log p + omega reward (omega, count)",
    "args-lagrangian": "the same with a price on cost (omega, count, price)",
    "args-cost": "the same by cost alone (omega, count)",
    "controlled": "p exp(strength V), V of a critic (strength, count)",
    "re-control": "latents steered by a value net (steps, rate)",
    "inference-guard": "as published, scored by the budget so far",
    "inference-guard-critic": "as published, scored by a critic",
    "certified": "InferenceGuard with a safe continuation: never breaks the budget",
    "certified-critic": "the same, scored by a critic",
}
"""Decoders; what may follow after a colon as key=value is in brackets."""

COMPARED = (
    "base", "best-of-n", "best-of-n-lagrangian", "best-of-n-augmented", "beam", "beam-lagrangian",
    "beam-augmented", "args", "args-cost", "inference-guard", "certified",
)  # fmt: skip
"""What is compared unless said otherwise: all that need no training."""

ON_TREES = ("shield", "least-intrusive", "value-filter:threshold=0.9")
"""And these where there is a token tree."""

DEFAULT_GUARD = "certified"


def guard_list(text: str) -> list[str]:
    """Guards separated by commas; a part that is only ``key=value`` belongs to the one before.

    Examples
    --------
    >>> guard_list("base, args:omega=1,count=5,shield")
    ['base', 'args:omega=1,count=5', 'shield']
    """
    found: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if found and "=" in part and ":" not in part and ":" in found[-1]:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found
