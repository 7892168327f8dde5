"""What a check does where the claim fails."""

from __future__ import annotations


def require(condition: bool, text: str) -> None:
    """Fail the check, also under ``python -O``, which drops ``assert``.

    Raises
    ------
    AssertionError
        With `text`, unless `condition` holds.

    Examples
    --------
    >>> require(1 + 1 == 2, "arithmetic")
    """
    if not condition:
        raise AssertionError(text)
