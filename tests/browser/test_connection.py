"""Lost connections and killed servers: nothing is lost or duplicated, and the page reports it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visit
from tests.browser.model import HELD, RELEASED, Model
from tests.browser.visitor import visiting
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.stack import Stack


class Network:
    """A faulty network path to the stack: a proxy whose event loop runs in a separate thread."""

    def __init__(self, stack: Stack) -> None:
        address = urlsplit(stack.auth_url)
        self._proxy = Proxy((address.hostname or "", address.port or 80), free_port())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.start(), self._loop).result(10)

    @property
    def url(self) -> str:
        """The stack's address through the proxy."""
        return f"http://127.0.0.1:{self._proxy.port}"

    def call(self, method: str) -> None:
        """Call a method of the proxy in its event loop."""
        self._loop.call_soon_threadsafe(getattr(self._proxy, method))

    def close(self) -> None:
        """Cut all connections and stop."""
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


def test_killed_server_loses_and_duplicates_nothing(browser: Browser, own_stack: Stack, model: Model) -> None:
    """The server is killed during a reply and down during a send: one can still write, and everything is there once."""
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
        assert sorted(texts[1:]) == sorted(["say while you were away", "while you were away", HELD + RELEASED])


def test_silent_network_loses_and_duplicates_nothing(
    browser: Browser, stack: Stack, model: Model, network: Network
) -> None:
    """Nothing passes during a reply and during a send, and nothing is closed: the page notices and recovers."""
    with visiting(browser, network.url) as visitor:
        visitor.register()
        model.go_on.clear()
        visitor.new_chat("Model", "hold")
        expect(visitor.reply_under_way).to_contain_text(HELD)
        network.call("stall")
        visitor.say("say while it was silent")
        expect(visitor.page.locator(".banner")).to_contain_text("No connection")
        network.call("cut_and_resume")
        model.go_on.set()
        visitor.reconnect()
        expect(visitor.page.locator(".banner")).to_be_hidden()
        visitor.expect_answer(2)
        texts = [text.strip() for text in visitor.page.locator(".row .md").all_text_contents()]
        assert sorted(texts) == sorted(["hold", HELD + RELEASED, "say while it was silent", "while it was silent"])


def test_refused_message_stays_and_can_be_retried(visit: Visit) -> None:
    """A refused message stays with its reason, also after a reload; retried, it is stored once."""
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
    expect(failed.get_by_role("alert")).to_have_attribute("data-code", "forbidden")
    failed.get_by_role("button", name="Try again").click()
    visitor.expect_answer(2)
    expect(failed).to_have_count(0)
    page.reload()
    visitor.expect_answer(2)
    expect(visitor.own).to_have_count(2)
