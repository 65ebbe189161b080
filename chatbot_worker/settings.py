"""Settings of the chatbot worker."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.runtime.settings import CommonSettings, DistributedSettings


class ChatbotSettings(CommonSettings):
    """What the chatbot worker's rules need."""

    chatbots: Path | None = Field(default=None, description="TOML file of the chatbots; without one the built-in list")


class ChatbotProcessSettings(ChatbotSettings, DistributedSettings):
    """What the chatbot worker needs as a process of its own."""
