"""The JSON models of a generator's job."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

STREAMED_CHATBOT = "stream"  # its replies of 10 words leave as 10 deltas


class Phase(BaseModel):
    """One measured window.

    Attributes:
        kind: `closed` keeps one turn in flight in every lane; `open` sends turns by the clock.
        connections: users.
        lanes: sessions of each user.
        warm: seconds before the window.
        seconds: length of the window.
        rate: turns per second of the open loop.
        streamed: replies of 10 deltas instead of replies that come at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["closed", "open"]
    connections: int
    lanes: int
    warm: float
    seconds: float
    rate: float = 0.0
    streamed: bool = False

    @property
    def name(self) -> str:
        """Return for example `100x4`, `50/s` or `100x4 streamed`."""
        load = f"{self.connections}x{self.lanes}" if self.kind == "closed" else f"{self.rate:g}/s"
        return f"{load} streamed" if self.streamed else load


class Job(BaseModel):
    """One generator process: connect, start the sessions, run the phases, read the history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[str, ...]
    tokens: tuple[str, ...]
    tells_stored: bool
    audit: bool
    phases: tuple[Phase, ...]
