"""Which credentials are too weak to be used beyond this machine: rules without I/O (ASVS 13.3, OWASP A07).

Weak is what a stranger tries first: nothing, a default of the software's makers, a placeholder of a manual, or anything
in which little is left once such words are taken out of it. On loopback whatever the developer likes will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SHORTEST = 12  # characters that are left without well-known words
DIFFERENT = 6  # of them
WELL_KNOWN = (
    *("correcthorsebatterystaple", "changethis", "changeme", "replaceme", "placeholder", "notsecret", "letmein"),
    *("postgresql", "postgres", "rabbitmq", "backchat", "password", "passwort", "administrator", "admin", "passcode"),
    *("secret", "example", "default", "guest", "insert", "dummy", "sample", "test", "root", "user", "your", "here"),
    *("token", "apikey", "api", "key", "todo", "none", "null", "welcome", "hunter2", "deadbeef", "cafebabe", "pass"),
    *("abcdefghijklmnopqrstuvwxyz", "abcdef", "abc", "qwertyuiop", "qwertzuiop", "qwerty", "asdfgh"),
    *("1234567890", "0123456789", "12345678", "123456", "12345", "1234", "123"),
)
DISGUISES = {"a": "a@4", "e": "e3", "i": "i1!", "o": "o0", "s": "s$5"}
NEED_A_PASSWORD = frozenset({"amqp", "amqps", "postgresql"})  # whose servers let in whoever knows a name otherwise
WEAK = f"must have a password of its own for a host that is not this machine: {SHORTEST} characters or more, no default"


def weakness(secret: str, *known: str) -> str | None:
    """What makes a credential too weak for the world; `None`: nothing. `known`: words that strangers know, too.

    The answer is the end of a sentence about the credential, and shows nothing of it.
    """
    if not secret:
        return "is empty"
    said = (re.sub(r"[\W_]+", "", word.casefold()) for word in known)
    words = sorted({*WELL_KNOWN, *(word for word in said if len(word) > 2)}, key=len, reverse=True)
    left = re.sub("|".join(map(_spelt_anyhow, words)), "", secret.casefold())
    length = min(len(left), len(secret))  # case folding may lengthen a text: "ß" becomes "ss"
    if length >= SHORTEST and len(set(left)) >= DIFFERENT:
        return None
    return f"is a well-known word or too short: {SHORTEST} characters or more that nobody can guess are needed"


def on_this_machine(host: str | None) -> bool:
    """Whether a host of an address is loopback, or none at all (a file or a socket in the file system)."""
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
    """Whether an address leads beyond this machine and its password is weak, or is missing where it must not be."""
    parts = urlsplit(url)
    if all(map(on_this_machine, _hosts(parts))):
        return False
    needed = parts.scheme.partition("+")[0] in NEED_A_PASSWORD
    if parts.password is None:
        return needed
    return weakness(unquote(parts.password), unquote(parts.username or "")) is not None


def _hosts(parts: SplitResult) -> Iterator[str | None]:
    """Those of an address; PostgreSQL's may also stand in its query, each with its port."""
    asked = parse_qs(parts.query).get("host", []) if parts.scheme.startswith("postgresql") else []
    if parts.hostname or not asked:
        yield parts.hostname
    for host in asked:
        yield host if host.startswith("/") else host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]


def _spelt_anyhow(word: str) -> str:
    """A pattern for a word, also with something between its letters or figures in their place."""
    return r"[\W_]*".join(f"[{DISGUISES[letter]}]" if letter in DISGUISES else re.escape(letter) for letter in word)
