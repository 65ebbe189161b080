"""What the page may weigh on its way to a browser, compressed with gzip. Needs no browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tests.browser.served import File

KB = 1024  # bytes

Files = dict[str, File]


def weight(*files: File) -> int:
    """Bytes on the wire."""
    assert all(len(file.sent) < len(file.content) for file in files if len(file.content) > KB), "not compressed"
    return sum(len(file.sent) for file in files)


def test_the_page_keeps_its_budgets(page_files: Files, record_property: Callable[[str, object], None]) -> None:
    """First load, each part that is loaded later, styles, and the widget's loader."""
    index = page_files["index.html"]
    first = [page_files[path] for path in re.findall(r'src="/chat/([^"]+\.js)"', index.text)]
    styles = [file for name, file in page_files.items() if name.endswith(".css")]
    scripts = [file for name, file in page_files.items() if name.startswith("assets/") and name.endswith(".js")]
    later = [file for file in scripts if file not in first]
    assert len(first) >= 2
    record_property("KB of the first load", f"{weight(index, *first) / KB:.1f}")
    assert weight(index, *first) <= 50 * KB  # the promise is 75: what is shown first is there sooner
    assert weight(*styles) <= 12 * KB
    assert weight(page_files["widget.js"]) <= 3 * KB
    assert later
    assert max(weight(file) for file in later) <= 30 * KB


def test_nothing_is_inline_and_nothing_is_foreign(page_files: Files) -> None:
    """The page would be blocked by its own policy otherwise."""
    index = page_files["index.html"].text
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", index)
    assert all(path.startswith("/chat/") for path in re.findall(r'(?:src|href)="([^"]+)"', index))


def test_the_page_can_be_installed(page_files: Files) -> None:
    """What browsers ask for before they offer it: a name, a start, a window of its own, and icons that are there."""
    manifest = json.loads(page_files["manifest.webmanifest"].text)
    assert manifest["name"] == "Backchat"
    assert manifest["start_url"] == manifest["scope"] == "/chat/"
    assert manifest["display"] == "standalone"
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}
    assert {icon["src"] for icon in manifest["icons"]} <= set(page_files)
    assert 'rel="manifest"' in page_files["index.html"].text
