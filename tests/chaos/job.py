"""What the run and the processes of clients say to each other, as lines of JSON."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel


class Person(BaseModel):
    """Somebody with an account; `devices` read the same session, the first one also writes. `kit`: by our own kit."""

    id: str
    token: str
    devices: int
    kit: bool


class Job(BaseModel):
    """What one process of clients does."""

    people: list[Person]
    gateways: list[tuple[str, str]]  # name, address
    directory: Path  # of the ledgers
    seed: int
    pause: float  # mean seconds between two bursts of a person


class Status(BaseModel):
    """What one process of clients has done so far."""

    sessions: int = 0  # people who have one
    connected: int = 0
    sent: int = 0
    acked: int = 0
    pending: int = 0  # sent and not settled
    unseen: int = 0  # settled, not seen stored or not answered yet
