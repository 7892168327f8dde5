"""Kind ``reward``: what encloses the best expected reward of the almost surely safe policies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ig_theory.augmentation import BROKEN, OPEN, RUNNING, every_choice, explore
from ig_theory.certificate.listing import Listing, Option, listing
from ig_theory.certificate.pairs import MOST_PAIRS, budget_columns
from ig_theory.certificate.rounding import ROUNDED, common_denominator, is_long
from ig_theory.certificate.sealing import sealed
from ig_theory.certificate.steps import Steps, longest_steps, named_steps
from ig_theory.cmdp import ConstrainedMDP, LatentMDP
from ig_theory.constraint import BudgetConstraint, Rational, as_constraints, rational
from ig_theory.errors import CertificateError, IGTheoryError
from ig_theory.solvers.budgeted_value import solve_safe
from ig_theory.solvers.solution import Solution, Status
from ig_theory.solvers.totals.end_components import inductive
from ig_theory.solvers.totals.safe_product import SafeProduct, exact_limit


def reward_certificate(
    model: ConstrainedMDP,
    constraint: BudgetConstraint | Sequence[BudgetConstraint],
    *,
    reward_discount: Rational | None = None,
    exact: bool = False,
    limit: int = MOST_PAIRS,
    guard: str = "any",
) -> dict[str, Any]:
    """Certify bounds on the best expected reward of the safe policies (THEORY T4.reward).

    The explicit product of the model and its budgets is solved; its values are rounded outwards,
    and widened by what they then miss in exact arithmetic. They stay as they are, tight, where
    the solution is exact.

    Parameters
    ----------
    reward_discount
        ``beta``, if it is not the model's.
    exact
        Solve in rationals; a float model is taken as the rationals that it is.
    limit
        Most pairs that are explored.

    Raises
    ------
    CertificateError
        If no policy is safe, the pairs are too many, or the bounds do not follow: rewards that
        are not discounted need runs that end.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> found = reward_certificate(model, BudgetConstraint(2), exact=True)
    >>> found["upper"] == found["lower"], found["upper"][0]
    (True, 2)
    """
    several = as_constraints(constraint)
    beta = model.reward_discount
    if reward_discount is not None:
        beta = rational(reward_discount, "reward_discount")
    safe, solution = solve_safe(_explored(_solved_model(model, beta, exact), several, limit))
    found = listing(safe)
    columns = _columns(found, safe, solution, beta)
    nodes = np.array(found.nodes, dtype=np.int64)
    clips, budgets, place = budget_columns(safe.product, nodes)
    product = safe.product
    times = product.time[nodes].tolist() if product.timed else [None] * len(nodes)
    states = product.state[nodes].tolist()
    body = {
        "kind": "reward",
        "reward_discount": str(beta),
        "clip": clips,
        "grid": [None] * len(several),
        "budgets": budgets,
        "pairs": [list(pair) for pair in zip(states, place, times, strict=True)],
        "dead": found.dead,
        **columns,
    }
    return sealed(model, several, guard, body)


def _solved_model(model: ConstrainedMDP, beta: Fraction, exact: bool) -> ConstrainedMDP:
    from ig_theory.builders import rationalised

    if not 0 < beta <= 1:
        raise CertificateError.at("reward_discount", "a number in (0, 1]", beta, "use 1 for none")
    solved = rationalised(model) if exact else model
    if beta == solved.reward_discount:
        return solved
    if isinstance(solved, LatentMDP):
        return replace(solved, reward_discount=beta, base=None)
    return replace(solved, reward_discount=beta)


def _explored(
    model: ConstrainedMDP, constraints: tuple[BudgetConstraint, ...], limit: int
) -> SafeProduct:
    """All pairs, those included that safe policies avoid: why they do is part of the proof."""
    most = exact_limit(constraints, limit)
    product = explore(model, constraints, every_choice, limit=most)
    if not product.complete:
        raise CertificateError.at(
            "reward certificate", f"at most {most} exact (state, budget) pairs",
            f"{len(product)} and more", "set a horizon or a smaller budget",
        )  # fmt: skip
    lost = (product.outcome == BROKEN) | (product.outcome == OPEN)
    kept, alive = inductive(product, product.broken == 0, lost)
    safe = SafeProduct(product, kept, alive & kept[product.choice_node])
    if not safe.start_is_safe:
        raise CertificateError.at(
            "reward certificate", "a policy that is almost surely safe", "none",
            "prove that with impossibility_certificate",
        )  # fmt: skip
    return safe


@dataclass(frozen=True)
class _Values:
    """Bounds of the pairs over `scale`, and the choice that attains the lower one."""

    scale: int
    upper: list[int | None]
    lower: list[int | None]
    named: list[Option | None]


def _columns(
    found: Listing, safe: SafeProduct, solution: Solution, beta: Fraction
) -> dict[str, Any]:
    endless = beta == 1 and not safe.product.timed
    named = _named(found, safe, solution)
    steps, resting = named_steps(named) if endless else (None, [False] * len(named))
    values = _numbers(found, named, resting, solution)
    above, below = _misses(values, found, beta)
    if endless and (above or any(u is not None and u < 0 for u in values.upper)):
        steps = longest_steps(found)
    spread = _spread(safe, found, beta) if steps is None else steps
    return {
        "denominator": values.scale,
        "upper": _shifted(values.upper, above, spread),
        "lower": _shifted(values.lower, -below, spread),
        "choice": [None if option is None else option.place for option in named],
        "steps": steps,
    }


def _named(found: Listing, safe: SafeProduct, solution: Solution) -> list[Option | None]:
    """The choices of the optimal policy at the pairs that it reaches."""
    assert solution.policy is not None
    named: list[Option | None] = [None] * len(found.nodes)
    place = {node: n for n, node in enumerate(found.nodes)}
    first = [n for n in safe.product.initial.tolist() if safe.product.outcome[n] == RUNNING]
    waiting = [place[n] for n in first]
    while waiting:
        n = waiting.pop()
        if named[n] is None:
            number = int(solution.policy[found.nodes[n]])
            option = next((o for o in found.options[n] if o.number == number), None)
            if option is None:  # none is best where every choice loses without end
                raise _infinite()
            named[n] = option
            waiting.extend(m for _, m in option.onward)
    return named


def _numbers(
    found: Listing, named: list[Option | None], resting: list[bool], solution: Solution
) -> _Values:
    """The values of the solution, rounded outwards."""
    nodes = found.nodes
    live = [n for n in range(len(nodes)) if found.dead[n] is None]
    high = {n: solution.upper[nodes[n]] for n in live}
    low = {
        n: Fraction(0) if resting[n] else solution.lower[nodes[n]]
        for n in live
        if named[n] is not None
    }
    if not all(math.isfinite(v) for v in (*high.values(), *low.values())):
        raise _infinite()
    scale = ROUNDED
    if solution.status is Status.EXACT:
        exact = common_denominator(map(Fraction, (*high.values(), *low.values())))
        scale = ROUNDED if is_long(exact) else exact
    upper: list[int | None] = [None] * len(nodes)
    lower: list[int | None] = [None] * len(nodes)
    for n, value in high.items():
        upper[n] = math.ceil(Fraction(value) * scale)
    for n, value in low.items():
        lower[n] = math.floor(Fraction(value) * scale)
    return _Values(scale, upper, lower, named)


def _infinite() -> IGTheoryError:
    return CertificateError.at(
        "reward certificate", "finite values", "infinite ones",
        "set a reward discount below 1, or a horizon",
    )  # fmt: skip


def _misses(values: _Values, found: Listing, beta: Fraction) -> tuple[int, int]:
    """By how much the upper and the lower bounds miss, at most, what exact arithmetic asks for."""
    every = [(n, option) for n, several in enumerate(found.options) for option in several]
    ours = [(n, option) for n, option in enumerate(values.named) if option is not None]
    scale = values.scale
    above = max((_short(n, o, values.upper, scale, beta) for n, o in every), default=Fraction(0))
    below = max((-_short(n, o, values.lower, scale, beta) for n, o in ours), default=Fraction(0))
    return max(math.ceil(above), 0), max(math.ceil(below), 0)


def _spread(safe: SafeProduct, found: Listing, beta: Fraction) -> Steps:
    """Whole numbers ``w >= 1 + beta sum P w'``: bounds moved by their multiples hold again."""
    if beta < 1:
        return [math.ceil(1 / (1 - beta))] * len(found.nodes)
    horizon = safe.product.constraints[0].horizon or 0
    return [horizon - int(t) for t in safe.product.time[found.nodes]]


def _short(
    n: int, option: Option, column: list[int | None], scale: int, beta: Fraction
) -> Fraction:
    """By how much ``r + beta sum P v'`` exceeds ``v``, over `scale`."""
    ahead = sum(w * (column[m] or 0) for w, m in option.onward)
    worth = option.reward * scale + beta * Fraction(ahead, option.total)
    return worth - (column[n] or 0)


def _shifted(column: list[int | None], by: int, spread: Steps) -> list[int | None]:
    return [
        None if number is None else number + by * (steps or 0)
        for number, steps in zip(column, spread, strict=True)
    ]
