"""Notices of activity: the first at once, then at most one a second, and never the last one lost."""

from __future__ import annotations

import itertools
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from persistence_worker.domain.activity import INTERVAL, Activity
from persistence_worker.domain.state import SessionState
from shared.contracts.payload import utc_now


def session(session_id: UUID, last_seq: int) -> SessionState:
    now = utc_now()
    users = ["ada", "grace"]
    return SessionState(session_id, None, None, "ada", "mentioned", 0, 0, last_seq, now, now, None, users=users)


def test_the_first_change_is_told_at_once() -> None:
    activity, one = Activity(), uuid4()
    [notice] = activity.note([session(one, 1)], 10.0)
    assert (notice.session_id, notice.last_seq, notice.users) == (one, 1, ["ada", "grace"])


def test_the_latest_change_of_a_second_is_told_at_its_end() -> None:
    activity, one = Activity(), uuid4()
    activity.note([session(one, 1)], 10.0)
    assert activity.note([session(one, 2)], 10.1) == []
    assert activity.note([session(one, 3)], 10.2) == []
    assert activity.due(10.5) == []
    assert [notice.last_seq for notice in activity.due(11.0)] == [3]
    assert activity.due(20.0) == []


def test_a_quiet_session_is_forgotten() -> None:
    activity, one = Activity(), uuid4()
    activity.note([session(one, 1)], 10.0)
    activity.due(11.5)
    assert len(activity.note([session(one, 2)], 11.6)) == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.0, 0.7)), max_size=60))
def test_any_history_is_paced_and_complete(changes: list[tuple[int, float]]) -> None:
    """Between two notices of a session lies its second, and the last notice carries the last number."""
    activity, now, last = Activity(), 0.0, dict.fromkeys(range(3), 0)
    told: dict[int, list[tuple[float, int]]] = {n: [] for n in last}
    ids = {n: UUID(int=n) for n in last}
    for which, pause in [*changes, (0, 2.0), (1, 2.0)]:
        now += pause
        last[which] += 1
        for notice in [*activity.due(now), *activity.note([session(ids[which], last[which])], now)]:
            told[notice.session_id.int].append((now, notice.last_seq))
    for notice in activity.due(now + 2 * INTERVAL):
        told[notice.session_id.int].append((now + 2 * INTERVAL, notice.last_seq))
    for which, notices in told.items():
        assert all(later[0] - earlier[0] >= INTERVAL for earlier, later in itertools.pairwise(notices))
        assert [n for _, n in notices[-1:]] == ([last[which]] if last[which] else [])


def test_nothing_is_told_of_a_deleted_session() -> None:
    """Nor what still waited for the end of its second."""
    activity, one = Activity(), uuid4()
    activity.note([session(one, 1)], 10.0)
    activity.note([session(one, 2)], 10.1)
    gone = session(one, 2)
    gone.deleted_at = utc_now()
    assert activity.note([gone], 10.2) == []
    assert activity.due(10.0 + INTERVAL) == []


def test_what_waits_is_not_told_to_somebody_who_has_just_been_removed() -> None:
    """The removal is told first, and then the activity that comes with it, to those who are left."""
    activity, one = Activity(), uuid4()
    activity.note([session(one, 1)], 10.0)
    activity.note([session(one, 2)], 10.1)
    activity.forget([one])
    assert activity.due(11.0) == []
    left = session(one, 3)
    left.users = ["ada"]
    assert [notice.users for notice in activity.note([left], 11.1)] == [["ada"]]
