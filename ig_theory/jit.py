"""Compiled loops that small problems do not wait for.

A kernel is compiled by numba when it is first worth it: while its arguments are small and it
has not yet run for long in all, the same source runs as plain Python instead. Both give the
same numbers; only the time differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

SMALL = 4_000
"""Array entries, over all arguments, up to which a kernel may run as plain Python."""

PATIENCE = 0.5
"""Seconds of plain Python, over all calls, after which a kernel is compiled anyway."""


class Kernel(Dispatcher):
    """A numba dispatcher that runs small calls without compiling.

    Compiled code that calls it is not affected: numba sees the dispatcher.
    """

    def __call__(self, *arguments: Any) -> Any:
        """Run on the arguments, compiled or not."""
        if self.__dict__.get("_ready"):
            return super().__call__(*arguments)
        spent = self.__dict__.get("_spent", 0.0)
        if not self.signatures and spent < PATIENCE and _entries(arguments) <= SMALL:
            started = time.perf_counter()
            # Compiled code wraps around and makes infinities without a word.
            with np.errstate(all="ignore"):
                answer = plain(self)(*arguments)
            self._spent = spent + time.perf_counter() - started
            return answer
        self._ready = True
        return super().__call__(*arguments)


def compiled(function: Callable[..., Any]) -> Any:
    """``numba.njit`` with an on-disk cache; the result takes arrays and is not type-checked."""
    dispatcher = numba.njit(cache=True, nogil=True)(function)
    dispatcher.__class__ = Kernel
    return dispatcher


@cache
def plain(kernel: Kernel) -> Any:
    """The kernel's source as a Python function that calls others of its kind."""
    source = kernel.py_func
    names = dict(source.__globals__)
    for name in source.__code__.co_names:
        if isinstance(names.get(name), Kernel):
            names[name] = plain(names[name])
    return FunctionType(
        source.__code__, names, source.__name__, source.__defaults__, source.__closure__
    )


def _entries(arguments: tuple[Any, ...]) -> int:
    return sum(a.size for a in arguments if isinstance(a, np.ndarray))
