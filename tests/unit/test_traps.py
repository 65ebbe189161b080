"""Check ADR 0007: each known trap has a row, and its tests exist. Also test the traps that reading the source decides."""

from __future__ import annotations

import ast
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs/adr/0007-library-traps.md"
TRAPS = {"S": 20, "A": 14, "R": 7, "U": 4, "F": 4, "J": 4, "P": 6, "H": 1}
ROW = re.compile(r"^\| ([A-Z]\d+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
NAME = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
SERVICES = ("auth_service", "chat_gateway", "persistence_worker", "chatbot_worker", "embedded", "shared")


def rows() -> dict[str, str]:
    return dict(ROW.findall(TABLE.read_text()))


def sources() -> dict[Path, str]:
    return {path: path.read_text() for service in SERVICES for path in (ROOT / service).rglob("*.py")}


def test_each_trap_has_a_row() -> None:
    assert list(rows()) == [f"{letter}{n}" for letter, most in TRAPS.items() for n in range(1, most + 1)]


@pytest.mark.parametrize("trap", list(rows()))
def test_each_trap_names_existing_tests(trap: str) -> None:
    """A row without a test gives a reason in words."""
    answer = rows()[trap]
    named = NAME.findall(answer)
    assert named or len(answer) > 40
    assert len(named) == answer.count("::")
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        assert any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in ast.walk(tree)
        ), f"{path} has no {name}"


def test_no_code_reads_the_host_from_the_request_url() -> None:
    """F2: `request.url` and `request.base_url` contain the Host header of the client."""
    assert [path for path, text in sources().items() if re.search(r"request\.(url|base_url)\b", text)] == []


def test_form_parser_is_not_installed() -> None:
    """F3: Starlette reads forms only with python-multipart."""
    with pytest.raises(PackageNotFoundError):
        version("python-multipart")
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "python-multipart" not in (ROOT / lock).read_text()


def test_middleware_is_pure_asgi() -> None:
    """F4: Starlette's `BaseHTTPMiddleware` is not used."""
    assert [path for path, text in sources().items() if "BaseHTTPMiddleware" in text] == []
