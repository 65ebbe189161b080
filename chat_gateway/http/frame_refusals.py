"""Refuses the compact page to sites that may not frame it, with a page that says so.

A browser blocks a frame by `frame-ancestors` without a message to the visitor, the site or the server. The widget names
its site in the address (`host`), so that the gateway can inform all three. The browser still enforces the policy.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import parse_qs

import structlog
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from chat_gateway.domain import origins
from shared.http.forwarded_headers import TrustedProxies

logger = structlog.get_logger(__name__)

LOGS_EVERY: Final = 60.0  # seconds
SETTING: Final = "BACKCHAT_FRAME_ANCESTORS"
SCRIPT: Final = 'parent.postMessage({backchat:{type:"refused"}},"*")'  # says nothing that the site does not know
BODY: Final = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Not available</title>
<p>The chat is not available on this page.</p>
<script>{SCRIPT}</script></html>
"""
_DIGEST: Final = b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; script-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"


class FrameRefusals:
    """Decides by the origin in the address. Logs refusals at most once in `LOGS_EVERY` seconds, with their number."""

    def __init__(
        self,
        ancestors: Collection[str],
        proxies: TrustedProxies,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ancestors = frozenset(ancestors)
        self._proxies = proxies
        self._clock = clock
        self._count = 0
        self._logs_at = -LOGS_EVERY

    def refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request whose site may not show the frame, or `None`."""
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        origin = query.get("host", [""])[0]
        if not origins.is_origin(origin):  # the widget has not made this address
            return None
        if origins.may_frame(origin, self._ancestors, *self._proxies.origin_seen(scope)):
            return None
        self._log(origin.lower())
        return HTMLResponse(BODY, 403, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    def _log(self, origin: str) -> None:
        self._count += 1
        now = self._clock()
        if now < self._logs_at + LOGS_EVERY:
            return
        logger.warning("frame.refused", origin=origin[:200], setting=SETTING, count=self._count)
        self._count, self._logs_at = 0, now
