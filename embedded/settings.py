"""Settings of the embedded run: where it listens and keeps its data; the services read their own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.runtime.settings import CommonSettings


class EmbeddedSettings(CommonSettings):
    """What `python -m embedded` reads besides the settings of the four services."""

    data_dir: Path = Field(default=Path("data"), description="Directory of the databases, the journal and the keys")
    signing_keys: Path | None = Field(
        default=None, description="Directory of Ed25519 PEM keys; embedded: made in the data directory"
    )
    metrics: Literal["on", "off"] = Field(default="off", description="Whether `/metrics` is served")
