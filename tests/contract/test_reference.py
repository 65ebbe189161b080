"""Check the generated reference against the code, and the AsyncAPI document against its specification."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from pydantic_asyncapi.v3 import AsyncAPI

from chat_gateway.protocol.asyncapi import document
from chat_gateway.protocol.payloads import CLIENT_EVENTS

GENERATOR = Path(__file__).parents[2] / "docs" / "generate.py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_reference_is_up_to_date(generator: ModuleType) -> None:
    stale = [path.name for path, text in generator.render().items() if path.read_text(encoding="utf-8") != text]
    assert stale == []


def test_asyncapi_document_is_valid() -> None:
    """Validate without bindings and enumerated numbers: the checker knows an older form of them."""
    described = copy.deepcopy(document())
    for channel in described["channels"].values():
        channel.pop("bindings", None)
    for schema in described["components"]["schemas"].values():
        for described_field in schema.get("properties", {}).values():
            if described_field.get("type") == "integer":
                described_field.pop("enum", None)
    assert AsyncAPI.model_validate(described).asyncapi == "3.0.0"


def test_asyncapi_describes_every_client_event_and_resolves() -> None:
    described = document()
    assert set(described["channels"]["client"]["messages"]) == set(CLIENT_EVENTS)
    schemas = described["components"]["schemas"]
    for channel in described["channels"].values():
        for message in channel["messages"].values():
            for part in ("payload", "x-ack"):
                if part in message:
                    assert message[part]["$ref"].removeprefix("#/components/schemas/") in schemas


def test_every_field_of_an_event_has_a_description(generator: ModuleType) -> None:
    """An empty cell of the page is a field without `Field(description=…)`."""
    page = generator.events_page.render()
    assert [line for line in page.splitlines() if line.endswith("|  |")] == []
