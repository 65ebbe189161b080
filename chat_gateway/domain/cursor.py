"""The gateway cursor of one session (design §2): which stored changes may be shown, in which order. Pure.

Changes come in as they please: repeated, out of order, late, or never. `Cursor` lets each number out
once, ascending, and asks for a read of what is missing. It holds nothing back for longer than a read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

C = TypeVar("C")

HELD_MAX = 500  # changes held during a read; beyond it they are dropped and read again


class Cursor(Generic[C]):
    """`released` is W: every change up to it was let out, or lies before what this gateway has to show.

    It starts in a read (the session is being loaded) with W unknown.
    """

    def __init__(self) -> None:
        self.released: int | None = None
        self.reading = True
        self._held: dict[int, C] = {}
        self._highest = 0  # the newest number heard of

    @property
    def needs_read(self) -> bool:
        """Whether something is known to be missing and nobody is reading it."""
        return not self.reading and self.released is not None and self._highest > self.released

    def loaded(self, last_seq: int) -> list[C]:
        """The session was read: begin after `last_seq`. Only the first time; later loads change nothing."""
        if self.released is not None:
            return []
        self.released = last_seq
        self.reading = False
        return self._contiguous()

    def arrived(self, number: int, change: C) -> list[C]:
        """A change was delivered; what may be shown now, ascending."""
        if self.released is not None and number <= self.released:
            return []
        self._highest = max(self._highest, number)
        if not self.reading and self.released is not None and number == self.released + 1:
            self.released = number
            self._held.pop(number, None)
            return [change, *self._contiguous()] if self._held else [change]
        if number in self._held or len(self._held) < HELD_MAX:
            self._held[number] = change
        return []

    def head_announced(self, head: int) -> None:
        """The newest number is at least `head`, whatever was delivered."""
        self._highest = max(self._highest, head)

    def begin_read(self) -> int:
        """A read starts; the number after which it has to read."""
        assert self.released is not None
        self.reading = True
        return self.released

    def read(self, changes: Iterable[tuple[int, C]], upto: int, *, more: bool) -> list[C]:
        """One page came: all there is after W up to `upto`, as it is now. With `more` the read goes on."""
        assert self.released is not None
        after = self.released
        found = [change for number, change in sorted(changes, key=_number) if after < number <= upto]
        self.released = max(after, upto)
        self._highest = max(self._highest, self.released)
        if more:
            return found
        self.reading = False
        return [*found, *self._contiguous()]

    def read_failed(self) -> None:
        """The read came to nothing; what is missing is still missing."""
        self.reading = False

    def _contiguous(self) -> list[C]:
        assert self.released is not None
        found: list[C] = []
        while (change := self._held.pop(self.released + 1, None)) is not None:
            self.released += 1
            found.append(change)
        if self._held:
            self._held = {number: change for number, change in self._held.items() if number > self.released}
        return found


def _number(change: tuple[int, C]) -> int:
    return change[0]
