"""Guests: accounts without a passcode for a first visit. A guest who sets a passcode becomes a regular user."""

from __future__ import annotations

import secrets
from typing import Protocol

import structlog

from auth_service.domain.credentials import Credentials
from auth_service.domain.users import GUEST, User
from auth_service.use_cases.throttle import Throttle
from shared.contracts.payload import utc_now
from shared.errors import NotFound, Unavailable

logger = structlog.get_logger(__name__)


class Users(Protocol):
    """The stored accounts."""

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Store an account; return `False` if the id is taken."""


class Guests:
    """Creates accounts for guests, if the operator enabled it."""

    def __init__(self, *, users: Users, throttle: Throttle, admitted: bool) -> None:
        self._users = users
        self._throttle = throttle
        self._admitted = admitted

    async def admit(self, client_address: str) -> Credentials:
        """Create an account that can only be used with the login that is begun next, and return its credentials.

        Raises:
            NotFound: guests are disabled.
            RateLimited: too many guests from this address.
            Unavailable: the account was not created.
        """
        if not self._admitted:
            raise NotFound("Guests are not admitted here.")
        await self._throttle.admit_guest(client_address)
        user = User(f"guest-{secrets.token_hex(8)}", utc_now(), GUEST)
        if not await self._users.add_user(user, ""):
            raise Unavailable
        logger.info("guest.admitted", user=user.id)
        return Credentials(user.id, user.roles, "", 0)
