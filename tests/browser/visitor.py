"""A visitor with a browser, and the actions on the chat page."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.waiting import wait_until

PASSCODE = "correct horse battery staple"
PATIENCE = 30_000  # milliseconds for what takes 100 on an idle machine
MOVING = 3_000  # milliseconds, the longest wait for animations

expect.set_options(timeout=PATIENCE)


def wait_for_animations(page: Page) -> None:
    """Wait until no finite animation runs, at most `MOVING`.

    An animation may start another one, so none must run for two frames.
    """
    page.evaluate(
        """(most) => new Promise((done) => {
          setTimeout(done, most);
          let still = 0;
          const look = () => {
            const isFinite = (each) => each.effect.getTiming().iterations !== Infinity && each.playState === "running";
            still = document.getAnimations().some(isFinite) ? 0 : still + 1;
            still > 2 ? done() : requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
        }).then(() => 0)""",
        MOVING,
    )


def wait_for_expression(page: Page, expression: str) -> None:
    """Wait until a JavaScript expression is true. (`wait_for_function` needs a policy that allows `eval`.)"""
    wait_until(lambda: page.evaluate(expression), PATIENCE / 1000)


class Visitor:
    """A browser profile with its first page. `wrongs` collects errors that no test expects."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.wrongs: list[str] = []
        self.requests: list[str] = []
        self.unanswered: set[str] = set()  # addresses of requests that are pending or failed
        self.friends: tuple[str, ...] = ()  # other origins to which requests are allowed
        self.id = f"visitor-{secrets.token_hex(4)}"
        self.page = self.tab()

    def tab(self) -> Page:
        """Open another tab of the same browser."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.wrongs.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.wrongs.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._asked(request.url))
        page.on("requestfinished", lambda request: self.unanswered.discard(request.url))
        page.on("console", self._console)
        return page

    def _asked(self, address: str) -> None:
        self.requests.append(address)
        self.unanswered.add(address)

    def _console(self, message: Any) -> None:
        is_policy = "Content Security Policy" in message.text or "Trusted" in message.text
        if message.type == "error" and is_policy:
            self.wrongs.append(f"policy: {message.text}")

    def open(self, path: str = "/chat/") -> None:
        self.page.goto(self.url + path)

    def register(self, path: str = "/chat/") -> None:
        """Open the page and create an account."""
        self.open(path)
        self.page.locator("[name=username]").fill(self.id)
        self.page.locator("[name=new-password]").fill(PASSCODE)
        self.page.locator("form .primary").click()
        expect(self.page.locator(".shell")).to_be_visible()

    def log_in(self, user_id: str) -> None:
        """Log in with an existing account, as on another device."""
        self.open()
        self.page.locator(".switch").click()
        self.page.locator("[name=username]").fill(user_id)
        self.page.locator("[name=password]").fill(PASSCODE)
        self.page.locator("form .primary").click()
        expect(self.page.locator(".shell")).to_be_visible()

    def new_chat(self, chatbot: str, text: str) -> None:
        """Start a chat with a chatbot, by its name, and send the first message."""
        new = self.page.locator(".sidebar .new")
        if new.is_visible():
            new.click()
        name = self.page.get_by_text(chatbot, exact=True)
        self.page.locator(".bot-card").filter(has=name).click()
        self.say(text)
        expect(self.page.locator(".row.own")).to_have_count(1)

    def say(self, text: str) -> None:
        self.writing.fill(text)
        self.writing.press("Control+Enter")  # on touch screens Enter alone is a line break

    @property
    def writing(self) -> Locator:
        return self.page.locator(".composer textarea")

    @property
    def replies(self) -> Locator:
        return self.page.locator(".row.reply[data-seq]")

    @property
    def reply_under_way(self) -> Locator:
        return self.page.locator(".row.reply .message[aria-busy=true]")

    @property
    def own(self) -> Locator:
        return self.page.locator(".row.own")

    def expect_answer(self, count: int = 1) -> Locator:
        """Wait until there are that many stored replies, and return the last one."""
        expect(self.replies).to_have_count(count)
        return self.replies.last

    def reconnect(self) -> None:
        """Reconnect now, if the page is still disconnected."""
        self.page.evaluate("document.querySelector('.banner button')?.click()")

    def close_dialog(self) -> None:
        """Close the open dialog by the keyboard."""
        self.page.keyboard.press("Escape")
        expect(self.page.locator("dialog")).to_have_count(0)

    def invite(self) -> str:
        """Create an invite link in the open members dialog, close it, and return the link."""
        self.page.get_by_role("button", name="Make an invite link").click()
        link = self.page.locator(".invite input").input_value()
        self.close_dialog()
        return link

    def menu(self, entry: str) -> None:
        """Choose an entry of the chat's menu."""
        self.page.locator(".chat-head .menu > button").click()
        self.page.get_by_role("menuitem", name=entry).click()


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Visitor]:
    """Open a browser profile for a visitor; at its end, fail if there were unexpected errors or foreign requests."""
    options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, **options}
    context = browser.new_context(**options)
    visitor = Visitor(context, url)
    try:
        yield visitor
        assert not visitor.wrongs, visitor.wrongs
        known = (url, "data:", "blob:", *visitor.friends)
        foreign = [request for request in visitor.requests if not request.startswith(known)]
        assert not foreign, foreign
    finally:
        # Shown in the report of a failed test.
        print(f"{visitor.id} at {visitor.page.url}, wrong: {visitor.wrongs}, not loaded: {visitor.unanswered}")  # noqa: T201
        context.unroute_all(behavior="ignoreErrors")
        context.close()
