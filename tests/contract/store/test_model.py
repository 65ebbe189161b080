"""Random sequences of commands compared with a small model: numbers without a gap, and the same state for all readers."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from persistence_worker import app
from persistence_worker.domain.command_batch import ReceivedCommand
from persistence_worker.storage.tables import SCHEMA
from shared.contracts.commands import (
    AcceptInvite,
    AddChatbot,
    CreateInvite,
    DeleteSession,
    EditMessage,
    EraseAuthor,
    LeaveSession,
    MarkRead,
    RegenerateReply,
    RemoveChatbot,
    RemoveUser,
    StopReply,
    UpdateSession,
)
from shared.contracts.events import MessageStored, MessageUpdated, SessionUpdated
from shared.contracts.payload import Payload
from shared.contracts.turns import RunTurn
from shared.contracts.views import Message, Session
from shared.database.engine import open_engine, sqlite_url
from shared.errors import NotFound
from tests.contract.store.harness import StoreHarness, outcome
from tests.support.commands import expiry, finish, received, send, start

pytestmark = pytest.mark.timeout(240)  # of computing on a busy machine; nothing here waits

T = TypeVar("T")

USERS = st.sampled_from(["ada", "bob", "cem"])
CHATBOTS = st.sampled_from(["echo", "eliza", "nobody"])
WORDS = st.sampled_from(["hello", "@eliza hello", "@echo and @eliza", "bye"])
POLICIES = st.sampled_from(["mentioned", "all", "round_robin", "silent"])


@dataclass
class Model:
    """The state that a subscriber derives from the published events."""

    owner: str = "ada"
    users: list[str] = field(default_factory=lambda: ["ada"])
    last: int = 0
    deleted: bool = False
    messages: dict[UUID, Message] = field(default_factory=dict)
    session: Session | None = None
    turns: dict[UUID, RunTurn] = field(default_factory=dict)

    def apply_published(self, store: StoreHarness) -> None:
        """Apply the published events; each number must follow the last one."""
        for _, key, event in store.published:
            published = event.data
            if isinstance(published, (MessageStored, MessageUpdated)):
                assert published.message.updated_seq == self.last + 1
                assert isinstance(published, MessageUpdated) == (published.message.id in self.messages)
                self.last += 1
                self.messages[published.message.id] = published.message
                self.turns.pop(published.message.id, None)
            elif isinstance(published, SessionUpdated) and key.startswith("s.") and published.session.seq > self.last:
                assert published.session.seq == self.last + 1
                self.last += 1
                self.session = published.session
            elif isinstance(published, RunTurn):
                self.turns[published.message_id] = published


class Commands(RuleBasedStateMachine):
    """One session, three users and two chatbots, on SQLite."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.applied: list[tuple[ReceivedCommand, Any]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize(policy=POLICIES)
    def begin(self, policy: str) -> None:
        self.engine = open_engine(sqlite_url(self.folder / "chat.db"), schema=SCHEMA)
        self.store = StoreHarness(self.engine)
        self.run(app.migrate(self.engine))
        self.run(self.store.announce())
        command = start(chatbot_ids=["echo", "eliza"], reply_policy=policy)
        self.id = command.session_id
        self.run(self.store.apply(command))
        self.do(CreateInvite, "ada", invite_hash="h", expires_at=expiry(600), max_uses=None)

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.run(self.engine.dispose())
        self.loop.close()
        shutil.rmtree(self.folder)

    def do(self, kind: type[Payload], user: str, **fields: Any) -> Any:
        command = received(kind(session_id=self.id, user_id=user, **fields))  # type: ignore[call-arg]
        answered = outcome(self.run(self.store.apply_received(command)))
        self.model.apply_published(self.store)
        if self.model.deleted or (user not in self.model.users and kind is not AcceptInvite):
            assert answered == "not_found"
        self.applied.append((command, answered))
        return answered

    def part(self, user: str) -> None:
        model = self.model
        model.users.remove(user)
        model.deleted = not model.users
        if model.users and model.owner == user:
            model.owner = model.users[0]

    @rule(user=USERS, content=WORDS, many=st.integers(1, 3))
    def send(self, user: str, content: str, many: int) -> None:
        before = len(self.model.messages)
        self.run(self.store.apply(*(send(self.id, content, user) for _ in range(many))))
        self.model.apply_published(self.store)
        stored = many if user in self.model.users and not self.model.deleted else 0
        assert len(self.model.messages) == before + stored

    @precondition(lambda self: self.model.turns)
    @rule(data=st.data(), content=WORDS, status=st.sampled_from(["complete", "stopped", "failed"]))
    def finish(self, data: st.DataObject, content: str, status: str) -> None:
        turn = data.draw(st.sampled_from(list(self.model.turns.values())))
        self.run(self.store.apply(finish(turn, content, status=status)))
        self.model.apply_published(self.store)
        self.model.turns.pop(turn.message_id, None)

    @rule(user=USERS)
    def accept(self, user: str) -> None:
        answered = self.do(AcceptInvite, user, invite_hash="h")
        if answered != "not_found" and user not in self.model.users:
            self.model.users.append(user)

    @rule(user=USERS)
    def leave(self, user: str) -> None:
        if self.do(LeaveSession, user) == {}:
            self.part(user)

    @rule(user=USERS, other=USERS)
    def remove(self, user: str, other: str) -> None:
        answered = self.do(RemoveUser, user, removed_id=other)
        if isinstance(answered, dict) and other in self.model.users:
            self.part(other)
            self.do(CreateInvite, user, invite_hash=uuid4().hex, expires_at=expiry(600), max_uses=None)

    @rule(user=USERS, title=WORDS, policy=st.none() | POLICIES)
    def update(self, user: str, title: str, policy: str | None) -> None:
        answered = self.do(UpdateSession, user, title=title, reply_policy=policy)
        allowed = user in self.model.users and (policy is None or user == self.model.owner) and not self.model.deleted
        assert isinstance(answered, dict) == allowed

    @rule(user=USERS, chatbot=CHATBOTS, kind=st.sampled_from([AddChatbot, RemoveChatbot]))
    def chatbot(self, user: str, chatbot: str, kind: type[Payload]) -> None:
        self.do(kind, user, chatbot_id=chatbot)

    @rule(user=USERS, seq=st.integers(0, 30))
    def mark(self, user: str, seq: int) -> None:
        self.do(MarkRead, user, seq=seq)

    @precondition(lambda self: self.model.messages)
    @rule(user=USERS, data=st.data(), content=WORDS, kind=st.sampled_from([EditMessage, RegenerateReply, StopReply]))
    def edit_or_regenerate(self, user: str, data: st.DataObject, content: str, kind: type[Payload]) -> None:
        ids = [*self.model.messages, *self.model.turns]  # in the order of their coming: ids are random
        fields = {"content": content} if kind is EditMessage else {}
        self.do(kind, user, message_id=data.draw(st.sampled_from(ids)), **fields)

    @precondition(lambda self: self.applied)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        command, answered = data.draw(st.sampled_from(self.applied[-5:]))
        if isinstance(command.command, MarkRead):
            return
        before = self.model.last
        assert outcome(self.run(self.store.apply_received(command))) == answered
        self.model.apply_published(self.store)
        assert self.model.last == before

    @rule(user=st.sampled_from(["cem", "bob"]))
    def erase(self, user: str) -> None:
        self.run(self.store.apply(EraseAuthor(session_id=self.id, user_id=user)))
        self.model.apply_published(self.store)
        if user in self.model.users and not self.model.deleted:
            self.part(user)
        # Answers kept for repeats may show a title of theirs: such an answer goes, and says that it is not known.
        self.applied = [(c, "unavailable" if isinstance(a, dict) and "session" in a else a) for c, a in self.applied]
        mine = [m for m in self.model.messages.values() if m.sender_id == user]
        assert self.model.deleted or all((m.content, m.status) == ("", "erased") for m in mine)

    @precondition(lambda self: len(self.applied) > 20)
    @rule(user=USERS)
    def delete(self, user: str) -> None:
        if self.do(DeleteSession, user) == {}:
            self.model.deleted = True

    @invariant()
    def database_has_the_same_state(self) -> None:
        """A user who joins now gets the state that a subscriber has."""
        model = self.model
        if model.deleted:
            try:
                self.run(self.store.join(self.id))
            except NotFound:
                return
            raise AssertionError("it lives")
        joined = self.run(self.store.join(self.id, user=model.owner, limit=200))
        assert joined.last_seq == model.last
        assert {m.id: m for m in joined.messages} == model.messages
        assert (joined.session.users, joined.session.owner_id) == (model.users, model.owner)
        if model.session is not None:
            assert joined.session.title == model.session.title
            assert joined.session.chatbots == model.session.chatbots
        busy = [turn.chatbot_id for turn in joined.active]
        assert len(busy) == len(set(busy))
        assert {turn.message_id for turn in joined.active} <= set(model.turns)
        for message in joined.messages:
            later = message.superseded_by
            assert later is None or message.sender_type == "chatbot"
            assert later is None or later in model.messages or later in model.turns or busy


TestCommands = Commands.TestCase
TestCommands.settings = settings(
    max_examples=12, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
