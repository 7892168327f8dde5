"""Check a certificate against a model, trusting no solver.

Everything is recomputed in exact integers and rationals by plain loops over the model; this
file imports the model, its hash and the errors, and nothing that computed the certificate.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import CertificateError
from ig_theory.fingerprint import model_hash

MOST_DIGITS = 100_000
"""Longer numbers than this are refused rather than read."""


@dataclass(frozen=True)
class Claim:
    """What a checked certificate proves.

    Attributes
    ----------
    kind : ``pairs``, ``demand`` or ``violation``
    sentence
        The claim in words.
    """

    kind: str
    sentence: str


@dataclass(frozen=True)
class _Constraint:
    budget: Fraction
    discount: Fraction
    closed: bool
    anytime: bool
    cost: list[int]
    horizon: int | None

    def kept(self, z: Fraction | int) -> bool:
        return z >= 0 if self.closed else z > 0


def check_certificate(certificate: Mapping[str, Any], model: ConstrainedMDP) -> Claim:
    """Check every step of the proof.

    Parameters
    ----------
    certificate
        As read from JSON.
    model
        The model that it is about.

    Raises
    ------
    CertificateError
        At the first thing that is malformed, does not belong to the model, or does not follow.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> from ig_theory.certificate import demand_certificate
    >>> from ig_theory.constraint import BudgetConstraint
    >>> from ig_theory.solvers.minimal_budget import minimal_budget
    >>> model = from_dict({"s": {"spend": (1, 1, {"s": 1}), "end": (0, 0, {"t": 1})}}, initial="s")
    >>> certificate = demand_certificate(minimal_budget(model, BudgetConstraint(2)))
    >>> check_certificate(certificate, model).kind
    'demand'
    """
    try:
        return _check(certificate, model)
    except CertificateError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError,
            AttributeError, RecursionError) as error:  # fmt: skip
        raise CertificateError.at(
            "certificate", "the documented structure", f"{type(error).__name__}: {error}",
            "write it anew with `ig-theory check --report`",
        ) from error  # fmt: skip


def _check(certificate: Mapping[str, Any], model: ConstrainedMDP) -> Claim:
    if not isinstance(certificate, Mapping):
        raise CertificateError.at("certificate", "a JSON object", type(certificate).__name__, "-")
    _same("format", "ig-theory-certificate", certificate.get("format"))
    _same("version", 1, certificate.get("version"))
    _same("digest", _digest(certificate), certificate.get("digest"))
    _same("model", model_hash(model), certificate.get("model"))
    if not isinstance(certificate["guard"], str):
        raise CertificateError.at("guard", "a name", repr(certificate["guard"]), "name it")
    constraints = [_constraint(entry, model) for entry in _list(certificate["constraints"])]
    if not constraints or len({c.horizon for c in constraints}) > 1:
        raise CertificateError.at("constraints", "at least one, one horizon", "other", "-")
    kinds = {"pairs": _check_pairs, "demand": _check_demand, "violation": _check_violation}
    kind = certificate["kind"]
    if kind not in kinds:
        raise CertificateError.at("kind", ", ".join(kinds), repr(kind), "use a known kind")
    keys = {"format", "version", "digest", "model", "guard", "constraints", "kind"} | _KEYS[kind]
    unknown = set(certificate) - keys
    if unknown:
        raise CertificateError.at("certificate", "known entries", sorted(unknown), "drop them")
    return kinds[kind](certificate, model, constraints)


_KEYS = {
    "pairs": {"clip", "grid", "budgets", "pairs"},
    "demand": {"denominator", "demand", "strict", "action"},
    "violation": {
        "initial_state", "initial_probability", "steps", "probability", "broken", "grid",
    },
}  # fmt: skip


def _check_pairs(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[_Constraint]
) -> Claim:
    """A closed set of kept pairs that holds every start: nothing in it is ever broken."""
    clips = [None if c is None else _rational(c, "clip") for c in _list(certificate["clip"])]
    grids = [None if g is None else _whole(g, "grid") for g in _list(certificate["grid"])]
    if not len(clips) == len(grids) == len(constraints) or any(
        g is not None and g < 1 for g in grids
    ):
        raise CertificateError.at("clip, grid", "one per constraint", "other", "-")

    def rounded(z: Fraction, i: int) -> Fraction:
        clip, grid = clips[i], grids[i]
        z = z if clip is None else min(z, clip)
        return z if grid is None else Fraction(math.floor(z * grid), grid)

    budgets = [
        tuple(_rational(b, "budget") for b in _list(vector))
        for vector in _list(certificate["budgets"])
    ]
    index = {vector: i for i, vector in enumerate(budgets)}
    if len(index) < len(budgets) or any(len(v) != len(constraints) for v in budgets):
        raise CertificateError.at(
            "budgets", "distinct vectors, one entry a constraint", "other", "-"
        )
    timed = constraints[0].horizon is not None
    listed: dict[tuple[int, int, int | None], list[int]] = {}
    for entry in _list(certificate["pairs"]):
        state, budget, time, choices = _list(entry)
        key = _state(state, model), _below(budget, len(budgets), "budget"), _time(time, timed)
        if key in listed:
            raise CertificateError.at(f"pair {entry}", "each pair once", "twice", "drop one")
        listed[key] = [_whole(c, "choice") for c in _list(choices)]
    after: dict[tuple[int, int], int | None] = {}
    reached = set()
    waiting = []

    def require(state: int, budget: int | None, time: int | None, why: str) -> None:
        key = (state, -1 if budget is None else budget, time)
        if key not in listed:
            raise CertificateError.at(
                why, "its successors in the set", f"none for state {model.state_name(state)}",
                "the set is not closed",
            )  # fmt: skip
        if key not in reached:
            reached.add(key)
            waiting.append(key)

    start = tuple(rounded(c.budget / model.cost_unit, i) for i, c in enumerate(constraints))
    for state in range(model.S):
        if model.initial[state] > 0:
            require(state, index.get(start), 0 if timed else None, "initial state")
    while waiting:
        state, budget, time = waiting.pop()
        where = f"pair (state {model.state_name(state)}, budget {certificate['budgets'][budget]})"
        ended = bool(model.terminal[state]) or (timed and time == constraints[0].horizon)
        for c, z in zip(constraints, budgets[budget], strict=True):
            if (c.anytime or ended) and not c.kept(z):
                raise CertificateError.at(where, "a kept budget", str(z), "it is broken")
        choices = listed[state, budget, time]
        if ended != (not choices) or len(set(choices)) < len(choices):
            raise CertificateError.at(where, "choices unless the run is over", choices, "-")
        for place in choices:
            choice = _choice(state, place, model)
            for s in _support(choice, model):
                memo = (budget, choice)
                if memo not in after:
                    moved = tuple(
                        rounded((z - c.cost[choice]) / c.discount, i)
                        for i, (c, z) in enumerate(zip(constraints, budgets[budget], strict=True))
                    )
                    after[memo] = index.get(moved)
                require(s, after[memo], None if time is None else time + 1, where)
    if len(reached) < len(listed):
        raise CertificateError.at(
            "pairs", "only pairs that can be reached", f"{len(listed) - len(reached)} others", "-"
        )
    return Claim(
        "pairs",
        f"guard {certificate['guard']!r}, playing only the listed choices on the {len(listed)} "
        f"listed pairs, keeps {_words(constraints)} almost surely",
    )


def _check_demand(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[_Constraint]
) -> Claim:
    """THEORY T4: D >= 0 and D(s) >= c + gamma D(s') on every branch of the chosen action."""
    (constraint,) = constraints
    scale = _whole(certificate["denominator"], "denominator")
    if scale < 1:
        raise CertificateError.at("denominator", "a positive whole number", scale, "-")
    rows = [_list(r) for r in _list(certificate["demand"])]
    strict = [_list(r) for r in _list(certificate["strict"])]
    action = [_list(r) for r in _list(certificate["action"])]
    count = 1 if constraint.horizon is None else constraint.horizon + 1
    for name, table in (("demand", rows), ("strict", strict), ("action", action)):
        if len(table) != count or any(len(r) != model.S for r in table):
            raise CertificateError.at(name, f"{count} rows of {model.S}", "another shape", "-")
    if any(s not in (0, 1) for r in strict for s in r):
        raise CertificateError.at("strict", "0 or 1", "other", "-")
    p, q = constraint.discount.numerator, constraint.discount.denominator
    for t in range(count):
        if constraint.horizon is not None and t == 0:
            for s in range(model.S):  # with no steps to go z itself is judged
                _judged(
                    f"demand of state {model.state_name(s)}", rows[0][s], strict[0][s], constraint
                )
            continue
        before = t - 1 if constraint.horizon is not None else t
        for s in range(model.S):
            if rows[t][s] is None:
                continue
            _row(s, t, before, (rows, strict, action), (p, q, scale), constraint, model)
    _start(rows[-1], strict[-1], scale, constraint, model)
    return Claim(
        "demand",
        f"from every state with a budget of at least its demand the chosen actions, and every "
        f"policy inside the shield of these demands, keep {_words(constraints)} almost surely",
    )


def _row(
    s: int, t: int, before: int,
    tables: tuple[list[list[Any]], list[list[Any]], list[list[Any]]],
    numbers: tuple[int, int, int], constraint: _Constraint, model: ConstrainedMDP,
) -> None:  # fmt: skip
    """One state: its demand pays for the chosen action and all that may follow."""
    rows, strict, action = tables
    p, q, scale = numbers
    own = _whole(rows[t][s], "demand")
    where = f"demand of state {model.state_name(s)}"
    if constraint.anytime or model.terminal[s]:
        _judged(where, own, strict[t][s], constraint)
    if model.terminal[s]:
        return
    choice = _choice(s, _whole(action[t][s], "action"), model)
    for after in _support(choice, model):
        ahead = rows[before][after]
        if ahead is None:
            raise CertificateError.at(where, "finite demands ahead", "an infinite one", "-")
        needs = q * constraint.cost[choice] * scale + p * _whole(ahead, "demand")
        tight = needs == q * own
        if needs > q * own or (tight and strict[before][after] and not strict[t][s]):
            raise CertificateError.at(
                where, f"at least {Fraction(needs, q * scale)} units", Fraction(own, scale),
                "it does not pay for what follows",
            )  # fmt: skip


def _check_violation(
    certificate: Mapping[str, Any], model: ConstrainedMDP, constraints: list[_Constraint]
) -> Claim:
    """Walk the run: every step is the model's, and only the last budget is broken."""
    state = _state(certificate["initial_state"], model)
    chance = _probability(certificate["initial_probability"], model)
    if not model.initial[state] > 0:
        raise CertificateError.at("initial_state", "one that can occur", state, "-")
    _close("initial_probability", chance, model.initial[state])
    if "grid" in certificate and _whole(certificate["grid"], "grid") < 1:
        raise CertificateError.at("grid", "a positive whole number", certificate["grid"], "-")
    budgets = [c.budget for c in constraints]
    steps = _list(certificate["steps"])
    horizon, total = constraints[0].horizon, chance
    for t, step in enumerate(steps):
        where = f"step {t}"
        _same(f"{where}: keys", _STEP, set(step))
        _same(f"{where}: state", state, step["state"])
        if model.terminal[state] or (horizon is not None and t >= horizon):
            raise CertificateError.at(where, "a run that goes on", "one that is over", "-")
        if any(c.anytime and not c.kept(z) for c, z in zip(constraints, budgets, strict=True)):
            raise CertificateError.at(where, "kept budgets before the last", "a broken one", "-")
        choice = _choice(state, _whole(step["choice"], "choice"), model)
        costs = [c.cost[choice] * model.cost_unit for c in constraints]
        budgets = [
            (z - paid) / c.discount for c, z, paid in zip(constraints, budgets, costs, strict=True)
        ]
        _same(f"{where}: costs", [str(c) for c in costs], step["costs"])
        _same(f"{where}: budgets", [str(b) for b in budgets], step["budgets"])
        after = _state(step["next_state"], model)
        chance = _probability(step["probability"], model)
        onward = sum(
            model.branch_prob[b]
            for b in range(int(model.branch_ptr[choice]), int(model.branch_ptr[choice + 1]))
            if model.branch_state[b] == after
        )
        if not 0 < chance <= onward + 1e-9:
            raise CertificateError.at(
                f"{where}: probability", f"in (0, {onward}]", chance, "no such step"
            )
        total = total * chance
        state = after
    _close("probability", _probability(certificate["probability"], model), total)
    broken = constraints[_below(certificate["broken"], len(constraints), "broken")]
    z = budgets[certificate["broken"]]
    over = bool(model.terminal[state]) or (horizon is not None and len(steps) == horizon)
    if broken.kept(z) or not (broken.anytime or over):
        raise CertificateError.at("the last budget", "a broken one", z, "the run violates nothing")
    return Claim(
        "violation",
        f"the run of {len(steps)} steps breaks {_words([broken])} if guard "
        f"{certificate['guard']!r} gives its choices any probability: the budget ends at {z}",
    )


_STEP = {"state", "choice", "costs", "budgets", "next_state", "probability"}


def _judged(where: str, demand: Any, strict: int, constraint: _Constraint) -> None:
    """Where z is judged at once, every z that the demand admits must be kept."""
    own = _whole(demand, where)
    if own < 0 or (own == 0 and not constraint.closed and not strict):
        least = "a number >= 0" if constraint.closed else "a number > 0, or 0 with z above it"
        raise CertificateError.at(where, least, own, "a broken budget is admitted")


def _start(
    row: list[Any], strict: list[Any], scale: int, constraint: _Constraint, model: ConstrainedMDP
) -> None:
    budget = constraint.budget / model.cost_unit * scale
    for s in range(model.S):
        if not model.initial[s] > 0:
            continue
        enough = row[s] is not None and (budget > row[s] or (budget == row[s] and not strict[s]))
        if not enough:
            raise CertificateError.at(
                f"initial state {model.state_name(s)}", "a budget of at least its demand",
                constraint.budget, "the claim does not cover the start",
            )  # fmt: skip


def _constraint(entry: Any, model: ConstrainedMDP) -> _Constraint:
    _same("constraint keys", _CONSTRAINT, set(entry))
    row = _below(entry["cost"], model.K, "cost")
    horizon = entry["horizon"]
    if entry["boundary"] not in ("closed", "open") or entry["scope"] not in ("anytime", "terminal"):
        raise CertificateError.at("constraint", "a known boundary and scope", dict(entry), "-")
    found = _Constraint(
        _rational(entry["budget"], "budget"), _rational(entry["discount"], "discount"),
        entry["boundary"] == "closed", entry["scope"] == "anytime",
        [int(c) for c in model.cost[row]],
        None if horizon is None else _below(horizon, 2**62, "horizon"),
    )  # fmt: skip
    if found.budget < 0 or not 0 < found.discount <= 1:
        raise CertificateError.at("constraint", "budget >= 0, discount in (0, 1]", "other", "-")
    if not found.anytime and found.horizon is None:
        raise CertificateError.at("constraint", "a horizon with scope terminal", "none", "-")
    return found


_CONSTRAINT = {"budget", "discount", "boundary", "scope", "cost", "horizon"}


def _words(constraints: list[_Constraint]) -> str:
    return " and ".join(
        f"budget {c.budget} (discount {c.discount}, z {'>=' if c.closed else '>'} 0 "
        f"{'at every time' if c.anytime else 'at the end'}"
        + ("" if c.horizon is None else f", {c.horizon} steps")
        + ")"
        for c in constraints
    )


def _support(choice: int, model: ConstrainedMDP) -> list[int]:
    low, high = int(model.branch_ptr[choice]), int(model.branch_ptr[choice + 1])
    return [int(s) for s in model.branch_state[low:high]]


def _choice(state: int, place: int, model: ConstrainedMDP) -> int:
    low, high = int(model.choice_ptr[state]), int(model.choice_ptr[state + 1])
    if not 0 <= place < high - low:
        raise CertificateError.at(
            f"choice of state {model.state_name(state)}", f"0..{high - low - 1}", place, "-"
        )
    return low + place


def _state(value: Any, model: ConstrainedMDP) -> int:
    return _below(value, model.S, "state")


def _time(value: Any, timed: bool) -> int | None:
    if timed != (value is not None):
        raise CertificateError.at("time", "times with a horizon only", repr(value), "-")
    return None if value is None else _below(value, 2**62, "time")


def _below(value: Any, limit: int, where: str) -> int:
    number = _whole(value, where)
    if not 0 <= number < limit:
        raise CertificateError.at(where, f"0..{limit - 1}", number, "-")
    return number


def _whole(value: Any, where: str) -> int:
    if type(value) is not int:
        raise CertificateError.at(where, "a whole number", repr(value), "-")
    return value


def _rational(value: Any, where: str) -> Fraction:
    if type(value) is not str or len(value) > MOST_DIGITS:
        raise CertificateError.at(where, "a rational as text", repr(value)[:60], "-")
    number = Fraction(value)
    if str(number) != value:
        raise CertificateError.at(where, f"lowest terms, {number}", value[:60], "-")
    return number


def _probability(value: Any, model: ConstrainedMDP) -> Any:
    """A rational as text in exact mode, else a float."""
    number = _rational(value, "probability") if model.exact else value
    if not isinstance(number, Fraction | float) or not 0 < number <= 1 + 1e-9:
        raise CertificateError.at("probability", "a number in (0, 1]", repr(value), "-")
    return number


def _close(where: str, got: Any, want: Any) -> None:
    if isinstance(got, Fraction) and got == want:
        return
    if isinstance(got, Fraction) or not math.isclose(got, float(want), rel_tol=1e-9):
        raise CertificateError.at(where, str(want), got, "it does not follow")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise CertificateError.at("certificate", "a list", type(value).__name__, "-")
    return value


def _same(where: str, want: Any, got: Any) -> None:
    if want != got or type(want) is not type(got):
        raise CertificateError.at(
            where,
            str(want)[:80],
            str(got)[:80],
            "the certificate was changed, or is of another model",
        )


def _digest(certificate: Mapping[str, Any]) -> str:
    content = {k: v for k, v in certificate.items() if k != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
