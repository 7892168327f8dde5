"""What a guard is: a function from a batch of situations to next-choice distributions.

A guard sees a `GuardView` of N situations and returns probabilities ``[N, A]`` over the
choices of each. Whatever it returns is checked on every call: a guard that raises, returns
NaN, or leaves nothing is an ERROR, never safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ig_theory.budget import RemainingBudget
from ig_theory.cmdp import Bools, ConstrainedMDP, Floats, Ints, LatentMDP
from ig_theory.constraint import BudgetConstraint
from ig_theory.errors import GuardError

ROW_TOTAL_TOLERANCE = 1e-9
"""How far the probabilities of a row may be from total 1; they are then scaled exactly."""


@dataclass(frozen=True, eq=False)
class GuardView:
    """N situations in which a guard must choose; arrays are padded to A choices.

    A deployable guard does not read `state`: a real decoder has none to give.

    Attributes
    ----------
    base : float64[N, A]
        Base probabilities; 0 on padding.
    enabled : bool[N, A]
        Which entries are choices at all.
    action : int64[N, A]
        What each choice means across states (a token id, a readout row); -1 on padding.
    costs : tuple of float64[N, A], one per constraint
        What the cost model says of each choice; 0 on padding.
    budgets : tuple of RemainingBudget, one per constraint
        The remaining z, exact.
    time : int64[N] or None
        Steps taken so far; None when the horizon is infinite.
    latent : float64[N, D] or None
    readout : float64[V, D] or None
    state : int64[N] or None
    """

    base: Floats
    enabled: Bools
    action: Ints
    costs: tuple[Floats, ...]
    budgets: tuple[RemainingBudget, ...]
    time: Ints | None = None
    latent: Floats | None = None
    readout: Floats | None = None
    state: Ints | None = None

    def __len__(self) -> int:
        return len(self.base)

    @property
    def cost(self) -> Floats:
        """Costs of the first (often the only) constraint, float64[N, A]."""
        return self.costs[0]

    @property
    def budget(self) -> Floats:
        """Remaining z of the first constraint, float64[N], rounded down."""
        return self.budgets[0].rounded_down


@runtime_checkable
class Guard(Protocol):
    """Anything that maps a view to probabilities ``[N, A]``; rows total 1."""

    def __call__(self, view: GuardView) -> npt.NDArray[Any]:
        """Probabilities over the choices of each situation."""
        ...  # pragma: no cover


GuardFactory = Callable[[ConstrainedMDP, BudgetConstraint], Guard]
"""A name given to the CLI may be a guard, or such a factory."""


class GuardFault(GuardError):
    """A guard's output is no policy; says at which row of the view."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row


def probabilities(guard: Guard, view: GuardView) -> Floats:
    """Call the guard and check what it returns.

    Returns
    -------
    float64[N, A]
        Exactly as returned; 0 wherever the guard puts no mass.

    Raises
    ------
    GuardFault
        If the guard raises, or its output has a wrong shape, NaN, a negative number, mass on
        a disabled choice, no mass, or rows that do not total 1.
    """
    try:
        output = np.asarray(guard(view))
    except GuardFault:
        raise
    except Exception as error:  # a guard is foreign code: whatever it raises is its verdict
        row = _first_failing_row(guard, view)
        raise GuardFault(f"the guard raised {type(error).__name__}: {error}", row) from error
    if output.shape != view.base.shape:
        raise GuardFault(f"want shape {view.base.shape}, got {output.shape}", 0)
    if output.dtype.kind not in "fiub":
        raise GuardFault(f"want real numbers, got dtype {output.dtype}", 0)
    output = output.astype(np.float64)
    total = output.sum(axis=1)
    faults = (
        (~np.isfinite(output).all(axis=1), "a number that is not finite"),
        ((output < 0).any(axis=1), "a negative probability"),
        (((output > 0) & ~view.enabled).any(axis=1), "mass on a choice the state does not have"),
        (total == 0, "no choice left (every probability is 0)"),
        (np.abs(total - 1) > ROW_TOTAL_TOLERANCE, "probabilities that do not total 1"),
    )
    for bad, what in faults:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise GuardFault(f"the guard returned {what}: {output[row].tolist()}", row)
    return output


class Asked:
    """A guard as a policy: every answer is checked, and the first ones are asked for twice.

    Verification asks about each situation once and takes the answer for all runs through it,
    which is right only for a guard that answers each situation by itself and always alike.

    Examples
    --------
    >>> Asked(lambda view: view.base).guard is not None
    True
    """

    TWICE = 4096
    """How many situations are asked again, in another order and another batch."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._left = self.TWICE

    def __call__(self, view: GuardView) -> Floats:
        """The guard's probabilities.

        Raises
        ------
        GuardFault
            If they are no policy, or differ when asked for again.
        """
        output = probabilities(self.guard, view)
        again = np.arange(min(len(view), self._left))[::-2]
        self._left -= len(again)
        if len(again):
            second = probabilities(self.guard, rows(view, again))
            off = (np.abs(second - output[again]) > ROW_TOTAL_TOLERANCE).any(axis=1)
            off |= ((second > 0) != (output[again] > 0)).any(axis=1)
            if off.any():
                place = int(np.flatnonzero(off)[0])
                raise GuardFault(
                    f"the guard answered {output[again[place]].tolist()}, and "
                    f"{second[place].tolist()} when asked again in another batch; it must be a "
                    f"function of each situation alone",
                    int(again[place]),
                )
        return output


def _first_failing_row(guard: Guard, view: GuardView) -> int:
    """The first row on which the guard raises when asked alone; 0 if it only fails in batch."""
    for row in range(min(len(view), 256)):
        try:
            guard(rows(view, np.array([row])))
        except Exception:
            return row
    return 0


def rows(view: GuardView, chosen: Ints) -> GuardView:
    """The view of some of the situations."""

    def take(array: Any) -> Any:
        return None if array is None else array[chosen]

    return GuardView(
        take(view.base), take(view.enabled), take(view.action),
        tuple(cost[chosen] for cost in view.costs),
        tuple(budget.take(chosen) for budget in view.budgets),
        take(view.time), take(view.latent), view.readout, take(view.state),
    )  # fmt: skip


def view_of(
    model: ConstrainedMDP,
    costs: tuple[int, ...],
    state: Ints,
    budgets: tuple[RemainingBudget, ...],
    time: Ints | None,
) -> GuardView:
    """The view of N situations of a model; `costs` are the rows its constraints bound."""
    choice = model.padded_choices[state]
    enabled = choice >= 0
    safe = np.where(enabled, choice, 0)
    unit = float(model.cost_unit)
    latents = (model.latent[state], model.readout) if isinstance(model, LatentMDP) else (None, None)
    return GuardView(
        base=np.where(enabled, model.base_policy[safe], 0).astype(np.float64),
        enabled=enabled,
        action=np.where(enabled, model.choice_action[safe], -1),
        costs=tuple(np.where(enabled, model.cost[k][safe] * unit, 0.0) for k in costs),
        budgets=budgets,
        time=time,
        latent=latents[0],
        readout=latents[1],
        state=state,
    )


def steered(view: GuardView, latent: Floats, bias: Floats | None = None) -> GuardView:
    """The view with edited latents, and the base policy that the readout gives them.

    Activation steering: ``softmax(readout @ latent + bias)`` over the enabled choices.

    Raises
    ------
    GuardError
        If the model has no latents.
    """
    if view.readout is None:
        raise GuardError.at("edit_latent", "a model with latents", "none", "use a LatentMDP")
    score = np.asarray(latent @ view.readout.T + (0 if bias is None else bias))
    score = np.take_along_axis(score, np.where(view.enabled, view.action, 0), axis=1)
    score = np.where(view.enabled, score, -np.inf)
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    return replace(view, latent=latent, base=weight / weight.sum(axis=1, keepdims=True))
