"""Identities follow from what a client sent; two releases must agree on them for ever."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.ids import bucket, message_id, partition, session_id

SESSION = UUID("0b6d0f3e-6f0a-5c1b-9c5d-3a1f0e2d4c5b")


def test_they_never_change() -> None:
    assert session_id("alice", "r-1") == UUID("96e95354-594f-5de2-ab53-fc6dcfba7d4b")
    assert message_id(SESSION, "alice", "c-1") == UUID("ff3093d1-b72b-55d0-984d-2b95237c24ce")
    assert partition(SESSION, 4) == 3
    assert bucket("alice", 4) == 3


def test_the_same_thing_sent_twice_is_one_thing() -> None:
    assert session_id("alice", "r") == session_id("alice", "r")
    assert message_id(SESSION, "alice", "c") == message_id(SESSION, "alice", "c")


def test_another_user_session_or_id_is_another_thing() -> None:
    other = UUID(int=SESSION.int + 1)
    ids = [message_id(SESSION, "alice", "c"), message_id(SESSION, "bob", "c"), message_id(other, "alice", "c")]
    ids += [message_id(SESSION, "alice", "d"), session_id("alice", "c"), session_id("bob", "c")]
    assert len(set(ids)) == len(ids)


def test_without_a_clients_id_each_is_new() -> None:
    assert session_id("alice", None) != session_id("alice", None)
    assert message_id(SESSION, "alice", None) != message_id(SESSION, "alice", None)


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 64))
def test_partitions_and_buckets_are_within_their_number(session: UUID, user: str, partitions: int) -> None:
    assert 0 <= partition(session, partitions) < partitions
    assert 0 <= bucket(user, partitions) < partitions
