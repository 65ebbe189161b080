"""Ids derived from a client's request, which must be equal in all releases."""

from __future__ import annotations

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.ids import NAMESPACE, bucket, message_id, partition, session_id

TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # lone surrogates are no Unicode text
SESSION = UUID("0b6d0f3e-6f0a-5c1b-9c5d-3a1f0e2d4c5b")


def test_derived_ids_never_change() -> None:
    assert session_id("alice", "r-1") == UUID("96e95354-594f-5de2-ab53-fc6dcfba7d4b")
    assert message_id(SESSION, "alice", "c-1") == UUID("ff3093d1-b72b-55d0-984d-2b95237c24ce")
    assert partition(SESSION, 4) == 3
    assert bucket("alice", 4) == 3


def test_same_request_has_the_same_id() -> None:
    assert session_id("alice", "r") == session_id("alice", "r")
    assert message_id(SESSION, "alice", "c") == message_id(SESSION, "alice", "c")


def test_id_differs_by_user_session_and_client_id() -> None:
    other = UUID(int=SESSION.int + 1)
    ids = [message_id(SESSION, "alice", "c"), message_id(SESSION, "bob", "c"), message_id(other, "alice", "c")]
    ids += [message_id(SESSION, "alice", "d"), session_id("alice", "c"), session_id("bob", "c")]
    assert len(set(ids)) == len(ids)


@given(st.uuids(), TEXT, TEXT)
def test_ids_derived_from_keys_are_uuids_of_version_5(session: UUID, user: str, key: str) -> None:
    assert session_id(user, key) == uuid5(NAMESPACE, f"session/{user}/{key}")
    assert message_id(session, user, key) == uuid5(NAMESPACE, f"message/{session}/{user}/{key}")
    assert message_id(str(session), user, key) == message_id(session, user, key)


def test_request_without_a_client_id_has_a_new_id() -> None:
    assert session_id("alice", None) != session_id("alice", None)
    assert message_id(SESSION, "alice", None) != message_id(SESSION, "alice", None)


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 64))
def test_partitions_and_buckets_are_below_their_count(session: UUID, user: str, partitions: int) -> None:
    assert 0 <= partition(session, partitions) < partitions
    assert 0 <= bucket(user, partitions) < partitions
