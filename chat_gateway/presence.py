"""Which users have sockets here, and what each of them may still do."""

from __future__ import annotations

import time
from collections.abc import Iterable

from chat_gateway.authentication import Identity
from chat_gateway.bindings import Bindings
from chat_gateway.limits import TokenBucket
from chat_gateway.settings import GatewaySettings
from chat_gateway.sockets import Socket
from shared.contracts import ids
from shared.contracts.topology import user_key
from shared.errors import RateLimited

BUCKETS_SWEPT_AT = 1_000  # kept buckets; more than that and the full ones are forgotten


class Presence:
    """Sockets by user and by login, the binding of each user's bucket, and the rate limits."""

    def __init__(self, bindings: Bindings, settings: GatewaySettings) -> None:
        self._bindings = bindings
        self._settings = settings
        self._limited = settings.limits == "on"
        self._sockets: dict[str, set[Socket]] = {}
        self._of_login: dict[str, set[Socket]] = {}
        self._budgets: dict[str, TokenBucket] = {}
        self._sweep_at = BUCKETS_SWEPT_AT

    async def enter(self, socket: Socket, timeout: float) -> None:
        """Count the socket in and bind its user's bucket.

        Raises:
            RateLimited: too many sockets of this user.
            Unavailable: the bus is away.
        """
        user = socket.user_id
        sockets = self._sockets.setdefault(user, set())
        if self._limited and len(sockets) >= self._settings.sockets_per_user:
            raise RateLimited("Too many connections.", retry_after=5.0)
        key = self._key(user)
        if not sockets:
            self._bindings.acquire(key)
        sockets.add(socket)
        self._of_login.setdefault(socket.identity.login_id, set()).add(socket)
        await self._bindings.bound(key, timeout)

    def leave(self, socket: Socket) -> None:
        """Count the socket out, if it was in."""
        sockets = self._sockets.get(socket.user_id)
        if sockets is None or socket not in sockets:
            return
        sockets.discard(socket)
        self._leave_login(socket)
        if not sockets:
            del self._sockets[socket.user_id]
            self._bindings.release(self._key(socket.user_id))

    def spend(self, user_id: str) -> None:
        """Take one event of the user's budget.

        Raises:
            RateLimited: there is none left.
        """
        if not self._limited:
            return
        now = time.monotonic()
        budget = self._budgets.get(user_id)
        if budget is None:
            self._sweep(now)
            budget = TokenBucket(self._settings.events_per_second, self._settings.events_burst)
            self._budgets[user_id] = budget
        wait = budget.take(now)
        if wait:
            raise RateLimited(retry_after=wait)

    def sockets(self, user_id: str) -> Iterable[Socket]:
        """The open sockets of a user on this gateway."""
        return self._sockets.get(user_id, ())

    def of_login(self, login_id: str) -> list[Socket]:
        """The sockets of one login on this gateway."""
        return list(self._of_login.get(login_id, ()))

    def change_login(self, socket: Socket, identity: Identity) -> None:
        """The socket has shown another token of its user."""
        self._leave_login(socket)
        socket.identity = identity
        self._of_login.setdefault(identity.login_id, set()).add(socket)

    def _leave_login(self, socket: Socket) -> None:
        login_id = socket.identity.login_id
        sockets = self._of_login[login_id]
        sockets.discard(socket)
        if not sockets:
            del self._of_login[login_id]

    def everybody(self) -> list[Socket]:
        """All open sockets."""
        return [socket for sockets in self._sockets.values() for socket in sockets]

    def _key(self, user_id: str) -> str:
        return user_key(ids.bucket(user_id, self._settings.partitions))

    def _sweep(self, now: float) -> None:
        if len(self._budgets) < self._sweep_at:
            return
        self._budgets = {user: budget for user, budget in self._budgets.items() if not budget.is_full(now)}
        self._sweep_at = max(BUCKETS_SWEPT_AT, 2 * len(self._budgets))
