"""JUnit and HTML documents are well formed, complete, and stand alone."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hand_made_verdicts import ALL, AWKWARD, FAULTY, FEW, MANY, SAFE, STUDY

from ig_theory.errors import IGTheoryError
from ig_theory.report import Study, write_report
from ig_theory.report.figures import price_figure, safe_set_figure, violation_figure
from ig_theory.report.files import replacing, write_whole
from ig_theory.report.html import html_report
from ig_theory.report.junit import junit_xml

VOID = {"meta", "wbr", "br", "li", "dt", "dd", "td", "th", "tr", "path"}


class Page(HTMLParser):
    """Collects ids, links, and tags that are closed in the wrong order."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.open, self.wrong, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "data", "srcset", "action"):
                self.links.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def html():
    return html_report([STUDY, Study("second", ALL, (MANY,))], "0", [None] * 8)


@pytest.fixture(scope="module")
def page(html):
    parser = Page()
    parser.feed(html)
    return parser


def test_the_page_loads_nothing_from_elsewhere(html, page):
    assert all(link.startswith("#") for link in page.links)
    assert not re.search(r"https?:|//[a-z]|@import|<script", html)


def test_ids_are_unique_and_references_resolve(html, page):
    assert len(page.ids) == len(set(page.ids)) > 50
    referred = re.findall(r"url\(#([^)]+)\)", html) + [link[1:] for link in page.links]
    assert referred
    assert set(referred) <= set(page.ids)


def test_tags_are_balanced_and_names_are_escaped(html, page):
    assert page.wrong == []
    assert page.open == []
    assert "<b>" not in html
    assert any("a <b> &" in text for text in page.text)


def test_the_page_shows_everything(html):
    for text in ("INCONCLUSIVE", "t=3  turn 3", "When violations happen", "The price of safety",
                 "What the verdicts rest on", "URUP", "prefers-color-scheme: dark"):  # fmt: skip
        assert text in html
    assert html.count("<svg") == 2 + 2 + 1 + 2


def test_figures_follow_the_colours_of_the_page():
    svg = safe_set_figure(FEW, "k")
    assert "var(--kept)" in svg
    assert "#2e8b6f" not in svg
    assert "no budget is enough" in svg
    assert svg == safe_set_figure(FEW, "k"), "the same input must give the same file"


def test_nothing_to_draw_is_no_figure():
    assert violation_figure([FAULTY], "k") is None
    assert price_figure([FAULTY], "k") is None
    assert "svg" in price_figure([SAFE], "k")


def test_junit_counts_and_says_why():
    root = ET.fromstring(junit_xml([STUDY]))
    assert root.attrib == {"name": "ig-theory", "tests": "4", "failures": "2", "errors": "1"}
    safe, violated, unclear, faulty = root.iter("testcase")
    assert [child.tag for child in safe] == ["properties"]
    assert {p.get("name") for p in safe.iter("property")} >= {"violation", "reward", "kl_ratio"}
    assert violated.find("failure").get("type") == "VIOLATED"
    assert "t=3  turn 3: comply" in violated.find("failure").text
    assert unclear.find("failure").get("type") == "INCONCLUSIVE"
    assert faulty.find("error").get("message").startswith("state 3: a <b> &")


def test_a_report_is_whole(tmp_path):
    names = write_report(tmp_path / "new" / "out", [Study("x", ALL)], "0")
    assert names == ["shield.certificate.json", None, None, None]
    written = {path.name for path in (tmp_path / "new" / "out").iterdir()}
    assert written == {"verdict.json", "junit.xml", "report.html", "shield.certificate.json"}
    found = json.loads((tmp_path / "new" / "out" / "verdict.json").read_text("utf-8"))
    assert found["verdicts"][0]["certificate"] == "shield.certificate.json"
    assert found["verdicts"][1]["guard"] == AWKWARD
    ET.parse(tmp_path / "new" / "out" / "junit.xml")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    target = tmp_path / "verdict.json"
    write_whole(target, "old")

    def interrupted():
        with replacing(target) as temporary:
            temporary.write_text("half of the n")
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["verdict.json"]
    assert target.read_text() == "old"


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(IGTheoryError, match="a place that can be written"):
        write_whole(tmp_path / "file" / "verdict.json", "text")
