"""Loading models without their libraries' progress bars and advice."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


@contextmanager
def quiet() -> Iterator[None]:
    """Only errors are shown inside; what was set before is set again afterwards."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):  # some bars ask nobody
            yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
