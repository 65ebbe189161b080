"""A bus with a scripted persistence: deliveries can be lost, repeated and held by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from shared.contracts import ids
from shared.contracts.commands import SendMessage
from shared.contracts.envelope import Event, Received, join, read_body
from shared.contracts.payload import Payload
from shared.contracts.queries import Failure, Reply
from shared.contracts.registry import PAYLOADS
from shared.contracts.topology import DELIVERY, QUERIES, Exchange, Queue, log
from shared.errors import BackchatError, Unavailable
from tests.integration.chat_gateway.scripted_chats import ScriptedChats
from tests.integration.chat_gateway.scripted_queue import ScriptedSubscription


class ScriptedBus(ScriptedChats):
    """`publishing` gates confirms; `answering` gates queries and commands. `logged` has the commands in the log."""

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self.connected = True
        self.alarms: tuple[str, ...] = ()
        self.log_there = True
        self.logged: list[Payload] = []
        self.streamed: list[tuple[Exchange, Payload]] = []
        self.deadlines: list[float] = []  # seconds, of requests
        self.sent: list[SendMessage] = []
        self.asked: list[str] = []
        self.publishing = asyncio.Event()
        self.publishing.set()
        self.answering = asyncio.Event()
        self.answering.set()
        self.between: Callable[[], Awaitable[None]] | None = None  # what happens between a snapshot and its answer
        self.refuse_publish: BackchatError | None = None
        self.refuse_queries: BackchatError | None = None

    # --- the port ---

    async def declare(self, exchanges: Sequence[Exchange] = (), queues: Sequence[Queue] = ()) -> None:
        pass

    async def exists(self, queue: Queue) -> bool:
        return self.log_there

    def publish(self, exchange: Exchange, key: str, event: Event) -> Awaitable[None]:
        [command] = read_body(join([event.encode()]))
        send = command.parse(SendMessage)
        assert key == str(ids.partition(send.session_id, self.partitions))
        assert event.subject == str(send.session_id)
        if self.refuse_publish is None:
            self.sent.append(send)
            self.logged.append(send)
        return asyncio.ensure_future(self._publish(send))

    async def _publish(self, send: SendMessage) -> None:
        if self.refuse_publish is not None:
            raise self.refuse_publish
        await self.publishing.wait()
        chat = self.chats.get(send.session_id)
        if chat is None or any(message.id == send.message_id for message in chat.messages):
            return
        self.store(send.session_id, send.content, id=send.message_id, user=send.user_id, client=send.client_message_id)

    def publish_all(self, publications: Sequence[tuple[Exchange, str, Event]]) -> Awaitable[Any]:
        return asyncio.gather(*(self.publish(*publication) for publication in publications))

    def stream(self, exchange: Exchange, key: str, event: Event) -> None:
        assert self.connected
        [streamed] = read_body(join([event.encode()]))
        self.streamed.append((exchange, streamed.parse(PAYLOADS[streamed.type])))
        if exchange == DELIVERY:
            self.subscription.put(key, event)

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = 5.0) -> Received:
        [received] = read_body(join([event.encode()]))
        payload = received.parse(PAYLOADS[received.type])
        self.asked.append(type(payload).__name__)
        self.deadlines.append(timeout)
        if exchange == log(self.partitions):
            assert event.subject == str(payload.session_id)  # type: ignore[attr-defined]
            assert key == str(ids.partition(payload.session_id, self.partitions))  # type: ignore[attr-defined]
            self.logged.append(payload)
        try:
            if self.refuse_queries is not None:
                raise self.refuse_queries
            async with asyncio.timeout(timeout):
                await self.answering.wait()
            result = self.answer(payload) if exchange == QUERIES else self.command(payload)
            reply = Reply(result=result.to_dict())
            if self.between is not None:
                await self.between()
        except TimeoutError:
            raise Unavailable from None
        except BackchatError as error:
            if error is self.refuse_queries:
                raise
            reply = Reply(error=Failure(code=error.code, message=error.detail))
        [answer] = read_body(join([Event("persistence", reply).encode()]))
        return answer

    def respond(self, to: Received, answer: Event) -> None:
        raise NotImplementedError

    async def subscribe(self, queue: Queue, *, prefetch: int) -> ScriptedSubscription:
        assert queue.kind == "exclusive"
        return self.subscription
