"""Writes a report directory: verdict.json, junit.xml, report.html, and the certificates.

Among these is one that no guard at all is safe, where that is so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from ig_theory.certificate import write_certificate
from ig_theory.report.as_json import document
from ig_theory.report.files import replacing, write_whole
from ig_theory.report.html import html_report
from ig_theory.report.junit import junit_xml
from ig_theory.report.study import Study


def write_report(directory: Path, studies: Sequence[Study], version: str) -> list[str | None]:
    """Write the report; each file appears whole or not at all.

    Returns
    -------
    list
        For each verdict in order the file name of its certificate, or None.

    Raises
    ------
    IGTheoryError
        If the directory cannot be written.
    """
    verdicts = [verdict for study in studies for verdict in study.verdicts]
    names = certificate_names(studies)
    for verdict, name in zip(verdicts, names, strict=True):
        if name is not None and verdict.certificate is not None:
            with replacing(directory / name) as temporary:
                write_certificate(verdict.certificate, temporary)
    for study, name in zip(studies, impossibility_names(studies, names), strict=True):
        if study.impossibility is not None:
            with replacing(directory / name) as temporary:
                write_certificate(study.impossibility, temporary)
    found = json.dumps(document(verdicts, names), indent=2, allow_nan=False, ensure_ascii=False)
    write_whole(directory / "verdict.json", f"{found}\n")
    write_whole(directory / "junit.xml", junit_xml(studies))
    write_whole(directory / "report.html", html_report(studies, version, names))
    return names


def certificate_names(studies: Sequence[Study]) -> list[str | None]:
    """A file name for each verdict that has a certificate, all different.

    >>> from ig_theory.verdict import Outcome, Verdict
    >>> one = Verdict("penalty:n=10", "m", (), Outcome.SAFE, certificate={"kind": "safety"})
    >>> certificate_names([Study("m", (one, one))])
    ['penalty-n-10.certificate.json', 'penalty-n-10-2.certificate.json']
    """
    names: list[str | None] = []
    for study in studies:
        for verdict in study.verdicts:
            if verdict.certificate is None:
                names.append(None)
                continue
            parts = [verdict.guard] if len(studies) == 1 else [verdict.model, verdict.guard]
            stem = ".".join(file_stem(part) for part in parts)
            name, number = f"{stem}.certificate.json", 1
            while name in names:
                number += 1
                name = f"{stem}-{number}.certificate.json"
            names.append(name)
    return names


def impossibility_names(studies: Sequence[Study], taken: Sequence[str | None] = ()) -> list[str]:
    """A file name for what each study says of all guards, none of them taken.

    >>> impossibility_names([Study("m", ())], ["impossibility.certificate.json"])
    ['impossibility-2.certificate.json']
    """
    names: list[str] = []
    for study in studies:
        stem = "impossibility" if len(studies) == 1 else f"{file_stem(study.title)}.impossibility"
        name, number = f"{stem}.certificate.json", 1
        while name in names or name in taken:
            number += 1
            name = f"{stem}-{number}.certificate.json"
        names.append(name)
    return names


def file_stem(name: str) -> str:
    """A name as a safe part of a file name."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:80] or "guard"
