"""The configured OpenID provider: its metadata, its token endpoint, and the check of its ID tokens.

See OpenID Connect Core, section 3.1. The algorithm of an ID token is that of the provider's key that its `kid` selects;
the token's own `alg` header is not trusted.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol
from urllib.parse import urlsplit

import jwt
import structlog
from pydantic import BaseModel, ValidationError

from auth_service.domain.federated_identities import FederatedIdentity
from auth_service.settings import OidcSettings
from shared.errors import InvalidCredentials, Unavailable

logger = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
REQUIRED = ("iss", "sub", "aud", "exp", "iat", "nonce")
CLOCK_SKEW = 60.0  # seconds
CACHED_FOR = 3600.0  # seconds, of metadata and keys
COOLDOWN = 5.0  # seconds between two requests for an unknown key
TOKEN_MAX = 16 * 1024  # characters
SUBJECT_MAX = 255  # characters (OpenID Connect Core §2)
RETRY_AFTER = 5.0  # seconds


class Metadata(BaseModel):
    """The used fields of `/.well-known/openid-configuration`."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]


class SendRequest(Protocol):
    """Sends one HTTP request to the provider."""

    async def __call__(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """Send the request and return the response, a JSON object.

        Raises:
            InvalidCredentials: the provider refused.
            Unavailable: the provider did not respond, or its response is not a JSON object.
        """


class Provider:
    """A client of the provider in the settings, with cached metadata and keys."""

    def __init__(self, settings: OidcSettings, send: SendRequest) -> None:
        self._settings = settings
        self._send = send
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: dict[str | None, jwt.PyJWK] = {}
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

    async def exchange(self, code: str, verifier: str) -> str:
        """Exchange an authorization code for an ID token.

        Raises:
            InvalidCredentials: the provider refused, or sent no ID token.
            Unavailable: the provider does not respond.
        """
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "client_id": self._settings.client_id,
            "code_verifier": verifier,
        }
        secret, basic = self._settings.client_secret, None
        if secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            basic = (self._settings.client_id, secret)
        elif secret:
            form["client_secret"] = secret
        answer = await self._send("POST", metadata.token_endpoint, data=form, auth=basic)
        token = answer.get("id_token")
        if not isinstance(token, str) or not token.isascii() or len(token) > TOKEN_MAX:
            raise InvalidCredentials("The provider sent no ID token.")
        return token

    async def identity(self, id_token: str, nonce: str) -> FederatedIdentity:
        """Verify an ID token and return the identity in it.

        Raises:
            InvalidCredentials: the token is not genuine, or was issued for another client or another login.
            Unavailable: the provider's keys cannot be fetched.
        """
        try:
            key = await self._key(jwt.get_unverified_header(id_token).get("kid"))
            claims = self._verified(id_token, key)
        except jwt.PyJWTError as error:
            logger.warning("id_token.refused", reason=type(error).__name__)
            raise InvalidCredentials("The provider sent an invalid ID token.") from None
        subject, name = claims["sub"], claims.get(self._settings.id_claim)
        if claims["nonce"] != nonce or not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX:
            raise InvalidCredentials("The provider sent an invalid ID token.")
        return FederatedIdentity(claims["iss"], subject, name if isinstance(name, str) else None)

    def _verified(self, id_token: str, key: jwt.PyJWK) -> dict[str, Any]:
        if key.algorithm_name not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key.key,
            algorithms=[key.algorithm_name],
            audience=self._settings.client_id,
            issuer=self._settings.issuer,
            leeway=CLOCK_SKEW,
            options={"require": list(REQUIRED)},
        )
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._settings.client_id) != self._settings.client_id:
            raise jwt.InvalidAudienceError
        return claims

    async def _key(self, kid: str | None) -> jwt.PyJWK:
        async with self._fetching:
            age = time.monotonic() - self._keys_at
            if age > CACHED_FOR or (kid not in self._keys and age > COOLDOWN):
                await self._fetch_keys()
        if kid not in self._keys:
            raise jwt.InvalidKeyError
        return self._keys[kid]

    async def _fetch_keys(self) -> None:
        metadata = self._metadata[0] if self._metadata else await self._discover()
        answer = await self._send("GET", metadata.jwks_uri)
        try:
            self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(answer).keys if key.public_key_use != "enc"}
        except jwt.PyJWTError:
            raise Unavailable("The provider publishes no keys.", retry_after=RETRY_AFTER) from None
        self._keys_at = time.monotonic()

    async def _discover(self) -> Metadata:
        address = self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            found = Metadata.model_validate(await self._send("GET", address))
        except ValidationError:
            raise Unavailable("The provider sent unexpected metadata.", retry_after=RETRY_AFTER) from None
        scheme = urlsplit(self._settings.issuer).scheme  # plain HTTP only for a provider on this machine
        endpoints = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
        if found.issuer != self._settings.issuer or any(urlsplit(each).scheme != scheme for each in endpoints):
            logger.error("provider_metadata.rejected", issuer=found.issuer)
            raise Unavailable("The provider sent unexpected metadata.", retry_after=RETRY_AFTER)
        return found
