"""Routes of documents: the public keys and the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.responses import Response

from auth_service.crypto.key_ring import KeyRing
from auth_service.http import docs_page
from shared.http.openapi import document as openapi_document

JWKS_MAX_AGE = 60  # seconds


def add_documents(app: FastAPI, keys: KeyRing) -> None:
    """Add `/.well-known/jwks.json`, `/docs` and `/openapi.json` to the app."""

    @app.get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        """Return the public keys that verify access tokens (RFC 7517)."""
        return JSONResponse(keys.jwks(), headers={"Cache-Control": f"public, max-age={JWKS_MAX_AGE}"})  # type: ignore[return-value]

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return JSONResponse(openapi_document(), headers={"Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": docs_page.CONTENT_SECURITY_POLICY}
        return HTMLResponse(docs_page.render(openapi_document()), headers=headers)
