"""The page on the distributed stack, while every gateway is killed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.model import HELD, RELEASED, Model
from tests.browser.visitor import visiting
from tests.conftest import STACK_URL, Fresh
from tests.support.ports import free_port
from tests.support.stack import DistributedStack, Part, Stack

ACCOUNTS = re.compile(r"^http://[^/]+/(register|login|refresh|logout|me|guest)(/.*)?$")


class OneGateway(DistributedStack):
    """The gateway's port is chosen before it starts, because the page's origin must be allowed."""

    def _parts(self) -> dict[str, Part]:
        parts = super()._parts()
        del parts["chat_gateway-2"]
        parts["chat_gateway-1"].port = int(self.settings["ALLOWED_ORIGINS"].rsplit(":", 1)[1])
        return parts

    @property
    def gateway_urls(self) -> list[str]:
        return [self.parts["chat_gateway-1"].url]


@pytest.fixture
def distributed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """The given composed stack, else separate processes."""
    if STACK_URL:
        yield request.getfixturevalue("own_stack")
        return
    new_database: Fresh = request.getfixturevalue("new_database")
    new_vhost: Fresh = request.getfixturevalue("new_vhost")
    settings = {**request.getfixturevalue("settings"), "ALLOWED_ORIGINS": f"http://127.0.0.1:{free_port()}"}
    with new_database() as database, new_vhost() as vhost:
        stack = OneGateway(tmp_path, postgresql_url=database, amqp_url=vhost, settings=settings)
        try:
            stack.start_now()
            yield stack
        finally:
            stack.close()


@pytest.mark.postgresql
@pytest.mark.rabbitmq
def test_reply_survives_a_killed_gateway(browser: Browser, distributed: Stack, model: Model) -> None:
    """The reply, and a message sent while the gateway is down, are there once and complete when it is back."""
    here, there = distributed.gateway_urls[0], distributed.auth_url
    with visiting(browser, here) as visitor:
        if here != there:  # an edge would route these paths to auth
            visitor.context.route(ACCOUNTS, lambda route: forwarded(route, here, there))
        visitor.register()
        model.go_on.clear()
        visitor.new_chat("Model", "hold")
        expect(visitor.reply_under_way).to_contain_text(HELD)
        distributed.crash("chat_gateway")
        expect(visitor.page.locator(".banner")).to_contain_text("No connection")
        visitor.say("say and what I wrote meanwhile")
        model.go_on.set()
        distributed.start_now()
        visitor.reconnect()
        expect(visitor.page.locator(".row .md", has_text=HELD + RELEASED)).to_have_count(1)
        visitor.expect_answer(2)
        expect(visitor.own).to_have_count(2)
        visitor.page.reload()
        visitor.expect_answer(2)
        expect(visitor.own).to_have_count(2)


def forwarded(route: Route, here: str, there: str) -> None:
    route.fulfill(response=route.fetch(url=route.request.url.replace(here, there)))
