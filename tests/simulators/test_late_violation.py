"""late-violation: the budgets for which a penalty is too small (THEORY T1.no-threshold)."""

from fractions import Fraction
from pathlib import Path

import pytest

from ig_theory.errors import ModelError
from simulators.latent import late_budget, late_violation, violation_time

DISCOUNTS = [Fraction(9, 10), Fraction(1, 2)]
PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_late_model():
    model = late_violation(exact=True)
    assert model.state_names == ("q", "s1", "sink")
    assert model.reward_discount == Fraction(9, 10)
    assert model.branch_state.tolist() == [2, 1, 1, 2]
    assert model.cost.tolist() == [[0, 0, 1, 0]]
    assert model.reward.tolist() == [0, 1, 0, 0]
    assert model.base_policy.tolist() == [Fraction(1, 2), Fraction(1, 2), 1, 1]
    assert late_violation(2).state_names == ("q", "wait 1", "wait 2", "s1", "sink")


@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize("gamma", DISCOUNTS)
def test_late_threshold(delay, gamma):
    """From gamma^(delay+1) / (1 - gamma) on, and only then, b keeps the budget for ever."""
    model = late_violation(delay, exact=True)
    threshold = gamma ** (delay + 1) / (1 - gamma)

    def outlives(z, steps):
        state = 0
        for _ in range(steps):
            choice = int(model.choice_ptr[state]) + (state == 0)  # b in q, else the only one
            z = (z - int(model.cost[0, choice])) / gamma
            state = int(model.branch_state[model.branch_ptr[choice]])
            if z < 0:
                return False
        return z == 1 / (1 - gamma)  # a fixed point of z -> (z - 1) / gamma

    assert outlives(threshold, 60)
    assert not outlives(threshold * Fraction(999, 1000), 120)
    if delay == 0:
        assert violation_time(threshold, gamma) is None
        assert violation_time(threshold * Fraction(999, 1000), gamma) is not None


@pytest.mark.parametrize(
    ("penalty", "time", "digits"), [(10, 44, 5), (10**3, 88, 5), (10**6, 153, 7)]
)
def test_late_budget_fools_its_penalty(penalty, time, digits):
    gamma, z = Fraction(9, 10), late_budget(penalty)
    assert z < 9
    assert violation_time(z) == time

    def worth_of_b(n, t):  # 1 now, then -n for ever from t on
        return 1 - n * gamma**t / (1 - gamma)

    assert worth_of_b(penalty, time) > 0 > worth_of_b(penalty, time - 1)
    assert worth_of_b(10 * penalty, time) < 0
    shown = f"{float(z):.{digits}f}"
    assert violation_time(shown) == time
    assert f"| {penalty} | {shown} | {time} |" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: late_budget(0), "penalty"), (lambda: late_budget(1, 1), "discount"),
        (lambda: violation_time(-1), "budget"), (lambda: violation_time(1, 0.9), "discount"),
    ],
)  # fmt: skip
def test_helpers_refuse_what_makes_no_sense(call, name):
    with pytest.raises(ModelError, match=rf"^{name}: want "):
        call()
