"""The route of the export: the answer is streamed, because nobody knows how long it is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from auth_service.deadlines import deadline
from auth_service.domain.logins import Session
from auth_service.http.bearer import Bearer
from auth_service.http.json_bodies import JSON_TYPE
from auth_service.http.openapi_parts import BEARER_PROBLEMS, problems
from auth_service.http.schemas import Export, Me, OwnLogin
from auth_service.use_cases.chat_export import ChatExport
from auth_service.use_cases.login_lifecycle import Logins
from auth_service.use_cases.throttle import Guard
from shared.contracts.payload import rfc3339, utc_now
from shared.contracts.queries import ExportResult
from shared.errors import RateLimited

HEADERS = {"Content-Disposition": 'attachment; filename="backchat-export.json"'}


def export_routes(logins: Logins, chats: ChatExport, guard: Guard) -> APIRouter:
    """`/me/export`."""
    routes = APIRouter()

    @routes.get("/me/export", response_model=Export, responses=problems(RateLimited, *BEARER_PROBLEMS))
    async def export(session: Bearer) -> Response:
        """All that is kept about oneself. A long session comes in several parts, one after another."""
        async with deadline():
            await guard.export(session.user.id)
            own = [OwnLogin.of(login, session.sid) for login in await logins.standing(session)]
            page = await chats.first_page(session.user.id)
        return StreamingResponse(_parts(session, own, chats, page), media_type=JSON_TYPE, headers=HEADERS)

    return routes


async def _parts(session: Session, own: list[OwnLogin], chats: ChatExport, page: ExportResult) -> AsyncIterator[str]:
    """The JSON of an `Export`, a session at a time."""
    account = Me(id=session.user.id, created_at=session.user.created_at, roles=list(session.user.roles))
    yield f'{{"exported_at":{json.dumps(rfc3339(utc_now()))},"account":{account.model_dump_json()},'
    yield f'"logins":[{",".join(login.model_dump_json() for login in own)}],"sessions":['
    comma = ""
    async for part in chats.sessions(session.user.id, page):
        yield comma + part.model_dump_json()
        comma = ","
    yield "]}"
