"""Names for people in the model of a token tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ig_theory.errors import ModelError
from llm_bridge.language_model import LanguageModel
from llm_bridge.tree.tree import Bools, Ints, TokenTree

OTHER, HALT = -2, -1
"""In `TreeModel.tokens`: leaving the tree by a token it does not hold; staying at the end."""


def named_tokens(
    tree: TokenTree, model: LanguageModel, tokens: Ints, given: Sequence[str] | None
) -> list[str]:
    """What to call each action."""
    special = {OTHER: "other", HALT: "end of run"}

    def name(token: int) -> str:
        if token < 0:
            return special[token]
        if given is not None:
            return str(given[token])
        if model.tokenizer is None:
            return str(token)
        return str(model.tokenizer.decode([token]))

    return [name(token) for token in tokens.tolist()]


def named_states(tree: TokenTree, names: list[str], tokens: Ints, states: int) -> tuple[str, ...]:
    """A state is called by its response; pieces of text are joined as they are."""
    action = np.searchsorted(tokens[tokens >= 0], tree.token[1:]).tolist()
    glue = "" if any(name.startswith((" ", "Ġ")) for name in names) else " "
    said = [""]
    for parent, place in zip(tree.parent[1:].tolist(), action, strict=True):
        said.append(f"{said[parent]}{glue if parent else ''}{names[place]}")
    said[0] = "(prompt)"
    return (*said, *(["(outside)"] if states > len(said) else []))


def state_labels(tree: TokenTree, states: int, given: Mapping[str, Bools]) -> dict[str, Bools]:
    """Labels of nodes as labels of states; ``outside`` is the state behind them."""
    found = {}
    for name, members in given.items():
        if np.shape(members) != (len(tree),):
            raise ModelError.at(
                f"label {name!r}", f"bool[{len(tree)}], one for each node",
                f"shape {np.shape(members)}", "give one for each node of the tree",
            )  # fmt: skip
        found[name] = np.zeros(states, dtype=np.bool_)
        found[name][: len(tree)] = members
    if states > len(tree):
        found["outside"] = np.arange(states) == len(tree)
    return found


def distinct(names: list[str]) -> tuple[str, ...]:
    """Names of costs; those that occur twice are numbered."""
    return tuple(f"{n} ({i + 1})" if names.count(n) > 1 else n for i, n in enumerate(names))
