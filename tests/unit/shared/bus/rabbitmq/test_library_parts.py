"""The parts below aio-pika's own interface that the RabbitMQ bus uses: none documented by aio-pika.

All but the handlers of alarms are public in aiormq.

When a test here fails after an upgrade, read `alarms.py`, `checking.py`, `connection.py`, `consumer.py`, `frames.py`,
`publisher_channel.py` and `sockets.py` of `shared/bus/rabbitmq`, and the changes of the library, before you change the test.
"""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aio_pika
import aiormq
import pytest
from aio_pika.abc import UnderlayChannel, UnderlayConnection
from aiormq.abc import ChannelFrame
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

import shared.bus.rabbitmq
from shared.bus.rabbitmq.alarms import BLOCKED_HANDLER, UNBLOCKED_HANDLER
from shared.bus.rabbitmq.connection import Connection

PACKAGE = Path(shared.bus.rabbitmq.__file__).parent


@pytest.mark.parametrize(("package", "release"), [("aio-pika", "10.2"), ("aiormq", "7.2")])
def test_releases_are_those_that_were_read(package: str, release: str) -> None:
    """An upgrade is a decision: read the changes, then change this line."""
    assert version(package).rpartition(".")[0] == release


def test_five_modules_import_the_layer_below_aio_pika() -> None:
    users = {
        path.name
        for path in PACKAGE.glob("*.py")
        if re.search(r"^\s*(import|from) (aiormq|pamqp)", path.read_text(), re.MULTILINE)
    }
    assert users == {"checking.py", "consumer.py", "frames.py", "publisher_channel.py", "sockets.py"}


def test_no_private_name_of_a_library_is_used() -> None:
    """`object._name` occurs only with `self`."""
    for path in PACKAGE.glob("*.py"):
        assert re.findall(r"(?<!self)\._[a-z]\w*", path.read_text()) == [], path.name


@pytest.mark.parametrize("handler", [BLOCKED_HANDLER, UNBLOCKED_HANDLER])
def test_alarms_arrive_in_the_private_handlers_of_the_connection(handler: str) -> None:
    """They are looked up on the connection for each frame, so that those of one connection can be wrapped."""
    assert inspect.iscoroutinefunction(getattr(aiormq.Connection, handler))
    reader = inspect.getsource(aiormq.Connection._Connection__reader)  # type: ignore[attr-defined]
    assert reader.count(f"await self.{handler.removeprefix('_Connection')}(frame)") == 1


def test_confirms_of_own_frames_come_through_the_registers_of_the_channel() -> None:
    """`PublisherChannel.publish` does what `basic_publish` does under its lock, and these lines are what it repeats."""
    publish = inspect.getsource(aiormq.Channel.basic_publish)
    for line in (
        "self.delivery_tag += 1",
        "confirmation = self.create_future()",
        "self.confirmations[delivery_tag] = confirmation",
        "self.message_id_delivery_tag[message_id] = delivery_tag",
        "body_frames = [publish_frame, content_header]",
        "body_frames += self._split_body(body)",
        "await self.write_queue.put(",
    ):
        assert publish.count(line) == 1, line
    assert "self.max_content_size" in inspect.getsource(aiormq.Channel._split_body)


def test_a_returned_body_is_found_by_its_message_id() -> None:
    source = inspect.getsource(aiormq.Channel._on_return_frame)
    assert "self.message_id_delivery_tag.get(" in source
    assert "self.confirmations.pop(delivery_tag, None)" in source


def test_frames_of_one_marshalled_write_stay_together() -> None:
    """One element of the write queue is written as a whole, so no other channel's frames come between them."""
    frames = [Basic.Publish(routing_key="key"), ContentHeader(body_size=1), ContentBody(b"x")]
    write = ChannelFrame.marshall(7, frames)
    assert write.drain_future is None
    assert write.payload == b"".join(frame.marshal(each, 7) for each in frames)


def test_connection_passes_its_options_on_to_aiormq() -> None:
    assert inspect.signature(aiormq.Connection).parameters["transport_factory"].default is None
    assert "aiormq.connect(url, **kwargs)" in inspect.getsource(UnderlayConnection.make_connection)
    assert "**self.kwargs" in inspect.getsource(aio_pika.Connection.connect)


async def test_channels_have_unbounded_frame_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """aio-pika opens channels with `connection.channel(**kwargs)` of aiormq, whose default is ten frames."""
    assert inspect.signature(aiormq.Connection.channel).parameters["frame_buffer_size"].default == 10
    assert "await connection.channel(**kwargs)" in inspect.getsource(UnderlayChannel.create)
    opened: dict[str, Any] = {}
    engine = SimpleNamespace(channel=lambda **kwargs: opened.update(kwargs))

    async def connect(self: aio_pika.Connection, timeout: float | None = None) -> None:
        self.transport = SimpleNamespace(connection=engine)  # type: ignore[assignment]

    monkeypatch.setattr(aio_pika.Connection, "connect", connect)
    connection = Connection("amqp://localhost")
    await connection.connect()
    engine.channel(publisher_confirms=True)
    assert opened == {"frame_buffer_size": 0, "publisher_confirms": True}
    connection.transport = None


def test_cancellations_by_the_broker_are_reported_by_the_underlay_channel() -> None:
    assert "on_consumer_cancel_callbacks" in aiormq.abc.AbstractChannel.__annotations__
    assert "for cb in self.on_consumer_cancel_callbacks:" in inspect.getsource(aiormq.Channel)


def test_own_acknowledgements_are_what_basic_ack_sends() -> None:
    source = inspect.getsource(aiormq.Channel.basic_ack)
    assert "spec.Basic.Ack(delivery_tag=delivery_tag, multiple=multiple)" in source
