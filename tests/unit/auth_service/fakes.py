"""Fakes of the ports of `auth_service.use_cases.accounts` and `auth_service.use_cases.credential_check`."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from auth_service.domain.credentials import Credentials
from auth_service.domain.users import User
from shared.contracts.envelope import Event


@dataclass
class MemoryStore:
    """Keeps accounts in a dictionary."""

    users: dict[str, Credentials] = field(default_factory=dict)
    outbox: list[Event] = field(default_factory=list)

    async def is_taken(self, user_id: str) -> bool:
        return user_id in self.users

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        if user.id in self.users:
            return False
        self.users[user.id] = Credentials(user.id, user.roles, passcode_hash, 0)
        return True

    async def credentials(self, user_id: str) -> Credentials | None:
        return self.users.get(user_id)

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        known = self.users[user_id]
        if known.passcode_hash == old:
            self.users[user_id] = replace(known, passcode_hash=new)

    async def change_passcode(self, user_id: str, version: int, passcode_hash: str, *, sid: str, now: datetime) -> bool:
        known = self.users[user_id]
        if known.version == version:
            self.users[user_id] = replace(known, passcode_hash=passcode_hash, version=version + 1)
        return known.version == version

    async def delete(self, user_id: str, version: int, event: Event) -> bool:
        known = self.users[user_id]
        if known.version == version:
            del self.users[user_id]
            self.outbox.append(event)
        return known.version == version

    def wake(self) -> None:
        """Also records the outbox."""


@dataclass
class PlainHasher:
    """Makes readable hashes and counts its calls."""

    version: int = 1
    work: list[str] = field(default_factory=list)

    async def hash(self, passcode: str) -> str:
        self.work.append("hash")
        return f"{self.version}:{passcode}"

    async def verify(self, stored: str | None, passcode: str) -> bool:
        self.work.append("verify")
        return stored is not None and stored.partition(":")[2] == passcode

    def is_outdated(self, stored: str) -> bool:
        return stored.partition(":")[0] != str(self.version)
