"""The gateway cursor: whatever happens to deliveries, each number comes out once, ascending, and none is missing."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chat_gateway.domain.cursor import HELD_MAX, Cursor


class CursorMachine(RuleBasedStateMachine):
    """A session's history, an unreliable way, and a reader that sees what is stored at the time."""

    def __init__(self) -> None:
        super().__init__()
        self.cursor: Cursor[int] = Cursor()
        self.subject_of: list[int] = []  # index + 1 is the number; the value names what was changed
        self.out: list[int] = []
        self.start: int | None = None
        self.reading_from: int | None = None

    def _stored(self) -> int:
        return len(self.subject_of)

    def _let_out(self, numbers: list[int]) -> None:
        self.out.extend(numbers)

    @rule(subject=st.integers(0, 5))
    def a_change_is_stored(self, subject: int) -> None:
        self.subject_of.append(subject)

    @precondition(lambda self: self.subject_of)
    @rule(data=st.data())
    def some_change_is_delivered(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self._stored()))
        self._let_out(self.cursor.arrived(number, number))

    @precondition(lambda self: self.subject_of)
    @rule(data=st.data())
    def a_run_is_delivered(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(1, self._stored()))
        for number in range(first, self._stored() + 1):
            self._let_out(self.cursor.arrived(number, number))

    @rule()
    def the_head_is_told(self) -> None:
        self.cursor.head_announced(self._stored())

    @precondition(lambda self: self.start is None)
    @rule()
    def the_session_is_loaded(self) -> None:
        self.start = self._stored()
        self._let_out(self.cursor.loaded(self.start))

    @precondition(lambda self: self.cursor.needs_read)
    @rule()
    def a_read_begins(self) -> None:
        self.reading_from = self.cursor.begin_read()

    @precondition(lambda self: self.reading_from is not None)
    @rule(limit=st.integers(1, 3))
    def a_page_comes(self, limit: int) -> None:
        assert self.reading_from is not None
        newest = {subject: number for number, subject in enumerate(self.subject_of, 1)}
        found = sorted(number for number in newest.values() if number > self.reading_from)
        page, more = found[:limit], len(found) > limit
        upto = page[-1] if more else self._stored()
        outside = [self.reading_from, upto + 1]  # a session's own change may lie before the page or after it
        changes = [(number, number) for number in [*outside, *reversed(page)]]
        self._let_out(self.cursor.read(changes, upto, more=more))
        self.reading_from = upto if more else None

    @precondition(lambda self: self.reading_from is not None)
    @rule()
    def the_read_fails(self) -> None:
        self.reading_from = None
        self.cursor.read_failed()

    @invariant()
    def numbers_ascend_and_each_comes_once(self) -> None:
        assert self.out == sorted(set(self.out))
        assert not self.out or self.start is None or self.out[0] > self.start

    @invariant()
    def what_is_left_out_comes_under_a_later_number(self) -> None:
        released = self.cursor.released
        if released is None or self.start is None:
            return
        shown = set(self.out)
        for number in range(self.start + 1, released + 1):
            later = [
                n
                for n in range(number + 1, self._stored() + 1)
                if self.subject_of[n - 1] == self.subject_of[number - 1]
            ]
            assert number in shown or later

    def teardown(self) -> None:
        """After the head is announced and the reads are done, every change was released in its latest form."""
        if self.start is None:
            self.the_session_is_loaded()
        self.cursor.head_announced(self._stored())
        for _ in range(10_000):
            if self.reading_from is not None:
                self.a_page_comes(3)
            elif self.cursor.needs_read:
                self.a_read_begins()
            else:
                break
        assert self.cursor.released == self._stored()
        self.numbers_ascend_and_each_comes_once()
        self.what_is_left_out_comes_under_a_later_number()


CursorMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestCursor = CursorMachine.TestCase


def test_consecutive_numbers_are_released_at_once() -> None:
    """The common case holds nothing back."""
    cursor: Cursor[str] = Cursor()
    assert cursor.loaded(4) == []
    assert cursor.arrived(5, "five") == ["five"]
    assert cursor.arrived(5, "five") == []
    assert cursor.arrived(6, "six") == ["six"]
    assert not cursor.needs_read


def test_gap_stops_the_release_until_it_is_filled() -> None:
    """By a late event just as by a read."""
    cursor: Cursor[str] = Cursor()
    cursor.loaded(0)
    assert cursor.arrived(2, "two") == []
    assert cursor.needs_read
    assert cursor.arrived(1, "one") == ["one", "two"]
    assert not cursor.needs_read


def test_held_changes_are_bounded() -> None:
    """Dropped ones are read again."""
    cursor: Cursor[int] = Cursor()
    for number in range(2, 2 * HELD_MAX):
        cursor.arrived(number, number)
    assert len(cursor._held) == HELD_MAX
    assert len(cursor.loaded(1)) == HELD_MAX
    assert cursor.needs_read
