"""Shares one process among all chatbots that use the same file of weights, so that memory holds the weights once."""

from __future__ import annotations

from functools import reduce
from weakref import WeakSet, WeakValueDictionary

from chatbot_worker.kinds.local.process import ModelProcess, Serving
from chatbot_worker.kinds.providers.completions import Completions


class Lease:
    """One chatbot's lease of the process of its weights, from the first use until `close`.

    Chatbots that are created before the first of them is opened (those of one catalogue) share a process with the
    longest of their contexts. A chatbot that later needs a longer one gets a new process, which later chatbots share.
    """

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._weights = _WEIGHTS.setdefault(serving.model, Weights())
        self._weights.leases.add(self)
        self._process: ModelProcess | None = None

    @property
    def pid(self) -> int | None:
        """Process id, while the process runs."""
        return None if self._process is None else self._process.pid

    def open(self) -> ModelProcess:
        """Start the process in the background, unless it runs."""
        if self._process is None:
            self._weights.leases.add(self)
            self._process = self._weights.process_for(self)
            self._process.open(self)
        return self._process

    async def endpoint(self) -> Completions:
        """Return a client of the process. Waits while it starts.

        Raises:
            ReplyError: it does not start. The start is retried in the background, with growing delays.
        """
        return await self.open().endpoint()

    async def close(self) -> None:
        """End the lease. The process ends with its last lease."""
        self._weights.leases.discard(self)
        process, self._process = self._process, None
        if process is not None:
            await process.close(self)


class Weights:
    """One file of weights: its leases, and the process that new leases share."""

    def __init__(self) -> None:
        self.leases: WeakSet[Lease] = WeakSet()
        self._process: ModelProcess | None = None

    def process_for(self, lease: Lease) -> ModelProcess:
        """Return the current process if its context is long enough, else a new one for all leases."""
        process = self._process
        if process is None or not process.held or process.serving.context < lease.serving.context:
            process = ModelProcess(reduce(Serving.together, (each.serving for each in self.leases)))
            self._process = process
        return process


_WEIGHTS: WeakValueDictionary[str, Weights] = WeakValueDictionary()  # by the file's real path
