"""The contract of the account store, on SQLite and on PostgreSQL."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service import app
from auth_service.domain.account_events import user_deleted
from auth_service.domain.credentials import Credentials
from auth_service.domain.logins import Login, TokenIssue
from auth_service.domain.refresh_rotation import Verdict
from auth_service.domain.users import User
from auth_service.storage.account_store import AccountStore
from auth_service.storage.login_store import LoginStore
from auth_service.storage.tables import SCHEMA, logins, metadata, refresh_tokens, users
from auth_service.storage.transactions import Transactions
from shared.database import migrations
from tests.support.waiting import pause

NOW = datetime(2026, 11, 23, 9, 30, 0, 123_000, UTC)
ALICE = User("alice", NOW, ("user", "admin"))


class Store(AccountStore, LoginStore):
    """Both stores on the same transactions."""


def stored(user: User, passcode_hash: str, version: int = 0) -> Credentials:
    return Credentials(user.id, user.roles, passcode_hash, version)


async def begin(store: Store, sid: str, user_id: str = "alice", version: int = 0) -> bool:
    login = Login(sid, user_id, "a browser", NOW, NOW, NOW + timedelta(days=30))
    return await store.begin(login, version, issue(sid))


def issue(name: str) -> TokenIssue:
    return TokenIssue(name.encode().ljust(32, b"-"), NOW, NOW + timedelta(minutes=15), NOW + timedelta(days=30))


@pytest.fixture
async def engine(empty_engine: AsyncEngine) -> AsyncEngine:
    await app.migrate(empty_engine)
    return empty_engine


@pytest.fixture
def store(engine: AsyncEngine) -> Store:
    return Store(Transactions(engine))


async def rows(engine: AsyncEngine, query: Any) -> list[Any]:
    async with engine.connect() as connection:
        return list((await connection.execute(query)).all())


async def test_migrations_create_and_drop_the_tables(empty_engine: AsyncEngine) -> None:
    """Upgrade equals the tables in code, downgrade leaves none, and a second upgrade changes nothing."""
    await app.migrate(empty_engine)
    await app.migrate(empty_engine)
    assert await migrations.differences(empty_engine, metadata, schema=SCHEMA) == []
    assert await migrations.is_current(empty_engine, app.MIGRATIONS, schema=SCHEMA)
    await migrations.downgrade(empty_engine, app.MIGRATIONS, schema=SCHEMA)
    assert not await migrations.is_current(empty_engine, app.MIGRATIONS, schema=SCHEMA)
    await app.migrate(empty_engine)
    assert await Store(Transactions(empty_engine)).credentials("alice") is None


async def test_concurrent_migrations_run_one_after_another(empty_engine: AsyncEngine) -> None:
    if empty_engine.dialect.name == "sqlite":
        pytest.skip("one process owns a SQLite file")
    await asyncio.gather(*(app.migrate(empty_engine) for _ in range(3)))
    assert await migrations.is_current(empty_engine, app.MIGRATIONS, schema=SCHEMA)


async def test_user_is_read_as_stored(store: Store) -> None:
    assert await store.add_user(ALICE, "a hash")
    assert await store.credentials("alice") == stored(ALICE, "a hash")
    assert await store.credentials("bob") is None


async def test_concurrent_registrations_of_an_id_have_one_winner(store: Store) -> None:
    for attempt in range(5):
        user = User(f"user-{attempt}", NOW, ("user",))
        got = await asyncio.gather(*(store.add_user(user, f"hash {n}") for n in range(20)))
        assert sorted(got) == [False] * 19 + [True]
        known = await store.credentials(user.id)
        assert known is not None
        assert known.passcode_hash == f"hash {got.index(True)}"


async def test_login_returns_its_user_only(store: Store) -> None:
    await store.add_user(ALICE, "a hash")
    await store.add_user(User("bob", NOW, ("user",)), "a hash")
    await begin(store, "one")
    assert await store.active_user("alice", "one") == ALICE
    assert await store.active_user("bob", "one") is None
    assert await store.active_user("alice", "two") is None


async def test_revoked_login_returns_no_user(store: Store) -> None:
    await store.add_user(ALICE, "a hash")
    await begin(store, "one")
    await begin(store, "two")
    assert not await store.revoke("bob", "one", NOW)
    assert await store.revoke("alice", "one", NOW)
    assert not await store.revoke("alice", "one", NOW)
    assert await store.active_user("alice", "one") is None
    assert await store.active_user("alice", "two") == ALICE
    assert await store.revoke_all("alice", NOW) == 1
    assert await store.active_user("alice", "two") is None


async def test_login_stores_the_hash_of_its_token_only(store: Store, engine: AsyncEngine) -> None:
    await store.add_user(ALICE, "a hash")
    assert await begin(store, "one")
    assert await rows(engine, select(refresh_tokens)) == [
        (issue("one").refresh_hash, "one", NOW, NOW + timedelta(days=30), None)
    ]
    (login,) = await store.active_logins("alice", NOW)
    assert login == Login("one", "alice", "a browser", NOW, NOW, NOW + timedelta(days=30))


async def test_login_is_not_stored_without_its_token(store: Store, engine: AsyncEngine) -> None:
    """In one transaction: the second login would have the token of the first one."""
    await store.add_user(ALICE, "a hash")
    await begin(store, "one")
    twin = Login("twin", "alice", None, NOW, NOW, NOW)
    with pytest.raises(Exception, match=r"(?i)unique"):
        await store.begin(twin, 0, issue("one"))
    assert await rows(engine, select(logins.c.sid)) == [("one",)]


async def test_login_with_replaced_credentials_is_refused(store: Store) -> None:
    """Otherwise the old passcode would still open a login during its change."""
    await store.add_user(ALICE, "a hash")
    await begin(store, "one")
    await begin(store, "two")
    assert await store.change_passcode("alice", 0, "another", sid="one", now=NOW)
    assert not await store.change_passcode("alice", 0, "stale", sid="two", now=NOW)
    assert await store.credentials("alice") == stored(ALICE, "another", 1)
    assert not await begin(store, "three")
    assert await begin(store, "four", version=1)
    assert [await store.active_user("alice", sid) for sid in ("one", "two", "three")] == [ALICE, None, None]


async def test_logins_of_the_first_release_survive_the_upgrade(empty_engine: AsyncEngine) -> None:
    """They are listed, and can be refreshed and revoked."""
    await migrations.upgrade(empty_engine, app.MIGRATIONS, schema=SCHEMA, revision="0001")
    async with empty_engine.begin() as connection:
        columns = {"id": "alice", "passcode_hash": "a hash", "roles": ["user", "admin"], "created_at": NOW}
        await connection.execute(insert(users).values(**columns))
        await connection.execute(insert(logins).values(sid="one", user_id="alice", created_at=NOW))
        token = {"hash": issue("one").refresh_hash, "sid": "one", "issued_at": NOW}
        await connection.execute(insert(refresh_tokens).values(**token, expires_at=NOW + timedelta(days=30)))
    await app.migrate(empty_engine)
    store = Store(Transactions(empty_engine))
    assert await store.active_user("alice", "one") == ALICE
    assert await store.active_logins("alice", NOW) == [Login("one", "alice", None, NOW, NOW, NOW + timedelta(days=30))]
    rotation = await store.rotate(issue("one").refresh_hash, issue("next"))
    assert rotation is not None
    assert rotation.verdict is Verdict.ROTATE
    await store.revoke_all("alice", NOW)
    assert [revoked.sid for revoked in await store.revoked(None, NOW)] == ["one"]


async def test_hash_is_replaced_only_if_unchanged_since_it_was_read(store: Store) -> None:
    """Otherwise a login would undo a concurrent change of the passcode."""
    await store.add_user(ALICE, "first")
    await store.replace_hash("alice", "first", "second")
    await store.replace_hash("alice", "first", "stale")
    assert await store.credentials("alice") == stored(ALICE, "second")


async def test_ids_are_compared_exactly(store: Store) -> None:
    """No wildcards, and no case folding by a collation: the caller lowers the case."""
    await store.add_user(User("a_b.c-d", NOW, ()), "a hash")
    for other in ("A_B.C-D", "axb.c-d", "a%", "a_b.c-d "):
        assert await store.credentials(other) is None


async def test_tables_are_in_the_schema_of_auth(store: Store, engine: AsyncEngine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has a file instead")
    await store.add_user(ALICE, "a hash")
    assert await rows(engine, text("SELECT id FROM auth.users")) == [("alice",)]
    assert users.schema == "auth"


async def test_concurrent_writers_and_readers_all_succeed(store: Store) -> None:
    """On SQLite, writers wait in the queue of the store instead of failing with a driver timeout."""
    await store.add_user(ALICE, "a hash")
    await asyncio.gather(
        *(begin(store, f"login-{n}") for n in range(60)), *(store.credentials("alice") for _ in range(60))
    )
    found = await asyncio.gather(*(store.active_user("alice", f"login-{n}") for n in range(60)))
    assert found == [ALICE] * 60


async def test_waiting_writers_do_not_block_readers(store: Store, engine: AsyncEngine) -> None:
    """SQLite: while another process locks the file, writers wait in a queue and do not occupy all connections."""
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has many writers")
    await store.add_user(ALICE, "a hash")
    blocker = sqlite3.connect(engine.url.database or "", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        writers = [asyncio.create_task(begin(store, f"login-{n}")) for n in range(40)]
        await pause(0.1, "all writers have begun to wait")
        async with asyncio.timeout(4):  # a waiting writer would give up after 5
            await asyncio.gather(*(store.credentials("alice") for _ in range(5)))
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    await asyncio.gather(*writers)


async def test_cancelled_caller_leaves_the_store_usable(store: Store) -> None:
    """Its statement is completed, and its connection is returned to the pool."""
    await store.add_user(ALICE, "a hash")
    for n in range(30):
        task = asyncio.create_task(begin(store, f"login-{n}"))
        for _ in range(n % 6):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.drain()
    assert await store.credentials("alice") == stored(ALICE, "a hash")
    found = await asyncio.gather(*(store.active_user("alice", f"login-{n}") for n in range(30)))
    assert found.count(ALICE) >= 20  # all except those cancelled before they started


async def test_concurrent_refreshes_rotate_once_and_get_the_same_token(store: Store, engine: AsyncEngine) -> None:
    """The second caller is treated as a client whose answer was lost."""
    await store.add_user(ALICE, "a hash")
    await begin(store, "0")
    for number in range(5):
        presented, successor = issue(str(number)).refresh_hash, issue(str(number + 1))
        rotations = await asyncio.gather(*(store.rotate(presented, successor) for _ in range(12)))
        verdicts = [rotation.verdict for rotation in rotations if rotation]
        assert sorted(verdict.name for verdict in verdicts) == ["REPEAT"] * 11 + ["ROTATE"]
        assert len(await rows(engine, select(refresh_tokens))) == number + 2


async def test_old_token_during_a_refresh_revokes_the_login_or_changes_nothing(store: Store) -> None:
    """In any order: afterwards either all tokens of the login are revoked, or the newest one is still valid."""
    await store.add_user(ALICE, "a hash")
    for attempt in range(6):
        names = [f"{attempt}.{number}" for number in range(3)]
        await store.begin(Login(names[0], "alice", None, NOW, NOW, NOW + timedelta(days=1)), 0, issue(names[0]))
        await store.rotate(issue(names[0]).refresh_hash, issue(names[1]))
        old, new = await asyncio.gather(
            store.rotate(issue(names[0]).refresh_hash, issue(names[1])),
            store.rotate(issue(names[1]).refresh_hash, issue(names[2])),
        )
        assert old is not None
        if old.verdict is Verdict.REUSED:
            assert await store.active_user("alice", names[0]) is None
        else:
            assert (old.verdict, new and new.verdict) == (Verdict.REPEAT, Verdict.ROTATE)


async def test_no_login_survives_the_deletion_of_its_account(store: Store) -> None:
    """With concurrent deletions, logins and refreshes no login is active afterwards."""
    for attempt in range(5):
        user = User(f"user-{attempt}", NOW, ("user",))
        await store.add_user(user, "a hash")
        await begin(store, f"{attempt}.first", user.id)
        first = issue(f"{attempt}.first").refresh_hash
        await asyncio.gather(
            *(begin(store, f"{attempt}.{n}", user.id) for n in range(6)),
            *(store.delete(user.id, 0, user_deleted(user.id, NOW)) for _ in range(3)),
            *(store.rotate(first, issue(f"{attempt}.next")) for _ in range(3)),
        )
        assert await store.credentials(user.id) is None
        assert await store.active_logins(user.id, NOW) == []
        assert not await begin(store, f"{attempt}.late", user.id)
        assert not await store.add_user(user, "another")
