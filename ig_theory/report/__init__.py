"""Reports for people and machines: a table, JSON, JUnit, and one self-contained HTML page."""

from ig_theory.report.study import SafeSetPicture, Study, picture, worst
from ig_theory.report.table import verdict_notes, verdict_table
from ig_theory.report.write import write_report

__all__ = [
    "SafeSetPicture",
    "Study",
    "picture",
    "verdict_notes",
    "verdict_table",
    "worst",
    "write_report",
]
