"""ADR 0007 holds: every known trap has its row, every test that it names is one; and the traps that a look settles."""

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


def test_every_trap_has_its_row() -> None:
    assert list(rows()) == [f"{letter}{n}" for letter, most in TRAPS.items() for n in range(1, most + 1)]


@pytest.mark.parametrize("trap", list(rows()))
def test_what_a_row_names_are_tests(trap: str) -> None:
    """By path and name; a row without any says why in words."""
    answer = rows()[trap]
    named = NAME.findall(answer)
    assert named or len(answer) > 40
    assert len(named) == answer.count("::")
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        assert any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in ast.walk(tree)
        ), f"{path} has no {name}"


def test_nobody_decides_by_the_address_that_a_client_names() -> None:
    """F2: the Host header is in `request.url` and `request.base_url`."""
    assert [path for path, text in sources().items() if re.search(r"request\.(url|base_url)\b", text)] == []


def test_nothing_that_reads_forms_is_installed() -> None:
    """F3: Starlette reads forms only with python-multipart, and it is in no lock file."""
    with pytest.raises(PackageNotFoundError):
        version("python-multipart")
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "python-multipart" not in (ROOT / lock).read_text()


def test_there_is_only_pure_asgi_middleware() -> None:
    """F4."""
    assert [path for path, text in sources().items() if "BaseHTTPMiddleware" in text] == []
