"""The app of the HTTP surface (contract.md §1.1), and the public paths that an edge routes to it."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

import shared
from auth_service.crypto.key_ring import KeyRing
from auth_service.http.problems import install_error_handlers
from auth_service.http.routes.document_routes import add_documents

PATHS = frozenset({"/register", "/login", "/refresh", "/logout", "/guest", "/me", "/docs", "/token"})
PATHS |= {"/.well-known/jwks.json", "/openapi.json"}
TREES = ("/logout/", "/me/", "/oidc/", "/v1/users/")  # prefixes of further paths


def serves(path: str) -> bool:
    """Return whether auth serves a path of the origin."""
    return path in PATHS or path.startswith(TREES)


def http_app(keys: KeyRing, *routes: APIRouter) -> FastAPI:
    """Build the app with the given routes and the documents."""
    app = FastAPI(
        title="Backchat accounts",
        version=shared.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    install_error_handlers(app)
    for router in routes:
        app.router.routes.extend(router.routes)  # flat, so that a 405 names all methods of its path
    add_documents(app, keys)
    return app
