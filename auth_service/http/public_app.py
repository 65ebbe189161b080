"""The HTTP surface (contract §1), put together: which paths there are, and one app of all routes."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

import shared
from auth_service.crypto.key_ring import KeyRing
from auth_service.http.problems import answer_problems
from auth_service.http.routes.document_routes import add_documents

PATHS = frozenset({"/register", "/login", "/refresh", "/logout", "/guest", "/me", "/docs"})
PATHS |= {"/.well-known/jwks.json", "/openapi.json"}
TREES = ("/logout/", "/me/", "/oidc/")  # everything below


def serves(path: str) -> bool:
    """Whether a path on the one origin is auth's."""
    return path in PATHS or path.startswith(TREES)


def http_app(keys: KeyRing, *routes: APIRouter) -> FastAPI:
    """The app with these routes and the documents."""
    app = FastAPI(
        title="Backchat accounts",
        version=shared.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    answer_problems(app)
    for router in routes:
        app.router.routes.extend(router.routes)  # flat, so that a 405 can name all methods of its path
    add_documents(app, keys)
    return app
