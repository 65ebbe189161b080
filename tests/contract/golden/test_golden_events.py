"""What an earlier release wrote to a queue or a journal, this one still reads, and writes alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.contracts.envelope import Event, join, read_body
from shared.contracts.registry import PAYLOADS

FILES = sorted(Path(__file__).parent.glob("*.json"))


def kept(golden: Any, written: Any) -> bool:
    """Whether all that was said is said again; later releases may say more."""
    if isinstance(golden, dict):
        return all(name in written and kept(value, written[name]) for name, value in golden.items())
    if isinstance(golden, list):
        return len(golden) == len(written) and all(map(kept, golden, written))
    return bool(golden == written)


def test_every_registered_type_has_its_golden_event() -> None:
    assert {file.stem for file in FILES} == set(PAYLOADS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_still_parses(file: Path) -> None:
    [received] = read_body(join([file.read_bytes()]))

    assert received.type == file.stem
    assert file.stem == received.parse(PAYLOADS[received.type]).TYPE


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_written_again_it_keeps_all_that_it_said(file: Path) -> None:
    golden = orjson.loads(file.read_bytes())
    [received] = read_body(join([file.read_bytes()]))
    payload = received.parse(PAYLOADS[received.type])

    written = orjson.loads(Event(received.source, payload, subject=received.subject, id=received.id).encode())

    assert kept(golden["data"], written["data"])
    assert golden.keys() - {"traceparent", "replyto", "correlationid", "deadline"} == written.keys() - {"traceparent"}
