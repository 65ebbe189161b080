"""Tests wait with `until` or `wait_until` of tests/support/waiting.py, never with a sleep or a poll loop."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SLEEPS = {"sleep", "wait_for_timeout"}  # asyncio, time, anyio; Playwright
PAUSES = SLEEPS | {"pause", "block"}  # the named sleeps of tests/support/waiting.py
WAITING = "tests/support/waiting.py"


def sleeps(source: str) -> list[int]:
    """Return the lines with a call of a sleep; `sleep(0)` only yields to the event loop."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and _called(node) in SLEEPS
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]


def poll_loops(source: str) -> list[int]:
    """Return the lines of `while` loops that only sleep until their condition holds."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.While)
        and not isinstance(node.test, ast.Constant)
        and all(isinstance(step, ast.Expr) and _called(step.value) in PAUSES for step in node.body)
    ]


def _called(node: ast.expr) -> str:
    """Return the last name of the called function, or an empty string."""
    called = node.value if isinstance(node, ast.Await) else node
    if not isinstance(called, ast.Call):
        return ""
    return getattr(called.func, "attr", getattr(called.func, "id", ""))


def files(word: str) -> list[tuple[str, str]]:
    """Return name and source of the files that contain the word, since parsing all files is slow."""
    names = (str(path.relative_to(ROOT)) for path in sorted(TESTS.rglob("*.py")))
    found = ((name, (ROOT / name).read_text()) for name in names if name != WAITING)
    return [(name, source) for name, source in found if re.search(word, source)]


def test_tests_do_not_sleep() -> None:
    found = [f"{name}:{line}" for name, source in files("sleep|wait_for_timeout") for line in sleeps(source)]
    assert not found, f"wait with tests/support/waiting.py, or name a pause that is the load with its `pause`: {found}"


def test_tests_have_no_poll_loops() -> None:
    found = [f"{name}:{line}" for name, source in files(r"while [^\n]*:\n[^\n]*\(") for line in poll_loops(source)]
    assert not found, f"wait with `until` of tests/support/waiting.py: {found}"


def test_only_support_defines_waiting_helpers() -> None:
    found = [name for name, _ in files(r"(?m)^(async )?def _?(until|wait_until|wait_for|eventually)\(")]
    assert not found, f"use `until` or `wait_until` of tests/support/waiting.py: {found}"


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


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("while not done:\n    time.sleep(0)", [1]),
        ("async def f():\n    while await look():\n        await pause(0.1, 'later')", [2]),
        ("while not done:\n    block(1, 'busy')", [1]),
        ("async def f():\n    while True:\n        send()\n        await pause(0.1, 'the rate of the load')", []),
        ("while not done:\n    send()", []),
    ],
)
def test_check_finds_poll_loops(source: str, lines: list[int]) -> None:
    assert poll_loops(source) == lines
