"""Routes of the login by a provider (OpenID Connect, code flow with PKCE): away with `/oidc/login`, back to us."""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from auth_service.deadlines import deadline
from auth_service.http.client_address import Source
from auth_service.http.openapi_parts import TOO_LONG, problems
from auth_service.http.refresh_cookie import SessionCookies
from auth_service.oidc.login_state import LIFETIME, Pending, local, opened, sealed
from auth_service.oidc.provider import Provider
from auth_service.settings import OidcSettings
from auth_service.use_cases.federated_accounts import Identities
from auth_service.use_cases.login_lifecycle import Logins
from shared.errors import InvalidCredentials, InvalidRequest, NotFound, Unavailable

COOKIE = "backchat_oidc"
PATH = "/oidc"
DONE = "#logged-in"  # tells the page that it has a refresh cookie now
PARAMETER_MAX = 2_048  # characters

Parameter = Annotated[str | None, Query(max_length=PARAMETER_MAX)]


class OidcLogin:
    """The two halves of a login, with what they need. Without settings there is no such login."""

    def __init__(
        self,
        settings: OidcSettings | None,
        provider: Provider | None,
        *,
        identities: Identities,
        logins: Logins,
        cookies: SessionCookies,
        key: bytes,
    ) -> None:
        """`key` of 32 bytes, the same on all replicas."""
        self._configured = (settings, provider) if settings and provider else None
        self._identities = identities
        self._logins = logins
        self._cookies = cookies
        self._key = key

    @property
    def host(self) -> str | None:
        """The host name of the provider, if there is one: what people know it by."""
        return urlsplit(self._configured[0].issuer).hostname if self._configured else None

    async def begin(self, target: str | None) -> Response:
        """Send the browser to the provider.

        Raises:
            NotFound: no provider is configured.
            Unavailable: it does not answer.
        """
        settings, provider = self._settings_and_provider()
        metadata = await provider.metadata()
        pending = Pending.new(local(target, settings.target))
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": settings.redirect_uri,
            "scope": settings.scopes,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": pending.challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        answer = RedirectResponse(metadata.authorization_endpoint + joint + urlencode(query), 303)
        answer.set_cookie(
            COOKIE,
            sealed(pending, self._key),
            max_age=LIFETIME,
            path=PATH,
            secure=urlsplit(settings.redirect_uri).scheme == "https",
            httponly=True,
            samesite="lax",  # the way back begins at the provider's site
        )
        return answer

    async def end(
        self, request: Request, code: str | None, state: str | None, issuer: str | None, source: str
    ) -> Response:
        """Log in whom the provider sent back.

        Raises:
            NotFound: no provider is configured.
            InvalidRequest: this browser began no such login, or too long ago.
            InvalidCredentials: the provider said no, or what it said does not hold.
            Unavailable: it does not answer.
        """
        settings, provider = self._settings_and_provider()
        pending = opened(request.cookies.get(COOKIE, ""), self._key)
        if pending is None or not hmac.compare_digest(pending.state.encode(), (state or "").encode()):
            raise InvalidRequest("This login was not begun here, or too long ago. Begin again.")
        if not code or issuer not in (None, settings.issuer):  # RFC 9207
            raise InvalidCredentials("The provider refused this login.")
        identity = await provider.identity(await provider.exchange(code, pending.verifier), pending.nonce)
        credentials = await self._identities.credentials(identity)
        tokens = await self._logins.begin(credentials, request.headers.get("user-agent"), source)
        answer = RedirectResponse(pending.target + DONE, 303)
        answer.delete_cookie(COOKIE, path=PATH)
        self._cookies.give(request, answer, tokens)
        return answer

    def _settings_and_provider(self) -> tuple[OidcSettings, Provider]:
        if self._configured is None:
            raise NotFound("There is no login by a provider here.")
        return self._configured


class ProviderOffered(BaseModel):
    """Whether one may log in by a provider here: its host name, or `null`."""

    provider: str | None


def oidc_routes(oidc: OidcLogin) -> APIRouter:
    """`/oidc/provider`, `/oidc/login` and `/oidc/callback`, for browsers."""
    routes = APIRouter()

    @routes.get("/oidc/provider")
    async def provider() -> ProviderOffered:
        """Tell a page whether to offer the login by a provider."""
        return ProviderOffered(provider=oidc.host)

    @routes.get(
        "/oidc/login",
        status_code=303,
        response_class=RedirectResponse,
        responses=problems(NotFound, InvalidRequest, Unavailable) | TOO_LONG,
    )
    async def login(target: Annotated[str | None, Query(alias="next", max_length=PARAMETER_MAX)] = None) -> Response:
        """Go to the provider; afterwards to `next`, a path of this site, with the refresh token in a cookie."""
        async with deadline():
            return await oidc.begin(target)

    @routes.get(
        "/oidc/callback",
        status_code=303,
        response_class=RedirectResponse,
        responses=problems(NotFound, InvalidRequest, InvalidCredentials, Unavailable) | TOO_LONG,
    )
    async def callback(
        request: Request, source: Source, code: Parameter = None, state: Parameter = None, iss: Parameter = None
    ) -> Response:
        """Come back from the provider."""
        async with deadline():
            return await oidc.end(request, code, state, iss, source)

    return routes
