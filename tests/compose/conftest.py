"""The composed stack that `make test-compose` has started. Without one there is nothing to be tested here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.operating import Operator
from tests.conftest import STACK_URL

HERE = Path(__file__).parent
PROJECT = os.environ.get("COMPOSE_PROJECT_NAME")  # noqa: TID251 - Compose's own variable
TIMEOUT = 600  # seconds; images are built, and the whole stack starts anew


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here stands on containers."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture
def url() -> str:
    """Where the edge is."""
    if not STACK_URL or not PROJECT:
        pytest.skip("needs the composed stack: make test-compose")
    return STACK_URL


@pytest.fixture
def operator(url: str, tmp_path: Path) -> Operator:
    """Somebody who may do everything to it."""
    assert PROJECT
    return Operator(PROJECT, tmp_path)


@pytest.fixture
def changing(operator: Operator) -> Iterator[Operator]:
    """The same, for a test that leaves another stack behind than it found."""
    yield operator
    operator.run("docker compose up --detach --wait --remove-orphans")
