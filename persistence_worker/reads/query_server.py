"""The consumer of `chat.queries`: runs a bounded number of queries in parallel, each on a separate connection."""

from __future__ import annotations

import asyncio

import structlog

from persistence_worker.domain.answers import refusal
from persistence_worker.domain.publications import SOURCE
from persistence_worker.metrics import Metrics
from persistence_worker.reads.queries import Queries
from persistence_worker.reads.service_access import answer_recorded
from persistence_worker.storage.database import Database
from persistence_worker.storage.errors import is_permanent
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.envelope import Event, MalformedEvent, Received, read_body
from shared.contracts.payload import Model, Payload, utc_now
from shared.contracts.queries import QUERIES, ExportUser, Reply, SearchMessages
from shared.contracts.topology import query_queue
from shared.errors import BackchatError, Internal, InvalidRequest, Unavailable

logger = structlog.get_logger(__name__)

PREFETCH_FACTOR = 4  # prefetched bodies per parallel query, so that a slot does not wait for the broker
RETRY_AFTER = 1.0  # seconds

COSTLY = (SearchMessages, ExportUser)  # may read many rows, so that they get only a part of the connections
COSTLY_SHARE = 4  # one of so many parallel queries may be costly

TYPES = {query.TYPE: query for query in QUERIES}


class QueryServer:
    """Answers at most `in_flight` queries at once. Costly queries above their share are refused as `unavailable`."""

    def __init__(self, *, bus: Bus, database: Database, queries: Queries, metrics: Metrics, in_flight: int) -> None:
        self._bus = bus
        self._database = database
        self._queries = queries
        self._metrics = metrics
        self._in_flight = in_flight
        self._slots = asyncio.Semaphore(in_flight)
        self._costly = 0  # running costly queries
        self._running: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Consume until cancelled, or until `stop` is called."""
        self._task = asyncio.current_task()
        subscription = await self._bus.subscribe(query_queue(), prefetch=PREFETCH_FACTOR * self._in_flight)
        try:
            while True:
                taken = await subscription.take()
                for delivery in taken.deliveries:
                    await self._slots.acquire()
                    task = asyncio.create_task(self._serve(subscription, delivery), name="query")
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
        finally:
            await subscription.close()

    async def stop(self) -> None:
        """Stop consuming, and wait for running queries."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._running:
            await asyncio.wait(set(self._running))

    async def _serve(self, subscription: Subscription, delivery: Delivery) -> None:
        try:
            for envelope in read_body(delivery.body):
                if envelope.replyto is not None and not envelope.is_late(utc_now()):
                    await self._answer(envelope)
        except MalformedEvent:
            logger.warning("query.rejected", reason="MalformedEvent")
        finally:
            self._slots.release()
            await subscription.ack([delivery])

    async def _answer(self, envelope: Received) -> None:
        payload = TYPES.get(envelope.type)
        with self._metrics.queries.labels(envelope.type if payload else "unknown").time():
            reply = await self._reply(envelope)
        self._bus.respond(envelope, Event(SOURCE, reply, subject=envelope.subject))

    async def _read(self, query: Payload) -> Model:
        if not isinstance(query, COSTLY):
            return await answer_recorded(self._database, self._queries, query)
        if self._costly >= max(1, self._in_flight // COSTLY_SHARE):
            raise Unavailable("Too many searches at once.", retry_after=RETRY_AFTER)
        self._costly += 1
        try:
            return await self._database.read(lambda connection: self._queries.answer(connection, query))
        finally:
            self._costly -= 1

    async def _reply(self, envelope: Received) -> Reply:
        try:
            payload = TYPES.get(envelope.type)
            if payload is None:
                raise InvalidRequest("There is no such query.")
            query = envelope.parse(payload)
            return Reply(result=(await self._read(query)).to_dict())
        except MalformedEvent:
            return refusal(InvalidRequest())
        except BackchatError as error:
            return refusal(error)
        except Exception as error:
            if is_permanent(error):
                logger.exception("query.failed", type=envelope.type)
                return refusal(Internal())
            self._database.report_failure(error)
            return refusal(Unavailable(retry_after=RETRY_AFTER))
