"""Modules that claim to do no I/O are held to it by the import contract "Pure rules do no I/O"."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_module_that_claims_no_io_is_in_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [pure] = [contract["source_modules"] for contract in contracts if contract["name"] == "Pure rules do no I/O"]
    claiming = []
    for path in (ROOT / "persistence_worker").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if "no i/o" in (ast.get_docstring(ast.parse(path.read_text())) or "").lower():
            claiming.append(module)
    assert len(claiming) > 10
    assert [m for m in claiming if not any(m == p or m.startswith(f"{p}.") for p in pure)] == []
