"""The API as an ASGI app: the checks that all routes have in common, in the order of the contract.

Path, method, origin, token; then the budget of the user; the rest is with the endpoint of the route.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_gateway.domain import origins
from chat_gateway.events.client_events import ClientEvents
from chat_gateway.events.logins import Logins
from chat_gateway.http.api import headers as request_headers
from chat_gateway.http.api.answers import VARY, Answer, RawHeader, refusal, with_headers
from chat_gateway.http.api.callers import ApiUsers, RequestCaller
from chat_gateway.http.api.endpoints import EventEndpoint, SendEndpoint
from chat_gateway.http.api.forms import Disconnected
from chat_gateway.http.api.headers import Headers
from chat_gateway.http.api.paths import PathTable
from chat_gateway.http.api.routes import ROUTES, Endpoint, Path, Request, Route, paths_of
from chat_gateway.http.api.waiting import Waits
from chat_gateway.identity.authentication import Identity
from chat_gateway.settings import GatewaySettings
from shared.errors import BackchatError, Forbidden, Internal, MethodNotAllowed, NotFound, TokenInvalid, Unauthenticated
from shared.http.exposed_headers import EXPOSED
from shared.http.forwarded_headers import TrustedProxies

logger = structlog.get_logger(__name__)

ACCEPTED = "Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, Prefer"
PREFLIGHT_AGE = 600  # seconds


class Api:
    """Everything below `/v1`. `streams` are further endpoints, by path."""

    def __init__(
        self,
        events: ClientEvents,
        logins: Logins,
        waits: Waits,
        settings: GatewaySettings,
        streams: Iterable[tuple[str, Endpoint]] = (),
    ) -> None:
        endpoints = [(route.method, route.path, _endpoint(route, events, waits)) for route in ROUTES]
        self._paths: PathTable[Path] = PathTable(paths_of(endpoints, streams))
        self._events = events
        self._logins = logins
        self._users = ApiUsers()
        self._origins = frozenset(settings.allowed_origins)
        self._proxies = TrustedProxies(settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        origin = request_headers.values(scope["headers"], b"origin")
        allowed = all(self._allows(each, scope) for each in origin)
        common = _cors(origin) if origin and allowed else [VARY]
        try:
            answer = await self._answer(scope, receive, preflight=bool(origin), allowed=allowed)
        except BackchatError as error:
            answer = refusal(error)
        except Disconnected:
            return
        except Exception:
            logger.exception("request.failed", method=scope["method"])
            answer = refusal(Internal())
        await answer(scope, receive, with_headers(send, common))

    async def _answer(self, scope: Scope, receive: Receive, *, preflight: bool, allowed: bool) -> ASGIApp:
        headers: Headers = scope["headers"]
        found = self._paths.find(scope["raw_path"])
        if found is None:
            raise NotFound("There is no resource at this path.")
        (path, variables), method = found, scope["method"]
        endpoint = path.endpoint(method)
        asked = preflight and method == "OPTIONS" and request_headers.values(headers, b"access-control-request-method")
        if endpoint is None and not asked:
            return refusal(MethodNotAllowed(), methods=path.methods)
        if not allowed:
            raise Forbidden("Pages of this origin may not use this API.")
        if endpoint is None:
            return _preflight(path.methods)
        begun = time.monotonic()
        caller = self._users.caller(await self._identify(headers))
        held = time.monotonic() - begun
        try:
            self._events.spend(caller)
            return await endpoint(Request(scope, receive, headers, variables, caller, held))
        except BackchatError as error:
            await self._pause(caller, error)
            raise

    async def _identify(self, headers: Headers) -> Identity:
        """Return the identity of the token in the Authorization header.

        Raises:
            TokenExpired: the token was valid and has expired.
            TokenInvalid: there is no token, it is not valid, or its login is revoked.
            Unavailable: the keys are not known.
        """
        values = request_headers.values(headers, b"authorization")
        scheme, _, token = values[0].decode("latin-1").partition(" ") if len(values) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            raise TokenInvalid("An access token is required: `Authorization: Bearer …`.")
        try:
            return await self._logins.identify_request(token.strip())
        except Unauthenticated:
            raise TokenInvalid from None

    async def _pause(self, caller: RequestCaller, error: BackchatError) -> None:
        """Answer a client later that is refused often, in place of reading its next request later."""
        pause = self._events.pause_after_refusal(caller, error)
        if error.retry_after is not None:
            error.retry_after = max(error.retry_after, pause)
        if pause:
            await asyncio.sleep(pause)

    def _allows(self, origin: bytes, scope: Scope) -> bool:
        return origins.is_allowed(origin.decode("latin-1"), self._origins, *self._proxies.origin_seen(scope))


def _endpoint(route: Route, events: ClientEvents, waits: Waits) -> Endpoint:
    endpoint = EventEndpoint(route, events)
    return SendEndpoint(endpoint, events, waits) if route.event == "send_message" else endpoint


def _cors(origin: Sequence[bytes]) -> list[RawHeader]:
    return [VARY, (b"access-control-allow-origin", origin[0]), (b"access-control-expose-headers", EXPOSED.encode())]


def _preflight(methods: Iterable[str]) -> Answer:
    return Answer(
        204,
        headers=[
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", ACCEPTED.encode()),
            (b"access-control-max-age", b"%d" % PREFLIGHT_AGE),
        ],
    )
