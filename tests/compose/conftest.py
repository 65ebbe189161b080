"""Tests of the composed stack that `make test-compose` has started; skipped without one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.operating import Operator
from tests.conftest import STACK_URL

HERE = Path(__file__).parent
PROJECT = os.environ.get("COMPOSE_PROJECT_NAME")  # noqa: TID251 - Compose's own variable
TIMEOUT = 600  # seconds; some tests build images and start the whole stack again


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests here as end to end, with a long timeout."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture
def url() -> str:
    """Address of the edge."""
    if not STACK_URL or not PROJECT:
        pytest.skip("needs the composed stack: make test-compose")
    return STACK_URL


@pytest.fixture
def operator(url: str, tmp_path: Path) -> Operator:
    """Runs the commands of an operator."""
    assert PROJECT
    return Operator(PROJECT, tmp_path)


@pytest.fixture
def changing(operator: Operator) -> Iterator[Operator]:
    """The same, for a test that changes the stack; it is restored afterwards."""
    yield operator
    operator.run("docker compose up --detach --wait --remove-orphans")
