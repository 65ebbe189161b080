"""The command `python -m persistence_worker accesses`."""

from __future__ import annotations

import argparse
import sys
from uuid import UUID

from persistence_worker.storage import access_store
from persistence_worker.storage.database import Database
from shared.contracts.ids import SERVICE_PREFIX
from shared.contracts.payload import rfc3339

LIMIT = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `accesses`."""
    parser.add_argument("--service", metavar="NAME", help="only accesses of this service")
    parser.add_argument("--session", type=UUID, metavar="ID", help="only accesses to this session")
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"number of newest accesses (default {LIMIT})")


async def run(database: Database, chosen: argparse.Namespace) -> int:
    """Print one line for each access: time, service, session, and what it did; return the exit code."""
    service = None if chosen.service is None else SERVICE_PREFIX + chosen.service.lower().removeprefix(SERVICE_PREFIX)
    found = await database.read(
        lambda connection: access_store.accesses(
            connection, service=service, session_id=chosen.session, limit=max(1, chosen.limit)
        )
    )
    for at, access in found:
        sys.stdout.write(f"{rfc3339(at)}\t{access.service}\t{access.session_id}\t{access.what}\n")
    return 0
