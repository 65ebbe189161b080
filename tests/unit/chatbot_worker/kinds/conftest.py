"""A local HTTP server that answers as a model's endpoint or a webhook does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.model_server import Wire, serving


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A server; a test gives it its script."""
    async with serving() as wire:
        yield wire
