"""Guards that look their answer up in a solved product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ig_theory.augmentation import Product
from ig_theory.cmdp import Floats
from ig_theory.errors import GuardError
from ig_theory.guard import GuardView
from ig_theory.lookup import Lookup, rows_of


class TableGuard:
    """Plays by values that a solver gave to the choices of a product.

    Parameters
    ----------
    product
    value : float64[M]
        A number per product choice.
    decide : (view, values [N, A]) -> probabilities [N, A]
    """

    def __init__(
        self, product: Product, value: Floats, decide: Callable[[GuardView, Floats], Floats]
    ) -> None:
        self._product, self._value, self._decide = product, value, decide
        self._find = Lookup(product)

    def __call__(self, view: GuardView) -> Floats:
        """Look up, then decide.

        Raises
        ------
        GuardError
            If a state was never met when the table was solved.
        """
        nodes = self._find(view)
        unknown = np.flatnonzero(nodes < 0)
        if len(unknown):
            row = int(unknown[0])
            raise GuardError.at(
                f"state {view.state[row] if view.state is not None else '?'}",
                "a situation met when the guard was solved",
                f"budget {view.budgets[0].value(row)}", "build the guard for this constraint",
            )  # fmt: skip
        return self._decide(view, rows_of(self._product, nodes, self._value, view.base.shape[1]))
