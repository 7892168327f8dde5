"""What the documents show is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ig_theory.cli import main
from ig_theory.cli.demo import tour
from ig_theory.verdict import Outcome

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"```python\n# (\S+\.py)\n(.*?)```", re.DOTALL)
ROW = re.compile(rf"^ (\S+) +({'|'.join(o.value for o in Outcome)}) ", re.MULTILINE)

SNIPPETS = [
    pytest.param(document, name, code, id=f"{document}-{name}")
    for document in ("README.md", "docs/howto-guard.md")
    for name, code in CODE.findall((ROOT / document).read_text("utf-8"))
]


def test_the_table_in_the_readme_names_the_outcomes_of_the_demo():
    shown = ROW.findall((ROOT / "README.md").read_text("utf-8"))
    found = [(v.guard, v.outcome.value) for study in tour() for v in study.verdicts]
    assert shown == found
    assert len({outcome for _, outcome in found}) == 2


def test_snippets_were_found():
    assert len(SNIPPETS) == 3


@pytest.mark.parametrize(("document", "name", "code"), SNIPPETS)
def test_guards_in_the_documents_run(document, name, code, tmp_path, capsys):
    (tmp_path / name).write_text(code)
    spec = f"{tmp_path / name}:{Path(name).stem}"
    code = main(["check", spec, "--model", "jailbreak-dialogue", "--budget", "3"])
    said = capsys.readouterr()
    assert code in (0, 1), said.out + said.err


def test_links_between_documents_resolve():
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), (document.name, link)
