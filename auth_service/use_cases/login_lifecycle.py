"""Use cases of logins: begin, refresh, authenticate, list, end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import uuid4

import structlog

from auth_service.crypto.access_tokens import AccessTokens, Claims
from auth_service.crypto.refresh_tokens import RefreshTokens
from auth_service.domain.credentials import Credentials
from auth_service.domain.logins import Login, Principal, Rotation, TokenIssue, Tokens, device_label
from auth_service.domain.refresh_rotation import Verdict
from auth_service.domain.users import User
from auth_service.metrics import Metrics
from shared.contracts.ids import SERVICE_PREFIX
from shared.contracts.payload import utc_now
from shared.errors import InvalidCredentials, NotFound, TokenExpired, TokenInvalid

logger = structlog.get_logger(__name__)


class Store(Protocol):
    """The stored logins. Each call is one transaction and may raise `Unavailable`."""

    async def begin(self, login: Login, version: int, issue: TokenIssue) -> bool:
        """Store a login with its first token; return `False` if `version` is not current or the user is disabled.

        It also returns `False` if the service that lends the login is revoked.
        """

    async def rotate(self, presented: bytes, successor: TokenIssue) -> Rotation | None:
        """Judge the token with that hash and apply the verdict; return `None` if it is not one of an active login."""

    async def active_user(self, user_id: str, sid: str) -> User | None:
        """Return the user if the login is active and belongs to them."""

    async def active_logins(self, user_id: str, now: datetime) -> list[Login]:
        """Return the active logins of a user, the last used first."""

    async def revoke(self, user_id: str, sid: str, now: datetime) -> bool:
        """Revoke a login; return `False` if the user has no such active login."""

    async def revoke_all(self, user_id: str, now: datetime) -> int:
        """Revoke every login of a user and return their number."""


class LoginLifecycle:
    """Begins, refreshes, authenticates, lists and ends logins."""

    def __init__(
        self,
        *,
        store: Store,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        refresh_ttl: int,
        metrics: Metrics,
    ) -> None:
        """Take the lifetime of refresh tokens in seconds."""
        self._store = store
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._refresh_ttl = timedelta(seconds=refresh_ttl)
        self._metrics = metrics

    async def begin(
        self, credentials: Credentials, user_agent: str | None, client_address: str, *, service: str | None = None
    ) -> Tokens:
        """Begin a login, which may be lent by a service; the client's address is only logged.

        Raises:
            InvalidCredentials: the credentials were replaced after they were checked, or the service was revoked.
            Unavailable: the login may or may not have been stored.
        """
        refresh_token, now = self._refresh_tokens.new(), utc_now()
        issue = self._issue(refresh_token, now)
        sid, user_id = str(uuid4()), credentials.user_id
        login = Login(sid, user_id, device_label(user_agent), now, now, issue.refresh_expires_at, service)
        if not await self._store.begin(login, credentials.version, issue):
            self._metrics.logins.labels("failed").inc()
            raise InvalidCredentials
        self._metrics.logins.labels("ok").inc()
        logger.info("login.started", user=user_id, sid=sid, client_address=client_address)
        rotation = Rotation(Verdict.ROTATE, sid, user_id, credentials.roles, issue.refresh_expires_at, service)
        return self._tokens(rotation, refresh_token, issue)

    async def refresh(self, refresh_token: str, client_address: str) -> Tokens:
        """Exchange a refresh token for its successor and a new access token.

        Raises:
            TokenExpired: the token has expired.
            TokenInvalid: the token is unknown, its login has ended, or it was used before, which revokes the login.
            Unavailable: the outcome is unknown; the same token can be sent again.
        """
        successor = self._refresh_tokens.successor(refresh_token)
        issue = self._issue(successor, utc_now())
        rotation = await self._store.rotate(self._refresh_tokens.digest(refresh_token), issue)
        self._metrics.refreshes.labels(rotation.verdict.name.lower() if rotation else "unknown").inc()
        if rotation is None:
            raise TokenInvalid("The refresh token is not valid.")
        if rotation.verdict is Verdict.EXPIRED:
            raise TokenExpired("The refresh token has expired.")
        if rotation.verdict is Verdict.REUSED:
            whose = {"user": rotation.user_id, "sid": rotation.sid, "client_address": client_address}
            logger.warning("login.revoked", reason="refresh token reused", **whose)
            raise TokenInvalid("The refresh token is not valid.")
        return self._tokens(rotation, successor, issue)

    async def authenticate(self, claims: Claims) -> Principal:
        """Return the user and the login that a verified access token belongs to.

        Raises:
            TokenInvalid: the login was revoked.
            Unavailable: the database is away.
        """
        user = await self._store.active_user(claims.user_id, claims.sid)
        if user is None:
            raise TokenInvalid
        return Principal(user, claims.sid)

    async def active_logins(self, principal: Principal) -> list[Login]:
        """Return the active logins of the authenticated user, the last used first.

        Raises:
            Unavailable: the database is away.
        """
        return await self._store.active_logins(principal.user.id, utc_now())

    async def end(self, principal: Principal, sid: str | None = None) -> None:
        """End a login of the authenticated user, by default the current one.

        Raises:
            NotFound: the user has no such login.
            Unavailable: the login may or may not have ended.
        """
        ended = await self._store.revoke(principal.user.id, sid or principal.sid, utc_now())
        if not ended and sid is not None:
            raise NotFound("You have no such login.")
        logger.info("login.ended", user=principal.user.id, sid=sid or principal.sid)

    async def end_all(self, principal: Principal) -> None:
        """End every login of the authenticated user.

        Raises:
            Unavailable: the logins may or may not have ended.
        """
        count = await self._store.revoke_all(principal.user.id, utc_now())
        logger.info("logins.ended", user=principal.user.id, logins=count)

    def _issue(self, refresh_token: str, now: datetime) -> TokenIssue:
        access_expires_at = datetime.fromtimestamp(int(now.timestamp()) + self._access_tokens.ttl, UTC)
        return TokenIssue(self._refresh_tokens.digest(refresh_token), now, access_expires_at, now + self._refresh_ttl)

    def _tokens(self, login: Rotation, refresh_token: str, issue: TokenIssue) -> Tokens:
        actor = SERVICE_PREFIX + login.service if login.service else None
        access_token = self._access_tokens.sign(
            login.user_id, login.sid, login.roles, issue.at.timestamp(), actor=actor
        )
        lifetime = int((login.refresh_expires_at - issue.at).total_seconds())
        return Tokens(access_token, self._access_tokens.ttl, refresh_token, lifetime)
