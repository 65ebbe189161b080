"""Which sites get the compact page in a frame, and what refused sites get."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from chat_gateway.http.frame_refusals import LOGS_EVERY, FrameRefusals
from chat_gateway.http.page import Page
from shared.http.forwarded_headers import TrustedProxies

SHOP = "https://shop.example"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(tmp_path: Path, clock: Clock) -> TestClient:
    (tmp_path / "index.html").write_text("<!doctype html>page")
    refusals = FrameRefusals([SHOP], TrustedProxies(), clock)
    return TestClient(Page(tmp_path, [SHOP], refusals), "https://chat.example")


@pytest.mark.parametrize(
    "query",
    ["", "?host=https://shop.example", "?host=https%3A%2F%2FSHOP.example", "?host=https://chat.example", "?host=null"],
)
def test_site_that_may_frame_the_page_gets_it(client: TestClient, query: str) -> None:
    """Configured origins, our own, and addresses that the widget has not made: there the browser decides."""
    assert client.get(f"/chat/embed{query}").text == "<!doctype html>page"


@pytest.mark.parametrize(
    "origin",
    ["https://other.example", "http://shop.example", "https://shop.example:8443", "https://shop.example.evil.example"],
)
@pytest.mark.parametrize("path", ["/chat/embed", "/chat/embed/new"])
def test_other_site_gets_a_page_that_says_so(client: TestClient, path: str, origin: str) -> None:
    answer = client.get(path, params={"host": origin})
    assert answer.status_code == 403
    assert "not available on this page" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors" not in policy  # the browser must show it
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_full_page_is_not_concerned(client: TestClient) -> None:
    assert client.get("/chat/", params={"host": "https://other.example"}).text == "<!doctype html>page"


def test_refusals_are_logged_once_a_minute_with_their_number(client: TestClient, clock: Clock) -> None:
    """The line names the origin and the setting, and nothing that a visitor could make long."""
    with capture_logs() as logs:
        for number in range(5):
            client.get("/chat/embed", params={"host": f"https://other{number}.example"})
        clock.now += LOGS_EVERY
        client.get("/chat/embed", params={"host": f"https://{'x' * 5_000}.example"})
    assert [(entry["event"], entry["setting"], entry["count"]) for entry in logs] == [
        ("frame.refused", "BACKCHAT_FRAME_ANCESTORS", 1),
        ("frame.refused", "BACKCHAT_FRAME_ANCESTORS", 5),
    ]
    assert logs[0]["origin"] == "https://other0.example"
    assert len(logs[1]["origin"]) == 200
