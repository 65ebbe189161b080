"""Logins: the lifetime of sockets (contract.md §2, §3.1).

A socket belongs to the login of the newest token that its client has sent. It is disconnected when that token expires,
or as soon as auth reports the login as revoked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from chat_gateway.events import token_expiry
from chat_gateway.events.calls import Call, Handler
from chat_gateway.identity.authentication import Authenticator, Identity
from chat_gateway.identity.recent_tokens import RecentTokens
from chat_gateway.identity.revocation import FetchRevocations, Revocation
from chat_gateway.metrics import Metrics
from chat_gateway.protocol import payloads
from chat_gateway.sessions.connected_users import ConnectedUsers
from chat_gateway.sockets.recipients import ConnectedClient
from chat_gateway.sockets.socket import Socket
from chat_gateway.transport import frames
from shared.errors import Forbidden, TokenExpired, Unauthenticated, Unavailable

logger = structlog.get_logger(__name__)


class Logins:
    """Authenticates sockets, and disconnects them when their login ends."""

    def __init__(
        self, authenticator: Authenticator, ask: FetchRevocations, connected_users: ConnectedUsers, metrics: Metrics
    ) -> None:
        """`ask` fetches the logins revoked since a cursor from auth."""
        self._authenticator = authenticator
        self._recent_tokens = RecentTokens(authenticator)
        self._connected_users = connected_users
        self._dismissed = metrics.dismissed
        self.revocation = Revocation(ask, self._revoked)
        metrics.revoked_logins.set_function(lambda: len(self.revocation))

    @property
    def handlers(self) -> Mapping[type[payloads.ClientPayload], Handler]:
        """See `EventHandlers`."""
        return {payloads.RefreshToken: self._refresh_token}

    async def identify(self, token: Any) -> Identity:
        """Return the identity of a token.

        Raises:
            TokenExpired: the token was valid and has expired.
            Unauthenticated: the token is not valid, or its login is revoked.
            Unavailable: the keys or the list of revoked logins are not known.
        """
        identity = await self._authenticator.identify(token)
        if not await self.revocation.wait_until_fresh():
            raise Unavailable("Logins cannot be checked at the moment.", retry_after=1.0)
        if self.revocation.covers(identity):
            raise Unauthenticated
        return identity

    async def identify_request(self, token: str) -> Identity:
        """Return the identity of the token of a request, which is as an event of a socket that is connected.

        While auth does not answer, the last known list of revoked logins applies, as for every event.

        Raises:
            TokenExpired: the token was valid and has expired.
            Unauthenticated: the token is not valid, or its login is revoked.
            Unavailable: the keys or the list of revoked logins were never known.
        """
        identity = await self._recent_tokens.identify(token)
        if not await self.revocation.wait_until_fresh() and not self.revocation.answered:
            raise Unavailable("Logins cannot be checked at the moment.", retry_after=1.0)
        if self.revocation.covers(identity):
            raise Unauthenticated
        return identity

    def begin(self, socket: ConnectedClient) -> None:
        """Watch the token of a new socket; disconnect it if its login was revoked during the connect."""
        if self.revocation.covers(socket.identity):
            self._dismiss(socket, "revoked")
        else:
            token_expiry.watch(socket, self.expired)

    def end(self, socket: ConnectedClient) -> None:
        """Stop watching the token of a closed socket."""
        token_expiry.forget(socket)

    async def _refresh_token(self, call: Call, request: payloads.RefreshToken) -> None:
        """Replace the token of a socket by a newer one of its user; an older one of the same login changes nothing.

        While auth does not answer, the last known list of revoked logins applies, as for every event.
        """
        socket = call.caller
        assert isinstance(socket, Socket)  # the API has no such request
        try:
            identity = await self._authenticator.identify(request.token)
        except (Unauthenticated, TokenExpired) as error:
            raise Forbidden(error.detail) from None
        if identity.user_id != socket.user_id:
            raise Forbidden("This token belongs to another user.")
        if self.revocation.covers(identity):
            raise Forbidden("This login was revoked.")
        present = socket.identity
        if present.scopes is not None and not present.scopes <= (identity.scopes or frozenset()):
            # It may have joined sessions of which it is no member.
            raise Forbidden("This token has fewer scopes; connect again with it.")
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
            logger.info("login.revoked", user=sockets[0].user_id, sockets=len(sockets))

    def expired(self, socket: ConnectedClient) -> None:
        """Disconnect a socket whose token has expired."""
        self._dismiss(socket, "expired", frames.event("auth_expired", {}))

    def _dismiss(self, socket: ConnectedClient, reason: str, *last_words: frames.Frame) -> None:
        if socket.open:
            self._dismissed.labels(reason).inc()
            socket.dismiss(*last_words)
