"""One process for each file of weights, however many chatbots speak with it: memory holds them once."""

from __future__ import annotations

from functools import reduce
from weakref import WeakSet, WeakValueDictionary

from chatbot_worker.kinds.local.process import ModelProcess, Serving
from chatbot_worker.kinds.providers.completions import Completions


class Lease:
    """One chatbot's hold on the process of its weights: begins with the first use, ends with `close`.

    Chatbots that are made before the first of them is opened (those of one catalogue) share a process that has
    room for the longest of their contexts. One that needs more later gets a new process, and so do all after it.
    """

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._weights = _WEIGHTS.setdefault(serving.model, Weights())
        self._weights.leases.add(self)
        self._process: ModelProcess | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return None if self._process is None else self._process.pid

    def open(self) -> ModelProcess:
        """Have the process started in the background, if it is not there."""
        if self._process is None:
            self._weights.leases.add(self)
            self._process = self._weights.process_for(self)
            self._process.open(self)
        return self._process

    async def endpoint(self) -> Completions:
        """Where it serves; waits while it starts.

        Raises:
            ReplyError: it does not start; it is still tried, less and less often.
        """
        return await self.open().endpoint()

    async def close(self) -> None:
        """Give it up; with its last holder the process ends."""
        self._weights.leases.discard(self)
        process, self._process = self._process, None
        if process is not None:
            await process.close(self)


class Weights:
    """One file: who is to speak with it, and the process that newcomers share."""

    def __init__(self) -> None:
        self.leases: WeakSet[Lease] = WeakSet()
        self._process: ModelProcess | None = None

    def process_for(self, lease: Lease) -> ModelProcess:
        """The one that serves, if there is one and its context is long enough; else a new one, for all that wait."""
        process = self._process
        if process is None or not process.held or process.serving.context < lease.serving.context:
            process = ModelProcess(reduce(Serving.together, (each.serving for each in self.leases)))
            self._process = process
        return process


_WEIGHTS: WeakValueDictionary[str, Weights] = WeakValueDictionary()  # by the file's real path
