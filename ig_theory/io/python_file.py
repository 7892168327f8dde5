"""Executing a Python file that a person named, with every failure as one clear error."""

from __future__ import annotations

import difflib
import hashlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from ig_theory.errors import IGTheoryError, ModelError


def load_name(file: Path, name: str) -> Any:
    """Execute `file` as a module of its own and return what `name` is in it.

    The file's folder can be imported from while it is executed, as in ``python file.py``.

    Raises
    ------
    ModelError
        Naming the file and the line: for a syntax error, an exception, or a missing name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "models.py")
    ...     _ = file.write_text("size = 3")
    ...     load_name(file, "size")
    3
    """
    module = _executed(file)
    if name not in vars(module):
        public = [n for n in vars(module) if not n.startswith("_")]
        close = difflib.get_close_matches(name, public, n=1)
        repair = f"did you mean {close[0]!r}?" if close else "define it in the file"
        raise ModelError.at(
            f"{file}", f"the name {name!r}", f"{', '.join(public) or 'none'}", repair
        )
    return vars(module)[name]


def blamed(error: BaseException) -> str:
    """The exception with the file and line that raised it.

    >>> blamed(ValueError("too deep"))
    'ValueError: too deep'
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}".replace("\n", " ")


def _executed(file: Path) -> ModuleType:
    try:
        source = file.read_bytes()
        code = compile(source, str(file), "exec")
    except OSError as error:
        raise ModelError.at(
            f"{file}", "a Python file", error.strerror or error, "check the path"
        ) from None
    except SyntaxError as error:
        raise ModelError.at(
            f"{file}:{error.lineno}", "Python", f"{type(error).__name__}: {error.msg}", "repair it"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes, nested too deep
        raise ModelError.at(f"{file}", "Python", error, "is this a Python file?") from None
    # Dataclasses look their module up in sys.modules, so it must be there under a name of its own.
    name = f"ig_theory_file_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]}"
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        exec(code, vars(module))
    except IGTheoryError as error:
        raise ModelError(f"{file}: {error}") from error
    except (Exception, SystemExit) as error:  # the file is anybody's code
        raise ModelError.at(
            f"{file}:{_line(error, file)}", "a file that runs", blamed(error), "repair it"
        ) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _line(error: BaseException, file: Path) -> int | None:
    """The last line of this very file that the exception passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(file)), None)
