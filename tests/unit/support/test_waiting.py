"""`until` and `wait_until` of tests/support/waiting.py."""

import time

import pytest

from tests.support.waiting import until, wait_until


async def test_until_returns_first_truthy_value() -> None:
    values = iter([0, None, 7, 8])

    assert await until(lambda: next(values)) == 7


async def test_until_awaits_an_async_condition() -> None:
    values = iter([False, True])

    async def condition() -> bool:
        return next(values)

    assert await until(condition) is True


async def test_until_retries_a_failed_assertion() -> None:
    seen = iter([1, 2, 3])

    def condition() -> bool:
        assert next(seen) == 3
        return True

    await until(condition)


async def test_until_reports_what_it_saw_last() -> None:
    seen = [4, 2]

    with pytest.raises(AssertionError, match=r"(?s)not within 0\.02 s.*last seen: \[\]"):
        await until(lambda: [value for value in seen if value > 9], within=0.02)


async def test_until_ends_after_its_time() -> None:
    started = time.monotonic()

    with pytest.raises(AssertionError):
        await until(lambda: False, within=0.05)

    assert 0.05 <= time.monotonic() - started < 1


def test_wait_until_needs_no_event_loop() -> None:
    values = iter([0, 5])

    assert wait_until(lambda: next(values)) == 5


def test_wait_until_reports_a_failed_assertion() -> None:
    def condition() -> bool:
        assert "left" == "right", "left is not right"
        return True

    with pytest.raises(AssertionError, match="left is not right"):
        wait_until(condition, within=0.02)
