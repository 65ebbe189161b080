"""JSON lines between the run and its client processes."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel


class User(BaseModel):
    """A registered account and the clients that it uses."""

    id: str
    token: str
    devices: int  # that follow the same session; the first one also sends
    kit: bool  # whether the devices use the client kit of this repository instead of a stock Socket.IO client


class Job(BaseModel):
    """Work of one client process."""

    users: list[User]
    gateways: list[tuple[str, str]]  # name, address
    directory: Path  # of the operation logs
    seed: int
    pause: float  # mean seconds between two bursts of a user


class Status(BaseModel):
    """Progress of one client process."""

    sessions: int = 0  # users who have one
    connected: int = 0
    sent: int = 0
    acked: int = 0
    pending: int = 0  # messages without a final answer
    unseen: int = 0  # users with an acked message that was not seen stored, or not answered
