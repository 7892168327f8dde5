"""What `check` and `demo` share: verify several guards on one model into a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from time import perf_counter

from ig_theory.certificate import impossibility_certificate
from ig_theory.cli.options import STATE_LIMIT
from ig_theory.cli.output import Progress
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.context import Context
from ig_theory.errors import IGTheoryError
from ig_theory.guards import open_guard
from ig_theory.report.study import SafeSetPicture, Study, picture
from ig_theory.solvers.minimal_budget import minimal_budget
from ig_theory.verdict import Outcome, Verdict
from ig_theory.verification import verify


@dataclass(frozen=True)
class Effort:
    """How far verification may go."""

    exact: bool = False
    state_limit: int = STATE_LIMIT
    grid: Fraction | None = None
    price: bool | None = None


def study(
    guards: Sequence[str],
    model_name: str,
    model: ConstrainedMDP,
    constraints: tuple[BudgetConstraint, ...],
    effort: Effort,
    tell: Progress | None = None,
) -> Study:
    """Verify each guard; one that cannot be loaded or asked becomes an ERROR and the rest go on."""
    context = Context(model, constraints, state_limit=effort.state_limit, grid=effort.grid)
    verdicts = []
    for place, spec in enumerate(guards, start=1):
        if tell is not None:
            tell(f"{spec} on {model_name} ({place} of {len(guards)})")
        verdicts.append(_verdict(spec, model_name, model, constraints, context, effort, tell))
    return Study(model_name, tuple(verdicts))


def with_safe_sets(found: Study, model: ConstrainedMDP) -> Study:
    """The study with a picture of the safe set of each constraint that has one.

    Where one constraint alone is more than any guard can keep, a certificate of that too.
    """
    pictures: list[SafeSetPicture] = []
    impossibility = None
    for constraint in found.constraints:
        try:
            safe_set = minimal_budget(model, constraint)
            if impossibility is None and not safe_set.start_is_safe():
                impossibility = impossibility_certificate(safe_set)
            drawn = picture(model, constraint, safe_set)
        except IGTheoryError:  # signed costs, say: the verdicts stand without a picture
            continue
        if drawn is not None:
            pictures.append(drawn)
    return replace(found, safe_sets=tuple(pictures), impossibility=impossibility)


def _verdict(
    spec: str,
    model_name: str,
    model: ConstrainedMDP,
    constraints: tuple[BudgetConstraint, ...],
    context: Context,
    effort: Effort,
    tell: Progress | None,
) -> Verdict:
    started = perf_counter()
    name = spec
    try:
        name, guard = open_guard(spec, model, constraints)
        return verify(
            guard, model, constraints, guard_name=name, model_name=model_name,
            context=context, exact=effort.exact, price=effort.price,
            progress=None if tell is None else _counted(tell, name),
        )  # fmt: skip
    except IGTheoryError as error:
        return Verdict(
            name, model_name, constraints, Outcome.ERROR, error=str(error),
            seconds=perf_counter() - started,
        )  # fmt: skip


def _counted(tell: Progress, name: str) -> Callable[..., None]:
    """Progress of one verification; whatever is counted is shown behind the guard's name."""

    def update(*counts: object) -> None:
        shown = " ".join(f"{c:,}" if isinstance(c, int) else str(c) for c in counts)
        tell(f"{name}: {shown} pairs" if counts else name)

    return update
