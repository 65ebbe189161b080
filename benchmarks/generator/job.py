"""What the driver asks of a generator process, and what it prints back, both JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Phase(BaseModel):
    """One measured window. `rate` (turns a second) only in the open loop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["closed", "open"]
    connections: int
    lanes: int
    warm: float
    seconds: float
    rate: float = 0.0

    @property
    def name(self) -> str:
        """`100x4`, or `50/s`."""
        return f"{self.connections}x{self.lanes}" if self.kind == "closed" else f"{self.rate:g}/s"


class Job(BaseModel):
    """One generator process: connect, start the sessions, run the phases, read the history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[str, ...]
    tokens: tuple[str, ...]
    tells_stored: bool
    audit: bool
    phases: tuple[Phase, ...]
