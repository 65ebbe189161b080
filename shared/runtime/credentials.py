"""Rules for credentials that are too weak for connections to other machines (ASVS 13.3, OWASP A07). Pure.

Weak are empty credentials, defaults of software, placeholders of manuals, and texts that are short after such words
are removed. On loopback any credential is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SHORTEST = 12  # characters without well-known words
DIFFERENT = 6  # distinct characters among them
WELL_KNOWN = (
    *("correcthorsebatterystaple", "changethis", "changeme", "replaceme", "placeholder", "notsecret", "letmein"),
    *("postgresql", "postgres", "rabbitmq", "backchat", "password", "passwort", "administrator", "admin", "passcode"),
    *("secret", "example", "default", "guest", "insert", "dummy", "sample", "test", "root", "user", "your", "here"),
    *("token", "apikey", "api", "key", "todo", "none", "null", "welcome", "hunter2", "deadbeef", "cafebabe", "pass"),
    *("abcdefghijklmnopqrstuvwxyz", "abcdef", "abc", "qwertyuiop", "qwertzuiop", "qwerty", "asdfgh"),
    *("1234567890", "0123456789", "12345678", "123456", "12345", "1234", "123"),
)
DISGUISES = {"a": "a@4", "e": "e3", "i": "i1!", "o": "o0", "s": "s$5"}
NEED_A_PASSWORD = frozenset({"amqp", "amqps", "postgresql"})  # their servers accept a user name without a password
WEAK = f"must have a password of its own for a host that is not this machine: {SHORTEST} characters or more, no default"


def weakness(secret: str, *known: str) -> str | None:
    """Return the reason why a credential is weak, or `None`; `known` are further words that an attacker may guess.

    The reason is the end of a sentence about the credential and contains no part of it.
    """
    if not secret:
        return "is empty"
    further = (re.sub(r"[\W_]+", "", word.casefold()) for word in known)
    words = sorted({*WELL_KNOWN, *(word for word in further if len(word) > 2)}, key=len, reverse=True)
    left = re.sub("|".join(map(_disguised, words)), "", secret.casefold())
    length = min(len(left), len(secret))  # case folding may lengthen a text: "ß" becomes "ss"
    if length >= SHORTEST and len(set(left)) >= DIFFERENT:
        return None
    return f"is a well-known word or too short: {SHORTEST} characters or more that cannot be guessed are required"


def on_this_machine(host: str | None) -> bool:
    """Return whether a host of a URL is loopback or missing, as for files and Unix sockets."""
    if not host or host.startswith("/"):
        return True
    if host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_weak_address(url: str) -> bool:
    """Return whether a URL with a host on another machine has a weak password, or lacks a required one."""
    parts = urlsplit(url)
    if all(map(on_this_machine, _hosts(parts))):
        return False
    if parts.password is None:
        return parts.scheme.partition("+")[0] in NEED_A_PASSWORD
    return is_weak_password(unquote(parts.password), unquote(parts.username or ""))


def is_weak_password(password: str, user: str) -> bool:
    """Return whether a password of a user is weak or empty."""
    return weakness(password, user) is not None


def _hosts(parts: SplitResult) -> Iterator[str | None]:
    """Yield the hosts of a URL; for PostgreSQL they may also be in its query, each with a port."""
    asked = parse_qs(parts.query).get("host", []) if parts.scheme.startswith("postgresql") else []
    if parts.hostname or not asked:
        yield parts.hostname
    for host in asked:
        yield host if host.startswith("/") else host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]


def _disguised(word: str) -> str:
    """Return a pattern for a word, also with separators between its letters or with digits in their place."""
    return r"[\W_]*".join(f"[{DISGUISES[letter]}]" if letter in DISGUISES else re.escape(letter) for letter in word)
