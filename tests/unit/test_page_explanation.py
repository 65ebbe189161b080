"""Check the table in docs/explanation/page.md: each promise names tests, and the tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs/explanation/page.md").read_text().partition("## Tests")[2]
ROW = re.compile(r"^\| (?!promise|-)[^|]+ \| ([^|]+) \|$", re.MULTILINE)
NAME = re.compile(r"`(test_\w+\.py|web/[\w/.]+\.test\.ts)(?:::(test_\w+))?`")


def test_page_explanation_names_existing_tests() -> None:
    for file, name in NAME.findall(TABLE):
        path = ROOT / (file if file.startswith("web/") else f"tests/browser/{file}")
        text = path.read_text()
        if name:
            tree = ast.parse(text)
            assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (file, name)


def test_each_promise_of_the_page_names_a_test() -> None:
    proofs = ROW.findall(TABLE)
    assert len(proofs) >= 40
    assert all(NAME.search(proof) for proof in proofs)
