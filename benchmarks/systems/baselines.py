"""The two baselines, and the echo server that shows the generator's ceiling."""

from __future__ import annotations

from functools import partial

from benchmarks.processes import Parts
from benchmarks.systems.stores import POSTGRESQL, Stores
from benchmarks.systems.system import System, listens
from tests.support.ports import free_port


class Ceiling(System):
    """A trivial picows server, which shows the maximum that the generator can measure."""

    name = "ceiling"
    parts = frozenset({"ceiling"})
    tells_stored = True

    def start(self) -> None:
        """Start the server."""
        port = free_port()
        self._serve(self.name, "benchmarks.servers.echo", str(port), ready=partial(listens, port))
        self.urls = (f"http://127.0.0.1:{port}",)


class Bare(System):
    """python-socketio on uvicorn with defaults, which sends an ack and one event."""

    name = "bare"
    parts = frozenset({"bare"})

    def start(self) -> None:
        """Start the server."""
        port = free_port()
        self._serve(self.name, "benchmarks.servers.bare", str(port), ready=partial(listens, port))
        self.urls = (f"http://127.0.0.1:{port}",)


class Seed(System):
    """The design that Backchat replaces, as one Flask program on the same PostgreSQL."""

    name = "seed"
    parts = frozenset({"flask", POSTGRESQL})

    def __init__(self, processes: Parts, stores: Stores) -> None:
        super().__init__(processes)
        self._stores = stores

    def start(self) -> None:
        """Start the server on an empty database."""
        port = free_port()
        database = self._stores.database("seed").replace("+asyncpg", "+psycopg")
        self._serve("flask", "benchmarks.servers.seed", str(port), database, ready=partial(listens, port))
        self.urls = (f"http://127.0.0.1:{port}",)
