"""Expanding a prompt into its token tree.

Depth first over chunks of rows: the keys and values of one chunk per depth are kept, whatever
the size of the tree, and no prefix is read twice. Each level still comes out in breadth-first
order, because the chunks of a level are taken in that order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ig_theory.errors import ModelError
from llm_bridge.language_model import LanguageModel, Prefixes
from llm_bridge.tree.branching import branch, check_options, refuse_too_many
from llm_bridge.tree.checkpoint import Options, load, store
from llm_bridge.tree.levels import Levels
from llm_bridge.tree.tree import TokenTree

Ints = NDArray[np.int64]

DEFAULT_LIMIT = 4_000_000
"""Nodes that a tree may have unless the caller says otherwise."""

CHUNK_BYTES = 256 * 2**20
"""About what the keys, values and scores of one chunk may take."""


@dataclass(eq=False)
class _Frame:
    """Nodes of one depth that are still to be read, the children of one chunk."""

    above: Prefixes
    node: Ints
    """Places in their level, ascending."""
    row: Ints
    """The row of `above` that each follows."""
    token: Ints
    size: int
    """How many nodes of the level the chunk has added, read or not."""
    low: int = 0
    high: int = 0
    """The chunk that was read last; what is behind `high` is to be read."""


def expand(
    model: LanguageModel,
    prompt: Sequence[int],
    horizon: int,
    *,
    top_k: int | None = None,
    top_p: float | None = None,
    leaf_hidden: bool = False,
    limit: int = DEFAULT_LIMIT,
    chunk: int | None = None,
    progress: Callable[[int], None] | None = None,
    checkpoint: str | Path | None = None,
    every: float = 30.0,
) -> TokenTree:
    """Every response of at most `horizon` tokens, with probabilities and latents.

    Parameters
    ----------
    prompt
        Tokens, as of `LanguageModel.chat` or `encode`.
    top_k, top_p
        Only the likeliest tokens of each prefix (at most k; the fewest of total probability p);
        what is left out is the node's `truncated` mass. Every token if neither is given. The end
        token always counts among the k.
    leaf_hidden
        Read leaves too, for their latents. Otherwise only inner nodes need the model.
    limit
        Largest number of nodes.
    chunk
        Rows that are read at a time; by default as many as fit `CHUNK_BYTES`, at most 4096.
        Memory is in proportion to chunk times horizon, beside the tree itself.
    progress
        Called with the number of nodes found so far after every chunk.
    checkpoint
        A file, written every so many (`every`) seconds and at the end. If it is there, the
        expansion goes on from it, and gives the same bits as one that was never stopped.

    Raises
    ------
    ModelError
        If the tree is too large: before the work where that can be told from the options, else
        as soon as it is. If the checkpoint is of another model, prompt or options.

    Examples
    --------
    >>> from llm_bridge.tiny import tiny_model                     # doctest: +SKIP
    >>> tree = expand(tiny_model("nano"), [0], 3)                  # doctest: +SKIP
    >>> len(tree), round(tree.total(), 12)                         # doctest: +SKIP
    (1222, 1.0)
    """
    vocabulary = model.setting.vocabulary
    check_options(vocabulary, horizon, top_k, top_p, limit)
    refuse_too_many(vocabulary, model.end, horizon, top_k if top_p is None else 1, limit)
    rows = chunk or _fitting(model, len(prompt) + horizon)
    options = Options(
        model.setting.name, tuple(map(int, prompt)), horizon, top_k, top_p, leaf_hidden, rows
    )
    file = None if checkpoint is None else Path(checkpoint)
    work = _Work(model, options, limit)
    if file is not None and file.exists():
        work.resume(file)
    saved = time.monotonic()
    while work.stack:
        work.read_chunk()
        if file is not None and (time.monotonic() - saved >= every or work.count() > limit):
            work.save(file)
            saved = time.monotonic()
        if progress is not None:
            progress(work.count())
        work.refuse_beyond()
    if file is not None:
        work.save(file)
    return work.levels.tree(options.prompt, horizon, vocabulary)


class _Work:
    """An expansion that is under way."""

    def __init__(self, model: LanguageModel, options: Options, limit: int) -> None:
        self.model, self.options, self.limit = model, options, limit
        self.levels = Levels(options.horizon)
        self.stack: list[_Frame] = []
        root = model.start([options.prompt])
        self.levels.add(0, np.array([-1]), np.array([-1]), np.zeros(1), np.zeros(1, dtype=bool))
        self._push(0, root, np.array([0]))

    def count(self) -> int:
        """Nodes so far."""
        return self.levels.count()

    def refuse_beyond(self) -> None:
        """Stop when there are more nodes than allowed."""
        if self.count() > self.limit:
            raise ModelError.at(
                "tree", f"at most {self.limit:,} nodes",
                f"{self.count():,}, and more to come",
                "take a smaller horizon, top_k or top_p, or raise the limit",
            )  # fmt: skip

    def read_chunk(self) -> None:
        """Read the next rows at the deepest level that has some."""
        frame, depth = self.stack[-1], len(self.stack)
        frame.low = frame.high
        frame.high = min(frame.low + self.options.chunk, len(frame.node))
        part = slice(frame.low, frame.high)
        read = _read(frame, frame.low, frame.high)
        if frame.high == len(frame.node):  # no row of it is needed any more: let the memory go
            frame.above = read
        self._push(depth, read, frame.node[part])
        while self.stack and self.stack[-1].high == len(self.stack[-1].node):
            self.stack.pop()

    def _push(self, depth: int, read: Prefixes, node: Ints) -> None:
        """Note what was read of the nodes, add their children, and queue these."""
        levels, options = self.levels, self.options
        ended = levels.ended(depth, node)
        inner = np.flatnonzero(~ended) if depth < options.horizon else np.arange(0)
        hidden = read.hidden if read.hidden.dtype == torch.float64 else read.hidden.float()
        count, truncated = np.zeros(len(node), dtype=np.int64), np.zeros(len(node))
        if len(inner):
            scores = self.model.log_probs(read.hidden[torch.as_tensor(inner)])
            found = branch(scores, options.top_k, options.top_p, self.model.end)
            count[inner] = np.bincount(found.row, minlength=len(inner))
            truncated[inner] = found.truncated
            ends = found.token == (-1 if self.model.end is None else self.model.end)
            first = levels.size(depth + 1)
            row = inner[found.row]
            levels.add(depth + 1, node[row], found.token, found.log_prob, ends)
            wanted = self._wanted(depth + 1, ends)
            if wanted.any():
                self.stack.append(
                    _Frame(
                        read, first + np.flatnonzero(wanted), row[wanted], found.token[wanted],
                        len(ends),
                    )
                )  # fmt: skip
        levels.note(depth, node, hidden.cpu().numpy(), count, truncated)

    def _wanted(self, depth: int, ends: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self.options.leaf_hidden:
            return np.ones(len(ends), dtype=np.bool_)
        return ~ends & (depth < self.options.horizon)

    def save(self, file: Path) -> None:
        """Write all that is known, and where the work stands."""
        stand = [(frame.size, frame.low, frame.high) for frame in self.stack]
        store(file, self.options, self.levels, stand)

    def resume(self, file: Path) -> None:
        """Go on where a checkpoint stands; the kept chunks are read again, one for each depth.

        Raises
        ------
        ModelError
            If it is of another expansion.
        """
        levels, stand = load(file, self.options)
        read, node = self.stack[0].above, np.array([0])
        if not np.array_equal(levels.root_hidden(), self.levels.root_hidden()):
            raise ModelError.at(
                str(file), "a checkpoint of this model", "another latent of the prompt",
                "delete it, or resume with the same weights, precision and threads",
            )  # fmt: skip
        self.levels, self.stack = levels, []
        for depth, (size, low, high) in enumerate(stand, start=1):
            parent, token, ended = levels.last(depth, size)
            wanted = np.flatnonzero(self._wanted(depth, ended))
            frame = _Frame(
                read, levels.size(depth) - size + wanted,
                np.searchsorted(node, parent[wanted]), token[wanted], size, low, high,
            )  # fmt: skip
            self.stack.append(frame)
            node = frame.node[low:high]
            if depth < len(stand):
                read = _read(frame, low, high)


def _read(frame: _Frame, low: int, high: int) -> Prefixes:
    """The prefixes of some of the frame's nodes."""
    chosen = frame.above.select(torch.as_tensor(frame.row[low:high]))
    return chosen.step(torch.as_tensor(frame.token[low:high]))


def _fitting(model: LanguageModel, length: int) -> int:
    """Rows of a chunk whose keys, values and scores fit `CHUNK_BYTES`."""
    config = model.network.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_number = next(model.network.parameters()).element_size()
    cached = 2 * model.setting.layers * heads * width * per_number * length
    scores = 3 * 8 * model.setting.vocabulary
    return int(max(1, min(4096, CHUNK_BYTES // (cached + scores))))
