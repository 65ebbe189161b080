"""Every client event of the protocol is complete: handler, ack, command or query, and a method in both client kits."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from chat_gateway.app import event_handlers
from chat_gateway.events.calls import Call, Calls
from chat_gateway.events.client_events import ClientEvents
from chat_gateway.events.logins import Logins
from chat_gateway.events.message_publisher import MessagePublisher
from chat_gateway.metrics import Metrics
from chat_gateway.protocol import payloads
from chat_gateway.protocol.acks import ACKS
from chat_gateway.protocol.payloads import CLIENT_EVENTS
from chat_gateway.sessions.pending_messages import PendingMessages
from chat_gateway.sessions.persistence_client import PersistenceClient
from chat_gateway.settings import GatewaySettings
from shared.contracts.commands import COMMANDS
from shared.contracts.payload import Payload
from shared.contracts.queries import QUERIES, Reply
from shared.contracts.topology import log_queue
from tests.integration.security.events import payload
from tests.support.fake_bus import FakeBus
from tests.support.waiting import until
from tests.unit.chat_gateway.events.test_calls import FakeBudgets, FakeSocket

ROOT = Path(__file__).parents[4]
SETTINGS = GatewaySettings()
# Events without a request to persistence. A new event is classified by the base class of its payload.
WITHOUT_PERSISTENCE = {"join_chat", "leave_chat", "set_typing", "refresh_token"}  # the first two ask through `Sessions`
BECOME_COMMANDS = {
    name
    for name, model in CLIENT_EVENTS.items()
    if issubclass(model, payloads.Change | payloads.StartChat | payloads.AcceptInvite | payloads.SendMessage)
}
RESULT: dict[str, Any] = {
    "session": {"users": []},
    "message_id": "a",
    "messages": [],
    "sessions": [],
    "chatbots": [],
    "hits": [],
    "has_more": False,
    "next_cursor": None,
}

every_event = pytest.mark.parametrize("name", CLIENT_EVENTS)


class FakeSessions:
    """Every session is loaded on demand, and every user is a member."""

    def use(self, _key: str) -> None:
        return None

    def is_member(self, _key: str, _user_id: str) -> bool:
        return True

    async def load_for(self, *_: Any, also_if: bool = False) -> None:
        pass

    async def join(self, _socket: Any, _request: Any, acknowledge: Any) -> None:
        acknowledge({})

    async def join_by_command(self, _socket: Any, _session_id: Any, command: Any, acknowledge: Any) -> None:
        acknowledge(await command())

    def remove_member(self, *_: Any) -> None:
        pass

    def mark_deleted(self, *_: Any) -> None:
        pass


async def no_accounts(_ids: Any) -> list[str]:
    return []


class FakeLogins:
    """The handlers of `Logins`, which need no persistence."""

    async def _refresh_token(self, call: Call, _request: Any) -> None:
        call.accept({})

    handlers: property = Logins.handlers


class Wiring:
    """Handlers and publisher as `chat_gateway.app` wires them, on a fake bus that answers every request."""

    def __init__(self, bus: FakeBus) -> None:
        sessions: Any = FakeSessions()
        self.bus = bus
        self.calls = Calls(Metrics(CollectorRegistry()), SETTINGS)
        persistence = PersistenceClient(bus, SETTINGS.partitions)
        self.groups: list[Any] = [*event_handlers(bus, persistence, sessions, SETTINGS, no_accounts), FakeLogins()]
        publisher = MessagePublisher(bus, sessions, PendingMessages(), SETTINGS.partitions)
        self.events = client_events(self.calls, self.groups, publisher)

    async def take(self, name: str) -> tuple[FakeSocket, list[type[Payload]]]:
        """Take one valid event; return its socket and the types of the commands and queries that it sent."""
        socket = FakeSocket()
        self.events.take(socket, 1, name, [payload(name, {})])  # type: ignore[arg-type]
        await until(lambda: socket.acks)
        return socket, [type(event.data) for _, _, event in (*self.bus.published, *self.bus.requested)]


def client_events(calls: Calls, groups: Iterable[Any], publisher: Any = None) -> ClientEvents:
    unused: Any = FakeBudgets()
    return ClientEvents(calls, publisher, unused, unused, groups)


@pytest.fixture
async def wiring() -> AsyncIterator[Wiring]:
    async with FakeBus() as bus:
        await bus.declare(queues=[log_queue(number, SETTINGS.partitions) for number in range(SETTINGS.partitions)])
        bus.answer = lambda _event: Reply(result=RESULT)
        yield Wiring(bus)


@every_event
async def test_event_has_a_handler(wiring: Wiring, name: str) -> None:
    assert wiring.events.handles(CLIENT_EVENTS[name]), f"no handler for {name}"
    handled = [model for group in wiring.groups for model in group.handlers]
    assert handled.count(CLIENT_EVENTS[name]) <= 1, f"two handlers for {name}"


@every_event
def test_event_has_an_ack_model(name: str) -> None:
    assert name in ACKS, f"no model of the ack of {name}"


def test_every_ack_model_and_handler_has_an_event() -> None:
    assert set(ACKS) <= set(CLIENT_EVENTS)


@pytest.mark.parametrize("name", sorted(BECOME_COMMANDS))
async def test_change_becomes_one_command_of_the_contract(wiring: Wiring, name: str) -> None:
    """tests/unit/persistence_worker checks that every command of the contract has a rule."""
    _, sent = await wiring.take(name)
    assert len(sent) == 1, f"{name} sent {sent}"
    assert sent[0] in COMMANDS, f"{name} sends {sent[0].__name__}, which is not a command of the contract"


@pytest.mark.parametrize("name", sorted(set(CLIENT_EVENTS) - BECOME_COMMANDS - WITHOUT_PERSISTENCE))
async def test_read_becomes_one_query_of_the_contract(wiring: Wiring, name: str) -> None:
    _, sent = await wiring.take(name)
    assert len(sent) == 1, f"{name} sent {sent}"
    assert sent[0] in QUERIES, f"{name} sends {sent[0].__name__}, which is not a query of the contract"


@every_event
def test_event_has_a_method_in_the_python_kit(name: str) -> None:
    called = {
        node.value
        for path in (ROOT / "backchat_client").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
    }
    assert name in called, f"backchat_client never sends {name}"


@every_event
def test_event_has_a_caller_in_the_javascript_kit_or_the_page(name: str) -> None:
    """The kit's `call` and `change` take every event of the generated types; the event's name is their argument."""
    sources = [
        path
        for path in (ROOT / "web/src").rglob("*.ts*")
        if not path.name.endswith((".test.ts", ".test.tsx"))
        and path.name != "protocol.ts"
        and "testing" not in path.parts
    ]
    assert any(re.search(rf"""["']{name}["']""", path.read_text()) for path in sources), f"web/src never sends {name}"


async def test_event_without_a_handler_is_refused_as_internal_and_logged_by_name() -> None:
    calls, socket = Calls(Metrics(CollectorRegistry()), SETTINGS), FakeSocket()
    events = client_events(calls, [])
    with capture_logs() as logs:
        events.take(socket, 1, "list_chatbots", [{}])  # type: ignore[arg-type]
        await until(lambda: socket.acks)
    assert socket.acks[0]["error"]["code"] == "internal"
    assert [(entry["event"], entry["name"]) for entry in logs] == [("client_event.unhandled", "list_chatbots")]
