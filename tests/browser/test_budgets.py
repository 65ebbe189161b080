"""Sizes of the page's files, compressed with gzip. Needs no browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tests.browser.served import File

KB = 1024  # bytes

PART = 10  # KB, of a part that is loaded later
LIMITS = {"markdown": 30, "highlight": 30, "references": 12, "typesetter": 62}  # KB, of the larger ones

Files = dict[str, File]


def weight(*files: File) -> int:
    """Return the number of bytes on the wire."""
    assert all(len(file.sent) < len(file.content) for file in files if len(file.content) > KB), "not compressed"
    return sum(len(file.sent) for file in files)


def test_files_are_within_their_size_limits(page_files: Files, record_property: Callable[[str, object], None]) -> None:
    """Limits for the first load, for each part that is loaded later, for styles, and for the widget's loader."""
    index = page_files["index.html"]
    first = [page_files[path] for path in re.findall(r'src="/chat/([^"]+\.js)"', index.text)]
    styles = [file for name, file in page_files.items() if name.endswith(".css")]
    scripts = [file for name, file in page_files.items() if name.startswith("assets/") and name.endswith(".js")]
    later = [file for file in scripts if file not in first]
    assert len(first) >= 2
    record_property("KB of the first load", f"{weight(index, *first) / KB:.1f}")
    assert weight(index, *first) <= 48 * KB
    assert weight(*styles) <= 12 * KB
    assert weight(page_files["widget.js"]) <= 3 * KB
    parts = {re.sub(r"^assets/|-.{8}\.js$", "", name): file for name, file in page_files.items() if file in later}
    for name, file in parts.items():
        if (size := weight(file) / KB) > 1:
            record_property(f"KB of {name}", f"{size:.1f}")
        assert size <= LIMITS.get(name, PART), name
    assert set(LIMITS) <= set(parts)


def test_page_has_no_inline_or_foreign_code(page_files: Files) -> None:
    """The page's own policy would block inline code and foreign files."""
    index = page_files["index.html"].text
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", index)
    assert all(path.startswith("/chat/") for path in re.findall(r'(?:src|href)="([^"]+)"', index))


def test_manifest_has_what_installation_requires(page_files: Files) -> None:
    """The manifest has what browsers require for installation: a name, a start URL, a display mode, icons."""
    manifest = json.loads(page_files["manifest.webmanifest"].text)
    assert manifest["name"] == "Backchat"
    assert manifest["start_url"] == manifest["scope"] == "/chat/"
    assert manifest["display"] == "standalone"
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}
    assert {icon["src"] for icon in manifest["icons"]} <= set(page_files)
    assert 'rel="manifest"' in page_files["index.html"].text
