"""What a passcode may be (pure rules). NIST SP 800-63B-4: length and a list of common ones, no composition rules.

A passcode is compared in its NFKC form, so that it does not matter how a keyboard composes a character; its
length is counted in that form too, in code points. Nothing is trimmed, folded or cut.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

LENGTH_MIN = 8  # characters (code points), after NFKC
LENGTH_MAX = 128
# No character decomposes into more than 4 by Unicode's canonical mappings, so what is longer than this
# cannot come down to LENGTH_MAX. Checked first, because normalising is worse than linear in marks.
RAW_MAX = 4 * LENGTH_MAX

COMMON = Path(__file__).with_name("common_passcodes.txt")


def well_formed(raw: str) -> str:
    """The same text.

    Raises:
        ValueError: no text at all: NUL, or half of a surrogate pair.
    """
    if "\0" in raw:
        raise ValueError("must not contain NUL")
    if any("\ud800" <= character <= "\udfff" for character in raw):
        raise ValueError("must be valid Unicode, without lone surrogates")
    return raw


def normalised(raw: str) -> str:
    """The form that is hashed.

    Raises:
        ValueError: not a passcode that anybody could have; the text says why and never what.
    """
    passcode = unicodedata.normalize("NFKC", well_formed(raw)) if len(raw) <= RAW_MAX else raw
    if not LENGTH_MIN <= len(passcode) <= LENGTH_MAX:
        raise ValueError(f"must have {LENGTH_MIN} to {LENGTH_MAX} characters")
    return passcode


def is_weak(passcode: str, user_id: str) -> bool:
    """Whether a normalised passcode is among the first that anybody would try."""
    folded = passcode.casefold()
    return folded in _common() or folded == user_id


@cache
def _common() -> frozenset[str]:
    return frozenset(COMMON.read_text("utf-8").split())
