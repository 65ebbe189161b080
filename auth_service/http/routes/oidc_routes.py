"""Routes of the login through a provider: the OpenID Connect code flow with PKCE."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode, urlsplit

import structlog
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from auth_service.deadlines import deadline
from auth_service.domain.logins import Tokens
from auth_service.http.client_address import ClientAddress
from auth_service.http.openapi_parts import problems
from auth_service.http.provider_redirects import Failure, Returned, failed, not_configured
from auth_service.http.refresh_cookie import RefreshCookies
from auth_service.oidc.login_state import LIFETIME, LoginState, local_path, seal, unseal
from auth_service.settings import OidcSettings
from auth_service.use_cases.federated_accounts import FederatedAccounts
from auth_service.use_cases.login_lifecycle import LoginLifecycle
from shared.errors import InvalidCredentials, NotFound, Unavailable

if TYPE_CHECKING:  # it loads joserfc, which is only needed with a provider
    from auth_service.oidc.provider import Provider

logger = structlog.get_logger(__name__)

COOKIE = "backchat_oidc_"  # followed by the beginning of `state`: each tab of a browser has its own
OWN_COOKIE = re.compile(rf"{COOKIE}[A-Za-z0-9_-]*")  # other names could not be deleted: `http.cookies` refuses some
PENDING_MAX = 8  # logins in progress of one browser; the oldest ones are ended
PATH = "/oidc"
DONE = "#logged-in"  # the fragment by which the page knows that it has a refresh cookie

Parameter = Annotated[str | None, Query()]


class OidcLogin:
    """Runs the two halves of the code flow: to the provider, and back. Disabled without settings.

    A browser is always redirected, also after a failure, because it would show a problem document as text.
    """

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
        """Take the MAC key of the state cookies, 32 bytes, the same on all replicas."""
        self._configured = (settings, provider) if settings and provider else None
        self._identities = identities
        self._logins = logins
        self._cookies = cookies
        self._key = key

    @property
    def host(self) -> str | None:
        """The host name of the provider, if one is configured."""
        return urlsplit(self._configured[0].issuer).hostname if self._configured else None

    async def begin(self, request: Request, target: str | None) -> Response:
        """Redirect the browser to the provider.

        Raises:
            NotFound: no provider is configured, and the client is not a browser.
        """
        if self._configured is None:
            return not_configured(request)
        settings, provider = self._configured
        pending = LoginState.new(local_path(target, settings.target))
        try:
            async with deadline():
                metadata = await provider.metadata()
        except Unavailable:  # logged
            return failed(pending.target, Failure.UNAVAILABLE)
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
        for name in self._ended(request):
            answer.delete_cookie(name, path=PATH)
        answer.set_cookie(
            _cookie(pending.state),
            seal(pending, self._key),
            max_age=LIFETIME,
            path=PATH,
            secure=urlsplit(settings.redirect_uri).scheme == "https",
            httponly=True,
            samesite="lax",  # the browser is redirected back from another site
        )
        return answer

    async def end(self, request: Request, returned: Returned, client_address: str) -> Response:
        """Begin a login for the user that the provider authenticated, and redirect to the target.

        Raises:
            NotFound: no provider is configured, and the client is not a browser.
        """
        if self._configured is None:
            return not_configured(request)
        settings, provider = self._configured
        pending = self._pending(request, returned.state or "")
        if pending is None:
            logger.info("provider_login.failed", reason="state", error=returned.failure)
            return failed(settings.target, returned.failure or Failure.EXPIRED)
        if returned.code and returned.issuer in (None, settings.issuer):  # RFC 9207
            found = await self._tokens(request, provider, pending, returned.code, client_address)
        else:
            logger.info("provider_login.failed", reason="provider", error=returned.failure)
            found = returned.failure or Failure.REFUSED
        if isinstance(found, Failure):
            answer = failed(pending.target, found)
        else:
            answer = RedirectResponse(pending.target + DONE, 303)
            self._cookies.set(request, answer, found)
        answer.delete_cookie(_cookie(pending.state), path=PATH)
        return answer

    async def _tokens(
        self, request: Request, provider: Provider, pending: LoginState, code: str, client_address: str
    ) -> Tokens | Failure:
        try:
            async with deadline():
                received = await provider.exchange(code, pending.verifier)
                identity = await provider.identity(received.id_token, pending.nonce)
                credentials = await self._identities.credentials(
                    identity, lambda: provider.user_id(identity, received.access_token)
                )
                return await self._logins.begin(credentials, request.headers.get("user-agent"), client_address)
        except InvalidCredentials:  # logged
            return Failure.REFUSED
        except Unavailable as error:
            logger.warning("provider_login.failed", reason="unavailable", detail=error.detail)
            return Failure.UNAVAILABLE

    def _pending(self, request: Request, state: str) -> LoginState | None:
        pending = unseal(request.cookies.get(_cookie(state), ""), self._key)
        return pending if pending and hmac.compare_digest(pending.state.encode(), state.encode()) else None

    def _ended(self, request: Request) -> list[str]:
        """Return the cookies that make room for another one: a browser sends all of them with each request."""
        found = {
            name: unseal(value, self._key) for name, value in request.cookies.items() if OWN_COOKIE.fullmatch(name)
        }
        pending = sorted((each.expires_at, name) for name, each in found.items() if each)
        kept = {name for _, name in pending[1 - PENDING_MAX :]}
        return [name for name in found if name not in kept]


def _cookie(state: str) -> str:
    return COOKIE + state[:16]


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
        responses=problems(NotFound),
    )
    async def login(request: Request, target: Annotated[str | None, Query(alias="next")] = None) -> Response:
        """Redirect to the provider, and after the login to `next`, a path of this site.

        After a failure, redirect to `next` with `#login-error=` and the reason: `cancelled`, `expired`, `refused` or
        `unavailable`.
        """
        return await oidc.begin(request, target)

    @routes.get(
        "/oidc/callback",
        status_code=303,
        response_class=RedirectResponse,
        responses=problems(NotFound),
    )
    async def callback(
        request: Request,
        client_address: ClientAddress,
        code: Parameter = None,
        state: Parameter = None,
        iss: Parameter = None,
        error: Parameter = None,
    ) -> Response:
        """Complete a login after the redirect from the provider. Sets the refresh cookie."""
        return await oidc.end(request, Returned(code=code, state=state, issuer=iss, error=error), client_address)

    return routes
