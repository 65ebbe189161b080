"""The route of the export; its response is streamed, because its size is not known in advance."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from auth_service.deadlines import deadline
from auth_service.domain.logins import Principal
from auth_service.http.authentication import Authenticated
from auth_service.http.json_bodies import JSON_TYPE
from auth_service.http.openapi_parts import BEARER_PROBLEMS, problems
from auth_service.http.schemas import Export, Me, OwnLogin
from auth_service.use_cases.chat_export import ChatExport
from auth_service.use_cases.login_lifecycle import LoginLifecycle
from auth_service.use_cases.throttle import Throttle
from shared.contracts.payload import rfc3339_now
from shared.contracts.queries import ExportResult
from shared.errors import RateLimited

HEADERS = {"Content-Disposition": 'attachment; filename="backchat-export.json"'}


def export_routes(logins: LoginLifecycle, chats: ChatExport, throttle: Throttle) -> APIRouter:
    """Build `/me/export`."""
    routes = APIRouter()

    @routes.get("/me/export", response_model=Export, responses=problems(RateLimited, *BEARER_PROBLEMS))
    async def export(principal: Authenticated) -> Response:
        """Export all data of the authenticated user. A long session is split into consecutive parts."""
        async with deadline():
            await throttle.admit_export(principal.user.id)
            own = [OwnLogin.of(login, principal.sid) for login in await logins.active_logins(principal)]
            page = await chats.first_page(principal.user.id)
        return StreamingResponse(_parts(principal, own, chats, page), media_type=JSON_TYPE, headers=HEADERS)

    return routes


async def _parts(
    principal: Principal, own: list[OwnLogin], chats: ChatExport, page: ExportResult
) -> AsyncIterator[str]:
    """Yield the JSON of an `Export`, one session at a time."""
    account = Me(id=principal.user.id, created_at=principal.user.created_at, roles=list(principal.user.roles))
    yield f'{{"exported_at":{json.dumps(rfc3339_now())},"account":{account.model_dump_json()},'
    yield f'"logins":[{",".join(login.model_dump_json() for login in own)}],"sessions":['
    comma = ""
    async for part in chats.sessions(principal.user.id, page):
        yield comma + part.to_json().decode()
        comma = ","
    yield "]}"
