"""Settings of the chatbot worker."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.runtime.settings import CommonSettings, DistributedSettings


class ChatbotSettings(CommonSettings):
    """The settings of the chatbot worker in every run."""

    chatbots: Path | None = Field(
        default=None, description="TOML file of the chatbots. Without one the built-in list is used"
    )
    local_model: Literal["on", "off"] = Field(
        default="on",
        description="Whether the built-in list begins with a local language model, if `backchat[local]` is installed",
    )


class ChatbotProcessSettings(ChatbotSettings, DistributedSettings):
    """The settings of the chatbot worker as a separate process."""
