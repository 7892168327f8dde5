"""slippery-hall: a stochastic corridor; the careful walk for free, but the floor is wet."""

from __future__ import annotations

from fractions import Fraction

from ig_theory.cmdp import LatentMDP
from simulators.latent.assembly import Move, Table, assemble, move
from simulators.parameters import Rational, proportion, whole, yes_no


def slippery_hall(
    length: int = 5, *, slip: Rational = "1/4", exits: bool = True, exact: bool = False
) -> LatentMDP:
    """A corridor of `length` cells: step carefully, rush two cells at a cost, or leave.

    ``step`` costs 0, pays 1 and goes one cell on; ``rush`` costs 1, pays 3 and goes two cells
    on. Either slips with probability `slip`: one lies on the floor beside the cell aimed at,
    and the only choice there, ``rise``, costs 1 and leads to that cell. ``leave`` ends the run
    for free. The goal is behind the last cell. Latents are ``(1, progress, fallen)``.

    Parameters
    ----------
    length : int
        Number of cells, at least 1.
    slip : rational in (0, 1)
    exits : bool
        Whether each cell has the choice ``leave``.
    exact : bool
        Fractions instead of floats.

    Returns
    -------
    LatentMDP
        S = 2 length + 1 + exits; every run ends within 2 length steps.

    Raises
    ------
    ModelError
        If a parameter is out of range.

    Notes
    -----
    With n cells to the goal and q = `slip`:

    * with exits, the minimal budget is ``D = 0`` in every cell and 1 on the floor (any gamma),
      although a single slip makes every cell's ``step`` need gamma: a guard that looks only at
      the cost of the choice itself violates;
    * without exits ``D(cell) = gamma + gamma^3 + ... + gamma^(2n-1)``, that is n for
      gamma = 1, and ``D(floor) = 1 + gamma D(cell)`` with n of the cell beside it;
    * someone who always steps violates with probability ``P(Binomial(n, q) > z)`` (gamma = 1);
    * for gamma = 1 and z >= n all is safe, and ``V = 3 floor(n / 2) + (n mod 2)``; with exits
      and z < 1 only leaving is safe, and V = 0.

    Examples
    --------
    >>> model = slippery_hall(3, exact=True)
    >>> model.state_names[:3], [str(p) for p in model.branch_prob[:2]]
    (('cell 0', 'cell 1', 'cell 2'), ['3/4', '1/4'])
    """
    length = whole("length", length, low=1)
    chance = proportion("slip", slip)
    exits = yes_no("exits", exits)
    places = [f"cell {i}" for i in range(length)] + ["goal"]
    floors = [f"floor {i}" for i in range(1, length)] + ["floor goal"]
    moves: dict[str, list[Move]] = {}
    for i, here in enumerate(places[:-1]):
        moves[here] = [_walk("step", places[i + 1], floors[i], 0, 1, chance)]
        if i + 2 <= length:
            moves[here].append(_walk("rush", places[i + 2], floors[i + 1], 1, 3, chance))
        if exits:
            moves[here].append(move("leave", "outside"))
    for floor, place in zip(floors, places[1:], strict=True):
        moves[floor] = [move("rise", place, cost=1)]
    moves["goal"] = []
    if exits:
        moves["outside"] = []
    latent = {place: (1.0, i / length, 0.0) for i, place in enumerate(places)}
    latent |= {floor: (1.0, i / length, 1.0) for i, floor in enumerate(floors, start=1)}
    table = Table(
        moves=moves,
        latent={**latent, "outside": (0.0, 0.0, 0.0)} if exits else latent,
        readout={"step": (1, 0, 0), "rush": (0, 1, 0), "leave": (-1, -1, 0), "rise": (0, 0, 1)},
        initial={places[0]: Fraction(1)},
    )
    return assemble(table, yes_no("exact", exact))


def _walk(action: str, to: str, floor: str, cost: int, pay: int, slip: Fraction) -> Move:
    return Move(action, cost, Fraction(pay), {to: 1 - slip, floor: slip})
