"""Tests wait with `until` or `wait_until` of tests/support/waiting.py, never with a sleep or a poll loop."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SLEEPS = {"sleep", "wait_for_timeout"}  # asyncio, time, anyio; Playwright
# Where a sleep is the load, a fault's duration or a poll of the program itself.
ALLOWED = {
    "tests/support/waiting.py",
    "tests/chaos/clients.py",
    "tests/chaos/composed.py",
    "tests/chaos/duplication.py",
    "tests/chaos/injection.py",
    "tests/chaos/run.py",
    "tests/chaos/simulated_client.py",
    "tests/chaos/stock_client.py",
    "tests/chaos/supervisor.py",
}
CHECKED = ("support", "e2e", "chaos", "compose", "unit/support")  # folders that keep the rule


def sleeps(source: str) -> list[int]:
    """Return the lines with a call of a sleep; `sleep(0)` only yields to the event loop."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in SLEEPS
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]


@pytest.mark.parametrize("folder", CHECKED)
def test_tests_do_not_sleep(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((TESTS / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in ALLOWED
        for line in sleeps(path.read_text())
    ]
    assert not found, f"wait with tests/support/waiting.py, or name a pause that is the load: {found}"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import time\ntime.sleep(1)", [2]),
        ("async def f():\n    await asyncio.sleep(0.1)", [2]),
        ("from time import sleep\nsleep(2)", [2]),
        ("page.wait_for_timeout(500)", [1]),
        ("async def f():\n    await asyncio.sleep(0)", []),
        ("await_sleep = 'sleep(1)'", []),
    ],
)
def test_check_finds_sleeps(source: str, lines: list[int]) -> None:
    assert sleeps(source) == lines


def test_allow_list_has_no_unneeded_entries() -> None:
    assert not [name for name in ALLOWED if not (ROOT / name).exists() or not sleeps((ROOT / name).read_text())]
