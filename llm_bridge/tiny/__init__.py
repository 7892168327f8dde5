"""Tiny transformers of a small language, with exact answers."""

from llm_bridge.tiny.grammar import NAMES, Grammar, grammar
from llm_bridge.tiny.model import PairCosts, TokenWorth, pair_table, refusals, tiny_transformer
from llm_bridge.tiny.train import SIZES, Recipe, held_out_loss, tiny_model, train

__all__ = [
    "NAMES",
    "SIZES",
    "Grammar",
    "PairCosts",
    "Recipe",
    "TokenWorth",
    "grammar",
    "held_out_loss",
    "pair_table",
    "refusals",
    "tiny_model",
    "tiny_transformer",
    "train",
]
