"""Options that ``ig-theory decode`` and ``compare`` share; nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ig_theory.cli.options import option

LanguageOption = Annotated[
    str | None,
    option(
        "--model",
        "A folder or GGUF file; tiny or tiny:size=nano; the packaged SmolLM2 if absent.",
        metavar="MODEL",
    ),
]
ChargeOption = Annotated[
    str | None,
    option(
        "--cost",
        "words, words:FILE, words:a,b=2, profanity, probe, harm (of tiny), file.py:function.",
        metavar="COST",
    ),
]
RewardOption = Annotated[
    str | None,
    option(
        "--reward",
        "likelihood, length:N, words:a,b, worth (of tiny), none, file.py:function.",
        metavar="REWARD",
    ),
]
RewardDiscountOption = Annotated[
    str, option("--reward-discount", "Discount of rewards, in (0, 1].", metavar="NUMBER")
]
TokensOption = Annotated[
    int | None,
    option("--max-tokens", "Most tokens of a response: 64, or 3 of a tiny model.", min=1),
]
BlocksOption = Annotated[int, option("--blocks", "N: blocks drawn in each round, in all.")]
WidthOption = Annotated[int | None, option("--width", "w: tokens of a block: 8, or 1 of tiny.")]
BeamsOption = Annotated[int | None, option("--beams", "K: beams that are kept; N/4 if absent.")]
RetriesOption = Annotated[int, option("--retries", "M: how often a round is drawn again.")]
TopOption = Annotated[
    int | None, option("--top-k", "Only the k likeliest tokens, renormalised.", metavar="K")
]
SystemOption = Annotated[str | None, option("--system", "A system prompt.", metavar="TEXT")]
CriticOption = Annotated[
    Path | None, option("--critic", "Folder of a trained critic.", metavar="DIR")
]
ValueOption = Annotated[
    Path | None, option("--value-net", "Folder of a trained value net.", metavar="DIR")
]
DeviceOption = Annotated[str, option("--device", "Where tensors are: cpu, cuda.", metavar="DEVICE")]
NodesOption = Annotated[int, option("--node-limit", "Most nodes of a token tree.", min=1)]
