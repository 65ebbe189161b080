"""Health routes: `/healthz` (the event loop runs), `/readyz` (503 with missing parts), `/metrics` (Prometheus)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.problems import plain_app


def routes(
    service: str,
    missing: Callable[[], Sequence[str]],
    registry: CollectorRegistry | None = None,
    degraded: Callable[[], Sequence[str]] | None = None,
) -> list[Route]:
    """Build the routes of a process. A given registry is served at `/metrics`, and gets metrics of CPU and memory.

    `degraded` returns what the service lacks although it is ready, since it does that part of its work later.
    """

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "service": service})

    async def readyz(_request: Request) -> Response:
        lacking = sorted(set(missing()))
        body = {"status": "unavailable" if lacking else "ok", "service": service, "missing": lacking}
        if degraded and (later := sorted(set(degraded()))):
            body["degraded"] = later
        return JSONResponse(body, status_code=503 if lacking else 200)

    async def metrics(_request: Request) -> Response:
        assert registry is not None
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)

    found = [Route("/healthz", healthz), Route("/readyz", readyz)]
    if registry is not None:
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        found.append(Route("/metrics", metrics))
    return found


class WithHealth:
    """The ASGI app of a process: the health paths, and `public` for all other paths."""

    def __init__(self, health: list[Route], public: ASGIApp | None = None) -> None:
        self._paths = {route.path for route in health}
        self._health = plain_app(health)
        self._public = public or plain_app([])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the raw path of the scope, which a Host header cannot change."""
        app = self._health if scope["type"] == "http" and scope["path"] in self._paths else self._public
        await app(scope, receive, send)
