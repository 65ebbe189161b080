"""Internal routes, for gateways: no edge forwards them, and the OpenAPI document omits them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from auth_service.deadlines import deadline

IDS_MAX = 1_000


def internal_routes(
    revocations: Callable[[str | None], Awaitable[dict[str, Any]]],
    accounts: Callable[[list[str]], Awaitable[list[str]]],
) -> APIRouter:
    """Build `/internal/revocations` and `/internal/accounts`, which answer with the results of the functions."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/internal/revocations")
    async def revoked(cursor: str | None = None) -> dict[str, Any]:
        return await revocations(cursor)

    @routes.get("/internal/accounts")
    async def existing(ids: Annotated[list[str], Query(alias="id", max_length=IDS_MAX)]) -> dict[str, list[str]]:
        async with deadline():
            return {"ids": await accounts(ids)}

    return routes
