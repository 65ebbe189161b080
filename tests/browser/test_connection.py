"""The connection is lost, or the server dies: nothing is lost, nothing is doubled, and people are told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visit
from tests.browser.model import HELD, LET_GO, Model
from tests.browser.visitor import visiting
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.stack import Stack


class Network:
    """A way to the stack that can go wrong; its loop runs in a thread of its own."""

    def __init__(self, stack: Stack) -> None:
        address = urlsplit(stack.auth_url)
        self._proxy = Proxy((address.hostname or "", address.port or 80), free_port())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.start(), self._loop).result(10)

    @property
    def url(self) -> str:
        """Where the stack is by this way."""
        return f"http://127.0.0.1:{self._proxy.port}"

    def tell(self, what: str) -> None:
        """Have the proxy do something."""
        self._loop.call_soon_threadsafe(getattr(self._proxy, what))

    def close(self) -> None:
        """Cut everything."""
        asyncio.run_coroutine_threadsafe(self._proxy.stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def network(stack: Stack) -> Iterator[Network]:
    way = Network(stack)
    try:
        yield way
    finally:
        way.close()


def test_the_server_dies_in_the_middle(browser: Browser, own_stack: Stack, model: Model) -> None:
    """All of it, killed in mid-reply and away in mid-send: the composer stays usable, and all is there once when it is back."""
    with visiting(browser, own_stack.auth_url) as visitor:
        page = visitor.page
        visitor.register()
        model.go_on.clear()
        visitor.new_chat("Model", "hold")
        expect(visitor.reply_under_way).to_contain_text(HELD)
        own_stack.crash()
        banner = page.locator(".banner")
        expect(banner).to_contain_text("No connection")
        visitor.say("say while you were away")
        expect(page.locator(".pending")).to_contain_text("Waiting for a connection")
        model.go_on.set()
        own_stack.start_now()
        visitor.reconnect()
        expect(banner).to_be_hidden()
        visitor.expect_answer(2)
        expect(page.locator(".pending")).to_have_count(0)
        texts = [text.strip() for text in page.locator(".row .md").all_text_contents()]
        assert texts[0] == "hold"
        assert sorted(texts[1:]) == sorted(["say while you were away", "while you were away", HELD + LET_GO])


def test_the_network_goes_silent(browser: Browser, stack: Stack, model: Model, network: Network) -> None:
    """In mid-reply and in mid-send nothing passes any more, and nothing is closed: it is noticed, and made good."""
    with visiting(browser, network.url) as visitor:
        visitor.register()
        model.go_on.clear()
        visitor.new_chat("Model", "hold")
        expect(visitor.reply_under_way).to_contain_text(HELD)
        network.tell("stall")
        visitor.say("say while it was silent")
        expect(visitor.page.locator(".banner")).to_contain_text("No connection")
        network.tell("cut_and_resume")
        model.go_on.set()
        visitor.reconnect()
        expect(visitor.page.locator(".banner")).to_be_hidden()
        visitor.expect_answer(2)
        texts = [text.strip() for text in visitor.page.locator(".row .md").all_text_contents()]
        assert sorted(texts) == sorted(["hold", HELD + LET_GO, "say while it was silent", "while it was silent"])


def test_what_was_refused_stays_and_can_be_tried_again(visit: Visit) -> None:
    """A message that the server will not take fails in place, with its code, over a reload too; then it is stored once."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    page.evaluate(
        """(id) => localStorage.setItem('backchat.failed.' + id, JSON.stringify([{
            session_id: location.pathname.split('/').pop(), client_message_id: 'refused-once', content: 'second',
            at: Date.now(), state: 'failed', code: 'forbidden'}]))""",
        visitor.id,
    )
    page.reload()
    failed = page.locator(".pending.failed")
    expect(failed).to_contain_text("You are not allowed to do that")
    expect(failed.locator("code")).to_have_text("forbidden")
    failed.get_by_role("button", name="Try again").click()
    visitor.expect_answer(2)
    expect(failed).to_have_count(0)
    page.reload()
    visitor.expect_answer(2)
    expect(visitor.own).to_have_count(2)
