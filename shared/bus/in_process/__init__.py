"""The bus of the embedded run: queues in memory, and a durable journal in one SQLite file.

`bus` implements the port. `publisher` batches the events of `send_buffer`, `routing` selects their queues, `journal`
writes the durable ones, `queues` holds the entries, `subscription` delivers them.
"""

from shared.bus.in_process.bus import InProcessBus

__all__ = ["InProcessBus"]
