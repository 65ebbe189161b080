"""What gateways ask, on auth's own port only: no edge passes it on and no description names it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter


def internal_routes(revocations: Callable[[str | None], Awaitable[dict[str, Any]]]) -> APIRouter:
    """`/internal/revocations`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/internal/revocations")
    async def revoked(cursor: str | None = None) -> dict[str, Any]:
        return await revocations(cursor)

    return routes
