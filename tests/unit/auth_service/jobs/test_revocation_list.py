"""The list of revoked logins for gateways: it may repeat entries and omits none."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.domain.revocations import Revoked
from auth_service.jobs.revocation_list import CLOCK_SKEW, OVERLAP, WHOLE, RevocationList
from shared.errors import Unavailable

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
TTL = timedelta(minutes=15)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class Database:
    """A store whose rows become visible some time after their timestamp."""

    def __init__(self) -> None:
        self.rows: list[Revoked] = []
        self.away = False
        self.asked: list[datetime | None] = []

    async def revoked(self, after: datetime | None, expiring_after: datetime) -> list[Revoked]:
        self.asked.append(after)
        if self.away:
            raise Unavailable
        return [row for row in self.rows if (after is None or row.at > after) and row.until > expiring_after]

    async def drain(self) -> None:
        """Return at once: no statement is running."""

    def revoke(self, sid: str, at: datetime) -> None:
        self.rows.append(Revoked(sid, at, at + TTL))


@pytest.fixture
def database() -> Database:
    return Database()


async def sids(revocations: RevocationList, cursor: str | None) -> list[str]:
    return [login["sid"] for login in (await revocations.since(cursor))["logins"]]


async def test_list_is_unavailable_before_the_first_reading(database: Database) -> None:
    """An empty list would mean that no login was revoked."""
    database.away = True
    revocations = RevocationList(database)
    with pytest.raises(Unavailable):
        await revocations.refresh(NOW)
    with pytest.raises(Unavailable):
        await revocations.since(None)


async def test_since_cursor_returns_each_revocation_once(database: Database) -> None:
    revocations = RevocationList(database)
    database.revoke("one", NOW)
    await revocations.refresh(NOW)
    first = await revocations.since(None)
    assert first["logins"] == [{"sid": "one", "until": int((NOW + TTL).timestamp())}]
    assert await sids(revocations, first["cursor"]) == []
    database.revoke("two", after(1))
    await revocations.refresh(after(1))
    assert await sids(revocations, first["cursor"]) == ["two"]
    assert await sids(revocations, None) == ["one", "two"]


async def test_revocation_committed_late_is_returned(database: Database) -> None:
    revocations = RevocationList(database)
    await revocations.refresh(after(50))
    cursor = (await revocations.since(None))["cursor"]
    database.revoke("late", NOW)
    await revocations.refresh(after(51))
    assert await sids(revocations, cursor) == ["late"]


async def test_cursor_of_another_replica_may_repeat_but_omits_nothing(database: Database) -> None:
    one, other = RevocationList(database), RevocationList(database)
    database.revoke("old", after(-200))
    database.revoke("new", after(-30))
    await one.refresh(NOW)
    await other.refresh(NOW)
    cursor = (await one.since(None))["cursor"]
    assert await sids(other, cursor) == ["new"], "revoked within the overlap"
    database.revoke("newest", after(1))
    await other.refresh(after(2))
    assert await sids(other, cursor) == ["new", "newest"]


@given(st.text(max_size=60) | st.from_regex(r"[0-9a-f]{1,8}\.-?\d{1,40}\.-?\d{1,40}", fullmatch=True))
async def test_unknown_cursor_returns_all_revocations_or_the_new_ones(cursor: str) -> None:
    database = Database()
    database.revoke("one", NOW)
    revocations = RevocationList(database)
    await revocations.refresh(NOW)
    assert await sids(revocations, cursor) in (["one"], [])


async def test_last_list_is_served_while_the_database_is_unavailable(database: Database) -> None:
    revocations = RevocationList(database)
    database.revoke("one", NOW)
    await revocations.refresh(NOW)
    database.away = True
    with pytest.raises(Unavailable):
        await revocations.refresh(after(5))
    assert await sids(revocations, None) == ["one"]


async def test_revocation_is_removed_when_its_tokens_have_expired_everywhere(database: Database) -> None:
    """Kept until a gateway with a slow clock refuses the last token, too."""
    revocations = RevocationList(database)
    database.revoke("one", NOW)
    await revocations.refresh(NOW)
    end = NOW + TTL + CLOCK_SKEW
    await revocations.refresh(end - timedelta(seconds=1))
    assert await sids(revocations, None) == ["one"]
    await revocations.refresh(end + WHOLE)
    assert await sids(revocations, None) == []


async def test_usual_reading_covers_recent_revocations_only(database: Database) -> None:
    revocations = RevocationList(database)
    for seconds in range(60):
        await revocations.refresh(after(seconds))
    assert database.asked[0] is None
    assert database.asked[1:] == [after(seconds - 1) - OVERLAP for seconds in range(1, 60)]
    await revocations.refresh(after(60))
    assert database.asked[-1] is None, "everything once a minute"
