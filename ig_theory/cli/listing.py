"""What can be given where a model or a guard is asked for."""

from __future__ import annotations

import inspect


def model_lines() -> list[str]:
    """One line a model that has a name, then the other ways to give one."""
    from ig_theory.io.catalogue import model_names

    return _columns(
        [
            *model_names(),
            ("NAME:key=value,…", "a named model with parameters"),
            ("FILE.json, FILE.npz", "a saved model (ig-theory convert writes one)"),
            ("FILE.nm, .pm, .prism, .jani, .drn", "a model of PRISM or Storm (needs stormpy)"),
            ("PATH.py:FACTORY", "what a function in a Python file returns"),
        ]
    )


def guard_lines() -> list[str]:
    """One line a built-in guard, then the other ways to give one."""
    from ig_theory.guards import BUILT_IN

    built_in = [(name, first_line(factory)) for name, factory in BUILT_IN.items()]
    return _columns(
        [
            *built_in,
            ("NAME:key=value,…", "a built-in guard with parameters"),
            ("MODULE:NAME", "a guard, or a factory of one, in an installed module"),
            ("PATH.py:NAME", "the same in a Python file"),
        ]
    )


def question_lines() -> list[str]:
    """One line a question of ``ig-theory solve``."""
    from ig_theory.query.questions import QUESTIONS

    return _columns([(name, question.line) for name, question in QUESTIONS.items()])


def first_line(thing: object) -> str:
    """The first line of a docstring.

    >>> first_line(first_line)
    'The first line of a docstring.'
    """
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {text}".rstrip() for name, text in rows]
