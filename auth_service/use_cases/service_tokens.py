"""Use cases of services: issue an access token for a key, authenticate by it, end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog

from auth_service.crypto import service_keys
from auth_service.crypto.access_tokens import AccessTokens, Claims
from auth_service.domain.services import SCOPES, Service, ServiceKey, ServicePrincipal, UnknownScope, granted_scopes
from auth_service.domain.users import parse_user_id
from auth_service.metrics import Metrics
from auth_service.use_cases.throttle import Throttle
from shared.contracts.ids import SERVICE_PREFIX
from shared.contracts.payload import utc_now
from shared.errors import InvalidCredentials, TokenInvalid

logger = structlog.get_logger(__name__)


class Store(Protocol):
    """The stored services. Each call is one transaction and may raise `Unavailable`."""

    async def valid_keys(self, name: str, now: datetime) -> tuple[Service, list[ServiceKey]] | None:
        """Return an active service and its valid keys."""

    async def record_token(self, key_id: str, expires_at: datetime) -> bool:
        """Record until when a key has a valid access token; return `False` if the key was revoked."""

    async def active(self, name: str, key_id: str, jti: str) -> Service | None:
        """Return the service of a token, if neither it nor the key nor the token has ended."""

    async def end_token(self, jti: str, now: datetime, expires_at: datetime) -> None:
        """Record that a token has ended; a repetition changes nothing."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token of a service, with its lifetime in seconds."""

    access_token: str
    expires_in: int
    scopes: tuple[str, ...]


class ServiceTokens:
    """Issues, checks and ends the access tokens of services."""

    def __init__(self, *, store: Store, access_tokens: AccessTokens, throttle: Throttle, metrics: Metrics) -> None:
        self._store = store
        self._access_tokens = access_tokens
        self._throttle = throttle
        self._metrics = metrics

    async def issue(self, name: str, key: str, scopes: Sequence[str], client_address: str) -> IssuedToken:
        """Issue a token for a service that presents its name and a key; without `scopes` it has all granted ones.

        Raises:
            InvalidCredentials: there is no such service, or no such valid key of it.
            UnknownScope: a scope was not granted.
            RateLimited: too many wrong keys; this one was not compared.
            Unavailable: the database is away.
        """
        name = name.lower()  # also of a name that no service can have, so that spellings share a tally
        async with self._throttle.attempt(SERVICE_PREFIX + name, client_address):
            service, found = await self._verified(name, key, client_address)
        allowed = tuple(scope for scope in service.scopes if scope in SCOPES)
        given = granted_scopes(scopes, allowed) if scopes else allowed
        if not given:
            raise UnknownScope("no scope was granted")
        begun = int(utc_now().timestamp())
        end = begun + self._access_tokens.ttl
        if found.expires_at is not None:  # no token outlives its key
            end = min(end, max(begun + 1, int(found.expires_at.timestamp())))
        if not await self._store.record_token(found.id, datetime.fromtimestamp(end, UTC)):
            raise InvalidCredentials
        self._metrics.service_tokens.labels("ok").inc()
        logger.info("service_token.issued", service=service.name, key_id=found.id, client_address=client_address)
        token = self._access_tokens.sign_service(service.id, found.id, given, begun, end)
        return IssuedToken(token, end - begun, given)

    async def authenticate(self, claims: Claims) -> ServicePrincipal:
        """Return the service of a verified token.

        Raises:
            TokenInvalid: the service, the key or the token has ended.
            Unavailable: the database is away.
        """
        name = claims.user_id.removeprefix(SERVICE_PREFIX)
        service = await self._store.active(name, claims.sid, claims.jti)
        if service is None:
            raise TokenInvalid
        expires_at = datetime.fromtimestamp(claims.expires_at, UTC)
        return ServicePrincipal(service, claims.sid, claims.jti, claims.scopes or (), expires_at)

    async def end(self, principal: ServicePrincipal) -> None:
        """End the presented token; the key stays valid.

        Raises:
            Unavailable: the token may or may not have ended.
        """
        await self._store.end_token(principal.jti, utc_now(), principal.expires_at)
        logger.info("service_token.ended", service=principal.service.name, key_id=principal.key_id)

    async def _verified(self, name: str, key: str, client_address: str) -> tuple[Service, ServiceKey]:
        try:
            found = await self._store.valid_keys(parse_user_id(name), utc_now())
        except ValueError:  # no service can have this name
            found = None
        matching = service_keys.matching(key, found[1] if found else [])
        if found is None or matching is None:
            self._metrics.service_tokens.labels("failed").inc()
            if found:  # unknown names are not logged: they may be a key in the wrong field
                logger.info("service_key.refused", service=found[0].name, client_address=client_address)
            raise InvalidCredentials
        return found[0], matching
