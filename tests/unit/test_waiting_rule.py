"""Tests wait with `until` or `wait_until` of tests/support/waiting.py, never with a sleep or a poll loop."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SLEEPS = {"sleep", "wait_for_timeout"}  # asyncio, time, anyio; Playwright
PAUSES = SLEEPS | {"pause", "block"}  # the named sleeps of tests/support/waiting.py
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

# Folders that do not keep the rule yet.
PENDING = (
    "tests/contract/bus/",
    "tests/integration/rabbitmq_bus/",
    "tests/integration/cluster/",
    "tests/unit/shared/bus/",
)


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


FILES = sorted(
    name for name in (str(path.relative_to(ROOT)) for path in TESTS.rglob("*.py")) if not name.startswith(PENDING)
)


def test_tests_do_not_sleep() -> None:
    found = [f"{name}:{line}" for name in FILES if name not in ALLOWED for line in sleeps((ROOT / name).read_text())]
    assert not found, f"wait with tests/support/waiting.py, or name a pause that is the load: {found}"


def test_tests_have_no_poll_loops() -> None:
    found = [f"{name}:{line}" for name in FILES for line in poll_loops((ROOT / name).read_text())]
    assert not found, f"wait with `until` of tests/support/waiting.py: {found}"


def test_only_support_defines_waiting_helpers() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name in FILES
        if name != "tests/support/waiting.py"
        for node in ast.parse((ROOT / name).read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.strip("_") in {"until", "wait_until", "wait_for", "eventually"}
    ]
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


def test_allow_list_has_no_unneeded_entries() -> None:
    assert not [name for name in ALLOWED if not (ROOT / name).exists() or not sleeps((ROOT / name).read_text())]
