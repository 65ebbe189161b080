"""A small persistence that answers at once and publishes events as the real one does."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID, uuid4

from msgspec.structs import asdict

from shared.contracts import commands, ids
from shared.contracts.commands import StartSession
from shared.contracts.envelope import Event
from shared.contracts.events import MessageStored, MessageUpdated, ReadMarked, SessionDeleted, SessionUpdated
from shared.contracts.payload import Payload, rfc3339_now
from shared.contracts.queries import (
    AnswerResult,
    ChangesResult,
    ChatbotsResult,
    HeadsResult,
    HistoryResult,
    Hit,
    JoinResult,
    JoinSession,
    ListChatbots,
    ListSessions,
    MessageResult,
    Nothing,
    OwnSessionResult,
    ReadAnswer,
    ReadChanges,
    ReadHeads,
    ReadHistory,
    ReadMessage,
    ReadSession,
    RegenerateResult,
    SearchMessages,
    SearchResult,
    SessionResult,
    SessionsResult,
    StartResult,
)
from shared.contracts.topology import session_key, user_key
from shared.contracts.views import ActiveTurn, Chatbot, ChatbotRef, Message, OwnSession, Session
from shared.errors import Conflict, Forbidden, NotFound
from tests.integration.chat_gateway.scripted_queue import ScriptedSubscription

BOT = Chatbot(id="eliza", name="Eliza", description="listens", default=True)


class Chat:
    """One stored session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.messages: list[Message] = []
        self.active: list[ActiveTurn] = []
        self.invites: dict[str, commands.CreateInvite] = {}
        self.ratings: list[commands.RateReply] = []
        self.read: dict[str, int] = defaultdict(int)

    def own(self) -> OwnSession:
        return OwnSession(**asdict(self.session), read_seq=0)

    def number(self) -> int:
        number = self.session.last_seq + 1
        self.session = self.session.replace(last_seq=number, updated_at=rfc3339_now())
        return number


class ScriptedChats:
    """`lost` swallows that many deliveries to session keys."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.lost = 0
        self.chats: dict[UUID, Chat] = {}
        self.commands: list[Payload] = []  # those whose sender waited, in order
        self.subscription = ScriptedSubscription()

    def answer(self, payload: Payload) -> Any:
        match payload:
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
                return OwnSessionResult(session=self._mine(payload.session_id, payload.user_id).own())
            case ReadMessage():
                chat = self._mine(payload.session_id, payload.user_id)
                return MessageResult(message=self._message(chat, payload.message_id))
            case ReadAnswer():
                chat = self._mine(payload.session_id, payload.user_id)
                message = self._message(chat, payload.message_id)
                replies = [m for m in chat.messages if m.reply_to == message.id and m.superseded_by is None]
                return AnswerResult(message=message, replies=replies, ended=not chat.active)
            case ReadHistory():
                chat = self._mine(payload.session_id, payload.user_id)
                found = [m for m in chat.messages if payload.before_seq is None or m.seq < payload.before_seq]
                return HistoryResult(messages=found[-payload.limit :], has_more=len(found) > payload.limit)
            case JoinSession():
                return self._join(payload)
            case SearchMessages():
                return self._search(payload)
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
        reply_to: UUID | None = None,
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
            created_at=rfc3339_now(),
            client_message_id=client,
            reply_to=reply_to,
        )
        chat.messages.append(message)
        self.deliver(chat, MessageStored(message=message))
        return message

    def retitle(self, session_id: UUID | str, title: str, users: list[str] | None = None) -> Session:
        chat = self.chats[UUID(str(session_id))]
        number = chat.number()
        update = {"title": title, "seq": number, "users": users or chat.session.users}
        chat.session = chat.session.replace(**update)
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

    def update(self, message: Message, **fields: Any) -> Message:
        """Change a stored message under a new number."""
        chat = self.chats[message.session_id]
        at = next(place for place, each in enumerate(chat.messages) if each.id == message.id)
        changed = chat.messages[at].replace(**fields, updated_seq=chat.number())
        chat.messages[at] = changed
        self.deliver(chat, MessageUpdated(message=changed))
        return changed

    def change(self, chat: Chat, **fields: Any) -> SessionResult:
        """Change a session under a new number, and notify removed members."""
        before = set(chat.session.users)
        number = chat.number()
        chat.session = chat.session.replace(**fields, seq=number)
        self.tell_session(chat)
        self.tell_gone(chat, before - set(chat.session.users), whole=False)
        return SessionResult(session=chat.session)

    def delete(self, chat: Chat) -> None:
        """Forget a session."""
        del self.chats[chat.session.id]
        self.deliver(chat, SessionDeleted(session_id=chat.session.id, users=chat.session.users, whole=True))
        self.tell_gone(chat, set(chat.session.users), whole=True)

    def tell_gone(self, chat: Chat, users: set[str], *, whole: bool) -> None:
        for user in users:
            gone = SessionDeleted(session_id=chat.session.id, users=[user], whole=whole)
            key = user_key(ids.bucket(user, self.partitions))
            self.subscription.put(key, Event("persistence", gone, str(chat.session.id)))

    def command(self, command: Any) -> Any:
        """Carry out a command whose sender waits."""
        if isinstance(command, StartSession):
            created = command.session_id not in self.chats
            return StartResult(session=self.start(command).session, created=created)
        if isinstance(command, commands.AcceptInvite):
            return self._accept_invite(command)
        chat = self._mine(command.session_id, command.user_id)
        session = chat.session
        if getattr(command, "if_seq", None) is not None and session.seq not in command.if_seq:
            raise Conflict
        owned = ("DeleteSession", "AddChatbot", "RemoveChatbot", "CreateInvite", "RemoveUser")
        if type(command).__name__ in owned and command.user_id != session.owner_id:
            raise Forbidden
        match command:
            case commands.UpdateSession():
                given = {name: getattr(command, name) for name in ("title", "reply_policy")}
                return self.change(chat, **{name: value for name, value in given.items() if value is not None})
            case commands.DeleteSession():
                self.delete(chat)
            case commands.AddChatbot(chatbot_id=bot):
                return self.change(chat, chatbots=[*session.chatbots, ChatbotRef(id=bot, name=bot)])
            case commands.RemoveChatbot(chatbot_id=bot):
                return self.change(chat, chatbots=[each for each in session.chatbots if each.id != bot])
            case commands.CreateInvite():
                chat.invites[command.invite_hash] = command
            case commands.LeaveSession(user_id=user) | commands.RemoveUser(removed_id=user):
                found = self.change(chat, users=[each for each in session.users if each != user])
                return found if isinstance(command, commands.RemoveUser) else Nothing()
            case commands.RegenerateReply():
                old = self._message(chat, command.message_id)
                self.update(old, superseded_by=(new := uuid4()))
                return RegenerateResult(message_id=new)
            case commands.EditMessage():
                self.update(self._message(chat, command.message_id), content=command.content)
            case commands.RateReply():
                chat.ratings.append(command)
            case commands.MarkRead():
                chat.read[command.user_id] = max(chat.read[command.user_id], min(command.seq, session.last_seq))
                read = chat.read[command.user_id]
                self.deliver(chat, ReadMarked(session_id=session.id, user_id=command.user_id, seq=read))
            case commands.StopReply():
                pass
            case _:
                raise AssertionError(command)
        return Nothing()

    def _message(self, chat: Chat, message_id: UUID) -> Message:
        for message in chat.messages:
            if message.id == message_id:
                return message
        raise NotFound

    def _accept_invite(self, command: commands.AcceptInvite) -> SessionResult:
        chat = self.chats.get(command.session_id)
        if chat is None or command.invite_hash not in chat.invites:
            raise NotFound
        if command.user_id in chat.session.users:
            return SessionResult(session=chat.session)
        return self.change(chat, users=[*chat.session.users, command.user_id])

    def _search(self, asked: SearchMessages) -> SearchResult:
        mine = [chat for chat in self.chats.values() if asked.user_id in chat.session.users]
        found = [(chat, message) for chat in mine for message in chat.messages if asked.query in message.content]
        hits = [Hit(message=m, session_title=chat.session.title, snippet=m.content) for chat, m in found]
        return SearchResult(hits=hits[: asked.limit], next_cursor=None)
