"""The client's address of a request, also behind the proxies that the operator trusts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request

from shared.http.forwarded_headers import TrustedProxies


def trust_proxies(app: FastAPI, proxies: TrustedProxies) -> None:
    """Set the proxies whose forwarding headers an app trusts."""
    app.state.proxies = proxies


def _client_address(request: Request) -> str:
    proxies: TrustedProxies = request.app.state.proxies
    return proxies.client(request.scope)


ClientAddress = Annotated[str, Depends(_client_address)]
