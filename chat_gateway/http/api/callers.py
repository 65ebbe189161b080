"""The users of the API on this gateway, and each of their requests as a `Caller` of client events."""

from __future__ import annotations

from collections import OrderedDict

from chat_gateway.identity.authentication import Identity
from chat_gateway.sockets.caller import Refusals
from chat_gateway.sockets.lanes import Lanes
from chat_gateway.transport.frames import Frame

USERS_MAX = 10_000  # kept users; above it the longest idle ones are evicted


class ApiUser:
    """What all requests of a user on this gateway share."""

    __slots__ = ("in_flight", "refusals")

    def __init__(self) -> None:
        self.in_flight = 0
        self.refusals = Refusals()


class RequestCaller:
    """One request. Implements `Caller`; it joins no session, and is sent nothing but its answer."""

    __slots__ = ("_user", "identity", "joined", "lanes", "refusals", "user_id")

    def __init__(self, identity: Identity, user: ApiUser) -> None:
        self.identity = identity
        self.user_id = identity.user_id
        self.joined: set[str] = set()
        self.lanes = Lanes()
        self.refusals = user.refusals
        self._user = user

    @property
    def in_flight(self) -> int:
        """The unanswered requests of the user."""
        return self._user.in_flight

    @in_flight.setter
    def in_flight(self, number: int) -> None:
        self._user.in_flight = number

    @property
    def open(self) -> bool:
        """A request stays open until it is answered."""
        return True

    @property
    def receives(self) -> bool:
        """A request cannot join sessions."""
        return False

    @property
    def follows(self) -> None:
        """A request receives no session."""
        return None

    def send(self, frame: Frame) -> None:
        """Do nothing."""

    async def wait_until_read(self) -> None:
        """Return at once: a connection has one request at a time."""


class ApiUsers:
    """The recent users of the API."""

    def __init__(self) -> None:
        self._users: OrderedDict[str, ApiUser] = OrderedDict()

    def caller(self, identity: Identity) -> RequestCaller:
        """Return the caller of a new request."""
        user = self._users.get(identity.user_id)
        if user is None:
            user = self._users[identity.user_id] = ApiUser()
            if len(self._users) > USERS_MAX:
                self._evict_idle()
        self._users.move_to_end(identity.user_id)
        return RequestCaller(identity, user)

    def _evict_idle(self) -> None:
        """Evict those of the oldest eighth that have no request."""
        oldest = list(self._users)[: USERS_MAX // 8]
        for user_id in oldest:
            if not self._users[user_id].in_flight:
                del self._users[user_id]
