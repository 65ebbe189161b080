"""Downloads the page's files as a browser would, by following the names in them."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass

import httpx2

ENTRIES = ("index.html", "widget.js")
NAMES = re.compile(r"""["'`](?:/chat/|\./)?((?:assets/)?[\w-]+\.(?:js|css|webmanifest|svg|png))["'`]""")
TEXTS = (".html", ".js", ".css", ".webmanifest")


@dataclass(frozen=True, slots=True)
class File:
    """A downloaded file: `sent` are the bytes on the wire, `content` the decoded bytes."""

    sent: bytes
    content: bytes

    @property
    def text(self) -> str:
        """The content of a text file."""
        return self.content.decode()


def served(url: str) -> dict[str, File]:
    """Return every file of the page at `url`, by its path below it, as sent to a browser that accepts gzip."""
    found: dict[str, File] = {}
    with httpx2.Client(base_url=url, headers={"Accept-Encoding": "gzip"}) as http:
        ahead = list(ENTRIES)
        while ahead:
            name = ahead.pop()
            if name in found or (file := fetched(http, name)) is None:
                continue
            found[name] = file
            if name.endswith(TEXTS):
                place = name[: name.rfind("/") + 1]  # names in a file may be relative to it
                ahead += [start + each for each in NAMES.findall(file.text) for start in {"", place}]
    return found


def fetched(http: httpx2.Client, name: str) -> File | None:
    """Return one file, or None if it does not exist: a text may contain a name of no file."""
    with http.stream("GET", name) as answer:
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        sent = b"".join(answer.iter_raw())
    return File(sent, gzip.decompress(sent) if answer.headers.get("Content-Encoding") == "gzip" else sent)
