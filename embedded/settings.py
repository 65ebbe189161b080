"""Settings of the embedded system, in addition to those of the services."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.runtime.settings import CommonSettings


class EmbeddedSettings(CommonSettings):
    """Settings of `python -m embedded` itself."""

    data_dir: Path = Field(
        default=Path("data"), description="Directory of the databases, the journal of the bus, and the signing keys"
    )
    signing_keys: Path | None = Field(
        default=None, description="Directory of Ed25519 PEM keys. Without it, it is created in the data directory"
    )
    metrics: Literal["on", "off"] = Field(default="off", description="Whether `/metrics` is served")
