"""One embedded system that the security tests share, without rate limits, which would only slow the attackers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stack import EmbeddedStack, Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """It must end cleanly after all that was done to it."""
    directory = tmp_path_factory.mktemp("security")
    with running_stack(EmbeddedStack(directory, {"LIMITS": "off", "LOG_LEVEL": "info"})) as stack:
        yield stack
