"""The options that commands share, each also an environment variable ``IG_THEORY_<OPTION>``.

Nothing heavy is imported here: ``ig-theory --help`` reads this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ig_theory.errors import ConstraintError

if TYPE_CHECKING:
    from ig_theory.constraint import BudgetConstraint


def option(flag: str, text: str, **more: Any) -> Any:
    """An option that the environment can set too.

    >>> option("--state-limit", "most pairs").envvar
    'IG_THEORY_STATE_LIMIT'
    """
    variable = f"IG_THEORY_{flag.lstrip('-').replace('-', '_').upper()}"
    return typer.Option(flag, help=text, envvar=variable, show_envvar=False, **more)


ModelOption = Annotated[
    str | None,
    option("--model", "Name, NAME:key=value, model file, or path.py:factory.", metavar="MODEL"),
]
BudgetOption = Annotated[
    str | None, option("--budget", "What may be spent: 3, 3/10 or 0.3.", metavar="NUMBER")
]
DiscountOption = Annotated[
    str, option("--discount", "Discount of costs, in (0, 1].", metavar="NUMBER")
]
BoundaryOption = Annotated[
    str, option("--boundary", "closed: z = 0 is kept; open: it is not.", metavar="closed|open")
]
ScopeOption = Annotated[
    str, option("--scope", "When the budget is judged.", metavar="anytime|terminal")
]
HorizonOption = Annotated[
    str | None, option("--horizon", "Number of steps; endless if absent.", metavar="T")
]
CostOption = Annotated[str, option("--cost", "Which cost: an index or a name.", metavar="COST")]
ConstraintOption = Annotated[
    list[str] | None,
    option(
        "--constraint",
        "One of several constraints: budget=3,discount=9/10,cost=toxicity. "
        "Keys left out are taken from the options above.",
        metavar="KEY=VALUE,…",
    ),
]
JsonOption = Annotated[bool, option("--json", "Print one JSON document and nothing else.")]
QuietOption = Annotated[bool, option("--quiet", "No progress, and no notes below the table.")]
ReportOption = Annotated[
    Path | None,
    option("--report", "Write report.html, verdict.json, junit.xml here.", metavar="DIR"),
]
StateLimitOption = Annotated[
    int, option("--state-limit", "Most (state, budget) pairs held exactly.", min=1)
]
GridOption = Annotated[
    str | None,
    option("--grid", "Mesh of the budget grid beyond that limit, like 1/64.", metavar="NUMBER"),
]
PriceOption = Annotated[
    bool | None,
    typer.Option(
        "--price/--no-price",
        help="The price of safety too (reward, divergence, …); left out by itself on large models.",
        envvar="IG_THEORY_PRICE", show_envvar=False, show_default=False,
    ),
]  # fmt: skip
ExactOption = Annotated[bool, option("--exact", "Probabilities as exact fractions (slower).")]
SeedOption = Annotated[int, option("--seed", "Seed of the random numbers.", min=0)]

STATE_LIMIT = 6_000_000
"""Most pairs unless told otherwise; `augmentation.DEFAULT_LIMIT` without importing NumPy."""

KEYS = ("budget", "discount", "boundary", "scope", "cost", "horizon")


def read_constraints(
    texts: Sequence[str] | None, defaults: dict[str, Any]
) -> tuple[BudgetConstraint, ...]:
    """The constraints of the command line.

    Parameters
    ----------
    texts : one ``key=value,key=value`` a constraint; none means one constraint of `defaults`
    defaults : the values of ``--budget``, ``--discount`` and so on

    Raises
    ------
    ConstraintError
        If a key is unknown, a number is none, or no budget is given.

    Examples
    --------
    >>> given = {"budget": "3", "discount": "1", "cost": "0"}
    >>> [str(c.budget) for c in read_constraints(["budget=1/2", "cost=1"], given)]
    ['1/2', '3']
    """
    return tuple(_constraint(text, defaults) for text in texts or [""])


def numbers(text: str | None) -> list[str] | None:
    """The parts of a list such as ``1,10,100``; None if absent.

    >>> numbers("1, 1/2"), numbers(None)
    (['1', '1/2'], None)
    """
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _constraint(text: str, defaults: dict[str, Any]) -> BudgetConstraint:
    from ig_theory.constraint import BudgetConstraint

    values = dict(defaults)
    for part in filter(None, text.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in KEYS:
            raise ConstraintError.at(
                "--constraint", f"key=value with a key of {', '.join(KEYS)}", repr(part),
                "write it like budget=3,discount=9/10,cost=toxicity",
            )  # fmt: skip
        values[key] = value
    if values.get("budget") is None:
        raise ConstraintError.at("--budget", "a number", "none", "give it like --budget 3")
    cost = str(values.pop("cost", "0"))
    horizon = values.pop("horizon", None)
    return BudgetConstraint(
        **values,
        cost=int(cost) if cost.isdecimal() else cost,
        horizon=None if horizon is None else _whole(horizon),
    )


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConstraintError.at(
            "horizon", "a whole number", repr(text), "write it like horizon=20"
        ) from None
