"""One embedded system that the security tests share, without rate limits, which would only slow the attackers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import cared_for
from tests.support.stack import EmbeddedStack, Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """It must end cleanly after all that was done to it."""
    yield from cared_for(EmbeddedStack(tmp_path_factory.mktemp("security"), {"LIMITS": "off", "LOG_LEVEL": "info"}))
