"""Routes of the login through a provider: the OpenID Connect code flow with PKCE."""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from auth_service.deadlines import deadline
from auth_service.http.client_address import ClientAddress
from auth_service.http.openapi_parts import TOO_LONG, problems
from auth_service.http.refresh_cookie import RefreshCookies
from auth_service.oidc.login_state import LIFETIME, LoginState, local_path, seal, unseal
from auth_service.oidc.provider import Provider
from auth_service.settings import OidcSettings
from auth_service.use_cases.federated_accounts import FederatedAccounts
from auth_service.use_cases.login_lifecycle import LoginLifecycle
from shared.errors import InvalidCredentials, InvalidRequest, NotFound, Unavailable

COOKIE = "backchat_oidc"
PATH = "/oidc"
DONE = "#logged-in"  # the fragment by which the page knows that it has a refresh cookie
PARAMETER_MAX = 2_048  # characters

Parameter = Annotated[str | None, Query(max_length=PARAMETER_MAX)]


class OidcLogin:
    """Runs the two halves of the code flow: to the provider, and back. Disabled without settings."""

    def __init__(
        self,
        settings: OidcSettings | None,
        provider: Provider | None,
        *,
        identities: FederatedAccounts,
        logins: LoginLifecycle,
        cookies: RefreshCookies,
        key: bytes,
    ) -> None:
        """Take the MAC key of the state cookie, 32 bytes, the same on all replicas."""
        self._configured = (settings, provider) if settings and provider else None
        self._identities = identities
        self._logins = logins
        self._cookies = cookies
        self._key = key

    @property
    def host(self) -> str | None:
        """The host name of the provider, if one is configured."""
        return urlsplit(self._configured[0].issuer).hostname if self._configured else None

    async def begin(self, target: str | None) -> Response:
        """Redirect the browser to the provider.

        Raises:
            NotFound: no provider is configured.
            Unavailable: the provider does not respond.
        """
        settings, provider = self._settings_and_provider()
        metadata = await provider.metadata()
        pending = LoginState.new(local_path(target, settings.target))
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
            seal(pending, self._key),
            max_age=LIFETIME,
            path=PATH,
            secure=urlsplit(settings.redirect_uri).scheme == "https",
            httponly=True,
            samesite="lax",  # the browser is redirected back from another site
        )
        return answer

    async def end(
        self, request: Request, code: str | None, state: str | None, issuer: str | None, client_address: str
    ) -> Response:
        """Begin a login for the user that the provider authenticated, and redirect to the target.

        Raises:
            NotFound: no provider is configured.
            InvalidRequest: this browser did not start the login, or its state has expired.
            InvalidCredentials: the provider refused, or its ID token is not valid.
            Unavailable: the provider does not respond.
        """
        settings, provider = self._settings_and_provider()
        pending = unseal(request.cookies.get(COOKIE, ""), self._key)
        if pending is None or not hmac.compare_digest(pending.state.encode(), (state or "").encode()):
            raise InvalidRequest("This login was started in another browser or has expired. Start again.")
        if not code or issuer not in (None, settings.issuer):  # RFC 9207
            raise InvalidCredentials("The provider refused this login.")
        identity = await provider.identity(await provider.exchange(code, pending.verifier), pending.nonce)
        credentials = await self._identities.credentials(identity)
        tokens = await self._logins.begin(credentials, request.headers.get("user-agent"), client_address)
        answer = RedirectResponse(pending.target + DONE, 303)
        answer.delete_cookie(COOKIE, path=PATH)
        self._cookies.set(request, answer, tokens)
        return answer

    def _settings_and_provider(self) -> tuple[OidcSettings, Provider]:
        if self._configured is None:
            raise NotFound("No login provider is configured.")
        return self._configured


class ProviderOffered(BaseModel):
    """The login provider's host name, or `null` if there is none."""

    provider: str | None


def oidc_routes(oidc: OidcLogin) -> APIRouter:
    """Build `/oidc/provider`, `/oidc/login` and `/oidc/callback`, for browsers."""
    routes = APIRouter()

    @routes.get("/oidc/provider")
    async def provider() -> ProviderOffered:
        """Return whether a page should offer the login through a provider."""
        return ProviderOffered(provider=oidc.host)

    @routes.get(
        "/oidc/login",
        status_code=303,
        response_class=RedirectResponse,
        responses=problems(NotFound, InvalidRequest, Unavailable) | TOO_LONG,
    )
    async def login(target: Annotated[str | None, Query(alias="next", max_length=PARAMETER_MAX)] = None) -> Response:
        """Redirect to the provider, and after the login to `next`, a path of this site. Sets the refresh cookie."""
        async with deadline():
            return await oidc.begin(target)

    @routes.get(
        "/oidc/callback",
        status_code=303,
        response_class=RedirectResponse,
        responses=problems(NotFound, InvalidRequest, InvalidCredentials, Unavailable) | TOO_LONG,
    )
    async def callback(
        request: Request,
        client_address: ClientAddress,
        code: Parameter = None,
        state: Parameter = None,
        iss: Parameter = None,
    ) -> Response:
        """Complete a login after the redirect from the provider."""
        async with deadline():
            return await oidc.end(request, code, state, iss, client_address)

    return routes
