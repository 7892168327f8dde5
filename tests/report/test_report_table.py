"""The terminal table fits, shows every guard, and never reads names as markup."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hand_made_verdicts import ALL, AWKWARD, SAFE, VIOLATED, witness
from rich.console import Console

from ig_theory.report import verdict_notes, verdict_table
from ig_theory.report.table import trace_lines


def shown(verdicts, width=100, narrow=False):
    out = io.StringIO()
    console = Console(file=out, width=width, emoji=False, highlight=False)
    console.print(verdict_table(verdicts, "title", narrow))
    for line in verdict_notes(verdicts):
        console.print(line, soft_wrap=True)
    return out.getvalue()


@pytest.mark.parametrize(("width", "narrow"), [(100, False), (80, True)])
def test_numbers_are_whole_at_the_promised_width(width, narrow):
    text = shown([replace(v, guard=f"guard-{i}") for i, v in enumerate(ALL)], width, narrow)
    table = text[: text.index("guard-3")]
    assert "…" not in table
    for word in ("SAFE", "VIOLATED", "INCONCLUSIVE", "guard-0", "0.333", "≤1e-05", "1.25", "∞"):
        assert word in table
    assert max(len(line.rstrip()) for line in table.splitlines()) <= width


def test_names_are_text_not_markup_or_emoji():
    text = shown([VIOLATED])
    assert "[red]" in text
    assert ":smile:" in text
    assert "starts in a <b>" in text


def test_every_guard_that_is_not_safe_is_explained():
    text = shown(ALL)
    assert "breaks the budget after 4 steps, with probability 1/32 = 0.03125" in text
    assert "t=3  turn 3: comply  cost 1/10 -> z = -1/10  (p = 0.5)" in text
    assert "the bounds do not separate" in text
    assert f"state 3: {AWKWARD[:5]}" in text


def test_a_shared_assumption_is_said_once():
    text = shown([SAFE, VIOLATED])
    assert text.count("costs are what the model says") == 1
    assert "note (all guards)" in text


def test_a_long_trace_keeps_its_ends():
    lines = trace_lines(witness(30))
    assert len(lines) == 6
    assert lines[0].startswith("t=0 ")
    assert lines[-1].startswith("t=29 ")
    assert "25 more steps" in lines[3]
