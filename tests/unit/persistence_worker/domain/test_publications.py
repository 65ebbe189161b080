"""Publications: order, routing keys, failed replies of removed chatbots, and chunks that the bus accepts."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from persistence_worker.domain import publications
from persistence_worker.domain.command_batch import AppliedBatch, CommandBatch
from persistence_worker.domain.context import Context
from persistence_worker.domain.state import History
from shared.contracts import ids, topology
from shared.contracts.commands import DeleteSession, EraseAuthor, FinishReply, LeaveSession, MarkRead, StopReply
from shared.contracts.envelope import Event
from shared.contracts.events import MessageRejected, MessageStored, ReadMarked, SessionDeleted, SessionUpdated
from shared.contracts.turns import ContextMessage, RunTurn, StopTurn
from tests.support.commands import ADA, send
from tests.unit.persistence_worker.domain.batches import apply, batch, session, turn

PARTITIONS = 4


def run(size: int) -> publications.Publication:
    message = ContextMessage(id=uuid4(), sender_type="user", sender_id="a", content="x" * size, unanswered=True)
    turn = RunTurn(
        session_id=uuid4(),
        message_id=uuid4(),
        chatbot_id="b",
        reply_to=uuid4(),
        starts=0,
        again=False,
        context=[message],
    )
    return topology.TURNS, "b", Event("tests", turn)


def test_chunks_are_bounded_and_ordered() -> None:
    """Large contexts are not published in one call."""
    told = [run(500_000) for _ in range(10)]
    cut = list(publications.chunks(told))
    assert [p for piece in cut for p in piece] == told
    assert all(len(piece) <= 4 for piece in cut)


def test_ordinary_batch_is_one_chunk() -> None:
    """A hundred turns of usual size."""
    assert len(list(publications.chunks([run(300) for _ in range(100)]))) == 1


def of(work: CommandBatch, *, with_contexts: bool = True) -> list[publications.Publication]:
    contexts = {start.turn.id: Context([]) for start in work.turn_starts} if with_contexts else {}
    return publications.of_batch(AppliedBatch(work, contexts), PARTITIONS)


def keys(found: list[publications.Publication], kind: type[Any]) -> list[str]:
    return [key for _, key, event in found if isinstance(event.data, kind)]


def test_deliveries_are_published_before_stops_turns_and_follow_up_commands() -> None:
    one = session(last_seq=1, chatbots=("echo", "eliza"), reply_policy="all")
    owed = turn(one, "eliza")
    work = batch(one, history=History(more=500))
    apply(work, send(one.id), StopReply(session_id=one.id, user_id=ADA, message_id=owed.id))
    apply(work, EraseAuthor(session_id=one.id, user_id="bob"))
    order = [type(event.data) for _, _, event in of(work)]
    assert order[0] is MessageStored
    assert order[-3:] == [StopTurn, RunTurn, EraseAuthor]


def test_message_goes_to_the_partition_of_its_session_with_a_stable_id() -> None:
    one = session(chatbots=())
    work = apply(batch(one), command := send(one.id))
    [(exchange, key, event)] = of(work)
    assert (exchange, key) == (topology.DELIVERY, topology.session_key(ids.partition(one.id, PARTITIONS)))
    assert (event.id, event.subject) == (f"{command.message_id}:1", str(one.id))


def test_session_goes_to_its_partition_and_to_the_buckets_of_its_members() -> None:
    one = session(users=(ADA, "bob", "cem"))
    found = of(apply(batch(one), LeaveSession(session_id=one.id, user_id="cem")))
    partition = topology.session_key(ids.partition(one.id, PARTITIONS))
    members = {topology.user_key(ids.bucket(user, PARTITIONS)) for user in (ADA, "bob")}
    assert set(keys(found, SessionUpdated)) == {partition} | members
    assert keys(found, SessionDeleted) == [topology.user_key(ids.bucket("cem", PARTITIONS))]


def test_deleted_session_goes_to_its_partition_too() -> None:
    one = session(users=(ADA,))
    found = of(apply(batch(one), DeleteSession(session_id=one.id, user_id=ADA)))
    assert keys(found, SessionDeleted) == [
        topology.session_key(ids.partition(one.id, PARTITIONS)),
        topology.user_key(ids.bucket(ADA, PARTITIONS)),
    ]


def test_rejection_goes_to_the_bucket_of_the_author_only() -> None:
    one = session()
    found = of(apply(batch(one), send(one.id, user="eve")))
    assert keys(found, MessageRejected) == [topology.user_key(ids.bucket("eve", PARTITIONS))]


def test_read_mark_goes_to_the_partition_only() -> None:
    one = session(last_seq=1)
    found = of(apply(batch(one), MarkRead(session_id=one.id, user_id=ADA, seq=1)))
    assert keys(found, ReadMarked) == [topology.session_key(ids.partition(one.id, PARTITIONS))]


@pytest.mark.parametrize("republished", [False, True])
def test_turn_goes_to_the_queue_of_its_chatbot(*, republished: bool) -> None:
    one = session()
    work = apply(batch(one), send(one.id))
    [start] = work.turn_starts
    if republished:
        work.republish_turn(start.turn)
    exchange, key, event = of(work)[-1]
    assert (exchange, key) == (topology.TURNS, "echo")
    assert isinstance(event.data, RunTurn)
    assert (event.data.starts, event.data.again) == (int(republished), republished)
    assert event.id == f"{start.turn.id}:{int(republished)}"


def test_turn_of_a_chatbot_without_a_context_is_ended_as_failed_through_the_log() -> None:
    one = session()
    work = apply(batch(one), send(one.id))
    exchange, key, event = of(work, with_contexts=False)[-1]
    assert (exchange, key) == (topology.log(PARTITIONS), str(ids.partition(one.id, PARTITIONS)))
    assert isinstance(event.data, FinishReply)
    assert (event.data.message_id, event.data.status) == (work.turn_starts[0].turn.id, "failed")
    assert event.data.error is not None
    assert event.data.error.code == "chatbot_unavailable"
