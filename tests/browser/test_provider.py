"""Login by an OpenID provider: offered only if one is configured, and returns to the page that was left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import COMPOSED, Visit
from tests.browser.model import LOOPBACK
from tests.browser.visitor import visiting
from tests.support.compose import ComposedStack, Composition
from tests.support.oidc_provider import CLIENT, SECRET, Handler, Provider, running_provider
from tests.support.ports import free_port
from tests.support.stack import EmbeddedStack, Part, Stack

NAME = "joan"
WAY_OUT = "provider"  # the network through which auth reaches the provider
FORWARDER = """
import asyncio, sys

async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def meet(reader, writer):
    theirs = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    await asyncio.gather(copy(reader, theirs[1]), copy(theirs[0], writer))

async def main():
    await (await asyncio.start_server(meet, "127.0.0.1", int(sys.argv[2]))).serve_forever()

asyncio.run(main())
"""


class KnownAddress(EmbeddedStack):
    """A stack on a port chosen in advance, because the provider must know it."""

    def _parts(self) -> dict[str, Part]:
        parts = super()._parts()
        parts["embedded"].port = urlsplit(self.settings["OIDC_REDIRECT_URI"]).port or 0
        return parts


class Browsed(Handler):
    """A user is already logged in at the provider in this browser."""

    def authorize(self, query: dict[str, str]) -> None:
        super().authorize({"user": NAME, **query})


class Cancelled(Handler):
    """The user presses Cancel at the provider."""

    def authorize(self, query: dict[str, str]) -> None:
        super().authorize({"user": NAME, "fault": "error access_denied", **query})


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider("" if COMPOSED else LOOPBACK, Browsed) as server:
        yield server


@pytest.fixture
def with_provider(
    request: pytest.FixtureRequest, own_settings: None, provider: Provider, tmp_path: Path
) -> Iterator[Stack]:
    oidc = {"OIDC_ISSUER": provider.issuer, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET}
    if COMPOSED:
        composed: ComposedStack = request.getfixturevalue("stack")
        with composed.changed({**oidc, "OIDC_REDIRECT_URI": f"{composed.auth_url}/oidc/callback"}):
            lead_to(provider.server_port, composed.composition)
            yield composed
        return
    oidc["OIDC_REDIRECT_URI"] = f"http://{LOOPBACK}:{free_port()}/oidc/callback"
    stack = KnownAddress(tmp_path, {**request.getfixturevalue("settings"), **oidc})
    try:
        stack.start_now()
        yield stack
    finally:
        stack.close()


def lead_to(port: int, composition: Composition) -> None:
    """Let auth reach this machine's provider at the browser's address: plain HTTP is allowed only on loopback."""
    [auth] = composition.containers("auth_service")
    networks = composition.docker("network", "inspect", f"{composition.name}_{WAY_OUT}")
    gateway = json.loads(networks)[0]["IPAM"]["Config"][0]["Gateway"]
    composition.docker("exec", "--detach", auth, "python", "-c", FORWARDER, gateway, str(port))
    composition.docker(
        "exec", auth, "bash", "-c", f"until : >/dev/tcp/{LOOPBACK}/{port}; do sleep 0.1; done", patience=20
    )


def test_login_by_provider_returns_to_the_invite(browser: Browser, with_provider: Stack, provider: Provider) -> None:
    """One click to the provider and back: logged in, with the refresh token in the cookie, in the invited chat."""
    with visiting(browser, with_provider.auth_url) as visitor:
        visitor.friends = (provider.issuer,)
        page = visitor.page
        visitor.open("/chat/join#no-such-invite")
        page.get_by_role("link", name="Log in with 127.0.0.1").click()
        expect(page.locator("a.me")).to_contain_text(NAME)
        expect(page.get_by_role("heading", name="This invite cannot be used")).to_be_visible()
        page.get_by_role("button", name="Back to the chats").click()
        assert "logged-in" not in page.url
        visitor.new_chat("Echo", "hello from the provider")
        visitor.expect_answer()
        page.reload()
        visitor.expect_answer()
        assert "eyJ" not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")  # no token
        page.locator("a.me").click()
        expect(page.get_by_role("heading", name="Delete the account")).to_be_visible()
        expect(page.get_by_role("heading", name="Change the passcode")).to_have_count(0)  # the account has none
        page.get_by_role("button", name="Delete the account").click()
        # no passcode is asked for, because there is none
        page.get_by_role("button", name="Delete it permanently").click()
        expect(page.get_by_role("heading", name="Make an account")).to_be_visible()


def test_cancelled_login_returns_to_the_page_with_words_and_a_way_back(
    browser: Browser, with_provider: Stack, provider: Provider
) -> None:
    """The page says what has happened; the same link logs in, and a reload says nothing."""
    with visiting(browser, with_provider.auth_url) as visitor:
        visitor.friends = (provider.issuer,)
        page, link = visitor.page, visitor.page.get_by_role("link", name="Log in with 127.0.0.1")
        visitor.open()
        provider.RequestHandlerClass = Cancelled
        link.click()
        expect(page.get_by_role("alert")).to_contain_text("The login was cancelled at the provider.")
        assert "login-error" not in page.url
        page.reload()
        expect(link).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        provider.RequestHandlerClass = Browsed
        link.click()
        expect(page.locator("a.me")).to_contain_text(NAME)
        for reason, words in (("expired", "took too long"), ("refused", "not accepted"), ("unknown", "not accepted")):
            page.context.clear_cookies()
            page.evaluate("localStorage.clear()")
            page.goto(f"{with_provider.auth_url}/chat/#login-error={reason}")
            page.reload()
            expect(page.get_by_role("alert")).to_contain_text(words)


@pytest.mark.usefixtures("own_settings")
def test_without_a_provider_no_link_is_shown(visit: Visit) -> None:
    visitor = visit()
    with visitor.page.expect_response("**/oidc/provider") as response:
        visitor.open()
    assert response.value.json() == {"provider": None}
    expect(visitor.page.locator("form .primary")).to_be_visible()
    expect(visitor.page.locator(".provider")).to_have_count(0)
