"""Request headers of the API: preferences, conditions and idempotency keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from shared.errors import InvalidRequest

WAIT_MAX = 60  # seconds
_KEY = re.compile(rb"[\x20-\x7e]{1,128}")
_PREFERENCE = re.compile(r'\s*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*))?\s*(?:;[^,]*)?')
_NUMBER = re.compile(r"[0-9]+")
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')

Headers = Sequence[tuple[bytes, bytes]]  # as in an ASGI scope: names in lower case


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Return the values of a header, one for each of its lines."""
    return [value for header, value in headers if header == name]


def idempotency_key(headers: Headers) -> str | None:
    """Return the key of a request, as it stands.

    Raises:
        InvalidRequest: two headers, or not 1 to 128 printable ASCII characters.
    """
    found = values(headers, b"idempotency-key")
    if not found:
        return None
    if len(found) > 1 or _KEY.fullmatch(found[0]) is None:
        raise InvalidRequest("Idempotency-Key: one header of 1 to 128 printable ASCII characters")
    return found[0].decode("ascii")


def wait_preference(headers: Headers) -> int | None:
    """Return the seconds of `Prefer: wait=N` (RFC 7240), at most `WAIT_MAX`.

    `None` without the preference, or where its value is malformed or not positive. Only its first instance counts.
    """
    for name, value in _preferences(values(headers, b"prefer")):
        if name == "wait":
            if _NUMBER.fullmatch(value) is None:
                return None
            digits = value.lstrip("0")
            return min(int(digits), WAIT_MAX) if 0 < len(digits) < 9 else WAIT_MAX if digits else None
    return None


def _preferences(lines: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    for line in lines:
        text, at = line.decode("latin-1"), 0
        while at < len(text):
            found = _PREFERENCE.match(text, at)
            if found is not None and (found.end() == len(text) or text[found.end()] == ","):
                yield found[1].lower(), (found[2] or "").strip('"')
                at = found.end() + 1
            else:  # malformed: continue behind the next comma
                comma = text.find(",", at)
                at = len(text) if comma < 0 else comma + 1


def if_match(headers: Headers) -> list[int] | None:
    """Return the session numbers of `If-Match` (RFC 9110, section 13.1.1); `None` without a condition.

    A tag that is weak, or is not one of ours, matches no number.
    """
    text = ", ".join(value.decode("latin-1") for value in values(headers, b"if-match")).strip(", ")
    if not text or text == "*":
        return None
    tags = _TAG.findall(text)
    return [int(tag) for weak, tag in tags if not weak and re.fullmatch(r"0|[1-9][0-9]{0,18}", tag)]


def etag(number: int) -> bytes:
    """Return the entity tag of a session with this number."""
    return b'"%d"' % number
