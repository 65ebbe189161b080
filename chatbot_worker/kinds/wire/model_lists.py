"""Reads an endpoint's list of models, and finds those that chat. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chatbot_worker.kinds.wire.json_text import NotJson, loads

NO_CHAT = re.compile(
    r"embed|rerank|(^|[/_-])(bge|gte|e5|clip|vae|tts|stt|asr)([/_.-]|$)|minilm|whisper|transcri|speech|audio|voice"
    r"|realtime|dall-?e|stable-?diffusion|sdxl|flux|image|sora|veo|video|imagen|moderation|guard|reward|davinci|babbage"
    r"|paraphrase|colbert|nomic-ai|ocr$",
    re.IGNORECASE,
)
CHAT_TYPES = ("", "llm", "vlm", "chat", "text", "language", "model", "text-generation")


def chat_models(body: bytes) -> list[str]:
    """Return the ids of the models in a list, those that chat first; none if it is no list of models."""
    try:
        found = loads(body)
        listed = found["data"] if isinstance(found, dict) else found
        models = [model for model in listed if isinstance(model, dict) and isinstance(model.get("id"), str)]
    except (NotJson, KeyError, TypeError):
        return []
    return [model["id"] for model in sorted(models, key=lambda model: not _chats(model))]


def _chats(model: Mapping[str, Any]) -> bool:
    """Return whether a model is one for chat, by its entry (LM Studio, Together, Mistral), else by its name."""
    capabilities = model.get("capabilities")
    if isinstance(capabilities, dict) and isinstance(capabilities.get("completion_chat"), bool):
        return bool(capabilities["completion_chat"])
    kind = model.get("type")
    if isinstance(kind, str) and kind.lower() not in CHAT_TYPES:
        return False
    return NO_CHAT.search(model["id"]) is None
