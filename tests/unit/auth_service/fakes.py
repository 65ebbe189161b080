"""Stand-ins for the ports of `auth_service.accounts`."""

from dataclasses import dataclass, field

from auth_service.accounts import Login, User


@dataclass
class MemoryStore:
    """Accounts in dictionaries."""

    users: dict[str, tuple[User, str]] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        if user.id in self.users:
            return False
        self.users[user.id] = (user, passcode_hash)
        return True

    async def credentials(self, user_id: str) -> tuple[User, str] | None:
        return self.users.get(user_id)

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        user, stored = self.users[user_id]
        if stored == old:
            self.users[user_id] = (user, new)

    async def add_login(self, login: Login) -> None:
        self.logins[login.sid] = login

    async def user_of_login(self, user_id: str, sid: str) -> User | None:
        login = self.logins.get(sid)
        return self.users[user_id][0] if login and login.user_id == user_id else None


@dataclass
class PlainHasher:
    """Hashes that can be read; counts its work."""

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
