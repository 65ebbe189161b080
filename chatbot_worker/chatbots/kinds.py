"""The kinds of chatbots that a catalogue may name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from chatbot_worker.chatbots import echo, eliza
from chatbot_worker.chatbots.protocol import Kind

KINDS: Mapping[str, Kind] = MappingProxyType({"echo": echo.KIND, "eliza": eliza.KIND})
