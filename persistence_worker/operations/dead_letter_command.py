"""The command `python -m persistence_worker dead list | show | replay`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from persistence_worker.operations.connecting import wait_until_connected
from persistence_worker.operations.dead_letter_box import DeadLetterBox, StoredLetter, lines, open_box, queues
from shared.bus.port import Bus
from shared.errors import Unavailable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and options of `dead`."""
    actions = parser.add_subparsers(dest="action", required=True)
    list_ = actions.add_parser("list", help="print one line for each letter, without content of messages")
    show = actions.add_parser("show", help="print a letter with its content")
    replay = actions.add_parser("replay", help="publish letters to their original queues")
    show.add_argument("ids", nargs=1, metavar="ID")
    chosen = replay.add_mutually_exclusive_group(required=True)
    chosen.add_argument("ids", nargs="*", default=[], metavar="ID")
    chosen.add_argument("--all", action="store_true", help="replay all letters")
    for action in (list_, show, replay):
        action.add_argument("--queue", action="append", metavar="NAME", help="only letters of this queue; repeatable")


async def run(bus: Bus, partitions: int, chosen: argparse.Namespace) -> int:
    """Run the chosen action; return the exit code."""
    try:
        await wait_until_connected(bus)
    except TimeoutError:
        return _fail("the broker does not answer")
    async with AsyncExitStack() as stack:
        try:
            boxes = await _boxes(bus, partitions, chosen.queue, stack)
            letters = [stored for box in boxes for stored in box.letters]
            if chosen.action == "list":
                _print(*lines(letters), f"{len(letters)} dead letters")
                return 0
            unknown = set(chosen.ids) - {stored.id for stored in letters}
            if unknown:
                return _fail(f"no such letter: {', '.join(sorted(unknown))}")
            if chosen.action == "show":
                _print(*(_with_content(stored) for stored in letters if stored.id in chosen.ids))
                return 0
            return await _replay(boxes, None if chosen.all else chosen.ids)
        except Unavailable as error:
            return _fail(f"{error.detail} Some letters may be replayed already; run the command again for the rest.")


async def _boxes(bus: Bus, partitions: int, names: Sequence[str] | None, stack: AsyncExitStack) -> list[DeadLetterBox]:
    if names is None:
        names, complete = await queues(bus, partitions)
        if not complete:
            _print_error("no persistence worker answers: queues of chatbots are left out (use --queue turns.ID)")
    opened = await asyncio.gather(*(open_box(bus, name) for name in names))
    boxes = [box for box in opened if box is not None]
    for box in boxes:
        stack.push_async_callback(box.close)
    return boxes


async def _replay(boxes: Sequence[DeadLetterBox], ids: Sequence[str] | None) -> int:
    total = 0
    failures: list[str] = []
    for box in boxes:
        replayed, failed = await box.replay(ids)
        total += replayed
        failures += failed
    _print(f"{total} dead letters replayed")
    for failure in failures:
        _print_error(f"not replayed: {failure}")
    return 1 if failures else 0


def _with_content(stored: StoredLetter) -> str:
    original = stored.letter.original()
    text = original.decode(errors="backslashreplace")
    with suppress(ValueError):
        text = json.dumps(json.loads(original), indent=2, ensure_ascii=False)
    return "\n".join([*lines([stored]), text])


def _print(*texts: str) -> None:
    for text in texts:
        sys.stdout.write(f"{_escaped(text)}\n")


def _print_error(text: str) -> None:
    sys.stderr.write(f"{_escaped(text)}\n")


def _fail(text: str) -> int:
    _print_error(text)
    return 1


def _escaped(text: str) -> str:
    """Escape control characters, so that content cannot control the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
