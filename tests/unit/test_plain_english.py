"""tools/plain_english.py finds markers of private dialect in code and documents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def check(path: Path) -> subprocess.CompletedProcess[str]:
    """Run the tool on one file of a new repository that has a copy of the tool."""
    command = [sys.executable, "tools/plain_english.py", "--list", path.name]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    for name in ("plain_english.py", "plain_english.txt"):
        (tmp_path / "tools" / name).write_text((ROOT / "tools" / name).read_text())
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("docstring.py", '"""Nobody reads this."""\n'),
        ("comment.py", "number = 1  # settled once more\n"),
        ("setting.py", 'Field(description="Whoever connects")\n'),
        ("test_name.py", "def test_who_waits_in_vain() -> None: ...\n"),
        ("page.md", "The gateway tells the client.\n"),
        ("page.ts", "// nobody is there\n"),
    ],
)
def test_planted_marker_is_found(repository: Path, name: str, text: str) -> None:
    (repository / name).write_text(text)
    result = check(repository / name)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{name}:1: " in result.stdout


def test_plain_text_and_code_have_no_markers(repository: Path) -> None:
    (repository / "page.md").write_text("The gateway notifies the client.\n\n```\nnobody settle anew\n```\n")
    result = check(repository / "page.md")
    assert result.returncode == 0, result.stdout + result.stderr
