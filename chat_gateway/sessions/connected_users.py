"""The open sockets and streams of this gateway by user and by login."""

from __future__ import annotations

from collections.abc import Iterable

from chat_gateway.identity.authentication import Identity
from chat_gateway.sessions.bindings import Bindings
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets.recipients import ConnectedClient
from shared.contracts import ids
from shared.contracts.topology import user_key
from shared.errors import RateLimited


class ConnectedUsers:
    """Open sockets and streams by user and by login. The bucket of each user is bound to the delivery queue."""

    def __init__(self, bindings: Bindings, settings: GatewaySettings) -> None:
        self._bindings = bindings
        self._settings = settings
        self._limited = settings.limits == "on"
        self._by_user: dict[str, set[ConnectedClient]] = {}
        self._by_login: dict[str, set[ConnectedClient]] = {}

    async def add(self, socket: ConnectedClient, timeout: float) -> None:
        """Add a socket or stream and wait until the bucket of its user is bound; `timeout` in seconds.

        Raises:
            RateLimited: the user has too many sockets and streams.
            Unavailable: the bus is not connected.
        """
        user = socket.user_id
        sockets = self._by_user.setdefault(user, set())
        if self._limited and len(sockets) >= self._settings.sockets_per_user:
            raise RateLimited("Too many connections.", retry_after=5.0)
        key = self._key(user)
        if not sockets:
            self._bindings.acquire(key)
        sockets.add(socket)
        self._add_to_login(socket)
        await self._bindings.wait_bound(key, timeout)

    def remove(self, socket: ConnectedClient) -> None:
        """Remove a socket if it was added."""
        sockets = self._by_user.get(socket.user_id)
        if sockets is None or socket not in sockets:
            return
        sockets.discard(socket)
        self._remove_from_login(socket)
        if not sockets:
            del self._by_user[socket.user_id]
            self._bindings.release(self._key(socket.user_id))

    def sockets(self, user_id: str) -> Iterable[ConnectedClient]:
        """Return the open sockets and streams of a user."""
        return self._by_user.get(user_id, ())

    def sockets_of_login(self, login_id: str) -> list[ConnectedClient]:
        """Return the open sockets and streams of a login, or of a key or token of a service."""
        return list(self._by_login.get(login_id, ()))

    def change_login(self, socket: ConnectedClient, identity: Identity) -> None:
        """Move a socket to the login of a new token of its user."""
        self._remove_from_login(socket)
        socket.identity = identity
        self._add_to_login(socket)

    def _add_to_login(self, socket: ConnectedClient) -> None:
        for revocable in socket.identity.revocable_ids:
            self._by_login.setdefault(revocable, set()).add(socket)

    def _remove_from_login(self, socket: ConnectedClient) -> None:
        for revocable in socket.identity.revocable_ids:
            sockets = self._by_login[revocable]
            sockets.discard(socket)
            if not sockets:
                del self._by_login[revocable]

    def all_sockets(self) -> list[ConnectedClient]:
        """Return all open sockets and streams."""
        return [socket for sockets in self._by_user.values() for socket in sockets]

    def _key(self, user_id: str) -> str:
        return user_key(ids.bucket(user_id, self._settings.partitions))
