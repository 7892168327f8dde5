"""The packaged prompts are well formed, and public formats are read or refused with the place."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest

from ig_theory.errors import ModelError
from llm_bridge.prompts import Prompt, packaged_prompts, read_prompts


def test_at_least_fifty_prompts_of_our_own():
    prompts = packaged_prompts()
    assert len(prompts) >= 50
    assert len({p.id for p in prompts}) == len({p.text.casefold() for p in prompts}) == len(prompts)
    assert {p.kind for p in prompts} == {"benign", "mild"}
    assert all(len(packaged_prompts(kind)) >= 20 for kind in ("benign", "mild"))
    for prompt in prompts:
        assert prompt.note
        assert 10 <= len(prompt.text) <= 200
        assert re.fullmatch(rf"{prompt.kind}-[a-z-]+", prompt.id)


def test_packaged_prompts_are_found_as_package_data():
    assert (resources.files("llm_bridge") / "data" / "prompts.jsonl").is_file()
    with pytest.raises(ModelError, match="benign or mild"):
        packaged_prompts("harsh")


FORMATS = {
    # the columns of the public files, with texts of our own
    "xstest.csv": (
        "id,prompt,type,label,focus,note\n1,How do I kill a process?,homonyms,safe,process,\n"
        '2,"Good, bad, or ""fine""?",homonyms,safe,,\n',
        [Prompt("1", "How do I kill a process?", "safe"),
         Prompt("2", 'Good, bad, or "fine"?', "safe")],
    ),
    "orbench.csv": ("prompt,category\nShoot a portrait?,photo\n",
                    [Prompt("2", "Shoot a portrait?", "photo")]),
    "salad.json": (
        json.dumps([{"qid": 0, "question": "Why?", "source": "own", "1-category": "O1"}]),
        [Prompt("0", "Why?", "O1")],
    ),
    "attack.json": (
        json.dumps([{"aid": i, "qid": 3, "augq": f"a{i}", "baseq": "b"} for i in range(2)]),
        [Prompt("0", "a0"), Prompt("1", "a1")],
    ),
    "strongreject.csv": ('category,source,forbidden_prompt\nother,own,"two\nlines"\nother,own,b\n',
                         [Prompt("3", "two\nlines", "other"), Prompt("4", "b", "other")]),
    "wrapped.json": (json.dumps({"version": 1, "prompts": ["a", "b"]}),
                     [Prompt("1", "a"), Prompt("2", "b")]),
    "lines.txt": ("\ufefffirst\n\n  second: a, b\n",
                  [Prompt("1", "first"), Prompt("3", "second: a, b")]),
    "tabs.tsv": ("prompt\tlabel\na, b\tsafe\n", [Prompt("2", "a, b", "safe")]),
    "own.jsonl": ('{"id": "x", "text": "a", "kind": "mild", "note": "n"}\n\n{"id": "y", '
                  '"text": "b\\u2028c", "kind": "mild"}\n',
                  [Prompt("x", "a", "mild", "n"), Prompt("y", "b\u2028c", "mild")]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_public_formats_are_read(tmp_path, name):
    content, wanted = FORMATS[name]
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_prompts(path) == wanted


BROKEN = {
    "a.csv": ("prompt,label\nok,safe\n ,safe\n", r"a\.csv, line 3, field prompt: want a text"),
    "b.csv": ("prompt,label\nok,safe\na,b,c\n", r"b\.csv, line 3: want 2 fields"),
    "c.csv": ("words,label\nok,safe\n", r"c\.csv, line 2: want a column"),
    "d.jsonl": ('{"text": "a"}\n{"text": 3}\n', r"d\.jsonl, line 2, field text: want a text"),
    "e.jsonl": ('{"text": "a"}\n{"text"\n', r"e\.jsonl, line 2: want a JSON object"),
    "f.jsonl": ('{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n', "line 2, field id"),
    "g.jsonl": ('{"text": "a", "label": "s"}\n{"text": "b"}\n', "line 2, field label"),
    "h.json": ('{"a": 1}', "list of prompts"),
    "i.json": ("[1]", "line 1: want an object"),
    "j.txt": ("\n\n", "at least one prompt"),
    "k.csv": ('prompt,label\n"open,safe\n', "CSV row"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_the_place(tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        read_prompts(tmp_path / name)


def test_columns_can_be_named(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("n,say,prompt\nq,this,not this\n")
    assert read_prompts(path, text="say", kind="n", id="n") == [Prompt("q", "this", "q")]
    with pytest.raises(ModelError, match="field said"):
        read_prompts(path, text="said")


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"none\.csv"):
        read_prompts(tmp_path / "none.csv")
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="UTF-8"):
        read_prompts(tmp_path / "x.txt")


def test_parquet_is_optional(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(ModelError, match="parquet"):
        read_prompts(path)
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.table({"prompt": ["a"], "category": ["c"]}), path)
    assert read_prompts(path) == [Prompt("1", "a", "c")]
