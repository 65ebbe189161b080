"""What the page may weigh, compressed with gzip. Needs no browser."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

KB = 1024  # bytes


def weight(*files: Path) -> int:
    """Bytes, compressed."""
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)


def test_the_page_keeps_its_budgets(dist: Path, record_property: Callable[[str, object], None]) -> None:
    """First load, each part that is loaded later, styles, and the widget's loader."""
    index = (dist / "index.html").read_text()
    first = [dist / path for path in re.findall(r'src="/chat/([^"]+\.js)"', index)]
    styles = list(dist.glob("assets/*.css"))
    later = [file for file in dist.glob("assets/*.js") if file not in first]
    assert len(first) >= 2
    record_property("KB of the first load", f"{weight(dist / 'index.html', *first) / KB:.1f}")
    assert weight(dist / "index.html", *first) <= 50 * KB  # the promise is 75: what is shown first is there sooner
    assert weight(*styles) <= 12 * KB
    assert weight(dist / "widget.js") <= 3 * KB
    assert later
    assert max(weight(file) for file in later) <= 30 * KB


def test_nothing_is_inline_and_nothing_is_foreign(dist: Path) -> None:
    """The page would be blocked by its own policy otherwise."""
    index = (dist / "index.html").read_text()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", index)
    assert all(path.startswith("/chat/") for path in re.findall(r'(?:src|href)="([^"]+)"', index))


def test_the_page_can_be_installed(dist: Path) -> None:
    """What browsers ask for before they offer it: a name, a start, a window of its own, and icons that are there."""
    manifest = json.loads((dist / "manifest.webmanifest").read_text())
    assert manifest["name"] == "Backchat"
    assert manifest["start_url"] == manifest["scope"] == "/chat/"
    assert manifest["display"] == "standalone"
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}
    assert all((dist / icon["src"]).is_file() for icon in manifest["icons"])
    assert 'rel="manifest"' in (dist / "index.html").read_text()
