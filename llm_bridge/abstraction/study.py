"""What merging by latents costs: blocks against budget demanded, reward kept, safety."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.context import Context
from ig_theory.errors import SolverError
from ig_theory.query.answer import Line, Mark, Panel, Plot, Table
from ig_theory.report.curves import write_plot
from ig_theory.solvers.minimal_budget import SafeSet
from ig_theory.verdict import Bounds, Outcome
from ig_theory.verification import verify
from llm_bridge.abstraction.fibre import FibreSet, blind_shield, fibre_set_of
from llm_bridge.abstraction.latent_model import latent_model
from llm_bridge.abstraction.latents import full_cache, last_layer, node_weight, tree_cells
from llm_bridge.abstraction.partition import Floats, Metric, Partition, by_equality, by_radius
from llm_bridge.abstraction.pooling import Pooling
from llm_bridge.abstraction.residual import Residual, residual, simulation
from llm_bridge.abstraction.rewards import LatentBest, best_inside
from llm_bridge.tree.latent_mdp import TreeModel

Budget = Fraction | float
"""Exact, or ``math.inf``."""


@dataclass(frozen=True)
class StudyRow:
    """One partition of a model, at one constraint.

    Attributes
    ----------
    how : str
        Which states were merged.
    radius : float
        Largest radius of a block.
    residual : Residual
    sound : bool
        Whether the robust latent model simulates the real one (checked, not assumed).
    demand, robust, naive : exact budgets
        D, D_rob and the naive model's demand at the start (its largest over initial states).
    excess, mean_excess : exact, float
        Largest and mean of D_rob - D over running states where D_rob is finite.
    endless : float
        Share of running states where D_rob is infinite and D is not.
    optimum : Bounds
        The best safe reward of the real model.
    kept, informed : Bounds
        The best reward inside the shield that sees block and budget; inside the one that also
        sees the true cost and successors of each choice. ``-inf`` if the budget is below D_rob.
    earned : Bounds or None
        What the policy that is best in latent space earns on the real model, verified safe; None
        if the budget is below D_rob, or it could not be solved for.
    outcome : Outcome or None
        Of the robust shield on the real model; None if the budget is below D_rob.
    naive_outcome : Outcome
    naive_violation : Bounds
        P(violation) under the naive shield.
    """

    how: str
    radius: float
    residual: Residual
    sound: bool
    demand: Budget
    robust: Budget
    naive: Budget
    excess: Budget
    mean_excess: float
    endless: float
    optimum: Bounds
    kept: Bounds
    informed: Bounds
    earned: Bounds | None
    outcome: Outcome | None
    naive_outcome: Outcome
    naive_violation: Bounds | None

    @property
    def blocks(self) -> int:
        """Blocks of running states."""
        return self.residual.blocks

    @property
    def lost(self) -> float:
        """Best safe reward lost by seeing blocks only."""
        return self.optimum.middle - self.kept.middle


def study(
    made: TreeModel,
    radii: Sequence[float] | None = None,
    constraint: BudgetConstraint | None = None,
    *,
    metric: Metric = "euclidean",
    timed: bool = True,
) -> tuple[StudyRow, ...]:
    """A token tree with its full cache as latent, and with balls of last-layer states.

    Parameters
    ----------
    radii
        `spread_radii` by default.
    constraint
        By default the tree's own demand and one unit of cost more.
    timed
        Whether prefixes of different length are kept apart (see `partition`).

    Returns
    -------
    rows : the full cache first, then by radius in the order given
    """
    latent, cells = last_layer(made), tree_cells(made, timed)
    chosen = spread_radii(latent[~made.mdp.terminal]) if radii is None else radii
    partitions = [
        Partition.of(by_equality(full_cache(made), cells).block, "full cache"),
        *(by_radius(latent, radius, cells, metric) for radius in chosen),
    ]
    if constraint is None:
        own = Context(made.mdp, BudgetConstraint(0)).safe_set
        start = math.inf if own is None else _start(own)
        start = Fraction(0) if isinstance(start, float) else start
        constraint = BudgetConstraint(start + made.mdp.cost_unit)
    return study_partitions(made.mdp, partitions, constraint, node_weight(made))


def spread_radii(latent: Floats, parts: int = 6) -> tuple[float, ...]:
    """0, then radii that double up to twice the largest distance from the mean latent."""
    reach = 2 * float(np.linalg.norm(latent - latent.mean(axis=0), axis=1).max(initial=0.0))
    return (0.0, *(reach / 2**k for k in range(parts - 1, -1, -1)))


def study_partitions(
    model: ConstrainedMDP,
    partitions: Iterable[Partition],
    constraint: BudgetConstraint,
    weight: Floats | None = None,
) -> tuple[StudyRow, ...]:
    """The same of any model and partitions; `weight` as in `latent_model`."""
    context = Context(model, constraint)
    own, optimum = context.safe_set, context.optimal_reward
    if own is None or optimum is None:
        raise SolverError.at(
            "model", "a minimal budget and a best safe reward", "none",
            context.why_not("minimal budget") or context.why_not("optimal reward") or "",
        )  # fmt: skip
    return tuple(_row(context, own, optimum, each, weight) for each in partitions)


def _row(
    context: Context, own: SafeSet, optimum: Bounds, partition: Partition, weight: Floats | None
) -> StudyRow:
    model, (constraint,) = context.model, context.constraints
    latent = latent_model(model, partition, Pooling.ROBUST, weight, constraint.cost)
    robust = fibre_set_of(latent, constraint)
    typical = latent_model(model, partition, Pooling.NAIVE, weight, constraint.cost)
    naive = fibre_set_of(typical, constraint)
    covered = robust.start_is_safe()
    shielded = verify(blind_shield(robust), model, constraint, context=context, price=False)
    naively = verify(blind_shield(naive), model, constraint, context=context, price=False)
    excess, mean, endless = excesses(own, robust)
    return StudyRow(
        how=partition.how, radius=float(partition.radius.max(initial=0.0)),
        residual=residual(model, partition, constraint.cost),
        sound=simulation(latent).holds,
        demand=_start(own), robust=_start(robust), naive=_start(naive),
        excess=excess, mean_excess=mean, endless=endless, optimum=optimum,
        kept=best_inside(robust), informed=best_inside(robust.informed),
        earned=_earned(robust, context) if covered else None,
        outcome=shielded.outcome if covered else None,
        naive_outcome=naively.outcome, naive_violation=naively.violation,
    )  # fmt: skip


def excesses(own: SafeSet, robust: FibreSet) -> tuple[Budget, float, float]:
    """Largest and mean D_rob - D of running states with a finite D_rob, and the share without."""
    running = np.flatnonzero(~own.model.terminal).tolist()
    pairs = [(own.budget_of(s), robust.budget_of(s)) for s in running]
    gaps = [high - low for low, high in pairs if high < math.inf]
    endless = sum(high == math.inf > low for low, high in pairs) / max(len(pairs), 1)
    if not gaps:
        return math.inf, math.inf, endless
    return max(gaps), float(sum(gaps) / len(gaps)), endless


def _earned(robust: FibreSet, context: Context) -> Bounds | None:
    """The verified reward of the policy that is best in latent space."""
    try:
        guard = LatentBest(robust)
    except SolverError:
        return None
    verdict = verify(guard, context.model, context.constraints, context=context, price=True)
    return verdict.reward if verdict.outcome is Outcome.SAFE else None


def _start(found: SafeSet) -> Budget:
    first = np.flatnonzero((found.model.initial > 0).astype(bool)).tolist()
    return max(found.budget_of(s) for s in first)


_COLUMNS = (
    ("how", "merged"), ("blocks", "blocks"), ("cost", "cost residual"),
    ("successors", "successors that differ"), ("reward", "reward residual"),
    ("robust", "D_rob at start"), ("excess", "largest D_rob - D"), ("mean", "mean D_rob - D"),
    ("endless", "D_rob infinite"), ("kept", "reward kept"), ("informed", "kept, costs seen"),
    ("earned", "earned by latents"), ("outcome", "robust"), ("naive", "naive"),
    ("violation", "naive P(violate)"),
)  # fmt: skip


def study_table(rows: Sequence[StudyRow]) -> Table:
    """The rows as text, for a notebook or the command line."""
    return Table(_COLUMNS, tuple(_cells(row) for row in rows))


def _cells(row: StudyRow) -> tuple[str, ...]:
    best = row.optimum.middle
    return (
        row.how, f"{row.blocks} of {row.residual.states}", str(row.residual.cost),
        str(row.residual.successors), f"{row.residual.reward:.4g}", str(row.robust),
        str(row.excess), f"{row.mean_excess:.4g}", f"{row.endless:.1%}",
        _of(row.kept, best), _of(row.informed, best), _of(row.earned, best),
        "not covered" if row.outcome is None else row.outcome.name, row.naive_outcome.name,
        "" if row.naive_violation is None else f"{row.naive_violation.middle:.6g}",
    )  # fmt: skip


def _of(found: Bounds | None, best: float) -> str:
    if found is None or found.upper == -math.inf:
        return "none"
    return f"{found.middle:.4f} of {best:.4f}"


def study_plot(rows: Sequence[StudyRow]) -> Plot:
    """Blocks against the reward kept, and against the naive guard's risk."""
    ordered = sorted(rows, key=lambda row: row.blocks)

    def line(label: str, values: Iterable[Bounds | None]) -> Line:
        points = [
            (row.blocks, value)
            for row, value in zip(ordered, values, strict=True)
            if value is not None and value.upper > -math.inf
        ]
        return Line(
            label, tuple(x for x, _ in points),
            tuple(_drawn(v, v.lower) for _, v in points),
            tuple(_drawn(v, v.upper) for _, v in points),
        )  # fmt: skip

    rewards = [
        line("inside the shield of blocks", [row.kept for row in ordered]),
        line("costs of tokens seen too", [row.informed for row in ordered]),
        line("solved by latents", [row.earned for row in ordered]),
    ]
    marks = (Mark(round(ordered[0].optimum.middle, 9), "best safe reward"),) if ordered else ()
    risk = line("", [row.naive_violation for row in ordered])
    return Plot(
        "", "blocks (of prefixes that go on)",
        (
            Panel("reward", tuple(each for each in rewards if each.x), marks),
            Panel("naive P(violate)", (risk,)),
        ),
        log_x=True,
    )  # fmt: skip


def _drawn(value: Bounds, end: Fraction | float) -> float:
    """An end of the bounds; the middle where they differ by rounding only."""
    return round(value.middle, 9) if value.width < 1e-8 else float(end)


def write_study(rows: Sequence[StudyRow], path: Path) -> None:
    """Draw `study_plot` into an SVG, PNG or PDF file."""
    write_plot(study_plot(rows), path)
