"""The bus of the embedded run: queues in memory, a durable journal in one SQLite file.

`routing` decides which queues a key reaches, `queues` holds what waits, `publisher` gathers and commits,
`journal` is the file, `subscription` hands out, `bus` puts them together behind the port.
"""

from shared.bus.in_process.bus import InProcessBus

__all__ = ["InProcessBus"]
