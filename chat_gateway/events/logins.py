"""Logins: whose sockets these are, and for how long (contract §2, §3).

A socket belongs to the login of the newest token that it has shown. It is sent away when that token runs out, or
as soon as auth says that the login is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from chat_gateway.events import token_expiry
from chat_gateway.events.calls import Call, Handler
from chat_gateway.identity.authentication import Authenticator, Identity
from chat_gateway.identity.revocation import FetchRevocations, Revocation
from chat_gateway.metrics import Metrics
from chat_gateway.protocol import payloads
from chat_gateway.sessions.connected_users import ConnectedUsers
from chat_gateway.sockets.socket import Socket
from chat_gateway.transport import frames
from shared.errors import Forbidden, TokenExpired, Unauthenticated, Unavailable

logger = structlog.get_logger(__name__)


class Logins:
    """Who is let in, and who has to go."""

    def __init__(
        self, authenticator: Authenticator, ask: FetchRevocations, connected_users: ConnectedUsers, metrics: Metrics
    ) -> None:
        """`ask` is auth's list of revoked logins since a cursor."""
        self._authenticator = authenticator
        self._connected_users = connected_users
        self._dismissed = metrics.dismissed
        self.revocation = Revocation(ask, self._revoked)
        metrics.revoked_logins.set_function(lambda: len(self.revocation))

    @property
    def handlers(self) -> Mapping[type[payloads.ClientPayload], Handler]:
        """See `Noun`."""
        return {payloads.RefreshToken: self._refresh_token}

    async def identify(self, token: Any) -> Identity:
        """Who that is.

        Raises:
            TokenExpired: the token was good once.
            Unauthenticated: it never was, or its login is over.
            Unavailable: that cannot be told just now.
        """
        identity = await self._authenticator.identify(token)
        if not await self.revocation.wait_until_fresh():
            raise Unavailable("Logins cannot be checked just now.", retry_after=1.0)
        if identity.login_id in self.revocation:
            raise Unauthenticated
        return identity

    def begin(self, socket: Socket) -> None:
        """A socket was let in, just now: its token may have run out meanwhile, or its login may be over."""
        if socket.identity.login_id in self.revocation:
            self._dismiss(socket, "revoked")
        else:
            token_expiry.watch(socket, self.expired)

    def end(self, socket: Socket) -> None:
        """The socket is gone."""
        token_expiry.forget(socket)

    async def _refresh_token(self, call: Call, request: payloads.RefreshToken) -> None:
        """The socket goes on with another token of its user; if it is refused, or an older one, all stays as it was.

        By the last known list while auth is away, like every event.
        """
        socket = call.socket
        try:
            identity = await self._authenticator.identify(request.token)
        except (Unauthenticated, TokenExpired) as error:
            raise Forbidden(error.detail) from None
        if identity.user_id != socket.user_id:
            raise Forbidden("This token is another user's.")
        if identity.login_id in self.revocation:
            raise Forbidden("This login is over.")
        present = socket.identity
        newer = identity.expires_at >= present.expires_at or identity.login_id != present.login_id
        if socket.open and newer:
            self._connected_users.change_login(socket, identity)
            token_expiry.watch(socket, self.expired)
        call.accept({"expires_at": token_expiry.expires_at(socket.identity)})

    def _revoked(self, login_id: str) -> None:
        sockets = self._connected_users.sockets_of_login(login_id)
        for socket in sockets:
            self._dismiss(socket, "revoked")
        if sockets:
            logger.info("login is over", user=sockets[0].user_id, sockets=len(sockets))

    def expired(self, socket: Socket) -> None:
        """The socket's token has run out."""
        self._dismiss(socket, "expired", frames.event("auth_expired", {}))

    def _dismiss(self, socket: Socket, reason: str, *last_words: frames.Frame) -> None:
        if socket.open:
            self._dismissed.labels(reason).inc()
            socket.dismiss(*last_words)
