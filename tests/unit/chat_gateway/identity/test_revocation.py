"""The list of revoked logins: complete, and pruned."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from chat_gateway.identity import revocation
from chat_gateway.identity.auth_client import PARSE_INLINE_MAX, parse_in_thread
from chat_gateway.identity.revocation import BUCKET, Revocation, RevokedLogins
from tests.support.waiting import pause, until


def test_expired_logins_are_removed() -> None:
    """At the latest five minutes after it stopped to matter, never before."""
    logins, now = RevokedLogins(), 1_800_000_000
    for second in range(0, 2_000, 10):
        assert logins.add(f"login {second}", now + second)
    assert not logins.add("login 0", now)
    assert len(logins) == 200
    for passed in range(0, 2_000, 100):
        logins.forget(now + passed)
        assert all(f"login {second}" in logins for second in range(passed, 2_000, 10))
        assert not any(f"login {second}" in logins for second in range(0, passed - BUCKET, 10))
    logins.forget(now + 2_000 + BUCKET)
    assert len(logins) == 0


def test_login_is_kept_until_its_latest_end() -> None:
    """A repeated login with a later end is kept until then."""
    logins = RevokedLogins()
    logins.add("login", 1_000)
    logins.add("login", 5_000)
    logins.forget(4_000)
    assert "login" in logins


async def test_long_list_is_applied_without_blocking_the_loop() -> None:
    """The first answer counts completely, other tasks run in between, and expired logins are not kept."""
    end = int(time.time()) + 900
    entries = [{"sid": f"login {n}", "until": end if n % 3 else 1} for n in range(90_000)]
    told: list[str] = []
    cursors: list[str | None] = []

    async def ask(cursor: str | None) -> dict[str, Any]:
        cursors.append(cursor)
        return {"cursor": "last", "logins": [] if cursor else entries}

    followed = Revocation(ask, told.append)
    turns = 0
    running = asyncio.create_task(followed.run())
    while not followed.answered:
        turns += 1
        await asyncio.sleep(0)
    assert turns >= len(entries) / revocation.APPLY_BATCH
    assert len(told) == len(followed) == 60_000
    assert "login 1" in followed
    assert "login 0" not in followed
    await until(lambda: len(cursors) >= 2)
    assert cursors[1] == "last"
    running.cancel()


async def test_malformed_answer_changes_nothing() -> None:
    """It counts as none: the list stays, and is asked for again from the same place."""
    answers: list[Any] = [
        {"cursor": "1", "logins": [{"sid": "a", "until": 2**40}]},
        {"cursor": 2, "logins": []},
        {"logins": []},
        [],
        {"cursor": "2", "logins": [{"sid": "b"}]},
        {"cursor": "3", "logins": [{"sid": "c", "until": 2**40}]},
    ]
    cursors: list[str | None] = []

    async def ask(cursor: str | None) -> Any:
        cursors.append(cursor)
        return answers[min(len(cursors), len(answers)) - 1]

    followed = Revocation(ask, lambda _: None)
    outcomes = [await followed._poll() for _ in answers]
    assert outcomes == [True, False, False, False, False, True]
    assert cursors == [None, "1", "1", "1", "1", "1"]
    assert "a" in followed
    assert "c" in followed


async def test_wait_is_bounded_while_answers_are_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them moves the end of the wait on, and none is fresh: what bounds the wait is the waiter's own."""
    monkeypatch.setattr(revocation, "HOLD_MAX", 0.3)
    monkeypatch.setattr(revocation, "FRESH_FOR", 0.01)

    async def ask(_: str | None) -> dict[str, Any]:
        await pause(0.05, "a late answer")
        return {"cursor": "1", "logins": []}

    followed = Revocation(ask, lambda _: None)
    assert await followed._poll()
    running = asyncio.create_task(followed.run())
    async with asyncio.timeout(20):
        assert not await followed.wait_until_fresh()
    running.cancel()


def test_long_answer_is_parsed_like_a_short_one() -> None:
    """Parsed in a thread, object by object."""
    answer = {"cursor": "é", "logins": [{"sid": f"login {n}", "until": n} for n in range(10_000)]}
    body = json.dumps(answer).encode()
    assert len(body) > PARSE_INLINE_MAX
    assert parse_in_thread(body) == answer
