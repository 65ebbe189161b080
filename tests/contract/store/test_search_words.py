"""Search finds the same on every database: scripts, forms of letters, punctuation; and after an upgrade."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from persistence_worker import app
from persistence_worker.jobs import sweep, word_index
from persistence_worker.jobs.word_index import WordIndex
from persistence_worker.storage.database import MIGRATIONS
from persistence_worker.storage.tables import SCHEMA, chat_messages, chat_sessions, message_words, settings
from shared.contracts.commands import DeleteSession, EditMessage
from shared.database import migrations
from shared.database.engine import open_engine
from tests.contract.store.harness import StoreHarness
from tests.contract.store.search_cases import CASES
from tests.contract.store.test_search import found, search
from tests.support.commands import NOON, send

OTHERS = ["nothing of the kind", "别的东西", "ничего", "другое 12"]


async def assert_cases(store: StoreHarness) -> None:
    """Store all texts of the table in one session, and compare what each query finds."""
    session_id = await store.session(reply_policy="silent")
    await store.apply(*(send(session_id, content) for content in OTHERS))
    wrong = []
    for name, (content, hits, misses) in CASES.items():
        await store.apply(send(session_id, content))
        wrong += [f"{name}: {query} misses" for query in (*hits, content) if content not in await found(store, query)]
        wrong += [f"{name}: {query} finds" for query in misses if content in await found(store, query)]
    assert wrong == []


async def test_search_finds_each_script_and_form(store: StoreHarness) -> None:
    await assert_cases(store)


@pytest.mark.postgresql
async def test_search_does_not_depend_on_the_locale_of_the_database(postgresql_url: str) -> None:
    """A database of LC_CTYPE C, which knows no letters beyond ASCII."""
    own = create_async_engine(postgresql_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    name = f"{own.url.database}_c"
    async with own.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE \"{name}\" LOCALE 'C' ENCODING 'UTF8' TEMPLATE template0"))
    engine = open_engine(own.url.set(database=name).render_as_string(hide_password=False), schema=SCHEMA)
    try:
        await app.migrate(engine)
        store = StoreHarness(engine)
        await store.announce()
        await assert_cases(store)
    finally:
        await engine.dispose()
        async with own.connect() as connection:
            await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        await own.dispose()


async def test_snippet_shows_the_match_in_every_script(store: StoreHarness) -> None:
    session_id = await store.session(reply_policy="silent")
    far = "x " * 200
    for content, query, shown in [
        (f"{far}İstanbul {far}", "istanbul", "İstanbul"),
        (f"{far}cafe\u0301s {far}", "café", "cafe\u0301s"),
        ("前" * 300 + "北京大学" + "後" * 300, "京大", "北京大学"),
        (f"{far}Vec<String> {far}", "strings", "<String>"),
    ]:
        await store.apply(send(session_id, content))
        [hit] = (await search(store, query)).hits
        assert shown in hit.snippet, query


async def words_of(store: StoreHarness) -> dict[int, str]:
    async with store.engine.connect() as connection:
        rows = await connection.execute(select(message_words.c.seq, message_words.c.words))
        return {row.seq: row.words for row in rows}


@pytest.fixture
async def upgraded(empty_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> StoreHarness:
    """A store whose messages were stored before the table of words was created."""
    monkeypatch.setattr(word_index, "CHUNK", 3)
    monkeypatch.setattr(word_index, "PAUSE", 0.0)
    await app.migrate(empty_engine)
    store = StoreHarness(empty_engine)
    await store.announce()
    for n in range(2):
        session_id = await store.session(reply_policy="silent", title=str(n))
        await store.apply(*(send(session_id, f"{content} {n}") for content in ("北京大学", "Việt", "talks", "x", "")))
    await migrations.downgrade(empty_engine, MIGRATIONS, schema=SCHEMA, revision="0004")
    await app.migrate(empty_engine)
    return store


async def progress(store: StoreHarness) -> str | None:
    async with store.engine.connect() as connection:
        value: str | None = await connection.scalar(select(settings.c.value).where(settings.c.name == word_index.NAME))
        return value


async def test_messages_of_the_release_before_are_found_after_the_job(upgraded: StoreHarness) -> None:
    """New messages at once; the old ones after the first pass, during which the service runs."""
    session_id = await upgraded.session(reply_policy="silent")
    await upgraded.apply(send(session_id, "北京 now"))
    assert await found(upgraded, "北京") == ["北京 now"]
    job = WordIndex(database=upgraded.database)
    await job.fill()
    assert sorted(await found(upgraded, "北京")) == ["北京 now", "北京大学 0", "北京大学 1"]
    assert sorted(await found(upgraded, "viet")) == ["Việt 0", "Việt 1"]
    assert sorted(await found(upgraded, "talking")) == ["talks 0", "talks 1"]


async def test_second_pass_repairs_what_old_workers_wrote(
    upgraded: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They store messages without words, and leave the words of erased text. Then the job has nothing to do."""
    job = WordIndex(database=upgraded.database)
    await job.fill()
    async with upgraded.engine.begin() as connection:
        content = text("UPDATE chat_messages SET content = '' WHERE content = 'Việt 0'")
        if upgraded.database.dialect == "postgresql":
            content = text("UPDATE chat.chat_messages SET content = '' WHERE content = 'Việt 0'")
        await connection.execute(content)
        await connection.execute(message_words.delete().where(message_words.c.words == "talk 1"))
    await job.fill()
    assert sorted(await found(upgraded, "talking")) == ["talks 0"]  # not before the second pass is due
    monkeypatch.setattr(word_index.time, "time", lambda: 2.0**40)
    await job.fill()
    assert sorted(await found(upgraded, "talking")) == ["talks 0", "talks 1"]
    assert "viet 0" not in (await words_of(upgraded)).values()
    assert await progress(upgraded) is None
    await job.fill()


async def test_words_of_sessions_that_old_workers_purged_are_deleted(
    upgraded: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = WordIndex(database=upgraded.database)
    await job.fill()
    async with upgraded.engine.begin() as connection:
        purged = select(chat_sessions.c.id).where(chat_sessions.c.title == "1").scalar_subquery()
        await connection.execute(delete(chat_messages).where(chat_messages.c.session_id == purged))
        await connection.execute(update(chat_sessions).where(chat_sessions.c.title == "1").values(purged_at=NOON))
    monkeypatch.setattr(word_index.time, "time", lambda: 2.0**40)
    await job.fill()
    assert {words.split()[-1] for words in (await words_of(upgraded)).values()} == {"0"}


async def test_two_workers_fill_the_table_together(upgraded: StoreHarness) -> None:
    """One at a time processes a chunk; none is processed twice, none left out."""
    jobs = [WordIndex(database=StoreHarness(upgraded.engine).database) for _ in range(2)]
    for _ in range(4):
        for job in jobs:
            await job.fill()
    assert len(await found(upgraded, "北京")) == 2


async def test_empty_database_has_nothing_to_fill(store: StoreHarness) -> None:
    assert await progress(store) is None


async def test_edited_and_purged_messages_leave_no_words(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = await store.session(reply_policy="silent")
    await store.apply(message := send(session_id, "first canary"))
    await store.do(EditMessage, session_id, message_id=message.message_id, content="second 北京")
    assert list((await words_of(store)).values()) == ["second 北京 京"]
    await store.do(DeleteSession, session_id)
    monkeypatch.setattr(sweep, "PURGE_AFTER", timedelta(0))
    await sweep.Sweep(database=store.database).sweep()
    assert await words_of(store) == {}
