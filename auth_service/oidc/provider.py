"""The configured OpenID provider: its metadata and keys, its token endpoint, and its claims about a user.

See OpenID Connect Core, section 3.1 and 5.3.
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote_plus, urlsplit

import structlog
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import Key
from pydantic import BaseModel, ValidationError

from auth_service.domain.federated_identities import FederatedIdentity, plain_id, suggested_user_id
from auth_service.oidc.id_tokens import accepted_algorithms, read_keys, verified_claims
from auth_service.settings import OidcSettings
from shared.errors import InvalidCredentials, Unavailable

logger = structlog.get_logger(__name__)

CACHED_FOR = 3600.0  # seconds, of metadata and keys
TOKEN_MAX = 16 * 1024  # characters
RETRY_AFTER = 5.0  # seconds


class Metadata(BaseModel):
    """The used fields of `/.well-known/openid-configuration`."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]
    id_token_signing_alg_values_supported: list[str] | None = None

    @property
    def endpoints(self) -> list[str]:
        """The addresses that this client or the browser sends requests to."""
        found = (self.authorization_endpoint, self.token_endpoint, self.jwks_uri, self.userinfo_endpoint)
        return [each for each in found if each is not None]


class UnexpectedResponse(Unavailable):
    """A response of the provider that is not a JSON object."""


class SendRequest(Protocol):
    """Sends one HTTP request to the provider."""

    async def __call__(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """Send the request and return the response, a JSON object.

        Raises:
            InvalidCredentials: the provider refused.
            UnexpectedResponse: the response is not a JSON object.
            Unavailable: the provider did not respond, or has failed.
        """


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """The response of the token endpoint."""

    id_token: str
    access_token: str | None


class Provider:
    """A client of the provider in the settings, with cached metadata and keys."""

    def __init__(self, settings: OidcSettings, send: SendRequest) -> None:
        self._settings = settings
        self._send = send
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: list[Key] = []
        self._keys_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def metadata(self) -> Metadata:
        """Return the provider's metadata, from the cache or from the provider.

        Raises:
            Unavailable: the provider does not respond, or presents itself under another issuer.
        """
        async with self._fetching:
            if self._metadata is None or time.monotonic() - self._metadata[1] > CACHED_FOR:
                found = await self._discover()
                self._metadata = (found, time.monotonic())
            return self._metadata[0]

    async def exchange(self, code: str, verifier: str) -> ProviderTokens:
        """Exchange an authorization code for tokens.

        Raises:
            InvalidCredentials: the provider refused, or sent no ID token.
            Unavailable: the provider does not respond.
        """
        metadata = await self.metadata()
        client_id, secret = self._settings.client_id, self._settings.client_secret
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "client_id": client_id,
            "code_verifier": verifier,
        }
        headers = {}
        if secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            headers["Authorization"] = basic_authorization(client_id, secret)
        elif secret:
            form["client_secret"] = secret
        answer = await self._send("POST", metadata.token_endpoint, data=form, headers=headers)
        token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str) or not token.isascii() or len(token) > TOKEN_MAX:
            logger.warning("id_token.refused", reason="missing")
            raise InvalidCredentials("The provider sent no ID token.")
        return ProviderTokens(token, access_token if isinstance(access_token, str) else None)

    async def identity(self, id_token: str, nonce: str) -> FederatedIdentity:
        """Verify an ID token and return the identity in it.

        Raises:
            InvalidCredentials: the token is not genuine, or was issued for another client or another login.
            Unavailable: the provider's keys cannot be fetched.
        """
        received_at = time.monotonic()
        try:
            if received_at - self._keys_at > CACHED_FOR:
                await self._fetch_keys(received_at)
            try:
                claims = await self._verified(id_token, nonce)
            except (InvalidKeyIdError, BadSignatureError):
                # The provider may have published a new key since; each login fetches the keys once at most.
                await self._fetch_keys(received_at)
                claims = await self._verified(id_token, nonce)
        except (JoseError, ValueError, TypeError) as error:  # the last one: `alg` is no text
            claim = getattr(error, "claim", None)
            logger.warning("id_token.refused", reason=type(error).__name__, claim=claim)
            raise InvalidCredentials("The provider sent an invalid ID token.") from None
        return FederatedIdentity(claims["iss"], claims["sub"], claims)

    async def user_id(self, identity: FederatedIdentity, access_token: str | None) -> str:
        """Derive the id of a new account from the ID token, else from the provider's claims about the user.

        Raises:
            InvalidCredentials: the provider's claims are about another user.
            Unavailable: the provider does not respond.
        """
        if found := plain_id(identity.claims.get(self._settings.id_claim)):
            return found
        claims = await self._user_info(identity, access_token)
        return suggested_user_id(self._settings.id_claim, identity.claims, claims)

    async def _user_info(self, identity: FederatedIdentity, access_token: str | None) -> dict[str, Any]:
        address = (await self.metadata()).userinfo_endpoint
        if address is None or access_token is None:
            return {}
        try:
            claims = await self._send("GET", address, headers={"Authorization": f"Bearer {access_token}"})
        except (InvalidCredentials, UnexpectedResponse):  # logged; the ID token is sufficient to log in
            return {}
        if claims.get("sub") != identity.subject:  # OpenID Connect Core §5.3.2: it may be about another user
            logger.warning("user_info.refused", reason="another subject")
            raise InvalidCredentials("The provider sent claims about another user.")
        return claims

    async def _verified(self, id_token: str, nonce: str) -> dict[str, Any]:
        metadata = await self.metadata()
        return verified_claims(
            id_token,
            self._keys,
            accepted_algorithms(metadata.id_token_signing_alg_values_supported),
            issuer=self._settings.issuer,
            client_id=self._settings.client_id,
            nonce=nonce,
        )

    async def _fetch_keys(self, since: float) -> None:
        """Fetch the keys, unless they were fetched after `since`."""
        metadata = await self.metadata()
        async with self._fetching:
            if self._keys_at > since:
                return
            started_at = time.monotonic()
            answer = await self._send("GET", metadata.jwks_uri)
            keys = read_keys(answer.get("keys"))
            if not keys:
                logger.error("provider_keys.rejected")
                raise Unavailable("The provider publishes no keys.", retry_after=RETRY_AFTER)
            self._keys, self._keys_at = keys, started_at

    async def _discover(self) -> Metadata:
        address = self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            found = Metadata.model_validate(await self._send("GET", address))
        except ValidationError:
            raise Unavailable("The provider sent unexpected metadata.", retry_after=RETRY_AFTER) from None
        except InvalidCredentials as error:
            raise Unavailable(error.detail, retry_after=RETRY_AFTER) from None
        scheme = urlsplit(self._settings.issuer).scheme  # plain HTTP only for a provider on this machine
        if found.issuer != self._settings.issuer or any(urlsplit(each).scheme != scheme for each in found.endpoints):
            logger.error("provider_metadata.rejected", issuer=found.issuer)
            raise Unavailable("The provider sent unexpected metadata.", retry_after=RETRY_AFTER)
        return found


def basic_authorization(client_id: str, secret: str) -> str:
    """Return the `Authorization` header of a client, whose parts are form-encoded (RFC 6749, section 2.3.1)."""
    pair = f"{quote_plus(client_id, safe='')}:{quote_plus(secret, safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
