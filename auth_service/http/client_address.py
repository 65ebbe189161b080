"""Where a request comes from: the client's address, behind the proxies that the operator trusts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request

from shared.runtime.forwarded import TrustedProxies


def tell_sources(app: FastAPI, proxies: TrustedProxies) -> None:
    """Let the routes of this app that ask for a `Source` see through those proxies."""
    app.state.proxies = proxies


def _source(request: Request) -> str:
    proxies: TrustedProxies = request.app.state.proxies
    return proxies.client(request.scope)


Source = Annotated[str, Depends(_source)]
