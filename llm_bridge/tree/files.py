"""Arrays with a header in one npz file, without pickle; written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ig_theory.errors import ModelError


def write_npz(
    path: Path, kind: str, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write beside the place and move there.

    Raises
    ------
    ModelError
        If the place cannot be written.
    """
    text = json.dumps({"format": kind, "version": 1, **header}).encode()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with draft.open("xb") as stream:
                content: dict[str, Any] = {"header": np.frombuffer(text, dtype=np.uint8), **arrays}
                np.savez(stream, **content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError.at(
            str(path), "a place to write to", error.strerror or error,
            "name a file in a folder that exists and can be written",
        ) from None  # fmt: skip


def read_npz(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays.

    Raises
    ------
    ModelError
        If there is no such file, or it is damaged or of another kind.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop("header").tobytes())
        same = header["format"] == kind and header["version"] == 1
    except FileNotFoundError:
        raise ModelError.at(str(path), f"a file ({kind})", "nothing there", "check it") from None
    # A damaged archive fails in zipfile, zlib, json or numpy, each with errors of its own.
    except Exception as error:
        raise ModelError.at(
            str(path), f"a whole file ({kind})", f"{type(error).__name__}: {error}"[:120],
            "delete it and run again",
        ) from None  # fmt: skip
    if not same:
        raise ModelError.at(str(path), f"{kind}, version 1", header["format"], "name another file")
    return header, arrays
