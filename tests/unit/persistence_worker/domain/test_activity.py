"""Activity of a session: the first change at once, then at most one event per second, and always the last one."""

from __future__ import annotations

import itertools
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from persistence_worker.domain.activity import INTERVAL, ActivityPacer
from persistence_worker.domain.state import SessionState
from shared.contracts.payload import utc_now


def session(session_id: UUID, last_seq: int) -> SessionState:
    now = utc_now()
    users = ["ada", "grace"]
    return SessionState(session_id, None, None, "ada", "mentioned", 0, 0, last_seq, now, now, None, users=users)


def test_first_change_is_due_at_once() -> None:
    activity, one = ActivityPacer(), uuid4()
    [notice] = activity.change([session(one, 1)], 10.0)
    assert (notice.session_id, notice.last_seq, notice.users) == (one, 1, ["ada", "grace"])


def test_latest_change_of_a_second_is_due_at_its_end() -> None:
    activity, one = ActivityPacer(), uuid4()
    activity.change([session(one, 1)], 10.0)
    assert activity.change([session(one, 2)], 10.1) == []
    assert activity.change([session(one, 3)], 10.2) == []
    assert activity.due(10.5) == []
    assert [notice.last_seq for notice in activity.due(11.0)] == [3]
    assert activity.due(20.0) == []


def test_session_without_a_change_in_a_second_is_evicted() -> None:
    activity, one = ActivityPacer(), uuid4()
    activity.change([session(one, 1)], 10.0)
    activity.due(11.5)
    assert len(activity.change([session(one, 2)], 11.6)) == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.0, 0.7)), max_size=60))
def test_any_sequence_of_changes_is_paced_and_ends_with_the_last_number(changes: list[tuple[int, float]]) -> None:
    """Two events of a session are at least a second apart."""
    activity, now, last = ActivityPacer(), 0.0, dict.fromkeys(range(3), 0)
    told: dict[int, list[tuple[float, int]]] = {n: [] for n in last}
    ids = {n: UUID(int=n) for n in last}
    for which, pause in [*changes, (0, 2.0), (1, 2.0)]:
        now += pause
        last[which] += 1
        for notice in [*activity.due(now), *activity.change([session(ids[which], last[which])], now)]:
            told[notice.session_id.int].append((now, notice.last_seq))
    for notice in activity.due(now + 2 * INTERVAL):
        told[notice.session_id.int].append((now + 2 * INTERVAL, notice.last_seq))
    for which, notices in told.items():
        assert all(later[0] - earlier[0] >= INTERVAL for earlier, later in itertools.pairwise(notices))
        assert [n for _, n in notices[-1:]] == ([last[which]] if last[which] else [])


def test_deleted_session_has_no_activity() -> None:
    """Its pending event is discarded."""
    activity, one = ActivityPacer(), uuid4()
    activity.change([session(one, 1)], 10.0)
    activity.change([session(one, 2)], 10.1)
    gone = session(one, 2)
    gone.deleted_at = utc_now()
    assert activity.change([gone], 10.2) == []
    assert activity.due(10.0 + INTERVAL) == []


def test_pending_event_is_discarded_when_a_member_is_removed() -> None:
    """The activity of the removal itself is addressed to the remaining members."""
    activity, one = ActivityPacer(), uuid4()
    activity.change([session(one, 1)], 10.0)
    activity.change([session(one, 2)], 10.1)
    activity.discard([one])
    assert activity.due(11.0) == []
    left = session(one, 3)
    left.users = ["ada"]
    assert [notice.users for notice in activity.change([left], 11.1)] == [["ada"]]
