"""Which model is this? A hash of everything that a verdict or a certificate depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ig_theory.cmdp import ConstrainedMDP, LatentMDP, Numbers


def model_hash(model: ConstrainedMDP) -> str:
    """``"sha256:<hex>"`` over the exact content of a model.

    What counts: the choices and branches in their order, probabilities, rewards, costs and their
    unit, the names of the costs (constraints refer to them), the initial distribution,
    terminals, the reward discount, the base policy, the actions, the labels, and whether the
    model is exact. For a `LatentMDP` the latents and the readout count in place of the base
    policy, because its last bits may differ from one machine's ``exp`` to another's.
    What does not: names of states and choices, and whether a default (uniform base policy,
    actions by place) was spelt out. Time and memory O(B).

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> one = from_dict({"s": {"go": (1, 2, {"s": 1})}}, initial="s")
    >>> two = from_dict({"t": {"run": (1, 2, "t")}}, initial="t")
    >>> model_hash(one) == model_hash(two), model_hash(one)[:7]
    (True, 'sha256:')
    """
    digest = hashlib.sha256()
    for name, content in _content(model):
        # Lengths go first, so that no two lists of fields run together into the same bytes.
        for part in (name.encode(), content):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return f"sha256:{digest.hexdigest()}"


def _content(model: ConstrainedMDP) -> Iterator[tuple[str, bytes]]:
    yield "ig-theory-model", b"1"
    yield "exact", str(model.exact).encode()
    for name in ("choice_ptr", "branch_ptr", "branch_state", "choice_action"):
        yield name, getattr(model, name).astype("<i8").tobytes()
    for name in ("branch_prob", "reward", "initial"):
        yield name, _number_bytes(getattr(model, name))
    yield "cost", model.cost.astype("<i8").tobytes()
    yield "terminal", np.packbits(model.terminal).tobytes()
    for name in ("cost_unit", "reward_discount"):
        yield name, _fraction(getattr(model, name)).encode()
    for cost_name in model.cost_names or ():
        yield "cost_name", _text(cost_name)
    for label in sorted(model.labels):
        yield "label", _text(label)
        yield "members", np.packbits(model.labels[label]).tobytes()
    if not isinstance(model, LatentMDP):
        yield "base", _number_bytes(model.base_policy)
        return
    for name in ("latent", "readout", "readout_bias"):
        value = getattr(model, name)
        if value is not None:
            yield f"{name} {value.shape}", _number_bytes(value.ravel())


def _number_bytes(numbers: Numbers) -> bytes:
    if numbers.dtype == object:
        return " ".join(_fraction(n) for n in numbers).encode()
    return np.asarray(numbers + 0.0, dtype="<f8").tobytes()  # + 0.0: -0.0 means what 0.0 means


def _fraction(number: Fraction) -> str:
    return f"{number.numerator:x}/{number.denominator:x}"  # hex: no limit on the digits


def _text(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
