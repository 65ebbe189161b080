"""`python -m persistence_worker dead list | show | replay`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from persistence_worker.operations.dead_letter_box import Box, Found, lines, open_box, queues
from shared.bus.port import Bus
from shared.errors import Unavailable

CONNECT_TIMEOUT = 10.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What follows `dead`."""
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="one line a letter; nothing of what people wrote")
    showing = actions.add_parser("show", help="a letter whole, what people wrote included")
    replaying = actions.add_parser("replay", help="publish letters once more to the queues that they came from")
    showing.add_argument("ids", nargs=1, metavar="ID")
    chosen = replaying.add_mutually_exclusive_group(required=True)
    chosen.add_argument("ids", nargs="*", default=[], metavar="ID")
    chosen.add_argument("--all", action="store_true", help="all of them")
    for action in (listing, showing, replaying):
        action.add_argument("--queue", action="append", metavar="NAME", help="only these queues' letters")


async def run(bus: Bus, partitions: int, chosen: argparse.Namespace) -> int:
    """Do it; the exit code."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            while not bus.connected:  # noqa: ASYNC110 - the port is asked, it does not tell
                await asyncio.sleep(0.02)
    except TimeoutError:
        return _fail("the broker does not answer")
    async with AsyncExitStack() as stack:
        try:
            boxes = await _boxes(bus, partitions, chosen.queue, stack)
            letters = [found for box in boxes for found in box.letters]
            if chosen.action == "list":
                _say(*lines(letters), f"{len(letters)} dead letters")
                return 0
            unknown = set(chosen.ids) - {found.id for found in letters}
            if unknown:
                return _fail(f"no such letter: {', '.join(sorted(unknown))}")
            if chosen.action == "show":
                _say(*(_whole(found) for found in letters if found.id in chosen.ids))
                return 0
            return await _replay(boxes, None if chosen.all else chosen.ids)
        except Unavailable as error:
            return _fail(f"{error.detail} What was replayed is done; run it again for the rest.")


async def _boxes(bus: Bus, partitions: int, names: Sequence[str] | None, stack: AsyncExitStack) -> list[Box]:
    if names is None:
        names, complete = await queues(bus, partitions)
        if not complete:
            _complain("persistence does not answer: the turns of chatbots are left out (--queue turns.ID)")
    opened = await asyncio.gather(*(open_box(bus, name) for name in names))
    boxes = [box for box in opened if box is not None]
    for box in boxes:
        stack.push_async_callback(box.close)
    return boxes


async def _replay(boxes: Sequence[Box], ids: Sequence[str] | None) -> int:
    total = 0
    complaints: list[str] = []
    for box in boxes:
        replayed, refused = await box.replay(ids)
        total += replayed
        complaints += refused
    _say(f"{total} dead letters replayed")
    for complaint in complaints:
        _complain(f"not replayed: {complaint}")
    return 1 if complaints else 0


def _whole(found: Found) -> str:
    original = found.letter.original()
    text = original.decode(errors="backslashreplace")
    with suppress(ValueError):
        text = json.dumps(json.loads(original), indent=2, ensure_ascii=False)
    return "\n".join([*lines([found]), text])


def _say(*texts: str) -> None:
    for text in texts:
        sys.stdout.write(f"{_printable(text)}\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"{_printable(text)}\n")


def _fail(text: str) -> int:
    _complain(text)
    return 1


def _printable(text: str) -> str:
    """No control character of a stranger's text reaches the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
