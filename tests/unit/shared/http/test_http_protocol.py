"""The private parts of uvicorn that our HTTP protocol leans on: read its changes before touching this."""

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
def test_methods_that_are_overridden(name: str, parameters: list[str]) -> None:
    """They are there, with these parameters."""
    assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == ["self", *parameters]


def test_attributes_that_are_read() -> None:
    """The request under way, its address, the loop, and whether its answer is complete."""
    source = inspect.getsource(HttpToolsProtocol)
    for attribute in ("self.cycle", "self.url", "self.loop", "self.transport"):
        assert f"{attribute}: " in source or f"{attribute} = " in source
    assert "self.response_complete = False" in inspect.getsource(RequestResponseCycle)


def test_errors_of_callbacks_become_a_refusal() -> None:
    """They come wrapped in an error that `data_received` answers."""
    assert "except httptools.HttpParserError:" in inspect.getsource(HttpToolsProtocol.data_received)


def test_idle_connections_end_before_ten_seconds_are_over() -> None:
    async def app(*_arguments: object) -> None:
        """Nothing."""

    assert _config(app).timeout_keep_alive <= 10
