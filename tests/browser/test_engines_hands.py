"""What users do with their hands, in Chromium, Firefox and WebKitGTK: compositions, keys, drafts, titles.

No driver operates an input method, so the key events of compositions are synthetic: each engine's own order and, in all
of them, that of Safari, where the key that ends a composition comes after `compositionend` with `keyCode` 229.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from tests.browser.model import HELD, Model
from tests.browser.tab import ENTER, Tab
from tests.browser.visitor import PASSCODE
from tests.browser.webdriver import CommandFailed, WebDriver
from tests.support.stack import Stack
from tests.support.waiting import wait_until

DRAFT = ".composer textarea"
PATIENCE = 30.0  # seconds for what takes 0.1 on an idle machine
UP, PAGE_UP, HOME, END = "\ue013", "\ue00e", "\ue011", "\ue010"  # WebDriver's codes of the keys
DISTANCE = "const s = document.querySelector('.scroller'); return s.scrollHeight - s.scrollTop - s.clientHeight"
TITLE = "Where is my order? - Backchat"
IS_LEFT = "return !!document.querySelector('.latest')"
REPLY = "return [...document.querySelectorAll('.reply .md')].at(-1)?.innerText.length ?? 0"
# An event of a key whose fields are those of a real one; `keyCode` has no place in the constructor.
PRESS = """
const [css, events] = arguments;
const field = document.querySelector(css);
field.focus();
for (const { type, ...fields } of events) {
  const Kind = type.startsWith("key") ? KeyboardEvent : CompositionEvent;
  const event = new Kind(type, { bubbles: true, cancelable: true, composed: true, ...fields });
  if ("keyCode" in fields) Object.defineProperty(event, "keyCode", { value: fields.keyCode });
  field.dispatchEvent(event);
}
"""


def composed(key: str) -> dict[str, list[dict[str, object]]]:
    """The events of a key that ends a composition, as the engines send them."""
    down: dict[str, object] = {"type": "keydown", "key": key, "keyCode": 229}
    start: dict[str, object] = {"type": "compositionstart", "data": ""}
    end: dict[str, object] = {"type": "compositionend", "data": "字"}
    return {
        "safari": [start, end, down],
        "chromium": [start, {**down, "isComposing": True}, end],
        "chromium on macOS": [start, {**down, "isComposing": True, "keyCode": 13 if key == "Enter" else 27}, end],
        "firefox": [start, {**down, "isComposing": True}, end, {"type": "keyup", "key": key, "keyCode": 13}],
        "webkitgtk": [
            start,
            {**down, "key": "Unidentified", "isComposing": True},
            {**end, "data": ""},
            {**down, "key": "Unidentified"},
            end,
        ],
    }


ORDERS = list(composed("Enter"))


@pytest.fixture
def tab(engine: WebDriver, stack: Stack) -> Iterator[Tab]:
    """A tab with a new account."""
    tab = Tab(engine, stack.auth_url)
    tab.open()
    tab.type("[name=username]", f"visitor-{secrets.token_hex(4)}")
    tab.type("[name=new-password]", PASSCODE)
    tab.click("form .primary")
    tab.expect(".bot-card", "Echo")
    yield tab
    tab.clear()


def chat(tab: Tab, chatbot: str, text: str) -> None:
    """Start a chat with a chatbot, by its name."""
    tab.run(
        "[...document.querySelectorAll('.bot-card')].find((card) => card.innerText.includes(arguments[0])).click()",
        chatbot,
    )
    tab.type(DRAFT, text)
    tab.press(ENTER)
    tab.expect(".row.own", text)


def press(tab: Tab, css: str, events: list[dict[str, object]]) -> None:
    tab.run(PRESS, css, events)


@pytest.mark.parametrize("order", ORDERS)
def test_enter_of_a_composition_sends_nothing(tab: Tab, order: str) -> None:
    """In a new chat, in a chat, in the editor and in the palette; the next Enter sends."""
    enter = composed("Enter")[order]
    tab.type(DRAFT, "one")
    press(tab, DRAFT, enter)
    assert tab.value(DRAFT) == "one"
    tab.press(ENTER)
    tab.expect(".row.reply[data-seq]", "one")
    tab.type(DRAFT, "two")
    press(tab, DRAFT, enter)
    assert tab.value(DRAFT) == "two"
    tab.run("document.querySelector('.row.own .actions button:last-child').click()")
    tab.expect(".editor .primary")
    tab.type(".editor textarea", " and a half")
    press(tab, ".editor textarea", enter)
    tab.expect(".editor .primary")
    tab.run("dispatchEvent(new KeyboardEvent('keydown', { key: 'k', ctrlKey: true, bubbles: true }))")
    tab.expect("dialog.palette")
    address = tab.run("return location.pathname")
    press(tab, "dialog.palette input", enter)
    tab.expect("dialog.palette")
    assert tab.run("return location.pathname") == address
    assert tab.run("return document.querySelectorAll('.row.own').length") == 1


@pytest.mark.parametrize("order", ORDERS)
def test_escape_of_a_composition_stops_and_closes_nothing(tab: Tab, model: Model, order: str) -> None:
    """Neither the reply, nor the editor, nor the list of mentions; the next Escape stops the reply."""
    escape = composed("Escape")[order]
    model.go_on.clear()
    chat(tab, "Model", "hold")
    tab.expect(".row.reply .message[aria-busy=true]", HELD)
    tab.type(DRAFT, "@m")
    tab.expect(".mentions")
    press(tab, DRAFT, escape)
    tab.expect(".mentions")
    tab.expect(".row.reply .message[aria-busy=true]", HELD)
    for _ in range(2):  # the first one closes the mentions
        press(tab, DRAFT, [{"type": "keydown", "key": "Escape", "keyCode": 27}])
    tab.expect(".row.reply[data-seq]", "Stopped")
    tab.run("document.querySelector('.row.own .actions button:last-child').click()")
    tab.expect(".editor .primary")
    press(tab, ".editor textarea", escape)
    tab.expect(".editor .primary")


@pytest.mark.parametrize("key", [UP, PAGE_UP, HOME], ids=["ArrowUp", "PageUp", "Home"])
def test_key_leaves_the_growing_end_and_the_place_stays(tab: Tab, model: Model, key: str) -> None:
    chat(tab, "Model", "count 4000")
    wait_until(lambda: tab.run("return document.querySelector('.scroller').scrollTop") > 500, PATIENCE)
    tab.run("document.querySelector('.scroller').focus()")
    tab.press(key)
    wait_until(lambda: tab.run(IS_LEFT), PATIENCE)
    before, length = tab.run(DISTANCE), tab.run(REPLY)
    wait_until(lambda: tab.run(REPLY) > length + 2_000, PATIENCE)
    assert tab.run(DISTANCE) > before
    assert tab.run(IS_LEFT)


@pytest.mark.parametrize("step", [5, 20, 60])
def test_small_scroll_upwards_leaves_the_growing_end(tab: Tab, model: Model, step: int) -> None:
    """By the wheel where the driver has one, else by the script's scroll, which has no key or wheel before it."""
    chat(tab, "Model", "count 4000")
    wait_until(lambda: tab.run("return document.querySelector('.scroller').scrollTop") > 500, PATIENCE)
    for _ in range(3):
        try:
            tab.wheel(".scroller", -step)
        except CommandFailed:
            tab.run("document.querySelector('.scroller').scrollBy(0, -arguments[0])", step)
    wait_until(lambda: tab.run(IS_LEFT), PATIENCE)
    length = tab.run(REPLY)
    wait_until(lambda: tab.run(REPLY) > length + 2_000, PATIENCE)
    assert tab.run(IS_LEFT)


def test_draft_and_title_outlive_a_reload_and_the_back_button(tab: Tab) -> None:
    chat(tab, "Echo", "Where is my order?")
    wait_until(lambda: tab.run("return document.title") == TITLE, PATIENCE)  # until it is read, with the number unread
    tab.expect(".row.reply[data-seq]")
    tab.type(DRAFT, "half a sen")
    tab.open(tab.run("return location.pathname"))
    tab.expect(".row.reply[data-seq]")
    wait_until(lambda: tab.value(DRAFT) == "half a sen", PATIENCE)
    wait_until(lambda: tab.run("return document.title") == TITLE, PATIENCE)  # until it is read, with the number unread
    tab.open("/docs")
    tab.run("history.back()")
    wait_until(lambda: tab.value(DRAFT) == "half a sen", PATIENCE)
    assert "half a sen" in json.dumps(tab.run("return { ...localStorage }"))
