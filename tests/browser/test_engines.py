"""What differs between browsers, in Chromium, Firefox and WebKitGTK."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.browser.engines import Launcher
from tests.browser.gate import Gate
from tests.browser.tab import ENTER, Tab
from tests.browser.visitor import PASSCODE
from tests.browser.webdriver import WebDriver
from tests.support.children import Home, NotInstalled
from tests.support.stack import Stack

MISSING = "This part of the page could not be loaded"
DRAFT = ".composer textarea"


@pytest.fixture
def gate(stack: Stack) -> Iterator[Gate]:
    with Gate(stack.auth_url) as gate:
        yield gate


@pytest.fixture
def tab(engine: WebDriver, gate: Gate) -> Iterator[Tab]:
    """A tab without data of the site, which it reaches through the gate."""
    tab = Tab(engine, gate.url)
    yield tab
    tab.clear()


def test_failed_language_loads_on_retry(tab: Tab, gate: Gate) -> None:
    """The page reports that German could not be loaded, stays in English, and switches when it is chosen again."""
    gate.fail("de", by_status=True)
    tab.open()
    tab.run("window.isSamePage = true")
    tab.type("select", "D")
    tab.expect(".notice", MISSING)
    assert tab.value("select") == "en"
    gate.heal()
    tab.type("select", "D")
    tab.expect("h1", "Konto anlegen")
    assert tab.run("return window.isSamePage")


def test_failed_screens_and_dialogs_load_on_retry(tab: Tab, gate: Gate) -> None:
    """A screen, and files that a screen and a dialog import: each loads without a reload or a lost draft."""
    gate.fail("login_screen|markdown|dialog")
    tab.open()
    tab.run("window.isSamePage = true")
    tab.expect("[role=alert]", MISSING)
    gate.fail("markdown|dialog")
    tab.click("[role=alert] button")
    tab.type("[name=username]", f"visitor-{secrets.token_hex(4)}")
    tab.type("[name=new-password]", PASSCODE)
    tab.click("form .primary")
    tab.click(".bot-card")  # Echo
    tab.type(DRAFT, "hello")
    tab.press(ENTER)
    tab.expect("[role=alert]", MISSING)
    gate.fail("dialog")
    tab.click("[role=alert] button")
    tab.expect(".row.reply[data-seq]", "hello")
    tab.type(DRAFT, "a draft")
    tab.click(".everybody")
    tab.expect(".notice", MISSING)
    gate.heal()
    tab.click(".everybody")
    tab.expect("dialog[open]", "Who is here")
    assert tab.value(DRAFT) == "a draft"
    assert tab.run("return window.isSamePage")


def test_browsers_start_on_screens_of_their_own() -> None:
    """Also while another process has the first display, of which Xvfb warns before it prints the number."""
    with ExitStack() as cleanup:
        try:
            displays = [Launcher(cleanup, Home("screen")).screen() for _ in range(3)]
        except NotInstalled as error:
            pytest.fail(str(error), pytrace=False)
    assert len({*displays}) == 3
    assert all(display.removeprefix(":").isdigit() for display in displays)
