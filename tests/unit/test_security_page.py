"""Check docs/explanation/security.md: its tests exist, ASVS items are listed once, and its limits are the defaults."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from chat_gateway.settings import GatewaySettings
from shared.http import http_protocol

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/security.md").read_text()
ROW = re.compile(r"^\| ((?:\d+\.\d+\.\d+(?:, )?)+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAME = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
FILES = sorted({path for path, _ in NAME.findall(PAGE)})


@pytest.mark.parametrize("path", FILES)
def test_security_page_names_existing_tests(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for file, name in NAME.findall(PAGE) if file == path} <= there


def test_each_asvs_item_has_one_row_and_a_test() -> None:
    """Also check the counts that the page gives."""
    rows = ROW.findall(PAGE)
    items = Counter(item for row in rows for item in row[0].split(", "))
    assert [item for item, times in items.items() if times > 1] == []
    assert all(NAME.findall(tests) for _, _, tests in rows)
    assert len(items) == 54 + 103 + 8


def test_passcode_fields_are_masked_and_allow_pasting() -> None:
    """One component is used for every passcode (ASVS 6.2.6, 6.2.7)."""
    source = {path: path.read_text() for path in (ROOT / "web/src").rglob("*.ts*")}
    fields = [path.name for path, text in source.items() if re.search(r"""type(=|: )["']password["']""", text)]
    assert fields == ["login_screen.tsx"], "one component, used wherever a passcode is asked for"
    field = next(text for path, text in source.items() if path.name == fields[0])
    assert '"new-password" : "current-password"' in field
    composer = re.compile(r"onPaste|addEventListener\(.paste")
    assert {path.name for path, text in source.items() if composer.search(text)} <= {"composer.tsx"}


def test_documented_limits_equal_the_defaults() -> None:
    settings = GatewaySettings()
    assert f"{settings.events_per_second:g}/s, bursts of {settings.events_burst}" in PAGE
    for figure in (
        settings.sockets_per_user,
        settings.connections_per_address,
        settings.handshakes,
        settings.handshakes_per_address,
    ):
        assert f"{figure:,}" in PAGE
    assert (http_protocol.URL_MAX, http_protocol.HEAD_MAX) == (8 * 1024, 32 * 1024)
    assert http_protocol.HEAD_WITHIN == http_protocol.BODY_WITHIN == http_protocol.IDLE_WITHIN == 9
