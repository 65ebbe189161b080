"""The private parts of uvicorn that the HTTP protocol depends on: read its changelog before you change this file."""

from __future__ import annotations

import inspect

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.runtime.process import _config


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("connection_made", ["transport"]),
        ("connection_lost", ["exc"]),
        ("data_received", ["data"]),
        ("on_message_begin", []),
        ("on_url", ["url"]),
        ("on_header", ["name", "value"]),
        ("on_headers_complete", []),
        ("on_body", ["body"]),
        ("on_message_complete", []),
        ("handle_websocket_upgrade", []),
        ("send_400_response", ["msg"]),
        ("pause_writing", []),
        ("resume_writing", []),
    ],
)
def test_overridden_methods_exist(name: str, parameters: list[str]) -> None:
    """They have the expected parameters."""
    assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == ["self", *parameters]


def test_read_attributes_exist() -> None:
    """The current request, its address, the loop, and whether its answer is complete."""
    source = inspect.getsource(HttpToolsProtocol)
    for attribute in ("self.cycle", "self.url", "self.loop", "self.transport"):
        assert f"{attribute}: " in source or f"{attribute} = " in source
    assert "self.response_complete = False" in inspect.getsource(RequestResponseCycle)


def test_error_of_a_callback_is_answered_as_a_refusal() -> None:
    """The error is wrapped in one that `data_received` answers."""
    assert "except httptools.HttpParserError:" in inspect.getsource(HttpToolsProtocol.data_received)


def test_idle_connection_is_closed_within_ten_seconds() -> None:
    async def app(*_arguments: object) -> None:
        """Do nothing."""

    assert _config(app).timeout_keep_alive <= 10
