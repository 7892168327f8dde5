"""Entry point: the commands, the exit codes, and how an error is told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ig_theory.cli.certificates import replay, verify_cert
from ig_theory.cli.check import check
from ig_theory.cli.convert import convert
from ig_theory.cli.demo import demo
from ig_theory.cli.solve import solve
from ig_theory.errors import IGTheoryError

INTERRUPTED = 130
FAILED = 2

EPILOG = (
    "Exit codes: 0 SAFE, 1 VIOLATED, 2 ERROR or nothing checked, 3 INCONCLUSIVE, 130 interrupted. "
    "Every option can also be set by the environment: IG_THEORY_<OPTION>."
)


class _Extensible(TyperGroup):
    """A group that also offers the commands other packages register, loaded when used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_extras())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        extra = _extras().get(cmd_name)
        if found is not None or extra is None:
            return found
        try:
            function = extra.load()
        except Exception as error:  # foreign code: its failure must not take the others along
            function = _broken(cmd_name, error)
        if isinstance(function, typer.Typer):  # a group of commands
            return typer.main.get_command(function)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(function)
        return typer.main.get_command(single)


def _extras() -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group="ig_theory.commands")}


def _broken(name: str, error: Exception) -> Callable[[], None]:
    def command() -> None:
        raise IGTheoryError.at(
            f"command {name}", "code that imports", f"{type(error).__name__}: {error}",
            "repair or remove the package that offers it",
        ) from error  # fmt: skip

    command.__doc__ = f"(cannot be loaded: {type(error).__name__})"
    return command


def _app() -> Any:
    app = typer.Typer(
        cls=_Extensible,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        epilog=EPILOG,
    )

    @app.callback()
    def options(
        version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
        debug: Annotated[
            bool, typer.Option("--debug", help="Show where an unexpected error happened.")
        ] = False,
    ) -> None:
        """Does this guard keep this model within its safety budget almost surely? Exactly."""

    app.command()(demo)
    app.command()(check)
    app.command()(solve)
    app.command("verify-cert")(verify_cert)
    app.command()(replay)
    app.command()(convert)
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : those of the process when absent

    Returns
    -------
    int
        The exit code: 0 SAFE, 1 VIOLATED, 2 ERROR, 3 INCONCLUSIVE, 130 interrupted.

    Examples
    --------
    >>> main(["--version"])
    ig-theory 0.1.0
    0
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or _set("IG_THEORY_DEBUG")
    given = [argument for argument in given if argument != "--debug"]
    if given == ["--version"]:
        print(f"ig-theory {version()}")
        return 0
    try:
        code = _app()(given, prog_name="ig-theory", standalone_mode=False)
        if code == INTERRUPTED:  # some versions of typer return it
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit:  # the command line library ends so when the reader of a pipe has gone
        return FAILED
    except Exception as error:
        if debug:
            raise
        return _tell(error, "--json" in given or _set("IG_THEORY_JSON"))


def _set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "no", "off")


def version() -> str:
    """The version of the installed package."""
    return metadata.version("ig-theory")


def _tell(error: Exception, as_json: bool) -> int:
    """One line on standard error, and a JSON document if one was promised."""
    if isinstance(error, IGTheoryError):
        text = str(error)
    elif hasattr(error, "format_message"):  # the command line library's own errors
        text = f"{error.format_message()} (ig-theory --help shows what can be given)"
        if not error.format_message():  # shown when no command was given: help was printed
            return FAILED
    else:
        text = f"unexpected {type(error).__name__}: {error}; run again with --debug to see where"
    text = " ".join(text.split())
    if as_json:
        found = {"format": "ig-theory verdicts", "version": 1, "outcome": "ERROR"}
        print(json.dumps(found | {"exit_code": FAILED, "error": text, "verdicts": []}, indent=2))
    print(f"error: {text}", file=sys.stderr)
    return FAILED
