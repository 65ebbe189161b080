"""The built-in catalogue, for a system without a catalogue file."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from chatbot_worker.kinds import local

logger = structlog.get_logger(__name__)

BUILT_IN_AT = datetime(2026, 11, 30, tzinfo=UTC)  # when this list last changed: the newest catalogue wins

LOCAL = """
[[chatbots]]
id = "local"
name = "SmolLM2"
description = "A small language model on this very machine. It is quick and friendly, and often wrong."
kind = "local"
default = true
fallback = "eliza"
suggestions = [
    "Write a short poem about the sea",
    "Name three animals that live in the forest",
    "Write a friendly greeting for a birthday card",
]
options = {max_tokens = 200}
limits = {first_token = 60, between_tokens = 60, total = 180}
"""
ALWAYS = """
[[chatbots]]
id = "eliza"
name = "Eliza"
description = "A patient listener: conversation in the manner of 1966."
kind = "eliza"

[[chatbots]]
id = "echo"
name = "Echo"
description = "Says what you said, word by word."
kind = "echo"
"""


def listed(*, local_model: bool) -> str:
    """Return the built-in catalogue as TOML: Eliza and Echo, after the local language model if it can run here.

    Args:
        local_model: whether to include the local language model.
    """
    if not local_model:
        return ALWAYS
    if (lack := local.lacking()) is not None:
        logger.info("local_model.skipped", reason=lack, default="eliza")
        return ALWAYS
    return LOCAL + ALWAYS
