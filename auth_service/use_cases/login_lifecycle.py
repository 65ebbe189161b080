"""Logins: begun by credentials, kept alive by refresh tokens, ended by their owner. No I/O but by the port below."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import uuid4

import structlog

from auth_service.crypto.access_tokens import AccessTokens
from auth_service.crypto.refresh_tokens import RefreshTokens
from auth_service.domain.credentials import Credentials
from auth_service.domain.logins import Issue, Login, Rotation, Session, Tokens, device
from auth_service.domain.refresh_rotation import Verdict
from auth_service.domain.users import User
from auth_service.metrics import Metrics
from shared.contracts.payload import utc_now
from shared.errors import InvalidCredentials, NotFound, TokenExpired, TokenInvalid

logger = structlog.get_logger(__name__)


class Store(Protocol):
    """Where logins are kept. Each call is one transaction and may raise `Unavailable`."""

    async def begin(self, login: Login, version: int, issue: Issue) -> bool:
        """Store a login with its first token, if the user's credentials are still of that version and good."""

    async def rotate(self, presented: bytes, successor: Issue) -> Rotation | None:
        """Judge the token with that hash and do as judged; `None`: not one of a login that stands."""

    async def session(self, user_id: str, sid: str) -> User | None:
        """The user, if this login is theirs and stands."""

    async def standing(self, user_id: str, now: datetime) -> list[Login]:
        """The logins of a user that stand, last used first."""

    async def revoke(self, user_id: str, sid: str, now: datetime) -> bool:
        """Whether that was a login of theirs that stood."""

    async def revoke_all(self, user_id: str, now: datetime) -> int:
        """End every login of a user; how many there were."""


class Logins:
    """The use cases."""

    def __init__(
        self,
        *,
        store: Store,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        refresh_ttl: int,
        metrics: Metrics,
    ) -> None:
        """`refresh_ttl` in seconds."""
        self._store = store
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._refresh_ttl = timedelta(seconds=refresh_ttl)
        self._metrics = metrics

    async def begin(self, credentials: Credentials, user_agent: str | None, source: str) -> Tokens:
        """A new login; `source` is the client's address, for the log alone.

        Raises:
            InvalidCredentials: they were replaced since they were checked.
            Unavailable: unknown whether done.
        """
        refresh_token, now = self._refresh_tokens.new(), utc_now()
        issue = self._issue(refresh_token, now)
        sid, user_id = str(uuid4()), credentials.user_id
        login = Login(sid, user_id, device(user_agent), now, now, issue.refresh_expires_at)
        if not await self._store.begin(login, credentials.version, issue):
            self._metrics.logins.labels("failed").inc()
            raise InvalidCredentials
        self._metrics.logins.labels("ok").inc()
        logger.info("logged in", user=user_id, sid=sid, source=source)
        return self._tokens(user_id, sid, credentials.roles, refresh_token, issue, issue.refresh_expires_at)

    async def refresh(self, refresh_token: str, source: str) -> Tokens:
        """Exchange a refresh token for its successor and a new access token; `source` as in `begin`.

        Raises:
            TokenExpired: its time is over.
            TokenInvalid: not a token of ours, its login is over, or it was used before: then its login is over now.
            Unavailable: unknown whether done; the same token may be sent again.
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
            whose = {"user": rotation.user_id, "sid": rotation.sid, "source": source}
            logger.warning("refresh token used twice, login revoked", **whose)
            raise TokenInvalid("The refresh token is not valid.")
        expires_at = rotation.refresh_expires_at
        return self._tokens(rotation.user_id, rotation.sid, rotation.roles, successor, issue, expires_at)

    async def session(self, access_token: object) -> Session:
        """Who an access token speaks for.

        Raises:
            TokenExpired: its time is over.
            TokenInvalid: not a token of ours, or its login was revoked.
            Unavailable: the database is away.
        """
        claims = self._access_tokens.verify(access_token)
        user = await self._store.session(claims.user_id, claims.sid)
        if user is None:
            raise TokenInvalid
        return Session(user, claims.sid)

    async def standing(self, session: Session) -> list[Login]:
        """The logins of the bearer's user, last used first.

        Raises:
            Unavailable: the database is away.
        """
        return await self._store.standing(session.user.id, utc_now())

    async def end(self, session: Session, sid: str | None = None) -> None:
        """End a login of the bearer's user, this one by default.

        Raises:
            NotFound: no such login of theirs.
            Unavailable: unknown whether done.
        """
        ended = await self._store.revoke(session.user.id, sid or session.sid, utc_now())
        if not ended and sid is not None:
            raise NotFound("You have no such login.")
        logger.info("logged out", user=session.user.id, sid=sid or session.sid)

    async def end_all(self, session: Session) -> None:
        """End every login of the bearer's user.

        Raises:
            Unavailable: unknown whether done.
        """
        count = await self._store.revoke_all(session.user.id, utc_now())
        logger.info("logged out everywhere", user=session.user.id, logins=count)

    def _issue(self, refresh_token: str, now: datetime) -> Issue:
        access_expires_at = datetime.fromtimestamp(int(now.timestamp()) + self._access_tokens.ttl, UTC)
        return Issue(self._refresh_tokens.digest(refresh_token), now, access_expires_at, now + self._refresh_ttl)

    def _tokens(
        self, user_id: str, sid: str, roles: tuple[str, ...], refresh_token: str, issue: Issue, expires_at: datetime
    ) -> Tokens:
        access_token = self._access_tokens.sign(user_id, sid, roles, issue.at.timestamp())
        lifetime = int((expires_at - issue.at).total_seconds())
        return Tokens(access_token, self._access_tokens.ttl, refresh_token, lifetime)
