"""Ends a process whose database address cannot work, with one line and exit code 2.

A server that is away is no reason: the process starts, and waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.database.errors import driver_error, is_server_away, reason, wrong_address
from shared.runtime.settings import PREFIX, config_error

logger = structlog.get_logger(__name__)

VARIABLE = "DATABASE_URL"


@contextmanager
def refusing_wrong_address() -> Iterator[None]:
    """Turn an error of the address into the end of the process; other errors are raised as they are.

    Raises:
        SystemExit: the server refuses user, password, database, TLS, a parameter or a right (exit code 2).
    """
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        if (why := wrong_address(error)) is None:
            raise
        raise config_error(VARIABLE, why) from None


def run_migration(migration: Coroutine[Any, Any, None]) -> None:
    """Run a migration.

    Raises:
        SystemExit: the address cannot work or a right is missing (exit code 2), or the server is away (exit code 1).
    """
    try:
        with refusing_wrong_address():
            asyncio.run(migration)
    except (DBAPIError, OSError) as error:
        if not (isinstance(error, OSError) or is_server_away(error)):
            raise  # of a script, which only a developer can correct
        why = {"reason": reason(error), "detail": str(driver_error(error)).partition("\n")[0]}
        logger.error("migration.failed", variable=PREFIX + VARIABLE, **why)  # noqa: TRY400 - a traceback adds nothing
        raise SystemExit(1) from None
    logger.info("migration.completed")


async def check_address(engine: AsyncEngine) -> bool:
    """Connect once, before anything else is opened; return whether a server is there.

    Raises:
        SystemExit: the address cannot work (exit code 2).
    """
    with suppress(SQLAlchemyError, OSError), refusing_wrong_address():
        async with engine.connect():
            return True
    return False
