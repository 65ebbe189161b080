"""The rules of passcodes: a minimum length and a list of common ones, no composition rules (NIST SP 800-63B-4).

Passcodes are hashed in Unicode normalisation form NFKC, so that different keyboards give the same text. The length is
the number of code points in that form. Nothing is trimmed, case-folded or truncated.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

LENGTH_MIN = 8  # characters (code points), after NFKC
LENGTH_MAX = 128
# Normalisation shortens a text at most four times, so a longer one exceeds LENGTH_MAX in any case. The limit is checked
# first, because normalising takes more than linear time in the number of combining marks.
RAW_MAX = 4 * LENGTH_MAX

COMMON = Path(__file__).with_name("common_passcodes.txt")


def well_formed(raw: str) -> str:
    """Return the text unchanged if it can be encoded and stored.

    Raises:
        ValueError: the text contains NUL or a lone surrogate.
    """
    if "\0" in raw:
        raise ValueError("must not contain NUL")
    if any("\ud800" <= character <= "\udfff" for character in raw):
        raise ValueError("must be valid Unicode, without lone surrogates")
    return raw


def normalised(raw: str) -> str:
    """Return a passcode in the form that is hashed.

    Raises:
        ValueError: no account can have this passcode. The message gives the reason and never contains the passcode.
    """
    passcode = unicodedata.normalize("NFKC", well_formed(raw)) if len(raw) <= RAW_MAX else raw
    if not LENGTH_MIN <= len(passcode) <= LENGTH_MAX:
        raise ValueError(f"must have {LENGTH_MIN} to {LENGTH_MAX} characters")
    return passcode


def is_weak(passcode: str, user_id: str) -> bool:
    """Return whether a normalised passcode is one of the most common ones, or equals the user id."""
    folded = passcode.casefold()
    return folded in _common() or folded == user_id


@cache
def _common() -> frozenset[str]:
    return frozenset(COMMON.read_text("utf-8").split())
