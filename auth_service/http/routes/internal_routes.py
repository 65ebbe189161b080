"""Internal routes, for gateways: no edge forwards them, and the OpenAPI document omits them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter


def internal_routes(revocations: Callable[[str | None], Awaitable[dict[str, Any]]]) -> APIRouter:
    """Build `/internal/revocations`, which answers with `revocations(cursor)`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/internal/revocations")
    async def revoked(cursor: str | None = None) -> dict[str, Any]:
        return await revocations(cursor)

    return routes
