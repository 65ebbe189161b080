"""Settings of the chatbot worker."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.runtime.settings import CommonSettings, DistributedSettings


class ChatbotSettings(CommonSettings):
    """What the chatbot worker's rules need."""

    chatbots: Path | None = Field(default=None, description="TOML file of the chatbots; without one the built-in list")
    local_model: Literal["on", "off"] = Field(
        default="on",
        description="Whether the built-in list begins with a local language model, if `backchat[local]` is there",
    )


class ChatbotProcessSettings(ChatbotSettings, DistributedSettings):
    """What the chatbot worker needs as a process of its own."""
