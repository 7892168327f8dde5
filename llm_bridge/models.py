"""Models of this package that ``--model`` finds by name; torch is loaded when one is built."""

from __future__ import annotations

from ig_theory.cmdp import LatentMDP
from ig_theory.errors import ModelError


def tiny_transformer(
    horizon: int = 4, size: str = "small", seed: int = 0, prompt: str = ""
) -> LatentMDP:
    """Every response of a tiny transformer: its full token tree with latents, costs 0..5.

    Parameters
    ----------
    horizon
        Most tokens of a response, 1..6; the tree has about 11 ** horizon nodes.
    size
        ``small`` (28 s of training on first use) or ``nano`` (2 s).
    seed
        Of weights and training.
    prompt
        Names of tokens, separated by ``+``: ``please+help``.

    Raises
    ------
    ModelError
        If a parameter is unknown, the tree would be too large, or the extra is not installed.
    """
    try:
        from llm_bridge.tiny import tiny_transformer as build
    except ModuleNotFoundError as error:
        raise ModelError.at(
            "tiny-transformer", "torch and transformers", f"no {error.name}",
            "install the extra: pip install 'ig-theory[llm]'",
        ) from error  # fmt: skip
    return build(horizon, size, seed, prompt)
