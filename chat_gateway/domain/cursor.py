"""The cursor of one session: releases each stored change once, in the order of its sequence number. Pure.

Deliveries of changes may be repeated, reordered, late or lost. `Cursor` releases the numbers in ascending order and
reports when a catch-up read is needed. It holds changes back only during a read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

C = TypeVar("C")

HELD_MAX = 500  # changes held during a read; further ones are dropped, and read later


class Cursor(Generic[C]):
    """The changes of one session, `C` being what is released.

    `released` is the highest number released, or the session's last number when it was loaded; `None` until then. A new
    cursor is in a read: the one that loads the session.
    """

    def __init__(self) -> None:
        self.released: int | None = None
        self.reading = True
        self._held: dict[int, C] = {}
        self._highest = 0  # the highest number delivered or announced

    @property
    def needs_read(self) -> bool:
        """Whether a change is known to be missing and no read is in progress."""
        return not self.reading and self.released is not None and self._highest > self.released

    def loaded(self, last_seq: int) -> list[C]:
        """Start after `last_seq`, the number of a loaded snapshot; return the changes to release.

        Only the first load counts; later ones return nothing.
        """
        if self.released is not None:
            return []
        self.released = last_seq
        self.reading = False
        return self._contiguous()

    def arrived(self, number: int, change: C) -> list[C]:
        """Take a delivered change; return the changes to release, in ascending order."""
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
        """Note that the session's last number is at least `head`."""
        self._highest = max(self._highest, head)

    def begin_read(self) -> int:
        """Start a read; return the number after which it must read."""
        assert self.released is not None
        self.reading = True
        return self.released

    def read(self, changes: Iterable[tuple[int, C]], upto: int, *, more: bool) -> list[C]:
        """Take one page of a read: all changes after `released` up to `upto`. Return the changes to release.

        `more`: further pages follow, and the read stays in progress.
        """
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
        """End a read that failed; the missing changes are still missing."""
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
