"""Calls to the broker that end in bounded time, and tasks that outlive their caller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import structlog
from aio_pika.exceptions import AMQPChannelError

logger = structlog.get_logger(__name__)

T = TypeVar("T")

CALL_TIMEOUT = 5.0  # seconds for one answer of the broker

_background: set[asyncio.Future[Any]] = set()  # the loop itself holds tasks only weakly


class CallFailed(Exception):
    """The connection or channel was lost, or the broker did not answer in time."""


async def call(work: Awaitable[T], seconds: float = CALL_TIMEOUT) -> T:
    """Run one exchange with the broker in a separate task, for at most `seconds`.

    aiormq ends waiters with a `CancelledError` when a connection is lost, and its own clean-up may hang on a frozen
    broker; neither reaches the caller.

    Raises:
        AMQPChannelError: the broker refused this call (403, 404, 405, 406) and closed the channel.
        CallFailed: anything else.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not done:
        _abandon(task)
        raise CallFailed("no answer in time")
    if task.cancelled():
        raise CallFailed("closed")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, AMQPChannelError):
        raise error
    raise CallFailed(f"{type(error).__name__}: {error}") from error


def in_background(work: Awaitable[T]) -> asyncio.Future[T]:
    """Run work whose failure does not matter."""
    task = asyncio.ensure_future(work)
    _keep(task)
    return task


def _abandon(task: asyncio.Future[Any]) -> None:
    task.cancel()
    _keep(task)


def _keep(task: asyncio.Future[Any]) -> None:
    _background.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Future[Any]) -> None:
    _background.discard(task)
    if not task.cancelled():
        task.exception()  # read, so that asyncio does not report it


def log_failure(task: asyncio.Task[Any]) -> None:
    """Log the error of a task that must run until it is cancelled: a defect of the bus."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("task.failed", task=task.get_name(), exc_info=error)
