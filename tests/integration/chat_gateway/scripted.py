"""A bus with a small persistence behind it, both in a test's hands: deliveries can be lost, doubled and held."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from shared.bus.port import Batch, Delivery
from shared.contracts import ids
from shared.contracts.commands import SendMessage, StartSession
from shared.contracts.envelope import Event, Received, join, read_body
from shared.contracts.events import MessageStored, SessionUpdated
from shared.contracts.payload import Payload, utc_now
from shared.contracts.queries import (
    ChangesResult,
    ChatbotsResult,
    Failure,
    HeadsResult,
    HistoryResult,
    JoinResult,
    JoinSession,
    ListChatbots,
    ListSessions,
    ReadChanges,
    ReadHeads,
    ReadHistory,
    ReadSession,
    Reply,
    SessionResult,
    SessionsResult,
)
from shared.contracts.registry import PAYLOADS
from shared.contracts.topology import QUERIES, Exchange, Queue, session_key, user_key
from shared.contracts.views import ActiveTurn, Chatbot, ChatbotRef, Message, OwnSession, Session
from shared.errors import BackchatError, Conflict, NotFound, Unavailable

BOT = Chatbot(id="eliza", name="Eliza", description="listens", default=True)


class ScriptedSubscription:
    """The gateway's own queue."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.bind_gate = asyncio.Event()
        self.bind_gate.set()
        self._batches: deque[Batch] = deque()
        self._there = asyncio.Event()

    def put(self, key: str, *events: Event, gap: bool = False) -> None:
        if events and key not in self.keys:
            return
        body = join(event.encode() for event in events)
        deliveries = [Delivery(body, key, 0, 0, 0)] if events else []
        self._batches.append(Batch(deliveries, gap))
        self._there.set()

    async def take(self, most: int = 1_000) -> Batch:
        while not self._batches:
            self._there.clear()
            await self._there.wait()
        deliveries: list[Delivery] = []
        gap = False
        while self._batches and not gap and len(deliveries) < most:
            batch = self._batches.popleft()
            deliveries += batch.deliveries
            gap = batch.gap
        return Batch(deliveries, gap)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        pass

    async def bind(self, exchange: Exchange, key: str) -> None:
        await self.bind_gate.wait()
        self.keys.add(key)

    async def unbind(self, exchange: Exchange, key: str) -> None:
        self.keys.discard(key)

    async def close(self) -> None:
        pass


class Chat:
    """One stored session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.messages: list[Message] = []
        self.active: list[ActiveTurn] = []

    def own(self) -> OwnSession:
        return OwnSession(**self.session.model_dump(), read_seq=0)

    def number(self) -> int:
        number = self.session.last_seq + 1
        self.session = self.session.model_copy(update={"last_seq": number, "updated_at": utc_now()})
        return number


class ScriptedBus:
    """`lost` swallows that many deliveries to session keys; `published` gates confirms; `answering` gates queries."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.connected = True
        self.log_there = True
        self.lost = 0
        self.chats: dict[UUID, Chat] = {}
        self.subscription = ScriptedSubscription()
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
        raise NotImplementedError

    async def request(self, exchange: Exchange, key: str, event: Event, timeout: float = 5.0) -> Received:
        [received] = read_body(join([event.encode()]))
        payload = received.parse(PAYLOADS[received.type])
        self.asked.append(type(payload).__name__)
        try:
            if self.refuse_queries is not None:
                raise self.refuse_queries
            async with asyncio.timeout(timeout):
                await self.answering.wait()
            assert (exchange == QUERIES) is not isinstance(payload, StartSession)
            reply = Reply(result=self.answer(payload).model_dump(mode="json"))
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

    # --- persistence ---

    def answer(self, payload: Payload) -> Any:
        match payload:
            case StartSession():
                return SessionResult(session=self.start(payload).session)
            case ListChatbots():
                return ChatbotsResult(chatbots=[BOT])
            case ListSessions():
                mine = [chat.own() for chat in self.chats.values() if payload.user_id in chat.session.users]
                return SessionsResult(sessions=mine[: payload.limit], next_cursor=None)
            case ReadHeads():
                heads = {str(i): self.chats[i].session.last_seq for i in payload.session_ids if i in self.chats}
                return HeadsResult(heads=heads)
            case ReadChanges():
                return self._changes(payload)
            case ReadSession():
                return SessionResult(session=self._mine(payload.session_id, payload.user_id).session)
            case ReadHistory():
                chat = self._mine(payload.session_id, payload.user_id)
                found = [m for m in chat.messages if payload.before_seq is None or m.seq < payload.before_seq]
                return HistoryResult(messages=found[-payload.limit :], has_more=len(found) > payload.limit)
            case JoinSession():
                return self._join(payload)
        raise AssertionError(payload)

    def _mine(self, session_id: UUID, user: str) -> Chat:
        chat = self.chats.get(session_id)
        if chat is None or user not in chat.session.users:
            raise NotFound
        return chat

    def _join(self, asked: JoinSession) -> JoinResult:
        chat = self._mine(asked.session_id, asked.user_id)
        last = chat.session.last_seq
        if asked.after_seq is None:
            found, more = chat.messages[-asked.limit :], len(chat.messages) > asked.limit
        else:
            if asked.after_seq > last:
                raise Conflict
            newer = sorted((m for m in chat.messages if m.updated_seq > asked.after_seq), key=lambda m: m.updated_seq)
            found, more = newer[: asked.limit], len(newer) > asked.limit
            last = found[-1].updated_seq if more else last
        return JoinResult(session=chat.own(), messages=found, has_more=more, last_seq=last, active=chat.active)

    def _changes(self, asked: ReadChanges) -> ChangesResult:
        chat = self.chats.get(asked.session_id)
        if chat is None:
            raise NotFound
        newer = sorted((m for m in chat.messages if m.updated_seq > asked.after_seq), key=lambda m: m.updated_seq)
        found, more = newer[: asked.limit], len(newer) > asked.limit
        last = found[-1].updated_seq if more else chat.session.last_seq
        return ChangesResult(session=chat.session, messages=found, has_more=more, last_seq=last)

    def start(self, command: StartSession) -> Chat:
        if command.session_id in self.chats:
            return self._mine(command.session_id, command.user_id)
        session = Session(
            id=command.session_id,
            title=command.title,
            owner_id=command.user_id,
            users=[command.user_id],
            chatbots=[ChatbotRef(id=i, name=i) for i in command.chatbot_ids or ["eliza"]],
            reply_policy=command.reply_policy,
            seq=0,
            last_seq=0,
            created_at=command.created_at,
            updated_at=command.created_at,
        )
        chat = self.chats[session.id] = Chat(session)
        self.tell_session(chat)
        return chat

    def store(
        self,
        session_id: UUID | str,
        content: str,
        *,
        id: UUID | None = None,  # noqa: A002
        user: str | None = None,
        client: str | None = None,
    ) -> Message:
        chat = self.chats[UUID(str(session_id))]
        number = chat.number()
        message = Message(
            id=id or ids.message_id(chat.session.id, "x", None),
            session_id=chat.session.id,
            seq=number,
            updated_seq=number,
            sender_type="user" if user else "chatbot",
            sender_id=user or "eliza",
            content=content,
            created_at=utc_now(),
            client_message_id=client,
        )
        chat.messages.append(message)
        self.deliver(chat, MessageStored(message=message))
        return message

    def retitle(self, session_id: UUID | str, title: str, users: list[str] | None = None) -> Session:
        chat = self.chats[UUID(str(session_id))]
        number = chat.number()
        update = {"title": title, "seq": number, "users": users or chat.session.users}
        chat.session = chat.session.model_copy(update=update)
        self.tell_session(chat)
        return chat.session

    def tell_session(self, chat: Chat) -> None:
        self.deliver(chat, SessionUpdated(session=chat.session))
        for user in chat.session.users:
            key = user_key(ids.bucket(user, self.partitions))
            event = Event("persistence", SessionUpdated(session=chat.session), str(chat.session.id))
            self.subscription.put(key, event)

    def deliver(self, chat: Chat, payload: Payload) -> None:
        if self.lost:
            self.lost -= 1
            return
        key = session_key(ids.partition(chat.session.id, self.partitions))
        self.subscription.put(key, Event("persistence", payload, str(chat.session.id)))
